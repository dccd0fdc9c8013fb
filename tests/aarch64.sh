#!/usr/bin/env bash
# Cross-compiles Concord for 64-bit Arm, and runs tests under qemu-user: kernels and golden digests of each instruction
# set, then all tests of common/, cpu/ and api/. qemu on x86 keeps the order of memory of x86: what is weaker on Arm, it
# cannot show (tests/models).
#
#   tests/aarch64.sh [--short]      --short: kernels and golden digests alone
#
# From the environment:
#   BUILD_DIR           where to build (default build/aarch64)
#   CONCORD_TEST_SCALE  size of the larger data sets in per cent (default 5)
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD_DIR:-$root/build/aarch64}
export CONCORD_TEST_SCALE=${CONCORD_TEST_SCALE:-5}
options=()
if command -v ccache >/dev/null; then
  options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}
  export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_NOHASHDIR=1
fi
targets=(concord_cpu_one_thread_tests concord_flags_tests)
if [ "${1:-}" != --short ]; then
  targets+=(concord_cpu_tests concord_common_tests concord_common_one_thread_tests concord_api_tests)
fi

"$root/docker/install-deps.sh" --build --cross
cmake -S "$root" --preset aarch64 -B "$build" "${options[@]}"
cmake --build "$build" --target "${targets[@]}"
"$root/tests/install/instructions.sh" "$build" aarch64-linux-gnu-objdump

arm() { qemu-aarch64 -L /usr/aarch64-linux-gnu "$@"; }
cpu=$build/tests/cpu/concord_cpu_one_thread_tests
golden=$build/tests/flags/concord_flags_tests  # in a program whose threads begin with denormals flushed to zero
# A processor of 2012 without the dot product instructions, then one with all that qemu knows.
QEMU_CPU=cortex-a57 arm "$cpu" --gtest_filter='Isa.*:Distance.*:CodeEstimates.*'
arm "$cpu" --gtest_filter='Isa.*:Distance.*:CodeEstimates.*'
for isa in scalar neon neon-dotprod; do
  CONCORD_ISA=$isa arm "$golden"
done
QEMU_CPU=cortex-a57 arm "$golden"
if [ "${1:-}" = --short ]; then exit 0; fi

(cd "$build" && ctest -j2 --output-on-failure --timeout 1200 -R '^(common|cpu|api)\.' --output-junit "$build/tests.xml")
