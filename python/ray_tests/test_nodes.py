"""A node is lost while its actor still runs: its files are taken over, and it acknowledges nothing more.

Three raylets on this machine, each a node of Ray, in a process of its own (nodes.py), because Ray has one
cluster in a process.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.mark.parametrize("stopped", ["stopped", "running"])
def test_a_node_is_lost_and_its_actor_is_not(stopped: str, tmp_path: pathlib.Path) -> None:
    result = subprocess.run(
        [sys.executable, HERE / "nodes.py", tmp_path, stopped],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("equal digests\n")
