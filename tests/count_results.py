#!/usr/bin/env python3
"""Sums up JUnit reports of ctest and pytest.

    count_results.py REPORT.xml ...              "N passed, N failed, N skipped"
    count_results.py --distinct REPORT.xml ...   how many different tests ran, and how many in each build: the folder of
                                                 a report is the build that it is of

A report that is missing, cannot be read, or counts no test is one failure. Standard library only.
"""

import collections
import sys
import xml.etree.ElementTree
from pathlib import Path


def read(report):
    """[(name of a test, "passed", "failed" or "skipped")] of a report; none where it cannot be read."""
    try:
        root = xml.etree.ElementTree.parse(report).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return []
    return [(f"{case.get('classname')} {case.get('name')}", outcome(case)) for case in root.iter("testcase")]


def outcome(case):
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None or case.get("status") == "disabled" else "passed"


def print_counts(reports):
    counts = collections.Counter()
    for report in reports:
        counts.update([result for _, result in read(report)] or ["failed"])
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")


def print_distinct(reports):
    ran = collections.defaultdict(set)  # by build
    for report in reports:
        ran[Path(report).parent.name].update(name for name, result in read(report) if result != "skipped")
    builds = ", ".join(f"{len(names):,} in {build}" for build, names in ran.items())
    print(f"{len(set().union(*ran.values())):,} distinct tests in {len(ran)} configurations: {builds}")


def main():
    arguments = sys.argv[1:]
    if not arguments:
        sys.exit(__doc__)
    if arguments[0] == "--distinct":
        print_distinct(arguments[1:])
    else:
        print_counts(arguments)


if __name__ == "__main__":
    main()
