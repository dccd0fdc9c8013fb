#!/usr/bin/env bash
# Concord in the packages that use it: installs the packages in their pinned versions, and runs their tests.
#
#   tests/ecosystem.sh [--newest|--oldest] [graphs|clients] [option of pytest ...]
#
# `graphs` are packages that take a graph of neighbors, `clients` those with an adapter; without a name both run.
# --newest takes the versions that pip finds today, --oldest the lower bounds of the extras in python/pyproject.toml.
#
# From the environment:
#   BUILD_DIR  the build of the library beside which this works, in BUILD_DIR-ecosystem (default build/tests). The wheel
#              that tests/python.sh made there is tested; without one it is made.
#
# CI does not run it: the graphs take 1.1 GB and compile for minutes. BERTopic and txtai come without their
# dependencies, of which one is torch. Ends with the versions that were run, for the tables in docs/.
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=$(realpath -m "${BUILD_DIR:-$root/build/tests}")
python=$root/python
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 CONCORD_ECOSYSTEM=all

pins=(cat) warnings=()
case ${1:-} in
  --newest) pins=(sed "s/==.*//"); shift ;;
  --oldest)
    bounds=$(sed -n '/^\[project.optional/,/^\[tool/s/.*\["\(.*\)>=\(.*\)"\]/s,^\1==.*,\1==\2,;t/p' "$python/pyproject.toml")
    pins=(sed "$bounds"$'\n'"s/==.*//")  # pip finds what goes with them
    warnings=(-W ignore)                  # of old packages about new ones
    shift ;;
esac
groups=(graphs clients)
case ${1:-} in graphs | clients)
  groups=("$1")
  shift
  ;;
esac

declare -A requirements=([graphs]=ecosystem [clients]=clients)
declare -A tests=(
  [graphs]="test_ecosystem.py"
  [clients]="test_adapters.py test_haystack.py test_langchain.py test_llama_index.py"
)

shopt -s nullglob
wheels=("$build_dir"-python/dist/*manylinux*.whl)
for group in "${groups[@]}"; do
  work=$build_dir-ecosystem/$group
  mkdir -p "$work"
  listed=$python/requirements-${requirements[$group]}
  "${pins[@]}" "$listed.txt" >"$work/requirements.txt"
  if [ "$group" = clients ]; then  # tests/python.sh has the pins of these
    grep -E '^(langchain|llama-index)' "$python/requirements-test.txt" | "${pins[@]}" >>"$work/requirements.txt"
  fi
  "${pins[@]}" "$listed-alone.txt" >"$work/alone.txt"
  [ "${pins[0]}" = cat ] || rm -f "$work/installed.txt"  # another day has other versions
  if ! cat "$work/requirements.txt" "$work/alone.txt" | cmp -s - "$work/installed.txt"; then
    python3 -m venv --clear "$work/venv"
    "$work/venv/bin/python" -m pip install -q --no-compile -r "$work/requirements.txt"
    "$work/venv/bin/python" -m pip install -q --no-compile --no-deps -r "$work/alone.txt"
    cat "$work/requirements.txt" "$work/alone.txt" >"$work/installed.txt"
  fi
  "$work/venv/bin/python" -m pip install -q --no-deps --force-reinstall "${wheels[0]:-$python}"
  read -ra files <<<"${tests[$group]}"
  "$work/venv/bin/python" -m pytest -q -p no:cacheprovider -c "$python/pyproject.toml" --rootdir "$python" \
    "${warnings[@]}" "$@" "${files[@]/#/$python/tests/}"
  sed -n 's/^\([A-Za-z][A-Za-z0-9-]*\).*/\1==/p' "$work/installed.txt" >"$work/names.txt"
  "$work/venv/bin/python" -m pip freeze | grep -iFf "$work/names.txt"
done
