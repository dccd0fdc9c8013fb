#!/usr/bin/env bash
# The tests of what bench/ has in Python: the peers suite, tables for concord-bench, and the report, which a headless
# browser looks at.
#
#   tests/bench.sh [option of pytest ...]        e.g. tests/bench.sh -k page
#
# From the environment:
#   BUILD_DIR  a build of concord-bench (default build/tests). The wheel that tests/python.sh left in
#              BUILD_DIR-python is taken; without one the package is built. Screenshots of the report go to
#              BUILD_DIR-bench/screenshots; the report of the tests is BUILD_DIR/bench-tests.xml
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=$(realpath -m "${BUILD_DIR:-$root/build/tests}")
work=$build_dir-bench
report=$build_dir/bench-tests.xml
mkdir -p "$build_dir" "$work/screenshots"
rm -rf "$report"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONPYCACHEPREFIX=$work/bytecode

"$root/docker/install-deps.sh" --browser
"$root/docker/python-env.sh" "$work" "$root"/{tests/bench,bench/page}/requirements.txt
export PATH=$work/venv/bin:$PATH

shopt -s nullglob
wheels=("$build_dir"-python/dist/*manylinux*.whl)
python -m pip install -q --no-deps --force-reinstall "${wheels[0]:-$root/python}"

echo "bench: format, lint, types"
python_files=("$root/bench/peers" "$root/bench/page" "$root/bench/tool/read_table.py" "$root/tests/bench/conftest.py" "$root"/tests/bench/test_*.py "$root/tests/support/browser.py")
ruff format -q --no-cache --check --config "$root/bench/page/ruff.toml" "${python_files[@]}"
ruff check -q --no-cache --config "$root/bench/page/ruff.toml" "${python_files[@]}"
(cd "$root/bench" && mypy -p peers -p page --strict --ignore-missing-imports --no-warn-return-any \
  --cache-dir "$work/mypy" --no-error-summary)

echo "bench: tests"
CONCORD_BENCH=$build_dir/bench/concord-bench CONCORD_SCREENSHOTS=$work/screenshots \
  pytest -q -p no:cacheprovider -o python_files="test_*.py" --rootdir "$root/tests/bench" --junitxml "$report" "$@" "$root/tests/bench"
