#!/usr/bin/env bash
# A virtual environment DIR/venv with what the requirements name, made anew where they have changed.
#
#   docker/python-env.sh DIR REQUIREMENTS...
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

directory=${1:?the directory is missing}
shift
if cat "$@" | cmp -s - "$directory/installed.txt"; then exit 0; fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
python3 -m venv --clear "$directory/venv"
options=()
for requirements in "$@"; do options+=(-r "$requirements"); done
"$directory/venv/bin/python" -m pip install -q "${options[@]}"
cat "$@" >"$directory/installed.txt"
