#!/usr/bin/env bash
# Tests the Rust crate of examples/rust against the shared library of a build: format, lints, tests, examples of its
# documentation. Needs cargo, and nothing from the network. Exits with 77 where there is no cargo.
#
#   tests/rust.sh [BUILD_DIR]       (default build/cpu)
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(cd "${1:-$root/build/cpu}" && pwd)
PATH=$PATH:$HOME/.cargo/bin
if ! command -v cargo >/dev/null; then
  echo "rust.sh: no cargo here; Debian's package is cargo" >&2
  exit 77
fi
[ -e "$build/libconcord.so" ] || cmake --build "$build" --target concord

export CONCORD_LIB_DIR=$build CARGO_TARGET_DIR=$build/rust LD_LIBRARY_PATH=$build
cd "$root/examples/rust"
if cargo fmt --version >/dev/null 2>&1; then cargo fmt --check; fi
if cargo clippy --version >/dev/null 2>&1; then
  cargo clippy --quiet --offline --locked --all-targets -- -D warnings
fi
cargo test --quiet --offline --locked
