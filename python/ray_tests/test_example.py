"""The example prints what is shown beside it: a shard is killed, and the digest is that of one process."""

from __future__ import annotations

import pathlib
import subprocess
import sys

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "ray_shards"


def test_the_example_prints_its_output() -> None:
    shown = subprocess.run(
        [sys.executable, EXAMPLE / "build.py"], capture_output=True, text=True, timeout=240
    )
    assert shown.returncode == 0, shown.stderr
    wanted = (EXAMPLE / "output.txt").read_text().splitlines()
    found = [
        line for line in shown.stdout.splitlines() if line in wanted
    ]  # Ray has its say between
    assert found == wanted
    digests = [line.split()[-1] for line in found if line.startswith("digest")]
    assert len(digests) == 3 and len(set(digests)) == 1
