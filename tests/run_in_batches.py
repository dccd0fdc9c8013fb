#!/usr/bin/env python3
"""Runs tests of a build as ctest would, but many of one program in one process.

    run_in_batches.py BUILD_DIR [CTEST_OPTION ...]     options choose tests: -E, -R, -L, -LE, as ctest takes them

With a sanitizer a program of tests takes a quarter of a second and more to start and to end, and ctest starts it once for
each test. Here a process runs up to BATCH of its tests. Where one ends otherwise than it should (a crash, a leak, too
much time), ctest runs each of its tests that has not failed by then once more, so that the failure has a name. If none
fails alone, the batch itself is the failure. What is no test of GoogleTest, or has properties that only ctest understands,
is left to ctest from the beginning. A test that took longer than its TIMEOUT has failed. Two processes run beside each
other; batches of a higher COST start first. Writes BUILD_DIR/tests.xml as ctest's --output-junit does, and the output of what failed. Exit code 1 if
anything failed. Standard library only.
"""

import concurrent.futures
import json
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as tree
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

BATCH = 40
SECONDS = 1800  # for a batch
FILTER = "--gtest_filter="
UNDERSTOOD = {"COST", "LABELS", "TIMEOUT", "SKIP_REGULAR_EXPRESSION", "WORKING_DIRECTORY"}  # properties; the last as ctest has it


@dataclass
class Test:
    name: str  # ctest's
    command: list
    properties: dict = field(repr=False)

    def filter(self):
        """The name by which a program of GoogleTest knows it; None where ctest has to run it."""
        if not set(self.properties) <= UNDERSTOOD:
            return None
        return next((word[len(FILTER):] for word in self.command if word.startswith(FILTER)), None)

    def seconds(self):
        """What it may take."""
        return float(self.properties.get("TIMEOUT", 300))


@dataclass
class Result:
    outcome: str  # "passed", "failed" or "skipped"
    output: str = ""
    seconds: float = 0.0


def listed(build_dir, options):
    """The tests that ctest would run."""
    text = subprocess.run(["ctest", "--show-only=json-v1", *options], cwd=build_dir, check=True, capture_output=True).stdout
    return [
        Test(entry["name"], entry["command"], {each["name"]: each["value"] for each in entry["properties"]})
        for entry in json.loads(text)["tests"]
    ]


def batches_of(tests):
    """Lists of tests that one process runs, those of the highest cost first."""
    by_program = defaultdict(list)
    batches = []
    for test in tests:
        if test.filter() is None:
            batches.append([test])
        else:
            by_program[test.command[0]].append(test)
    for of_program in by_program.values():
        batches += [of_program[first:first + BATCH] for first in range(0, len(of_program), BATCH)]
    return sorted(batches, key=lambda batch: (-float(batch[0].properties.get("COST", 0)), -len(batch)))


def run(command, folder, seconds):
    """(whether it ended well, its output)."""
    try:
        done = subprocess.run(command, cwd=folder, check=False, timeout=seconds, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        return done.returncode == 0, done.stdout
    except subprocess.TimeoutExpired as ended:
        said = (ended.stdout or b"").decode(errors="replace")
        return False, f"{said}\nstopped after {seconds} s"


def run_alone(test, build_dir):
    """By ctest, which knows what all properties mean."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = ["ctest", "--output-on-failure", "--output-junit", str(report), "-R", f"^{re.escape(test.name)}$"]
        well, output = run(command, build_dir, test.seconds() + 60)
        results = [Result(outcome_of(case), output, float(case.get("time", 0))) for case in cases_of(report)]
    if len(results) != 1 or (not well and results[0].outcome != "failed"):
        return Result("failed", output)
    return results[0]


def cases_of(report):
    """The tests in a report; none where it was not written."""
    try:
        return list(tree.parse(report).getroot().iter("testcase"))
    except (OSError, tree.ParseError):
        return []


def outcome_of(case):
    if case.find("failure") is not None or case.get("status") == "fail":
        return "failed"
    return "skipped" if case.find("skipped") is not None or case.get("status") == "notrun" else "passed"


def reported(report):
    """{filter: Result} of GoogleTest's report; nothing of what ended before it was written."""
    return {f"{case.get('classname')}.{case.get('name')}": Result(outcome_of(case), "", float(case.get("time", 0)))
            for case in cases_of(report)}


def run_batch(batch, build_dir):
    """[(name, Result)]"""
    if len(batch) == 1:
        return [(batch[0].name, run_alone(batch[0], build_dir))]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        names = ":".join(test.filter() for test in batch)
        command = [batch[0].command[0], FILTER + names, f"--gtest_output=xml:{report}"]
        well, output = run(command, batch[0].properties.get("WORKING_DIRECTORY"), SECONDS)
        found = reported(report)
    results = {}
    for test in batch:
        result = found.get(test.filter())
        if result is None or (not well and result.outcome == "passed"):
            result = run_alone(test, build_dir)
        elif result.outcome == "failed":
            result.output = output
        elif result.seconds > test.seconds():
            result = Result("failed", f"took longer than {test.seconds():g} s", result.seconds)
        results[test.name] = result
    if not well and all(result.outcome != "failed" for result in results.values()):
        results[f"{batch[0].name} and {len(batch) - 1} more in one process"] = Result("failed", output)
    return list(results.items())


def write_report(results, path):
    counts = {kind: str(sum(result.outcome == kind for _, result in results)) for kind in ("failed", "skipped")}
    suite = tree.Element("testsuite", tests=str(len(results)), failures=counts["failed"], skipped=counts["skipped"])
    for name, result in sorted(results, key=lambda each: each[0]):
        case = tree.SubElement(suite, "testcase", name=name, classname=name, time=f"{result.seconds:.3f}")
        if result.outcome != "passed":
            tree.SubElement(case, "failure" if result.outcome == "failed" else "skipped")
    tree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build_dir = Path(sys.argv[1])
    batches = batches_of(listed(build_dir, sys.argv[2:]))
    results = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for of_batch in pool.map(lambda batch: run_batch(batch, build_dir), batches):
            results += of_batch
            for name, result in of_batch:
                if result.outcome == "failed":
                    print(f"FAILED {name}\n{result.output}", flush=True)
    write_report(results, build_dir / "tests.xml")
    failed = sum(result.outcome == "failed" for _, result in results)
    print(f"{len(results)} tests in {len(batches)} processes, {failed} failed; the longest:")
    for name, result in sorted(results, key=lambda each: -each[1].seconds)[:15]:
        print(f"  {result.seconds:7.1f} s  {name}")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
