"""What a GPU report does (report.py), in this order, and how its time is divided.

Pure arithmetic, tested without a GPU. The seconds are planned, not measured: they are what each part may
take, and add up to the budget.
"""

import argparse
from typing import NamedTuple


class Part(NamedTuple):
    name: str
    seconds: int
    what: str
    needs_gpu: bool = True


PARTS = (
    Part("environment", 3, "card, driver, processors, how the programs are linked", False),
    Part("conformance", 16, "every kernel against the host's bytes"),
    Part("sanitizer", 23, "memcheck, racecheck, synccheck, initcheck on small cases"),
    Part("python", 40, "streams, captures and lifetimes with torch and CuPy"),
    Part("hazards", 20, "current device, streams, capture, a trap, a fork, full memory"),
    Part("startup", 8, "context, pinned memory, opening, first and second build"),
    Part("digests", 18, "small builds against pinned digests", False),
    Part("build", 46, "1,000,000 x 128 and bytes, against pinned digests", False),
    Part("wide", 25, "1,000,000 x 768, against its pinned digest", False),
    Part("stalls", 40, "Nsight Compute: why warps of propose, score and search wait"),
    Part("search", 42, "rates and recall around ef 128, batches from 1 to 10,000", False),
    Part("committer", 15, "builds with 1 to 16 threads", False),
    Part("beside", 30, "searches beside a writer", False),
    Part("rivals", 30, "brute force of torch, CuPy and cuVS, and all nearest neighbors"),
    Part("peak", 4, "ceilings of the card"),
)
PAGE_SECONDS = 3  # of the budget, for writing the page
BUDGET = sum(part.seconds for part in PARTS) + PAGE_SECONDS


def chosen(only, skip):
    """The parts asked for, in their order."""
    return [p for p in PARTS if (not only or p.name in only) and p.name not in skip]


def allowance(left, index, parts):
    """Seconds that part number `index` of `parts` may take when `left` seconds of the budget are left.

    What earlier parts did not use is its to use; what later parts are planned to take is not. If
    there is less time than planned, all that follow are cut alike.
    """
    left = max(0.0, left - PAGE_SECONDS)
    planned = parts[index].seconds
    later = sum(part.seconds for part in parts[index + 1:])
    if left >= planned + later:
        return left - later
    return left * planned / (planned + later)


def names(text):
    """The argument of --only and --skip."""
    result = [name for name in text.split(",") if name]
    known = [part.name for part in PARTS]
    unknown = [name for name in result if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown part {', '.join(unknown)}; the parts are " +
                                         ", ".join(known))
    return result


def listing():
    """The parts, for --help."""
    return "parts, in this order, with the seconds planned:\n" + "\n".join(
        f"  {part.name:12} {part.seconds:3}  {part.what}" for part in PARTS)
