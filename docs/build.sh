#!/usr/bin/env bash
# The site, in which every warning is an error, and the tests of what it shows: the programs of the migration pages,
# the examples, and every page in a headless browser.
#
#   docs/build.sh [option of pytest ...]
#
# From the environment:
#   BUILD_DIR  a build (default build/tests). The wheel that tests/python.sh left in BUILD_DIR-python is
#              taken; without one the package is built. The site is BUILD_DIR-docs/html/index.html, its
#              screenshots BUILD_DIR-docs/screenshots, the report of the tests BUILD_DIR/docs-tests.xml
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=${BUILD_DIR:-$root/build/tests}
work=$build_dir-docs
report=$build_dir/docs-tests.xml
rm -rf "$report" "$work/html" "$work/screenshots"
mkdir -p "$build_dir" "$work/screenshots"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONPYCACHEPREFIX=$work/bytecode

"$root/docker/install-deps.sh" --browser
"$root/docker/python-env.sh" "$work" "$root"/{docs,examples/{stdlib,package}_search}/requirements.txt \
  "$root/examples/package_search/requirements-notebook.txt"
export PATH=$work/venv/bin:$PATH

shopt -s nullglob
wheels=("$build_dir"-python/dist/*manylinux*.whl)
python -m pip install -q --no-deps --force-reinstall "${wheels[0]:-$root/python}"

for command in "format --check" check; do
  # shellcheck disable=SC2086  # a command and its option
  ruff $command -q --no-cache "$root/docs"
  # shellcheck disable=SC2086
  ruff $command -q --no-cache --config "$root/docs/ruff.toml" "$root/examples"
done

sphinx-build -q -W --keep-going -E -d "$work/doctrees" -b html "$root/docs" "$work/html"

CONCORD_SITE=$work/html CONCORD_SCREENSHOTS=$work/screenshots \
  pytest -q -p no:cacheprovider --rootdir "$root/docs" --junitxml "$report" "$@" "$root/docs/tests"
