#!/usr/bin/env python3
"""Puts the client into the VectorDBBench of the Python that runs this, or does nothing if it is there.

VectorDBBench lists its clients in an enumeration, not by entry points. So the folder is copied to where
the clients are, and the five places that name each client get one more. It is a change of an installed
package: use a virtual environment of its own.
"""

from __future__ import annotations

import importlib.util
import pathlib
import shutil

HERE = pathlib.Path(__file__).resolve().parent

CLIENTS = (
    ('    Test = "test"\n', '    Concord = "Concord"\n'),
    (
        "        if self == DB.Test:\n            from .test.test import Test\n",
        "        if self == DB.Concord:\n            from .concord.concord import Concord\n\n"
        "            return Concord\n\n",
    ),
    (
        "        if self == DB.Test:\n            from .test.config import TestConfig\n",
        "        if self == DB.Concord:\n            from .concord.config import ConcordConfig\n\n"
        "            return ConcordConfig\n\n",
    ),
    (
        "        if self == DB.LanceDB:\n            from .lancedb.config import _lancedb_case_config\n",
        "        if self == DB.Concord:\n            from .concord.config import ConcordIndexConfig\n\n"
        "            return ConcordIndexConfig\n\n",
    ),
)
COMMANDS = (
    (
        "from ..backend.clients.chroma.cli import Chroma\n",
        "from ..backend.clients.concord.cli import concord\n",
    ),
    ("cli.add_command(Chroma)\n", "cli.add_command(concord)\n"),
)


def insert(path: pathlib.Path, pieces: tuple[tuple[str, str], ...]) -> None:
    """Each piece before its anchor, which must be there once."""
    text = path.read_text()
    for anchor, piece in pieces:
        if piece in text:
            continue
        if text.count(anchor) != 1:
            raise SystemExit(f"{path}: this VectorDBBench is not the one that was tried (2.0.0)")
        text = text.replace(anchor, piece + anchor)
    path.write_text(text)


def main() -> None:
    """Install the client."""
    spec = importlib.util.find_spec("vectordb_bench")
    if spec is None or spec.origin is None:
        raise SystemExit("vectordb-bench is not installed here: pip install vectordb-bench==2.0.0")
    package = pathlib.Path(spec.origin).parent
    insert(package / "backend" / "clients" / "__init__.py", CLIENTS)
    insert(package / "cli" / "vectordbbench.py", COMMANDS)
    target = package / "backend" / "clients" / "concord"
    shutil.copytree(HERE / "concord", target, dirs_exist_ok=True)
    print(f"the client is in {target}")


if __name__ == "__main__":
    main()
