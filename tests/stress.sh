#!/usr/bin/env bash
# Readers beside a writer under ThreadSanitizer, for minutes instead of the seconds of the usual tests.
#
#   tests/stress.sh [PERCENT]     of the usual rounds, default 5000; on a device a tenth of that
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
launchers=()
if command -v ccache >/dev/null; then launchers=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
cmake --preset tsan "${launchers[@]}"
cmake --build build/tsan --target concord_api_tests concord_cpu_tests concord_cuda_tests
export CONCORD_TEST_SCALE=${1:-5000} TSAN_OPTIONS=halt_on_error=1
build/tsan/tests/api/concord_api_tests --gtest_filter='BesideTheWriter.*'
build/tsan/tests/cpu/concord_cpu_tests --gtest_filter='*SearchesBesideSeals.*'
build/tsan/tests/cuda/concord_cuda_tests --gtest_filter='BesideTheWriter.*' \
  --gtest_repeat=$((CONCORD_TEST_SCALE / 1000 + 1))
