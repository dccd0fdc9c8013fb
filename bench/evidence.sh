#!/usr/bin/env bash
# All measurements of the report, and the report: Concord beside its peers (bench/peers), how its cost grows with
# the number of vectors and its build rate with threads, where a build's time goes, audits.
#
#   bench/evidence.sh OUT            estimated: 35 minutes on 2 idle cores
#   bench/evidence.sh OUT --short    estimated: 15
#
# OUT is a new folder: peers.json, growth-N.json, threads-N.json, report.html, report-plots/. CONCORD_DATA is the
# folder of the data sets (bench/peers/README.md). The machine should have nothing else to do meanwhile.
set -euo pipefail

case ${1:-} in "" | -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$1"
out=$(realpath "$1")
data=${CONCORD_DATA:-$root/../shared/data}
peers=(--data sift:100000 words:40000 fashion:15000 --queries 1000 --rounds 2 --minimum-seconds 0.15)
sizes=(10000 20000 50000 100000 200000 500000)
if [ "${2:-}" = --short ]; then
  peers=(--data sift:30000 words:12000 fashion:5000 --queries 1000 --rounds 2 --minimum-seconds 0.1)
  sizes=(10000 20000 50000 100000 200000)
fi

# Builds what it needs; a run of the sample is part of the report.
"$root/bench/run.sh" --json "$out/sample.json"
bench=${BUILD_DIR:-$root/build/bench}/bench/concord-bench
CONCORD_DATA=$data BUILD_DIR=$root/build/peers "$root/bench/peers/run.sh" "${peers[@]}" --out "$out/peers.json"

sift=(--dataset "$data/sift-128-euclidean.hdf5" --limit-queries 1000 --ef "20,80,320")
for size in "${sizes[@]}"; do
  "$bench" run "${sift[@]}" --limit "$size" --json "$out/growth-$size.json"
done
for ((threads = 1; threads < $(nproc); threads *= 2)); do
  "$bench" run "${sift[@]}" --limit 100000 --threads $threads --json "$out/threads-$threads.json"
done

PATH=$root/build/peers/venv/bin:$PATH "$bench" report "$out"/*.json --out "$out/report.html"
