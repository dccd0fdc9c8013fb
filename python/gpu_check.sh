#!/usr/bin/env bash
# Tests the Python package on a GPU, in two steps that may run on two machines.
#
#   python/gpu_check.sh prepare DIR [--python PYTHON] [--archs LIST] [--no-numpy]
#       On a build machine with nvcc: puts a wheel with CUDA, the tests, and wheels of numpy and pytest
#       into the folder DIR, at most 60 MB, with this script. DIR can be carried anywhere.
#         --python PYTHON  of the version that the GPU machine has (default python3)
#         --archs LIST     CMAKE_CUDA_ARCHITECTURES (default 90-real)
#         --no-numpy       the GPU machine has numpy
#
#   DIR/gpu_check.sh run DIR [OUT] [option of pytest ...]
#       On the GPU machine: installs into DIR/site what python3 there lacks, and runs the tests, with
#       torch, CuPy and JAX where they are there. OUT (default DIR/out) gets tests.xml and
#       tests.txt. Exit code of pytest. From the environment: PYTHON (default python3).
#
# BUILD_DIR (default build/gpu-check of the repository) is where `prepare` builds.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
max_megabytes=60

usage() { sed -n '2,18s/^# \{0,1\}//p' "$0"; }
fail() { echo "gpu_check.sh: $*" >&2; exit 2; }

prepare() {
  local directory=${1:-} python=python3 archs=90-real needed=(numpy pytest) build root options launcher megabytes
  [ -n "$directory" ] || { usage >&2; exit 2; }
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --python) python=${2:?--python needs a program}; shift 2 ;;
      --archs) archs=${2:?--archs needs a list}; shift 2 ;;
      --no-numpy) needed=(pytest); shift ;;
      *) fail "unknown option $1" ;;
    esac
  done
  root=$(cd "$here/.." && pwd)
  [ -f "$root/CMakeLists.txt" ] || fail "prepare runs from a checkout of the repository"
  build=${BUILD_DIR:-$root/build/gpu-check}
  mkdir -p "$directory" "$build"
  directory=$(cd "$directory" && pwd)
  rm -rf "$directory"/{wheels,tests,site,out}
  "$python" -m venv "$build/venv"
  local pip=("$build/venv/bin/python" -m pip --disable-pip-version-check)
  local wanted=() package
  for package in scikit-build-core nanobind; do
    wanted+=("$(grep -o "^$package==.*" "$here/requirements-test.txt")")
  done
  "${pip[@]}" install -q "${wanted[@]}"

  options=(-C build-dir="$build/wheel" -C cmake.define.CONCORD_CUDA=ON
    -C cmake.define.CMAKE_CUDA_ARCHITECTURES="$archs")
  if ! command -v nvcc >/dev/null; then
    options+=(-C cmake.define.CMAKE_CUDA_COMPILER="${CUDA_HOME:-/usr/local/cuda}/bin/nvcc")
  fi
  if command -v ccache >/dev/null; then
    for launcher in CXX CUDA; do
      options+=(-C "cmake.define.CMAKE_${launcher}_COMPILER_LAUNCHER=ccache")
    done
  fi
  PATH=$build/venv/bin:$PATH "${pip[@]}" wheel -q --no-build-isolation --no-deps "${options[@]}" \
    -w "$directory/wheels" "$here"
  wanted=()
  for package in "${needed[@]}"; do
    wanted+=("$(grep -o "^$package==.*" "$here/requirements-test.txt")")
  done
  "${pip[@]}" download -q --only-binary=:all: -d "$directory/wheels" "${wanted[@]}"
  cp "$here/gpu_check.sh" "$directory/"
  cp -r "$here/gpu_tests" "$directory/tests"
  cp "$here/tests/dlpack.py" "$directory/tests/"
  rm -rf "$directory/tests/__pycache__"
  megabytes=$(du -sm "$directory" | cut -f1)
  echo "prepared $directory: $megabytes MB; next, on the GPU machine: $directory/gpu_check.sh run $directory"
  [ "$megabytes" -le $max_megabytes ] || fail "$directory is over $max_megabytes MB"
}

run() {
  local directory=${1:-} out python=${PYTHON:-python3} lacking=() package status=0
  [ -d "$directory/wheels" ] || fail "run needs a folder that prepare made"
  directory=$(cd "$directory" && pwd)
  out=${2:-$directory/out}
  shift $(($# > 1 ? 2 : 1))
  mkdir -p "$out"
  for package in numpy pytest; do
    "$python" -c "import $package" 2>/dev/null || lacking+=("$package")
  done
  rm -rf "$directory/site"
  "$python" -m pip --disable-pip-version-check install -q --no-index --no-deps --no-compile \
    --target "$directory/site" "$directory"/wheels/concord_ann-*.whl
  if [ ${#lacking[@]} -gt 0 ]; then
    "$python" -m pip --disable-pip-version-check install -q --no-index --no-compile \
      --find-links "$directory/wheels" --target "$directory/site" --upgrade "${lacking[@]}"
  fi
  # JAX would take most of the device's memory at once.
  PYTHONPATH=$directory/site PYTHONDONTWRITEBYTECODE=1 XLA_PYTHON_CLIENT_PREALLOCATE=false \
    "$python" -m pytest -v -ra -p no:cacheprovider --rootdir "$directory/tests" \
    --durations=8 --junitxml "$out/tests.xml" "$@" "$directory/tests" 2>&1 | tee "$out/tests.txt" || status=$?
  return $status
}

case ${1:-} in
  prepare) shift; prepare "$@" ;;
  run) shift; run "$@" ;;
  -h | --help) usage ;;
  *) usage >&2; exit 2 ;;
esac
