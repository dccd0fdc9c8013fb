#!/usr/bin/env bash
# Concord from a fresh clone to a result: installs missing packages, builds, indexes the built-in
# sample of 20,000 word vectors, searches it, checks the graph and shows the nearest words of a few words.
#
#   bench/run.sh [--word king,queen] [option of "concord-bench run" ...]
#
#   --word WORDS   show the neighbors of these words, separated by commas
#
# The options --dataset and --synthetic replace the sample by other data. If Python packages can be installed,
# the script ends with a report of the run as an HTML page (concord-bench report).
# It builds in BUILD_DIR (default build/bench). It includes the CUDA code only if the machine has a CUDA
# device and a CUDA compiler, because that code takes long to compile.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=${BUILD_DIR:-$root/build/bench}
sample=$root/bench/data/words-20k
words=()
options=()
json=$build_dir/run.json
data=(--dataset "$sample/vectors.i8bin" --metric cosine)

# value OPTION [VALUE]: prints the value, or fails without one.
value() {
  if [ $# -gt 1 ]; then echo "$2"; return; fi
  echo "run.sh: $1 needs a value" >&2
  return 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --word) words=(--word "$(value "$@")") || exit 2; shift 2 ;;
    --word=*) words=(--word "${1#--word=}"); shift ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --json) json=$(value "$@") || exit 2; shift 2 ;;
    --json=*) json=${1#--json=}; shift ;;
    --dataset | --dataset=* | --synthetic | --synthetic=*) data=(); options+=("$1"); shift ;;
    *) options+=("$1"); shift ;;
  esac
done

# Runs a command silently; shows its output if it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  if [ $status -ne 0 ]; then
    cat "$log" >&2
    echo "run.sh: failed: $*" >&2
  fi
  rm -f "$log"
  return $status
}

cuda=(-DCONCORD_CUDA=OFF)
if nvidia-smi -L >/dev/null 2>&1; then
  cuda=(-DCONCORD_CUDA=AUTO -DCMAKE_CUDA_ARCHITECTURES=native)
fi

"$root/docker/install-deps.sh" --build
if [ ! -x "$build_dir/bench/concord-bench" ]; then
  echo "building concord-bench in $build_dir (a few minutes the first time)" >&2
fi
quietly cmake -S "$root" -B "$build_dir" -G Ninja -DCMAKE_BUILD_TYPE=Release "${cuda[@]}" \
  -DCONCORD_TESTS=OFF -DCONCORD_BENCH=ON
quietly cmake --build "$build_dir" --target concord-bench

bench=$build_dir/bench/concord-bench
"$bench" run ${data[@]+"${data[@]}"} ${options[@]+"${options[@]}"} --json "$json"
results=("$json")
if [ ${#data[@]} -gt 0 ]; then
  results+=("${json%.json}-words.json")
  "$bench" words "${data[@]}" --words "$sample/words.txt" ${words[@]+"${words[@]}"} --json "${results[1]}"
fi

# The report. The run is complete without it.
packages=$root/bench/page/requirements.txt
if ! cmp -s "$packages" "$build_dir/report-packages.txt"; then
  if ! quietly python3 -m venv --clear "$build_dir/report-venv" ||
    ! quietly "$build_dir/report-venv/bin/python" -m pip install -q --disable-pip-version-check -r "$packages"; then
    echo "no report: cannot create a Python environment with the packages of $packages" >&2
    exit 0
  fi
  cp "$packages" "$build_dir/report-packages.txt"
fi
echo
PATH=$build_dir/report-venv/bin:$PATH "$bench" report "${results[@]}" --out "${json%.json}.html"
