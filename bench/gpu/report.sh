#!/usr/bin/env bash
# Checks Concord on a GPU and measures it, in two steps that may run on two machines.
#
#   bench/gpu/report.sh prepare DIR [--data FILE] [--metric NAME] [--archs LIST] [--python PYTHON | --no-python]
#       On a build machine with nvcc: builds everything the report needs into the folder DIR, at
#       most 60 MB with the data. DIR contains this script as well and can be copied anywhere.
#         --data FILE    vectors to measure besides synthetic ones: the first 300,000 vectors and 5,000
#                        queries of an .hdf5 file of ann-benchmarks, or .u8bin/.fbin/.fvecs with
#                        --queries FILE
#         --metric NAME  of that file: l2sq (the default), inner_product or cosine
#         --archs LIST   CMAKE_CUDA_ARCHITECTURES (default 90-real; "all" for the release list)
#         --python PYTHON  of the version that the GPU machine has (default python3), for the wheel
#         --no-python    neither wheel nor tests of the Python package
#
#   DIR/report.sh run DIR [OUT] [--only PARTS] [--skip PARTS] [--budget SECONDS] [...]
#       On the GPU machine, with a driver, bash and python3: runs the checks and measurements in at
#       most 363 seconds and writes report.json, report.md and logs to OUT (default DIR/out).
#       `run DIR --help` lists the parts and the other options. Exit code 1 if a check failed.
#
# Digests and recalls are compared with those of the newest bench/results/*/report.json.
# `prepare` builds in BUILD_DIR (default build/gpu-report of the repository).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
programs=(bench/concord-bench bench/concord-cuda-peak bench/concord-cuda-hazards
  tests/cuda/concord_device_conformance)
max_megabytes=60

usage() { sed -n '2,24s/^# \{0,1\}//p' "$0"; }
fail() { echo "report.sh: $*" >&2; exit 2; }

cache_options() {
  if command -v ccache >/dev/null; then
    echo -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache
  fi
}

find_nvcc() {
  if command -v nvcc >/dev/null; then command -v nvcc; return; fi
  local candidate=${CUDA_HOME:-/usr/local/cuda}/bin/nvcc
  [ -x "$candidate" ] || fail "no nvcc on PATH or in ${CUDA_HOME:-/usr/local/cuda}; set CUDA_HOME"
  echo "$candidate"
}

build_programs() {  # ROOT BUILD ARCHS
  local cache chosen=()
  read -ra cache <<<"$(cache_options)"
  if [ "$3" != all ]; then chosen=(-DCMAKE_CUDA_ARCHITECTURES="$3"); fi
  cmake -S "$1" -B "$2" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCONCORD_CUDA=ON \
    -DCMAKE_CUDA_COMPILER="$(find_nvcc)" -DCONCORD_STATIC_RUNTIME=ON -DCONCORD_BENCH=ON \
    -DCONCORD_BENCH_HDF5=OFF -DCONCORD_BENCH_HNSWLIB=OFF -DCONCORD_TESTS=ON \
    -DCMAKE_CUDA_FLAGS=-lineinfo \
    ${chosen[@]+"${chosen[@]}"} ${cache[@]+"${cache[@]}"} >&2
  cmake --build "$2" --target "${programs[@]##*/}" >&2
}

# A concord-bench that reads HDF5, only for the conversion. The one for the GPU machine does not read
# it, because that machine may lack the library.
converter() {  # ROOT BUILD
  local cache
  read -ra cache <<<"$(cache_options)"
  cmake -S "$1" -B "$2" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCONCORD_CUDA=OFF \
    -DCONCORD_TESTS=OFF -DCONCORD_BENCH_HDF5=ON ${cache[@]+"${cache[@]}"} >&2
  cmake --build "$2" --target concord-bench >&2
  echo "$2/bench/concord-bench"
}

# The digests and recalls of the newest committed report.
pin() {  # ROOT DATA
  local reports=("$1"/bench/results/*/report.json)
  python3 "$here/report_pinned.py" "${reports[-1]}" --data "$2"
}

# Writes DIR/base.EXT and DIR/queries.EXT: as bytes if all elements are bytes, otherwise as floats.
convert_hdf5() {  # CONVERTER FILE DIR
  local extension rows=300000
  for extension in u8bin fbin; do
    if [ $extension = fbin ]; then rows=60000; fi
    if "$1" convert "$2" "$3/base.$extension" --limit $rows >&2 2>/dev/null &&
      "$1" convert "$2" "$3/queries.$extension" --part test --limit 5000 >&2; then
      return
    fi
    rm -f "$3/base.$extension" "$3/queries.$extension"
  done
  fail "$2: cannot be converted"
}

prepare() {
  local directory=${1:-} data='' queries='' metric='' archs=90-real python=python3 root build
  [ -n "$directory" ] || { usage >&2; exit 2; }
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --data) data=${2:?--data needs a file}; shift 2 ;;
      --queries) queries=${2:?--queries needs a file}; shift 2 ;;
      --metric) metric=${2:?--metric needs a name}; shift 2 ;;
      --archs) archs=${2:?--archs needs a list}; shift 2 ;;
      --python) python=${2:?--python needs a program}; shift 2 ;;
      --no-python) python=''; shift ;;
      *) fail "unknown option $1" ;;
    esac
  done
  root=$(cd "$here/../.." && pwd)
  [ -f "$root/CMakeLists.txt" ] || fail "prepare runs from a checkout of the repository"
  build=${BUILD_DIR:-$root/build/gpu-report}
  mkdir -p "$directory"
  directory=$(cd "$directory" && pwd)
  build_programs "$root" "$build" "$archs"
  for program in "${programs[@]}"; do
    rm -f "$directory/${program##*/}"
    cp "$build/$program" "$directory/"
    strip "$directory/${program##*/}"
  done
  cp "$here"/report.sh "$here"/report*.py "$directory/"
  pin "$root" "$data" >"$directory/pinned.json"
  python3 "$here/report_sanitizer.py" "$root/cuda" >"$directory/by_design.json"
  rm -rf "$directory/python"
  if [ -n "$python" ]; then
    BUILD_DIR=$build/python "$root/python/gpu_check.sh" prepare "$directory/python" --python "$python" \
      --archs "$archs" --no-numpy >&2
  fi
  if [[ $data == *.hdf5 ]]; then
    rm -f "$directory"/base.* "$directory"/queries.*
    convert_hdf5 "$(converter "$root" "$build-convert")" "$data" "$directory"
  elif [ -n "$data" ]; then
    rm -f "$directory"/base.* "$directory"/queries.*
    cp "$data" "$directory/base.${data##*.}"
    if [ -n "$queries" ]; then cp "$queries" "$directory/queries.${queries##*.}"; fi
  fi
  rm -f "$directory/metric"
  if [ -n "$metric" ]; then echo "$metric" >"$directory/metric"; fi
  local megabytes
  megabytes=$(du -sm --exclude=out "$directory" | cut -f1)
  echo "prepared $directory: $megabytes MB; next, on the GPU machine: $directory/report.sh run $directory"
  [ "$megabytes" -le $max_megabytes ] || fail "$directory is over $max_megabytes MB; give fewer vectors"
}

run() {
  command -v python3 >/dev/null || fail "run needs python3 (standard library only)"
  exec python3 "$here/report.py" "$@"
}

case ${1:-} in
  prepare) shift; prepare "$@" ;;
  run) shift; run "$@" ;;
  -h | --help) usage ;;
  *) usage >&2; exit 2 ;;
esac
