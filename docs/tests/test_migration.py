"""The programs of the migration pages run, and each pair does the same."""

from __future__ import annotations

import pathlib
import re
import runpy
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

PROGRAMS = pathlib.Path(__file__).parent.parent / "migration"
LIBRARIES = ["hnswlib", "faiss", "usearch"]


Pair = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """What the two programs of each library have at their ends; the second reads a file of the first."""
    found: dict[str, Pair] = {}
    for library in LIBRARIES:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path_factory.mktemp(library))
            patch.syspath_prepend(str(PROGRAMS))
            before, after = (
                runpy.run_path(str(PROGRAMS / f"{library}_{which}.py"))
                for which in ("before", "after")
            )
            found[library] = before, after
    return found


def recall(found: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    rows = zip(np.asarray(found), np.asarray(truth), strict=True)
    return float(np.mean([np.isin(a, b).mean() for a, b in rows]))


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_program_moved_over_does_the_same(library: str, pairs: dict[str, Pair]) -> None:
    before, after = pairs[library]
    truth, _ = after["index"].exact_search(after["queries"], k=10)
    assert recall(before["labels"], truth) > 0.85
    assert recall(after["labels"], truth) > 0.85

    # A label that both found has the same distance in both: metric, its sign and scale are the same.
    compared = 0
    for row in range(len(truth)):
        theirs = dict(zip(before["labels"][row], before["distances"][row], strict=True))
        ours = dict(zip(after["labels"][row].tolist(), after["distances"][row], strict=True))
        for label in theirs.keys() & ours.keys():
            assert ours[label] == pytest.approx(theirs[label], rel=1e-4, abs=1e-5)
            compared += 1
    assert compared > 1000

    assert after["count"] == before["count"] == 3000
    assert after["known"] and before["known"]
    stored = np.asarray(before["vector"], np.float64)
    if (
        after["index"].metric == "cosine"
    ):  # Concord and hnswlib keep it normalised, USearch does not
        stored /= np.linalg.norm(stored)
    np.testing.assert_allclose(after["vector"], stored, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("library", ["hnswlib", "faiss"])
def test_files_are_taken_over(library: str, pairs: dict[str, Pair]) -> None:
    _, after = pairs[library]
    assert after["adopted"].audit().ok
    assert sorted(after["adopted"]) == sorted(after["index"])


def test_the_grown_index_has_the_new_label(pairs: dict[str, Pair]) -> None:
    _, after = pairs["hnswlib"]
    assert 999_999 in after["loaded"] and 999_999 not in after["index"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_page_shows_every_section(library: str) -> None:
    page = (PROGRAMS / f"{library}.md").read_text()
    shown = re.findall(rf"side-by-side}} {library} (\w+)", page)
    programs = [(PROGRAMS / f"{library}_{which}.py").read_text() for which in ("before", "after")]
    sections = [re.findall(r"^# \[(\w+)\]$", program, re.MULTILINE) for program in programs]
    assert sections[0] == sections[1] == shown
