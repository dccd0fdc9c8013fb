#!/usr/bin/env bash
# Instructions that not every processor has stand in the leaf files of cpu/ alone, and each of these has its own: so the
# library runs on every processor, and chooses what is fastest.
#
#   instructions.sh BUILD_DIR [OBJDUMP]     OBJDUMP of the processor that was compiled for (default objdump)
set -euo pipefail

build=$1 objdump=${2:-objdump}
checked=0
while IFS= read -r object; do
  case $object in
    *_avx2.cpp.o) allowed=ymm needed=ymm ;;
    *_avx512.cpp.o | *_vnni.cpp.o) allowed='[yz]mm' needed=zmm ;;
    *_neon_dotprod.cpp.o) allowed='[su]dot' needed=sdot ;;
    *) allowed=none needed='' ;;
  esac
  found=$("$objdump" -d --no-show-raw-insn "$object" | { grep -oE '%[yz]mm|\b[su]dot\b' || true; } |
    sort -u | tr -d '%' | tr '\n' ' ')
  for word in $found; do
    # shellcheck disable=SC2053 # `allowed` is a pattern
    [[ $word == $allowed ]] || { echo "$object has $word"; exit 1; }
  done
  if [ -n "$needed" ] && [[ $found != *$needed* ]]; then
    echo "$object has no $needed"
    exit 1
  fi
  checked=$((checked + 1))
done < <(find "$build/CMakeFiles/concord_objects.dir" -name '*.cpp.o')
[ $checked -gt 10 ] || { echo "found only $checked objects to look at"; exit 1; }
echo "$checked objects"
