"""Examples in docstrings run; annotations hold under mypy --strict, for the package and its users."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pathlib
import subprocess
import sys

import pytest

import concord

MODULES = [
    "concord",
    "concord.index",
    "concord.errors",
    "concord._awaitable",
    "concord.interchange",
    "concord.knn",
    "concord.langchain",
    "concord.llama_index",
    "concord.matches",
    "concord.reports",
    "concord.sklearn",
    "concord.store",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    assert result.attempted > 10 or name != "concord.index"


def test_everything_public_is_documented() -> None:
    for name in concord.__all__:
        value = getattr(concord, name)
        if not inspect.isclass(value):
            continue
        assert value.__doc__, name
        for member, what in vars(value).items():
            if not member.startswith("_") and (callable(what) or isinstance(what, property)):
                assert what.__doc__, f"{name}.{member}"


def mypy(*arguments: str | pathlib.Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_package_and_the_tests_are_typed(tmp_path: pathlib.Path) -> None:
    mypy("--cache-dir", tmp_path, "-p", "concord")
    here = pathlib.Path(__file__).parent
    mypy("--cache-dir", tmp_path, here)
    # Their conftest is another module of the same name.
    mypy("--cache-dir", tmp_path, here.parent / "gpu_tests", here / "dlpack.py")


USER = """
import numpy as np
import numpy.typing as npt
import concord

index = concord.Index(2, "cosine", device="cpu")
name: str = "l2sq"
concord.Index(2, metric=name)
index.add([[1, 2], [3, 4.5]], labels=[1, 2])
index.add(np.zeros((2, 2)), labels=np.arange(2))
index.add([np.zeros(2)], labels=range(9, 10))
index.add(memoryview(b"ab"))
labels, distances = index.search([1, 2], k=1)
texts: npt.NDArray[np.str_] = np.array(["a", "b", "c"])
texts[labels]
single: np.float32 = distances[0]
index.search([1.0, 2], out=(np.empty(3, np.int64), np.empty(3, np.float32)))
store = concord.Store()
store.add(["a"], [[1, 0]], ["text"], [{"year": 2020}])
hits = store.search([1, 0], k=1, filter={"year": {"$gt": 2000}})
key: str = hits[0].key
row: npt.NDArray[np.float32] = index[1]
rows: npt.NDArray[np.float32] = index[[1, 2]]
maybe: npt.NDArray[np.float32] | None = index.get(1)
filled: npt.NDArray[np.float32] = index.get([1, 2], default=0)
own: concord.Index = concord.Index.from_vectors([[1, 2]], metric="cosine").copy()
found = index.search([1, 2], return_vectors=True, threads=1, progress=True)
third: npt.NDArray[np.float32] = found.vectors
pairs = index.search([1, 2]).to_list()
graph, lengths = concord.knn_graph([[1, 2], [3, 4]], 2)
places: npt.NDArray[np.int64] = graph
groups: list[npt.NDArray[np.int64]] = concord.near_duplicates([[1, 2]], 0.5)
nearest, _ = concord.exact_knn([[1, 2]], [[1, 2]], 1)


async def search() -> npt.NDArray[np.float32]:
    labels, distances = await index.asearch([1, 2], k=1)
    return distances
store.search([1, 0], filter=lambda item: item.metadata["year"] > 2000)
"""
WRONG = """
index.search("abc")  # wrong
index.add(["a", "b"])  # wrong
index.add([[1, 2]], labels=["a"])  # wrong
index.add([[1, 2]], label=[1])  # wrong
text: str = labels  # wrong
store.add([1], [[1, 0]])  # wrong
store.search([1, 0], filter=3)  # wrong
number: int = hits[0].key  # wrong
index.search([1, 2]).vectors  # wrong
index.search([1, 2], threads="1")  # wrong
a, b, c = index.search([1, 2])  # wrong
whole: int = index[[1, 2]]  # wrong
concord.knn_graph([[1, 2]], "2")  # wrong
index.asearch([1, 2], thread=1)  # wrong
"""


def test_type_checkers_take_what_is_right_and_only_that(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(USER)
    mypy("--cache-dir", tmp_path, program)
    program.write_text(USER + WRONG)
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, program],
        capture_output=True,
        text=True,
    )
    found = {int(line.split(":")[1]) for line in result.stdout.splitlines() if ": error:" in line}
    lines = (USER + WRONG).splitlines()
    assert found == {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


def test_the_stub_says_what_the_module_has(tmp_path: pathlib.Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text(
        "concord\\._concord\\.((Cursor|Filter|Groups)(\\.__init__)?|Index|Replica|ShardedIndex)\n"
        "concord\\._concord\\.(open\\w*|map\\w*|load\\w*|save_\\w*|from_bytes|exact_knn|ThreadLimit)\n"
    )  # of nanobind's own types
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "concord._concord", "--allowlist", str(allowed)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout
