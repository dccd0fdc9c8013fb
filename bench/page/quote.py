"""Tables of results in Markdown files: written here, from the results, and never by hand.

    python -m page.quote README.md ...            # writes every block anew
    python -m page.quote --check README.md ...    # 1 where a block is not what would be written

A block stands between two comments, the first of which says what it is made of (files relative to the
repository's root):

    <!-- measured: standing bench/results/FOLDER/peers.json -->
    <!-- /measured -->
"""

from __future__ import annotations

import argparse
import pathlib
import re
import sys
from collections.abc import Callable

from . import bench_part, filtered_part, peers_part
from .documents import BadInputError, Documents, Json, read
from .tables import Table

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(<!-- measured: (\w+) ([^>]+?) -->\n)(.*?)(<!-- /measured -->)", re.DOTALL)


def standing(found: Documents) -> str:
    """Who is best at what, for each data set."""
    return _peers(found, peers_part.standing)


def extremes(found: Documents) -> str:
    """Concord's worst and best data set, measure by measure."""
    return peers_part.extremes(found.peers).markdown()


def speeds(found: Documents) -> str:
    """All libraries at a recall of 0.95, data set by data set."""
    return peers_part.speeds(found.peers).markdown()


def floats(found: Documents) -> str:
    """All libraries with one thread, for each data set."""
    return _peers(found, peers_part.floats)


def summary(found: Documents) -> str:
    """All libraries, for each data set."""
    return _peers(found, peers_part.summary)


def _peers(found: Documents, table: Callable[[Json, str], Table]) -> str:
    tables = [
        f"{data}, {facts['vectors']:,} x {facts['dimension']}, {facts['metric']}:\n\n"
        + table(document, data).markdown()
        for document in found.peers
        for data, facts in document["data"].items()
    ]
    versions = {
        name: facts["version"]
        for document in found.peers
        for name, facts in document["libraries"].items()
    }
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    return "\n".join(tables) + f"\nVersions: {used}.\n"


def comparisons(found: Documents) -> str:
    """Of concord-bench compare."""
    return bench_part.comparisons(found.bench).markdown()


def recall(found: Documents) -> str:
    """Recall and distances, which depend neither on the machine nor on its load."""
    parts = []
    for document in found.bench:
        rows = [
            [str(p["ef"]), f"{p['recall']:.4f}", f"{p['distances_per_query']:,.1f}"]
            for p in document["search"]
        ]
        table = Table(["ef", f"recall@{document['k']}", "distances per query"], rows)
        parts.append(f"{table.markdown()}\nDigest {document['index']['digest']}.\n")
    return "\n".join(parts)


def filtered(found: Documents) -> str:
    """Searches among a part of the vectors, by several libraries."""
    return filtered_part.table(found.filtered).markdown()


KINDS = {
    "filtered": filtered,
    "standing": standing,
    "extremes": extremes,
    "speeds": speeds,
    "floats": floats,
    "summary": summary,
    "comparisons": comparisons,
    "recall": recall,
}


MOST_NAMED = 6
"""Of one run more files than these are counted instead of named."""


def sources(found: Documents, names: str) -> str:
    """Date, machine and commit of the files; the command too where it is one file.

    Files that are named one by one stand behind their runs, so only their folder is said first.
    """
    documents = [*found.peers, *found.bench, *found.filtered]
    runs: dict[str, list[str]] = {}
    for document in documents:
        machine = document["machine"]
        when = document["date"][:10]
        run = f"{when}, {machine['cpu']}, {machine['cores']} cores, commit {document['commit']}"
        if document.get("parameters", {}).get("clock") == "processor":
            run += ", seconds of the processor"
        runs.setdefault(run, []).append(f"`{document['file']}`")
    lines = [
        f"{run}: {', '.join(files) if len(files) <= MOST_NAMED else f'{len(files)} files'}"
        for run, files in runs.items()
    ]
    end = f"`{documents[0]['command']}`" if len(documents) == 1 else "commands stand in the files"
    folders = {name.rpartition("/")[0] for name in names.split()}
    whence = folders.pop() if len(folders) == 1 and "*" not in names else names
    return f"From `{whence}`. {'; '.join(lines)}; {end}.\n"


def block(kind: str, names: str) -> str:
    """What stands between the comments. Raises BadInputError."""
    if kind not in KINDS:
        raise BadInputError(f"measured: {kind} is unknown; known are {', '.join(KINDS)}")
    paths = [path for name in names.split() for path in sorted(ROOT.glob(name))]
    if not paths:
        raise BadInputError(f"measured: no file is named {names}")
    found = read(paths)
    return f"\n{KINDS[kind](found)}\n{sources(found, names)}\n"


def rewritten(text: str) -> str:
    """The text with every block as it should be. Raises BadInputError."""
    return BLOCK.sub(lambda found: found[1] + block(found[2], found[3]) + found[5], text)


def main() -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(
        prog="python -m page.quote", description="Tables in Markdown files."
    )
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    wrong = 0
    for path in options.files:
        old = path.read_text()
        try:
            new = rewritten(old)
        except BadInputError as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 2
        if old == new:
            continue
        wrong += 1
        if options.check:
            print(f"{path}: a block differs from what page.quote writes", file=sys.stderr)
        else:
            path.write_text(new)
    return 1 if options.check and wrong else 0


if __name__ == "__main__":
    sys.exit(main())
