"""What the tests of bench/peers and bench/page share."""

from __future__ import annotations

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests" / "support")]

from browser import browser  # noqa: E402, F401  # a fixture


@pytest.fixture(scope="session")
def bench() -> pathlib.Path:
    """The program concord-bench."""
    return pathlib.Path(os.environ["CONCORD_BENCH"])


@pytest.fixture(scope="session")
def peers_result(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What the peers suite writes, of concord and hnswlib on 2,000 vectors."""
    from peers import suite

    out = tmp_path_factory.mktemp("peers") / "peers.json"
    arguments = ["--quick", "--limit", "2000", "--threads", "1", "2", "--out", str(out)]
    arguments += ["--libraries", "concord", "hnswlib"]
    suite.Suite(suite.parse(arguments), arguments).run()
    return out
