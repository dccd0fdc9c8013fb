#!/usr/bin/env bash
# Installs what Concord needs to build and to test on Debian 12 (and its like), the same for CI,
# images and README. Only packages that are missing are installed; apt-get is not called for none.
#
#   docker/install-deps.sh [--build] [--test] [--browser] [--cross]     (--build and --test where none is named)
#
#   --build    compiler, CMake and the libraries of the library and concord-bench
#   --test     GoogleTest, Google Benchmark, formatter, linters, valgrind, Python with headers and venv
#   --browser  Chromium, in which tests/bench.sh looks at the report and docs/build.sh at the site
#   --cross    compiler and emulator for 64-bit Arm, GoogleTest's sources and the model checker: tests/aarch64.sh
set -euo pipefail

build=(g++ cmake make ninja-build pkg-config git ca-certificates libxxhash-dev libeigen3-dev libcli11-dev
       nlohmann-json3-dev libhdf5-dev libhnswlib-dev)
test=(libgtest-dev libgmock-dev libbenchmark-dev clang-format clang-tidy cppcheck shellcheck ccache valgrind python3
      python3-dev python3-venv iproute2)
browser=(chromium)
cross=(g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user googletest spin)

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; }

groups=()
for argument in "$@"; do
  case $argument in
    --build) groups+=("${build[@]}") ;;
    --test) groups+=("${test[@]}") ;;
    --browser) groups+=("${browser[@]}") ;;
    --cross) groups+=("${cross[@]}") ;;
    -h | --help) usage; exit 0 ;;
    *) echo "install-deps.sh: unknown argument $argument" >&2; usage >&2; exit 2 ;;
  esac
done
if [ ${#groups[@]} -eq 0 ]; then groups=("${build[@]}" "${test[@]}"); fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install-deps.sh: no dpkg and apt-get here; on this system install the equivalents of:" >&2
  printf '  %s\n' "${groups[@]}" >&2
  exit 1
fi

missing=()
for package in "${groups[@]}"; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  if [ "$state" != installed ]; then missing+=("$package"); fi
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-deps.sh: needs root or sudo to install: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "installing: ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
