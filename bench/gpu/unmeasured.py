#!/usr/bin/env python3
"""Writes into docs/benchmarks.md what no device has run: the files of cuda/ that differ from the commit of the
newest GPU report.

    unmeasured.py            rewrites the page
    unmeasured.py --check    exit code 1 if that would change it

Names alone are listed, not counts of lines, so that a change to a file that is listed already needs no new
page. `git diff COMMIT -- cuda` has the rest.
"""

import argparse
import glob
import json
import os
import re
import subprocess
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BEGIN, END = "<!-- unmeasured: bench/gpu/unmeasured.py -->", "<!-- /unmeasured -->"
KINDS = {"M": "Changed", "A": "New", "D": "Gone"}


class NoHistoryError(Exception):
    """The repository lacks the commit of the report, as a shallow clone does."""


def last_report(root):
    """(folder, commit) of the newest GPU report."""
    for path in sorted(glob.glob(os.path.join(root, "bench", "results", "*", "report.json")), reverse=True):
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        if document.get("tool") == "gpu_report":
            commit = re.search(r"commit ([0-9a-f]{7,40})", document["environment"]["concord"])
            return os.path.basename(os.path.dirname(path)), commit.group(1)
    raise NoHistoryError("bench/results has no GPU report")


def changes(root, commit):
    """{"Changed": [names], "New": …, "Gone": …} of cuda/ in the working tree against a commit."""
    command = ["git", "-C", root, "diff", "--name-status", "--no-renames", commit, "--", "cuda"]
    result = subprocess.run(command, text=True, capture_output=True, check=False)
    if result.returncode != 0:
        raise NoHistoryError(result.stderr.strip() or "git diff failed")
    names = {kind: [] for kind in KINDS.values()}
    for line in result.stdout.splitlines():
        state, path = line.split("\t", 1)
        names[KINDS[state]].append(os.path.relpath(path, "cuda"))
    return names


def block(root):
    folder, commit = last_report(root)
    names = changes(root, commit)
    text = f"The newest report, `bench/results/{folder}`, is of commit `{commit[:7]}`.\n"
    if not any(names.values()):
        return text + "No file of `cuda/` has changed since.\n"
    text += "No device has run these files of `cuda/` as they are now:\n\n"
    lines = [f"- {kind}: " + ", ".join(f"`{name}`" for name in found) + "."
             for kind, found in names.items() if found]
    return text + "\n".join(lines) + "\n"


def rewritten(page, text):
    begin, end = page.find(BEGIN), page.find(END)
    if begin < 0 or end < begin:
        raise ValueError(f"the page lacks {BEGIN} … {END}")
    return f"{page[:begin]}{BEGIN}\n\n{text.strip()}\n\n{page[end:]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    path = os.path.join(ROOT, "docs", "benchmarks.md")
    with open(path, encoding="utf-8") as file:
        page = file.read()
    new = rewritten(page, block(ROOT))
    if options.check:
        return int(new != page)
    with open(path, "w", encoding="utf-8") as file:
        file.write(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
