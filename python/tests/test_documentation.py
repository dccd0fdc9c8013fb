"""Examples in docstrings run; annotations hold under mypy --strict, for the package and its users."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pathlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

import concord

WITH_PACKAGES = {
    f"concord.{name}" for name in ("datasets", "haystack", "opentsne", "ray", "txtai", "umap")
}
"""Their packages are not installed here; `tests/ecosystem.sh` and `tests/ray.sh` run their examples."""

MODULES = sorted(
    {"concord", *(module.name for module in pkgutil.iter_modules(concord.__path__, "concord."))}
    - WITH_PACKAGES
)


def test_every_module_is_looked_at() -> None:
    files = {path.stem for path in pathlib.Path(concord.__path__[0]).glob("*.py")} - {"__init__"}
    names = {name.removeprefix("concord.") for name in {*MODULES, *WITH_PACKAGES}}
    assert files <= names and "sharded" in names


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    assert result.attempted > 10 or name != "concord.index"


def undocumented(name: str, value: object) -> Iterator[str]:
    """What lacks a docstring: a function, or a class and its public members, those of its bases among them."""
    if not inspect.isclass(value):
        if callable(value) and not inspect.getdoc(value):
            yield name
        return
    if not value.__dict__.get("__doc__"):
        yield name
    for base in value.__mro__:
        if base.__module__.partition(".")[0] != "concord":
            continue
        for member, what in vars(base).items():
            what = getattr(what, "__func__", what)  # of a classmethod or a staticmethod
            is_code = callable(what) or isinstance(what, property)
            if not member.startswith("_") and is_code and not what.__doc__:
                yield f"{name}.{member}"


def test_everything_public_is_documented() -> None:
    public = {name: getattr(concord, name) for name in concord.__all__}
    for module in ("concord.sklearn", "concord.langchain", "concord.llama_index"):
        for name, value in vars(importlib.import_module(module)).items():
            if not name.startswith("_") and getattr(value, "__module__", "") == module:
                public[f"{module}.{name}"] = value
    assert {"knn_graph", "concord.sklearn.sparse_graph", "ShardedIndex"} <= set(public)
    assert not [missing for name, value in public.items() for missing in undocumented(name, value)]


def test_what_lacks_a_docstring_is_found() -> None:
    class Base:
        """Documented."""

        def inherited(self) -> None: ...

        @classmethod
        def made(cls) -> None: ...

        @property
        def part(self) -> int:
            """Documented."""
            return 1

    class Derived(Base):
        pass

    def function() -> None: ...

    Base.__module__ = Derived.__module__ = "concord.x"
    assert list(undocumented("f", function)) == ["f"]
    assert list(undocumented("D", Derived)) == ["D", "D.inherited", "D.made"]
    assert not list(undocumented("B", concord.Index)) and not list(undocumented("v", "0.2"))


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
triples = found.to_list()
flag: bool = len(index) > 1
either: concord.Matches | concord.MatchesWithVectors = index.search([1, 2], return_vectors=flag)
index.update([[1, 2]], [1], threads=1)
index.remove([2], threads=1)
third: npt.NDArray[np.float32] = found.vectors
pairs = index.search([1, 2]).to_list()
graph, lengths = concord.knn_graph([[1, 2], [3, 4]], 2)
places: npt.NDArray[np.int64] = graph
groups: list[npt.NDArray[np.int64]] = concord.near_duplicates([[1, 2]], 0.5)
nearest, _ = concord.exact_knn([[1, 2]], [[1, 2]], 1)


async def search() -> npt.NDArray[np.float32]:
    labels, distances = await index.asearch([1, 2], k=1, slack=0.1, threads=None)
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
index.asearch([1, 2], slack="a")  # wrong
index.search([1, 2], rescor=3)  # wrong
certain: concord.Matches = index.search([1, 2], return_vectors=flag)  # wrong
concord.knn_graph([[1, 2]], 1, "l2", False)  # wrong
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
        "concord\\._concord\\.(read_shard_manifest|write_shard_manifest|digest_of_shards)\n"
    )  # of nanobind's own types
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "concord._concord", "--allowlist", str(allowed)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout
