#!/usr/bin/env python3
"""The files among those named that commits since a date concern: that they changed, or of which they changed a header
that the file itself includes. Printed one a line.

    .ci/changed.py DATE FILE ...        e.g. .ci/changed.py '8 hours ago' $(git ls-files 'cpu/*.cpp')

A finding of a linter is nearly always in what changed, or in what uses it by name. What a header changes for those who
see it through other headers, CI_FULL looks for. Of a shallow clone all files are new. Standard library only.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.MULTILINE)


def since(date):
    """The files that commits since then have changed."""
    command = ["git", "log", f"--since={date}", "--name-only", "--format="]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    return {ROOT / name for name in names if name}


def concerned(files, new):
    """Those of the files that are new, or name one that is."""

    def is_concerned(file):
        names = INCLUDE.findall(file.read_text(encoding="utf-8"))
        places = (ROOT, ROOT / "common/include", file.resolve().parent)
        return file.resolve() in new or any(place / name in new for name in names for place in places)

    return [file for file in files if is_concerned(file)]


def main():
    date, *names = sys.argv[1:]
    for file in concerned(map(Path, names), since(date)):
        print(file)


if __name__ == "__main__":
    main()
