#!/usr/bin/env bash
# Concord beside the libraries of requirements.txt on the same data and cores: installs them and this checkout's own
# wheel in a virtual environment, measures, and writes the report.
#
#   bench/peers/run.sh [--data sift words fashion] [--limit N] [--out FILE.json] ...
#   bench/peers/run.sh --data ... --out FOLDER     # a file for each data set; keeps existing files
#   bench/peers/run.sh --quick                     # 5,000 vectors: a few minutes, too small to quote
#   bench/peers/run.sh --prepare                   # only installs and compiles
#   bench/peers/run.sh --help                      # all options
#
# BUILD_DIR (default build/peers) is the folder of the environment, CONCORD_DATA that of the data sets
# (bench/peers/README.md). If a library cannot be installed or fails, the script names it and continues.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build_dir=${BUILD_DIR:-$root/build/peers}
here=$root/bench/peers
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$root/bench
mkdir -p "$build_dir"

"$root/docker/install-deps.sh"
requirements=("$here/requirements.txt" "$root/bench/page/requirements.txt")
if ! cat "${requirements[@]}" | cmp -s - "$build_dir/installed.txt"; then
  python3 -m venv --clear "$build_dir/venv"
  while read -r package; do
    "$build_dir/venv/bin/python" -m pip install -q "$package" || echo "run.sh: $package cannot be installed" >&2
  done < <(cat "${requirements[@]}" | grep -v '^#')
  cat "${requirements[@]}" >"$build_dir/installed.txt"
fi
export PATH=$build_dir/venv/bin:$PATH

# The wheel of this checkout. Unchanged sources are not compiled again.
options=(-C build-dir="$build_dir/wheel")
if command -v ccache >/dev/null; then options+=(-C cmake.define.CMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
if ! nvidia-smi -L >/dev/null 2>&1; then options+=(-C cmake.define.CONCORD_CUDA=OFF); fi
python -m pip install -q --force-reinstall --no-deps "${options[@]}" "$root/python"

out=peers.json
arguments=("$@")
for ((i = 0; i < $#; i++)); do
  case ${arguments[i]} in
    -h | --help) exec python -m peers --help ;;
    --prepare) exit 0 ;;
    --out) out=${arguments[i + 1]:?--out needs a file} ;;
    --out=*) out=${arguments[i]#--out=} ;;
  esac
done
python -m peers "$@"
case $out in
  *.json) python -m page "$out" --out "${out%.json}.html" ;;
  *) python -m page "$out"/*.json --out "$out/report.html" ;;
esac
