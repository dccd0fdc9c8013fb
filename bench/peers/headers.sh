#!/usr/bin/env bash
# Brings the headers of the libraries that filter in C++ alone, for python -m peers.filtered: the sources of hnswlib and
# USearch from PyPI, those of VSAG from GitHub, in the versions of requirements.txt.
#
#   bench/peers/headers.sh [FOLDER]        # default build/peers/headers; CONCORD_PEER_HEADERS names it to the suite
#
# What is there already is kept. What cannot be had is named, and the suite goes on without it.
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:-$here/../../build/peers/headers}
mkdir -p "$folder"
cd "$folder"

version_of() { sed -n "s/^$1==//p" "$here/requirements.txt"; }

for package in hnswlib usearch; do
  version=$(version_of "$package")
  [[ -d $package-$version ]] && continue
  # pip asks the sources for their dependencies, and installs what that needs beside the environment.
  if python3 -m pip download -q --no-deps --no-binary "$package" "$package==$version"; then
    tar xzf "$package-$version.tar.gz"
    rm "$package-$version.tar.gz" # the suite takes each PACKAGE-* for a folder
  else
    echo "headers.sh: $package $version cannot be had" >&2
  fi
done

version=$(version_of pyvsag)
source=https://github.com/antgroup/vsag
if [[ ! -d vsag-$version ]] &&
  ! { git -c advice.detachedHead=false clone -q --depth 1 --filter=blob:none --sparse --branch "v$version" "$source" "vsag-$version" &&
    git -C "vsag-$version" sparse-checkout set include; }; then
  echo "headers.sh: vsag $version cannot be had" >&2
fi
