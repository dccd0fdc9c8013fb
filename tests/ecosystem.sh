#!/usr/bin/env bash
# Concord's graphs in the packages that take them: installs the packages in their pinned versions, and runs their tests.
#
#   tests/ecosystem.sh [--newest] [option of pytest ...]    --newest takes the versions that pip finds today
#
# From the environment:
#   BUILD_DIR  the build of the library beside which this works, in BUILD_DIR-ecosystem (default build/tests). The wheel
#              that tests/python.sh made there is tested; without one it is made.
#
# CI does not run it: the packages take 1.1 GB and compile for minutes. BERTopic comes without its dependencies, of which
# one is torch. Ends with the versions that were run, for the table in docs/knn_graphs.md.
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=$(realpath -m "${BUILD_DIR:-$root/build/tests}")
work=$build_dir-ecosystem
requirements=$root/python/requirements-ecosystem.txt
alone=$root/python/requirements-ecosystem-alone.txt
mkdir -p "$work"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

if [ "${1:-}" = --newest ]; then
  shift
  sed 's/==.*//' "$requirements" >"$work/requirements.txt"
  sed 's/==.*//' "$alone" >"$work/alone.txt"
  rm -f "$work/installed.txt"  # another day has other versions
else
  cp "$requirements" "$work/requirements.txt"
  cp "$alone" "$work/alone.txt"
fi
if ! cat "$work/requirements.txt" "$work/alone.txt" | cmp -s - "$work/installed.txt"; then
  python3 -m venv --clear "$work/venv"
  "$work/venv/bin/python" -m pip install -q --no-compile -r "$work/requirements.txt"
  "$work/venv/bin/python" -m pip install -q --no-compile --no-deps -r "$work/alone.txt"
  cat "$work/requirements.txt" "$work/alone.txt" >"$work/installed.txt"
fi
export PATH=$work/venv/bin:$PATH

shopt -s nullglob
wheels=("$build_dir"-python/dist/*manylinux*.whl)
python -m pip install -q --no-deps --force-reinstall "${wheels[0]:-$root/python}"

CONCORD_ECOSYSTEM=all pytest -q -p no:cacheprovider -c "$root/python/pyproject.toml" --rootdir "$root/python" \
  "$@" "$root/python/tests/test_ecosystem.py"
python -m pip freeze | grep -iE '^(bertopic|hdbscan|imbalanced-learn|opentsne|scanpy|scikit-learn|umap-learn|pynndescent|numba|numpy)=='
