#!/usr/bin/env python3
"""Runs the checks and measurements of a prepared folder on a GPU machine (report.sh run).

Standard library only. The budget is divided over the parts (report_plan.py): a part that fails or takes
too long does not stop the next. What is known is written after each part: OUT/report.json and
OUT/report.md, with the programs' own output in OUT/*.log. Exit code 0 if all checks that ran held, 1 if
one failed, 2 for wrong arguments.
"""

import argparse
import sys

import report_parts
import report_plan
from report_session import Session


def run_parts(session, parts):
    rehearsal = session.options.device == "cpu"
    has_gpu = bool(report_parts.first_line(["nvidia-smi", "-L"]))
    if not has_gpu and not rehearsal:
        print("no GPU: everything that needs one is skipped; --device cpu rehearses the rest")
    for index, part in enumerate(parts):
        seconds = report_plan.allowance(session.left(), index, parts)
        print(f"{part.name}: at most {seconds:.0f} s of {session.left():.0f} s left", flush=True)
        session.begin_part(seconds)
        try:
            if rehearsal and part.needs_gpu:
                result = {"skipped": "a rehearsal"}
            elif not rehearsal and not has_gpu and part.name != "environment":
                result = {"skipped": "no GPU"}
            else:
                result = report_parts.FUNCTIONS[part.name](session)
        except Exception as error:  # the next part may still tell something
            session.check(part.name, False, f"{type(error).__name__}: {error}")
            result = {"skipped": "failed"}
        session.document[part.name] = result
        if report_parts.skipped(result):
            print(f"  skipped: {result['skipped']}", flush=True)
        session.write()


def parse(arguments=None):
    parser = argparse.ArgumentParser(prog="report.sh run", description=__doc__.split("\n")[0],
                                     epilog=report_plan.listing(),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="what report.sh prepare made")
    parser.add_argument("out", nargs="?", help="folder for the report (default FOLDER/out)")
    parser.add_argument("--only", type=report_plan.names, default=[], help="e.g. build,search")
    parser.add_argument("--skip", type=report_plan.names, default=[], help="all parts but these")
    parser.add_argument("--budget", type=float, default=report_plan.BUDGET,
                        help=f"seconds in all (default {report_plan.BUDGET})")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:K, or cpu to rehearse")
    parser.add_argument("--rounds", type=int, default=3,
                        help="builds of each size; the median of all but the first counts (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of each size, to rehearse")
    return parser.parse_args(arguments)


def main():
    session = Session(parse())
    try:
        run_parts(session, report_plan.chosen(session.options.only, session.options.skip))
    finally:
        session.close()
    failed = session.document["failed_checks"]
    print(f"{session.document['seconds']:.0f} s, {len(session.document['checks'])} checks, "
          f"{failed} failed; {session.out}/report.md")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
