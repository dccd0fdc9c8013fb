#!/usr/bin/env bash
# Line coverage of common/ and cpu/ by the C++ tests. Prints the files with lines that no test ran, and fails where
# fewer than 92 % of the lines were run.
#
#   tests/coverage.sh [option of ctest ...]
#
# The report, with every line, is build/coverage/coverage/index.html. From the environment:
# CONCORD_TEST_SCALE, size of the larger data sets in per cent (default 20: more is slower and runs no other line).
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
least=92
build=build/coverage
gcovr=gcovr==8.8
export CONCORD_TEST_SCALE=${CONCORD_TEST_SCALE:-20}
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}

docker/install-deps.sh
launchers=()
if command -v ccache >/dev/null; then launchers=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
cmake --preset coverage "${launchers[@]}"
cmake --build --preset coverage
if [ ! -x "$build/venv/bin/gcovr" ]; then
  python3 -m venv "$build/venv"
  "$build/venv/bin/pip" install -q --disable-pip-version-check "$gcovr"
fi

find "$build" -name '*.gcda' -delete
(cd "$build" && ctest -j2 --output-on-failure -LE 'headers|install|readme' "$@" >tests.log) ||
  { tail -n 60 "$build/tests.log"; exit 1; }
mkdir -p "$build/coverage"
"$build/venv/bin/gcovr" --root . --object-directory "$build" --filter common/ --filter cpu/ \
  --txt "$build/coverage/coverage.txt" --html-details "$build/coverage/index.html" \
  --json-summary "$build/coverage/coverage.json" --fail-under-line $least ||
  { echo "coverage.sh: under $least % of the lines were run" >&2; exit 1; }
grep -v ' 100% *$' "$build/coverage/coverage.txt"
