#!/usr/bin/env bash
# Concord's tests from a fresh clone: installs what is missing, builds, runs every test and sums up.
#
#   tests/run.sh [option of ctest ...]        e.g. tests/run.sh -R determinism
#
# Without options the Python package (tests/python.sh) and the Python of bench/ (tests/bench.sh) are tested too.
#
# From the environment:
#   BUILD_DIR           where to build (default build/tests)
#   CONCORD_CUDA        AUTO (the default: if a CUDA compiler is found), ON or OFF
#   CONCORD_TEST_SCALE  size of the larger data sets in per cent (default 100)
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=${BUILD_DIR:-$root/build/tests}
options=(-DCMAKE_BUILD_TYPE=Release -DCONCORD_CUDA="${CONCORD_CUDA:-AUTO}" -DCONCORD_TESTS=ON
  -DCONCORD_BENCH=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON)
if command -v ccache >/dev/null; then
  options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache)
  # Precompiled headers; and hits from another checkout.
  export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}
  export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_NOHASHDIR=1
fi

"$root/docker/install-deps.sh"
cmake -S "$root" -B "$build_dir" -G Ninja "${options[@]}"
echo "building in $build_dir (a few minutes the first time)"
cmake --build "$build_dir"

report=$build_dir/tests.xml
reports=("$report")
rm -f "$report"
status=0
(cd "$build_dir" && ctest --output-on-failure -j"${CTEST_PARALLEL_LEVEL:-2}" --output-junit "$report" "$@") ||
  status=$?
if [ $# -eq 0 ]; then
  reports+=("$build_dir/python-tests.xml")
  BUILD_DIR=$build_dir "$root/tests/python.sh" || status=$?
  reports+=("$build_dir/bench-tests.xml")
  BUILD_DIR=$build_dir "$root/tests/bench.sh" || status=$?
fi
echo "tests: $("$root/tests/count_results.py" "${reports[@]}")"
exit $status
