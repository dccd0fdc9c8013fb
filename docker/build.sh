#!/usr/bin/env bash
# Builds concord-bench and the library for an image, and lays out what the image keeps.
#
#   docker/build.sh PRESET BUILD_DIR PREFIX [CMake option ...]     e.g. docker/build.sh cpu build/image /opt/concord
#
# PREFIX receives bin/concord-bench, lib/, include/, the sample data (share/words-20k), what concord-bench has in
# Python (share/concord-bench), LICENSE, and
# install-runtime.sh: it installs the packages that the binaries load libraries from, found by
# asking the dynamic linker here, so that it fits whatever system this is.
set -euo pipefail

if [ $# -lt 3 ]; then sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; fi
preset=$1 build_dir=$2 prefix=$3
shift 3
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Another compiler than the one the tests run with may know other warnings.
cmake --preset "$preset" -B "$build_dir" -DCMAKE_INSTALL_PREFIX="$prefix" -DCONCORD_TESTS=OFF \
  -DCONCORD_WERROR=OFF -DCONCORD_BENCH_HDF5=ON -DCONCORD_BENCH_HNSWLIB=ON "$@"
cmake --build "$build_dir"
cmake --install "$build_dir"

strip "$prefix/bin/concord-bench"
cp -r bench/data/words-20k "$prefix/share/"
cp LICENSE "$prefix/"

# The package that owns a file; it may be registered by its path before /usr was merged.
owner() {
  local path
  for path in "$1" "/usr$1" "${1#/usr}"; do
    if dpkg-query -S "$path" 2>/dev/null | cut -d: -f1 | head -1 | grep .; then return; fi
  done
  echo "build.sh: no package owns $1" >&2
  return 1
}

# The packages of the libraries the binary names; theirs come with them.
packages=()
while read -r name; do
  path=$(ldd "$prefix/bin/concord-bench" | awk -v name="$name" '$1 == name && $2 == "=>" {print $3}')
  package=$(owner "$(realpath "$path")")
  [[ " libc6 ${packages[*]-} " == *" $package "* ]] || packages+=("$package")
done < <(objdump -p "$prefix/bin/concord-bench" | awk '$1 == "NEEDED" && $2 !~ /^ld-/ {print $2}')
{
  echo '#!/bin/sh'
  echo '# Installs what the programs beside this file load. Written by docker/build.sh.'
  echo 'set -eu'
  echo 'export DEBIAN_FRONTEND=noninteractive'
  echo 'apt-get update -qq'
  echo "apt-get install -y -qq --no-install-recommends ${packages[*]}"
  echo 'rm -rf /var/lib/apt/lists/*'
} >"$prefix/install-runtime.sh"
chmod +x "$prefix/install-runtime.sh"
