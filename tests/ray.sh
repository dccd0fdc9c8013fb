#!/usr/bin/env bash
# concord.ray with the Ray of python/requirements-ray.txt: kills, lost nodes, Ray Data and Ray Serve.
#
#   tests/ray.sh [option of pytest ...]        e.g. tests/ray.sh -k order
#
# From the environment:
#   BUILD_DIR  the build of the library beside which this works, in BUILD_DIR-ray (default build/tests); the report is
#              BUILD_DIR/ray-tests.xml. The wheel that tests/python.sh made there is tested; without one it is made.
#
# Ray listens on all interfaces, so the tests run in a network namespace that has the loopback alone. That needs root, or
# a system that lets users make namespaces.
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=$(realpath -m "${BUILD_DIR:-$root/build/tests}")
python=$root/python
work=$build_dir-ray
mkdir -p "$build_dir" "$work"
report=$build_dir/ray-tests.xml
rm -f "$report"

"$root/docker/python-env.sh" "$work" "$python/requirements-ray.txt"
shopt -s nullglob
wheels=("$build_dir"-python/dist/*manylinux*.whl)
"$work/venv/bin/python" -m pip install -q --no-deps --force-reinstall "${wheels[0]:-$python}"

export PATH=$work/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# Nobody else can reach the namespace. Sockets of Ray have paths, which must be short.
export RAY_AUTH_MODE=disabled RAY_USAGE_STATS_ENABLED=0 RAY_DEDUP_LOGS=0
RAY_TMPDIR=$(mktemp -d /tmp/ray.XXXX)
export RAY_TMPDIR
trap 'rm -rf "$RAY_TMPDIR"' EXIT
namespace=(unshare --net)
if [ "$(id -u)" -ne 0 ]; then namespace+=(--map-root-user); fi
# shellcheck disable=SC2016  # expanded within
"${namespace[@]}" sh -c 'ip link set lo up && exec "$@"' sh \
  pytest -q -c "$python/pyproject.toml" --rootdir "$python" --junitxml "$report" "$@" "$python/ray_tests"
