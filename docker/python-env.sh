#!/usr/bin/env bash
# A virtual environment DIR/venv with what the requirements name, made anew where they have changed.
#
#   docker/python-env.sh DIR REQUIREMENTS...
#
# Their wheels are kept in ~/.cache/concord/wheels (XDG_CACHE_HOME, if set), one folder for all environments, so that
# the network is asked only for what is not there.
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

directory=${1:?the directory is missing}
shift
if cat "$@" | cmp -s - "$directory/installed.txt"; then exit 0; fi
wheels=${XDG_CACHE_HOME:-$HOME/.cache}/concord/wheels
mkdir -p "$directory" "$wheels"
export PIP_DISABLE_PIP_VERSION_CHECK=1
python3 -m venv --clear "$directory/venv"
options=(-q --find-links "$wheels")
for requirements in "$@"; do options+=(-r "$requirements"); done
pip() { "$directory/venv/bin/python" -m pip "$@"; }
# Bytecode is made of what is imported only.
if ! pip install --no-index --no-compile "${options[@]}" 2>/dev/null; then
  new=$(mktemp -d "$wheels/new.XXXXXX")
  pip wheel -w "$new" "${options[@]}"
  mv -f "$new"/*.whl "$wheels"  # whole, whoever else reads or writes there
  rmdir "$new"
  pip install --no-index --no-compile "${options[@]}"
fi
cat "$@" >"$directory/installed.txt"
