#!/usr/bin/env bash
# Makes the release of a commit: the source archive, its bill of materials and their checksums. The same commit gives the
# same bytes, whoever makes it, wherever and when.
#
#   docker/release.sh DIR [COMMIT]            writes them to DIR (COMMIT: HEAD unless given)
#   docker/release.sh --check [COMMIT]        makes them twice, the second time from a clone, under another umask,
#                                             time zone and locale, and compares
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

make_release() {  # REPOSITORY DIR COMMIT
  local commit version name
  commit=$(git -C "$1" rev-parse "$3^{commit}")
  version=$(git -C "$1" show "$commit:CMakeLists.txt" | sed -n 's/^project(Concord VERSION \([0-9.]*\).*/\1/p')
  name=concord-$version
  mkdir -p "$2"
  git -C "$1" -c tar.umask=0022 archive --format=tar --prefix="$name/" "$commit" | gzip -9n >"$2/$name.tar.gz"
  TZ=UTC "$1/docker/sbom.py" "$commit" >"$2/$name.spdx.json"
  (cd "$2" && sha256sum "$name.tar.gz" "$name.spdx.json" >SHA256SUMS)
}

check() {  # COMMIT
  local work
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder of now
  trap "rm -rf '$work'" EXIT
  git clone -q --no-checkout "$root" "$work/clone"
  git -C "$work/clone" checkout -q "$(git -C "$root" rev-parse "$1^{commit}")"
  make_release "$work/clone" "$work/first" HEAD
  (umask 077; export TZ=Pacific/Chatham LC_ALL=C.UTF-8; cd /; make_release "$work/clone" "$work/second" HEAD)
  cmp "$work/first/SHA256SUMS" "$work/second/SHA256SUMS"
  cat "$work/first/SHA256SUMS"
  mkdir "$work/unpacked"
  tar -xzf "$work"/first/*.tar.gz -C "$work/unpacked" --strip-components=1
  diff -r --exclude=.git "$work/clone" "$work/unpacked"
  echo "release.sh: made twice, the same bytes; the archive is the commit"
}

case ${1:-} in
  --check) check "${2:-HEAD}" ;;
  '' | -*) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  *) make_release "$root" "$1" "${2:-HEAD}" ;;
esac
