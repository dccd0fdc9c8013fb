#!/usr/bin/env bash
# The Python package as its users get it: a source distribution, the wheel made of it, and that wheel
# tested in virtual environments of its own. Without CUDA.
#
#   tests/python.sh [option of pytest ...]        e.g. tests/python.sh -k threads
#
# From the environment:
#   BUILD_DIR  the build of the library beside which this works, in BUILD_DIR-python
#              (default build/tests); the report is BUILD_DIR/python-tests.xml
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=${BUILD_DIR:-$root/build/tests}
work=$build_dir-python
report=$build_dir/python-tests.xml
mkdir -p "$build_dir" "$work"
rm -rf "$report" "$work/source" "$work/dist" "$work/fresh"

# As deep below the sources as a build of the library, and by a compiler of the same name, so that ccache finds what that
# one compiled.
export CXX=${CXX:-c++}
options=(-C build-dir="$work/source/library/build/wheel" -C cmake.define.CONCORD_CUDA=OFF -C cmake.define.CONCORD_WERROR=ON)
if command -v ccache >/dev/null; then
  options+=(-C cmake.define.CMAKE_CXX_COMPILER_LAUNCHER=ccache)
  export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}
  export CCACHE_BASEDIR=$work/source/library CCACHE_NOHASHDIR=1
fi

"$root/docker/install-deps.sh"
requirements=$root/python/requirements-test.txt
export PIP_DISABLE_PIP_VERSION_CHECK=1
"$root/docker/python-env.sh" "$work" "$requirements"
export PATH=$work/venv/bin:$PATH

echo "python: format and lint"
ruff format -q --check "$root/python"
ruff check -q "$root/python"

echo "python: source distribution and wheel"
python -m build -q --no-isolation --sdist --outdir "$work/dist" "$root/python"
mkdir "$work/source"
tar -xzf "$work"/dist/*.tar.gz -C "$work/source" --strip-components=1
python -m pip wheel -q --no-build-isolation --no-deps "${options[@]}" -w "$work/dist" "$work/source"
"$root/python/check_wheel.py" "$work"/dist/*.whl --output "$work/dist" --most-megabytes 3
wheel=$(echo "$work"/dist/*manylinux*.whl)

echo "python: a fresh environment without a compiler"
grep '^numpy==' "$requirements" >"$work/numpy.txt"
"$root/docker/python-env.sh" "$work/fresh" "$work/numpy.txt"
"$work/fresh/venv/bin/python" -m pip install -q --no-index "$wheel"
for page in README.md python/README.md; do
  (cd "$work/fresh" && env -i venv/bin/python -m doctest "$root/$page")
done

echo "python: tests"
python -m pip install -q --no-deps --force-reinstall "$wheel"
pytest -q -c "$root/python/pyproject.toml" --rootdir "$root/python" --junitxml "$report" \
  "$@" "$root/python/tests"
