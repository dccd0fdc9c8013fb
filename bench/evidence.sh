#!/usr/bin/env bash
# Every measurement of the report, and the report: Concord beside its peers (bench/peers), cost by the number of vectors,
# build rate by threads, the phases of a build, audits, readers beside the writer.
#
#   bench/evidence.sh OUT            estimated: 45 minutes on 2 idle cores
#   bench/evidence.sh OUT --short    estimated: 25 minutes
#   bench/evidence.sh --prepare      only builds and installs, which is not part of the times above
#
# OUT is a folder: sample.json, growth-N.json, threads-N.json, serve-mix.json, peers-SET.json for each data set, report.html,
# report-plots/. The script keeps results that exist, so after an interruption the same command continues.
# CONCORD_DATA is the folder of the data sets (bench/peers/README.md). The machine should be idle otherwise.
set -euo pipefail

case ${1:-} in "" | -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bench=${BUILD_DIR:-$root/build/bench}/bench/concord-bench
export CONCORD_DATA=${CONCORD_DATA:-$root/../shared/data}
export PYTHONPATH=$root/bench PYTHONDONTWRITEBYTECODE=1

sizes=(10000 20000 50000 100000 200000 500000)
large=(sift:40000 words:15000 fashion:6000 fashion/255:6000)
small=5000
if [ "${2:-}" = --short ]; then
  sizes=(10000 20000 50000 100000 200000)
  large=(sift:20000 words:8000 fashion:4000 fashion/255:4000)
  small=2000
fi
special=(low:"$small" high:"$small" sift+sorted:"$small" sift+dup70:"$small" sift+ood:"$small")

# measured NAME COMMAND...: runs the command with "--json FILE" unless OUT has NAME.json.
measured() {
  local name=$1 unfinished=$out/unfinished
  shift
  if [ -e "$out/$name.json" ]; then
    echo "$name: $name.json exists, kept"
    return
  fi
  mkdir -p "$unfinished"
  "$@" --json "$unfinished/$name.json"
  mv "$unfinished/$name.json" "$out/$name.json"
  rm -r "$unfinished"
}

# Quick if everything is built.
prepare() {
  "$root/bench/run.sh" --limit 1000 >/dev/null
  BUILD_DIR=$root/build/peers "$root/bench/peers/run.sh" --prepare
}

prepare
if [ "$1" = --prepare ]; then exit 0; fi
export PATH=$root/build/peers/venv/bin:$PATH
mkdir -p "$1"
out=$(realpath "$1")

measured sample "$root/bench/run.sh"
sift=("$bench" run --dataset "$CONCORD_DATA/sift-128-euclidean.hdf5" --limit-queries 1000 --ef "20,80,320")
for size in "${sizes[@]}"; do measured "growth-$size" "${sift[@]}" --limit "$size"; done
for ((threads = 1; threads < $(nproc); threads *= 2)); do
  measured "threads-$threads" "${sift[@]}" --limit 100000 --threads "$threads"
done

half=$((($(nproc) + 1) / 2)) # of the threads: one half reads, the other writes
measured serve-mix "$bench" serve-mix --dataset "$CONCORD_DATA/sift-128-euclidean.hdf5" --limit 60000 \
  --threads "$half" --readers "$half" --rounds 6

peers=(concord "concord sq8" hnswlib "faiss HNSWFlat" "faiss HNSWSQ8" usearch voyager "vsag HGraph" "svs Vamana"
  "deglib DEG" "glass SQ8U" symphonyqg)
python -m peers --libraries "${peers[@]}" --data "${large[@]}" --queries 1000 --rounds 2 --minimum-seconds 0.1 --out "$out"
python -m peers --libraries "${peers[@]}" --data "${special[@]}" --queries 500 --rounds 2 --minimum-seconds 0.05 --out "$out"
python -m page "$out"/*.json --out "$out/report.html"
