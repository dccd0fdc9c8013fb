#!/usr/bin/env bash
# Checks the models of readers beside the writer with spin, and then each again with every weakness that it knows: a
# model that misses one fails. README.md says what they are of.
#
#   tests/models/check.sh [FOLDER]     FOLDER (default build/models) takes what is generated
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=${1:-$here/../../build/models}
command -v spin >/dev/null || {
  echo "tests/models/check.sh: no spin here (Debian: apt-get install spin)" >&2
  exit 1
}
mkdir -p "$work"
cd "$work"

# explore MODEL [WEAKNESS]: prints how many errors there are; all states, or up to the first error.
explore() {
  spin -a ${2:+"-D$2"} "$here/$1.pml" >spin.log || { cat spin.log >&2; return 1; }
  rm -f pan
  : >pan.log  # so that nothing of another model is left if this one does not compile
  cc -O1 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=4096 -o pan pan.c || return 1  # set -e does not reach into $(…)
  ./pan -m1000000 >pan.log
  if ! grep -q 'errors: [01]$' pan.log || grep -q 'search not completed\|max search depth too small' pan.log; then
    cat pan.log >&2
    return 1
  fi
  sed -n 's/.*errors: \([01]\)$/\1/p' pan.log
}

failed=0
for model in search_beside_writer reader_gate; do
  if [ "$(explore $model)" = 0 ] && ! grep -q '^	.*pml:[0-9]*, state' pan.log; then
    echo "$model: $(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' pan.log) states, all as they must be"
  else
    echo "$model: FAILED, or a statement was never reached"
    tail -n 30 pan.log
    failed=1
  fi
  while read -r weakness <&3; do
    if [ "$(explore $model "$weakness")" = 1 ]; then
      echo "  $weakness: found"
    else
      echo "  $weakness: MISSED"
      failed=1
    fi
  done 3< <(sed -n 's/^#ifdef //p' "$here/$model.pml")
done
exit $failed
