#!/usr/bin/env bash
# Makes Concord's Conan package (conanfile.py), shared and static, and runs the consumers of tests/install against it. No
# part of CI, because it compiles the library anew. Needs Conan 2 (pip install conan) and xxhash.h; takes nothing from the
# network: a package xxhash is made of the system's header.
#
#   tests/conan.sh [WORK]       WORK keeps Conan's cache (default: a temporary folder)
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if ! command -v conan >/dev/null; then
  echo "conan.sh: no conan here; pip install conan" >&2
  exit 77
fi
work=${1:-$(mktemp -d)}
if [ $# -eq 0 ]; then trap 'rm -rf "$work"' EXIT; fi
export CONAN_HOME=$work/conan
mkdir -p "$work/xxhash"
cp /usr/include/xxhash.h "$work/xxhash/"
cat >"$work/xxhash/conanfile.py" <<'RECIPE'
from conan import ConanFile
from conan.tools.files import copy


class Xxhash(ConanFile):
    """The header of the system, in the place of ConanCenter's package."""

    name, version, package_type = "xxhash", "0.8.1", "header-library"
    exports_sources = "xxhash.h"

    def package(self):
        copy(self, "xxhash.h", self.source_folder, self.package_folder + "/include")

    def package_info(self):
        self.cpp_info.bindirs = self.cpp_info.libdirs = []
RECIPE

[ -e "$CONAN_HOME/profiles/default" ] || conan profile detect
conan create "$work/xxhash" --no-remote
mkdir -p "$work/tests"  # Conan builds beside the test package
cp -r "$root/tests/conan" "$root/tests/install" "$work/tests/"
for shared in False True; do
  conan create "$root" --no-remote --test-folder="$work/tests/conan" -s compiler.cppstd=20 -o "concord/*:shared=$shared"
done
