#!/usr/bin/env bash
# Installs a build into a temporary prefix, moves it, and uses it as a stranger would: find_package
# (shared and static), pkg-config, exported symbols, instruction sets.
#
#   install_test.sh CMAKE BUILD_DIR CC CXX SOURCE_DIR [NVCC]
set -euo pipefail

cmake=$1 build=$2 cc=$3 cxx=$4 source=$5 nvcc=${6:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "install test: $*" >&2
  exit 1
}
step() { echo "-- $*"; }

step "install, then move the prefix"
"$cmake" --install "$build" --prefix "$work/first" >"$work/log" || { cat "$work/log"; fail "cmake --install"; }
prefix=$work/moved
mv "$work/first" "$prefix"
lib=$(dirname "$(find "$prefix" -name libconcord.so)")
for file in "$lib/libconcord.a" "$lib/pkgconfig/concord.pc" "$lib/cmake/Concord/ConcordConfig.cmake" \
  "$lib/cmake/Concord/ConcordConfigVersion.cmake" "$prefix/include/concord/index.hpp" \
  "$prefix/include/concord/eigen.hpp" "$prefix/include/concord/concord.h"; do
  [ -f "$file" ] || fail "${file#"$prefix"/} is not installed"
done
find "$prefix" -name LICENSE | grep -q . || fail "LICENSE is not installed"
[ "$(find "$prefix/include" -type f | wc -l)" -eq "$(find "$source/common/include" -name '*.h*' | wc -l)" ] ||
  fail "other headers than the public ones are installed"
if grep -rlF -e "$source" -e "$build" "$lib/cmake" "$lib/pkgconfig" "$prefix/include"; then
  fail "the files above name the build machine's directories"
fi

if [ -x "$build/bench/concord-bench" ]; then
  step "concord-bench"
  bench=$prefix/bin/concord-bench
  "$bench" --version | grep -q "^concord-bench [0-9]" || fail "concord-bench does not run"
  [ "$("$bench" completion)" = "$(cat "$prefix/share/bash-completion/completions/concord-bench")" ] ||
    fail "the completion is not the program's"
  diff -r -x __pycache__ -x ruff.toml "$source/bench/page" "$prefix/share/concord-bench/page" >"$work/log" ||
    { cat "$work/log"; fail "the report's program is not installed"; }
  printf 'no table' >"$work/v.npz"
  message=$("$bench" build --dataset "$work/v.npz" 2>&1) && fail "a file that is no table was read"
  [[ $message != *missing* ]] || fail "$message"
fi

step "find_package, shared and static"
"$cmake" -S "$here/consumer" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$cxx" \
  -DCMAKE_BUILD_TYPE=Release >"$work/log" 2>&1 || { cat "$work/log"; fail "configuring the consumer"; }
"$cmake" --build "$work/consumer" >"$work/log" 2>&1 || { cat "$work/log"; fail "building the consumer"; }
programs=("$work/consumer/consumer_shared")
[ ! -e "$work/consumer/consumer_static" ] || programs+=("$work/consumer/consumer_static")
[ ${#programs[@]} -eq 2 ] || grep -q "find_package(CUDAToolkit" "$lib/cmake/Concord/ConcordConfig.cmake" ||
  fail "Concord::concord_static was not found"

step "find_package of a project in C alone"
"$cmake" -S "$here/c_consumer" -B "$work/c_consumer" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
  -DCMAKE_BUILD_TYPE=Release >"$work/log" 2>&1 || { cat "$work/log"; fail "configuring the consumer in C"; }
"$cmake" --build "$work/c_consumer" >"$work/log" 2>&1 || { cat "$work/log"; fail "building the consumer in C"; }
programs+=("$work/c_consumer/consumer")

if [ -n "$nvcc" ]; then
  step "find_package of examples/cuda_pipeline"
  "$cmake" -S "$source/examples/cuda_pipeline" -B "$work/pipeline" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_CUDA_COMPILER="$nvcc" -DCMAKE_CUDA_ARCHITECTURES=90-real \
    >"$work/log" 2>&1 || { cat "$work/log"; fail "configuring the pipeline"; }
  "$cmake" --build "$work/pipeline" >"$work/log" 2>&1 || { cat "$work/log"; fail "building the pipeline"; }
fi

step "pkg-config"
if command -v pkg-config >/dev/null; then
  export PKG_CONFIG_PATH=$lib/pkgconfig
  # The flags are meant to be split into words.
  # shellcheck disable=SC2046
  "$cxx" -std=c++20 "$here/consumer/main.cpp" -o "$work/by_pkg_config" $(pkg-config --cflags --libs concord) \
    -Wl,-rpath,"$lib" || fail "building by pkg-config"
  # shellcheck disable=SC2046
  "$cc" -std=c99 "$here/c_consumer/main.c" -o "$work/c_by_pkg_config" $(pkg-config --cflags --libs concord) \
    -Wl,-rpath,"$lib" || fail "building C by pkg-config"
  programs+=("$work/by_pkg_config" "$work/c_by_pkg_config")
  if [ -e "$work/consumer/consumer_static" ] && [ -z "$nvcc" ]; then
    # shellcheck disable=SC2046
    "$cc" -std=c99 -DCONCORD_STATIC "$here/c_consumer/main.c" -o "$work/c_static_by_pkg_config" \
      $(pkg-config --cflags concord) "$lib/libconcord.a" \
      $(pkg-config --static --libs-only-other --libs-only-l concord | sed 's/-lconcord\b//') ||
      fail "building a static C program by pkg-config"
    programs+=("$work/c_static_by_pkg_config")
  fi
  [[ " $(pkg-config --static --libs concord) " == *" -pthread "* ]] || fail "static programs are not told of -pthread"
else
  echo "   no pkg-config here: not tried"
fi

step "run"
digests=()
for program in "${programs[@]}"; do
  digests+=("$("$program")") || fail "$program"
done
for digest in "${digests[@]}"; do
  [ "$digest" = "${digests[0]}" ] || fail "digests differ: ${digests[*]}"
done

step "exported symbols are those of concord:: and of the C interface alone"
nm -D --defined-only "$lib/libconcord.so" | cut -d' ' -f3- | c++filt >"$work/symbols"
grep -q "^concord::Index::add" "$work/symbols" || fail "concord::Index::add is not exported"
while IFS= read -r name; do
  grep -qw "$name" "$prefix/include/concord/cuda.hpp" || fail "concord::cuda::$name is internal and exported"
done < <(sed -nE 's/^concord::cuda::([A-Za-z_]+).*/\1/p' "$work/symbols" | sort -u)
grep -q "^typeinfo for concord::Error" "$work/symbols" || fail "concord::Error cannot be caught"
if grep -vE "^((typeinfo|typeinfo name|vtable) for )?concord::|^concord_[a-z_]+@@CONCORD_C_|^CONCORD_(C|CXX)_[0-9.]+" \
  "$work/symbols"; then
  fail "the symbols above are exported and not of the public API"
fi
if grep -E "^((typeinfo|typeinfo name|vtable) for )?concord::(core|cpu|file|Index::Impl)\b" "$work/symbols"; then
  fail "the symbols above are internal and exported"
fi

step "vector instructions stand in the leaf files alone"
checked=$("$here/instructions.sh" "$build") || fail "$checked"
echo "-- all well: ${#programs[@]} programs, $(wc -l <"$work/symbols") symbols, $checked"
