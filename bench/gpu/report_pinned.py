#!/usr/bin/env python3
"""The digests and recalls that a GPU report compares with, from a committed report.json.

    report_pinned.py REPORT.json [--data NAME]    prints pinned.json

The definition of the graph gives every machine the same digest, so that a build on a device needs no build
on the CPU beside it. A committed report has only digests that both agreed on. What it says of base.u8bin
holds for SIFT's first 300,000 vectors, and is left out unless NAME is that file.
"""

import argparse
import json
import os

SIFT = "sift-128-euclidean.hdf5"


def pinned(document, data):
    """{"digests": {build: digest}, "recalls": {build: {ef: recall}}} of a report."""
    digests = {entry["data"]: entry["digest"] for entry in document["digests"]
               if entry.get("same", True)}
    for row in document["build"]:
        digests[f"{row['data']}, ef_construction {row['ef_construction']}"] = row["digest"]
    recalls = {}
    for result in document["search"]:
        key = f"{result['data']['name']}, {result['data']['queries']} queries, " \
            f"ef_construction {result['parameters']['ef_construction']}"
        recalls[key] = {str(point["ef"]): point["recall"] for point in result["points"]}
    if os.path.basename(data or "") != SIFT:
        digests = {key: value for key, value in digests.items() if not key.startswith("base.")}
        recalls = {key: value for key, value in recalls.items() if not key.startswith("base.")}
    return {"digests": digests, "recalls": recalls}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("report")
    parser.add_argument("--data")
    options = parser.parse_args()
    with open(options.report, encoding="utf-8") as file:
        print(json.dumps(pinned(json.load(file), options.data), indent=1))


if __name__ == "__main__":
    main()
