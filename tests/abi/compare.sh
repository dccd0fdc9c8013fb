#!/usr/bin/env bash
# What the working tree changes of a commit's binary interface: functions, and the layout of the classes that programs
# see (abidiff of abigail-tools, on builds with debug information). What is new does not count.
#
#   tests/abi/compare.sh COMMIT      exit code 0 = nothing that a linked program notices
set -euo pipefail

case ${1:-} in '' | -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
name=$(git -C "$root" rev-parse --short=12 "$1^{commit}")
work=$root/build/abi
if ! command -v abidiff >/dev/null; then
  echo "compare.sh: no abidiff here; Debian's package is abigail-tools" >&2
  exit 2
fi

build() {  # SOURCE BUILD
  local launchers=()
  if command -v ccache >/dev/null; then launchers=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  cmake -S "$1" -B "$2" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCONCORD_CUDA=OFF -DCONCORD_TESTS=OFF \
    -DCONCORD_BENCH=OFF "${launchers[@]}" >/dev/null
  cmake --build "$2" --target concord >/dev/null
}

rm -rf "${work:?}/$name"
mkdir -p "$work/$name"
git -C "$root" archive "$name" | tar -xf - -C "$work/$name"
build "$work/$name" "$work/$name-build"
build "$root" "$work/tree-build"
abidiff --headers-dir1 "$work/$name/common/include" --headers-dir2 "$root/common/include" --no-added-syms \
  "$work/$name-build/libconcord.so" "$work/tree-build/libconcord.so"
echo "compare.sh: the binary interface is that of $name"
