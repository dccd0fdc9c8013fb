#!/usr/bin/env bash
# The functions and classes that the shared library exports are those of symbols.txt: a new one is a promise, a
# missing one breaks programs. Those of the C interface stand there with their version.
#
#   tests/abi/symbols.sh LIBRARY [--update]      --update writes symbols.txt anew
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
library=${1:?usage: symbols.sh LIBRARY [--update]}

exported() { nm -D --defined-only "$1" | cut -d' ' -f3- | c++filt | sed 's/@@CONCORD_CXX_.*//' | sort -u; }

if [ "${2:-}" = --update ]; then
  exported "$library" >"$here/symbols.txt"
elif ! diff -u --label "promised (tests/abi/symbols.txt)" --label "exported" "$here/symbols.txt" <(exported "$library"); then
  echo "symbols.sh: the exported symbols changed. If they are meant to: tests/abi/symbols.sh $library --update" >&2
  exit 1
fi
