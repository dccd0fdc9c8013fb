"""Refusals: the right exception, the library's text, and the index as it was."""

from __future__ import annotations

import errno
import os
import pathlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Floats

import concord
from concord import errors


@pytest.mark.parametrize("kind", errors.BY_CODE.values())
def test_every_error_is_ours_and_a_builtin(kind: type[concord.Error]) -> None:
    assert issubclass(kind, concord.Error)
    assert len(kind.__mro__) > len(concord.Error.__mro__)
    error = pickle.loads(pickle.dumps(kind("what was wrong")))
    assert type(error) is kind and str(error) == "what was wrong"
    assert errors.BY_CODE[kind.code] is kind
    assert getattr(concord, kind.__name__) is kind


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (concord.InvalidParameterError, ValueError),
        (concord.DimensionMismatchError, ValueError),
        (concord.InvalidVectorError, ValueError),
        (concord.DuplicateLabelError, ValueError),
        (concord.ArrayTypeError, TypeError),
        (concord.UnknownLabelError, KeyError),
        (concord.IoError, OSError),
        (concord.OutOfMemoryError, MemoryError),
    ],
)
def test_builtins_catch_them(kind: type[concord.Error], builtin: type[Exception]) -> None:
    assert issubclass(kind, builtin)


@pytest.mark.parametrize(
    "arguments",
    [
        {"dim": 0},
        {"dim": -1},
        {"dim": 65537},
        {"dim": 2**40},
        {"metric": "hamming"},
        {"M": 1},
        {"M": 65},
        {"ef_construction": 0},
        {"ef_construction": -(2**70)},
        {"epoch_limit": 0},
        {"seed": -1},
        {"seed": 2**64},
        {"threads": 1025},
        {"threads": -1},
        {"device": "gpux"},
    ],
)
def test_parameters_out_of_range(arguments: dict[str, Any]) -> None:
    with pytest.raises(concord.InvalidParameterError, match="allowed|must fit|negative|device"):
        concord.Index(**{"dim": 4, **arguments})


@pytest.mark.parametrize("name", ["dim", "M", "ef_construction", "seed", "epoch_limit", "threads"])
@pytest.mark.parametrize("value", [1.5, "4", None])
def test_numbers_must_be_integers(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} must be an integer"):
        concord.Index(**{"dim": 4, name: value})


def test_integers_that_are_missing_are_named(index: concord.Index, vectors: Floats) -> None:
    wrong: Any = "a"
    store = concord.Store()
    store.add(["a"], vectors[:1])
    uses: dict[str, Callable[[], object]] = {
        "k": lambda: index.cursor(vectors[0], k=wrong),
        "label": lambda: wrong in index,
        "ef": lambda: concord.Store(ef=wrong),
    }
    for name, use in uses.items():
        with pytest.raises(TypeError, match=f"^{name} must be an integer, not str$"):
            use()
    for other in (
        lambda: index.explain(vectors[0], wrong),
        lambda: store.search(vectors[0], k=wrong),
        lambda: concord.knn_graph(vectors, wrong),
        lambda: concord.near_duplicates(vectors, 1, ef=wrong),
    ):
        with pytest.raises(TypeError, match="(label|k|ef) must be an integer, not str"):
            other()


def test_names_that_are_no_text_are_refused_by_argument(
    index: concord.Index, vectors: Floats
) -> None:
    wrong: Any = 5
    sharded = concord.ShardedIndex
    uses: tuple[tuple[str, Callable[[], object]], ...] = (
        ("metric", lambda: concord.Index(4, metric=wrong)),
        ("device", lambda: concord.Index(4, device=wrong)),
        ("codes", lambda: concord.Store(codes=wrong)),
        ("storage", lambda: concord.near_duplicates(vectors, 1, storage=wrong)),
        ("metric", lambda: concord.exact_knn(vectors, metric=wrong)),
        ("durability", lambda: concord.Index.open("x", 4, durability=wrong)),
        ("device", lambda: setattr(index, "device", wrong)),
        ("device", lambda: index.using(device=wrong).__enter__()),
        ("device", lambda: sharded(4, device=wrong)),
        ("device", lambda: sharded(4, device=["cpu", wrong])),
        ("metric", lambda: sharded(4, metric=wrong)),
        ("durability", lambda: sharded.open("x", 4, durability=wrong)),
        ("preset", lambda: index.remember(wrong)),
    )
    for name, use in uses:
        with pytest.raises(TypeError, match=f"^{name} must be a (str|concord)"):
            use()
    for recall in ("0.9", None, float("nan"), 1):
        for goal in (index.tune, lambda r: index.search(vectors, recall=r) if r else index.tune(r)):
            with pytest.raises(
                concord.InvalidParameterError, match=f"^recall is {recall!r}; allow"
            ):
                goal(recall)  # type: ignore[arg-type]


def test_search_parameters(index: concord.Index, vectors: Floats) -> None:
    query = vectors[:1]
    for k in (-1, 65537, 2**40):
        for search in (index.search, index.exact_search):
            with pytest.raises(concord.InvalidParameterError, match=r"\bk is"):
                search(query, k=k)
    for ef in (0, -3, 65537):
        with pytest.raises(concord.InvalidParameterError, match="ef is"):
            index.search(query, ef=ef)
    for slack in (-0.1, -np.inf, np.nan):
        with pytest.raises(concord.InvalidParameterError, match="slack is"):
            index.search(query, slack=slack)
    for wide in ("wide", None, [0.1]):
        with pytest.raises(TypeError, match="slack must be a number, not"):
            index.search(query, slack=wide)  # type: ignore[call-overload]
    similar = concord.Index(16, "inner_product")
    with pytest.raises(concord.InvalidParameterError, match="only infinity"):
        similar.search(query, slack=0.1)
    for wrong in (1.0, None, "3"):
        with pytest.raises(TypeError, match="k must be an integer"):
            index.search(query, k=wrong)  # type: ignore[call-overload]


def u(*shape: int) -> Any:
    return np.empty(shape, np.uint64)


def f(*shape: int) -> Any:
    return np.empty(shape, np.float32)


READ_ONLY = f(2, 3)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("out", "kind"),
    [
        ((u(2, 4), f(2, 3)), concord.DimensionMismatchError),
        ((u(2, 3), f(3, 3)), concord.DimensionMismatchError),
        ((u(6), f(2, 3)), concord.DimensionMismatchError),
        ((f(2, 3), f(2, 3)), concord.ArrayTypeError),
        ((u(2, 3), u(2, 3)), concord.ArrayTypeError),
        ((u(2, 3), f(2, 3).astype("f8")), concord.ArrayTypeError),
        ((u(3, 2).T, f(2, 3)), concord.ArrayTypeError),
        ((u(2, 3), READ_ONLY), concord.ArrayTypeError),
        ((u(2, 3),), concord.ArrayTypeError),
        (u(2, 3), concord.ArrayTypeError),
        (([0], [0]), concord.ArrayTypeError),
    ],
)
def test_out_that_does_not_fit(
    index: concord.Index, vectors: Floats, out: Any, kind: type[concord.Error]
) -> None:
    for search in (index.search, index.exact_search):
        with pytest.raises(kind):
            search(vectors[:2], k=3, out=out)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        ([1000, 1001], concord.DimensionMismatchError),
        ([], concord.DimensionMismatchError),
        (1000, concord.DimensionMismatchError),
        ([1000, 1000, 1001], concord.DuplicateLabelError),
        ([1000, 3, 1001], concord.DuplicateLabelError),
        ([1000, 2**64 - 1, 1001], concord.ArrayTypeError),
        (np.array([1000, -1, 1001]), concord.ArrayTypeError),
        (np.array([1000, 1001, 1002], np.float32), concord.ArrayTypeError),
        ([1000, -1, 1001], concord.ArrayTypeError),
        ([1000.0, 1001.0, 1002.0], concord.ArrayTypeError),
        ([1000, 2**64, 1001], concord.ArrayTypeError),
        (["a", "b", "c"], concord.ArrayTypeError),
        ([[1000, 1001, 1002]], concord.ArrayTypeError),
    ],
)
def test_labels_that_do_not_fit(
    index: concord.Index, vectors: Floats, labels: Any, kind: type[concord.Error]
) -> None:
    before = index.digest()
    for same in (vectors[:3] + 1, (vectors[:3] + 1).astype(np.float64)):
        with pytest.raises(kind):
            index.add(same, labels)
    assert index.digest() == before and len(index) == 500
    assert 1000 not in index


def test_numbers_taken_by_labels_are_refused(vectors: Floats) -> None:
    index = concord.Index(16)
    index.add(vectors[:2], labels=[5, 3])
    before = index.digest()
    with pytest.raises(concord.DuplicateLabelError):
        index.add(vectors[:4])  # would be 2, 3, 4, 5
    assert index.digest() == before


@pytest.mark.parametrize("label", [500, -1, 2**64 - 1, 2**80])
def test_unknown_labels(index: concord.Index, label: int) -> None:
    with pytest.raises(KeyError, match=f"no vector has label {label}"):
        index[label]
    with pytest.raises(TypeError):
        index["0"]  # type: ignore[index]


def test_progress_must_be_callable(index: concord.Index, vectors: Floats) -> None:
    with pytest.raises(TypeError, match="progress must be"):
        index.add(vectors, progress="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "refused",
    [
        lambda index: index.search(np.zeros(16, np.float32), k=65536, ef=0),
        lambda index: index.add(np.zeros((1, 2), np.float32)),
    ],
)
def test_an_index_goes_on_after_a_refusal(
    index: concord.Index, vectors: Floats, refused: Callable[[concord.Index], object]
) -> None:
    with pytest.raises(concord.Error):
        refused(index)
    assert index.add(vectors + 1) == 500
    assert index.audit().ok


@pytest.mark.parametrize(
    "call",
    [
        concord.load,
        concord.Index.map,
        concord.Index.open,
        concord.load_faiss,
        lambda path: concord.load_hnswlib(path, 4),
        concord.ShardedIndex.load,
        concord.ShardedIndex.map,
        concord.ShardedIndex.open,
        lambda path: concord.Index(2).save(path / "below"),
    ],
)
def test_a_missing_file_is_caught_as_such(
    call: Callable[[pathlib.Path], object], tmp_path: pathlib.Path
) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        call(tmp_path / "none")
    error = raised.value
    assert isinstance(error, concord.IoError) and isinstance(error, concord.MissingFileError)
    assert error.errno == errno.ENOENT and str(error.filename).startswith(str(tmp_path / "none"))
    assert "none" in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.errno) == (type(error), str(error), error.errno)
    assert copy.filename == error.filename


def test_other_failures_of_the_file_system_are_caught_as_such(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        concord.load(tmp_path / "file" / "below")
    with pytest.raises(NotADirectoryError):
        concord.Index(2).save(tmp_path / "file" / "below")
    with pytest.raises(concord.IoError) as raised:
        concord.load(tmp_path / ("x" * 256))
    assert raised.value.errno == errno.ENAMETOOLONG
    program = f"""
import os, concord
os.setuid(65534)
try:
    concord.load({str(tmp_path / "closed" / "index")!r})
except PermissionError as error:
    assert isinstance(error, concord.AccessError) and error.filename.endswith("index")
    print("caught")
"""
    (tmp_path / "closed").mkdir(mode=0o700)
    if os.getuid() == 0:
        caught = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert caught.stdout == "caught\n", caught.stderr


def test_paths_that_are_not_utf8_are_named_as_python_names_them(tmp_path: pathlib.Path) -> None:
    missing, damaged = (os.fsencode(tmp_path) + b"/" + name for name in (b"\xfe", b"\xff"))
    pathlib.Path(os.fsdecode(damaged)).write_bytes(b"junk")
    with pytest.raises(concord.MissingFileError) as raised:
        concord.load(missing)
    assert raised.value.filename == os.fsdecode(missing) and "\udcfe" in str(raised.value)
    with pytest.raises(concord.CorruptFileError, match="\udcff"):
        concord.load(damaged)


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("cos", "cosine"),
        ("Cosine", "cosine"),
        ("IP", "inner_product"),
        ("L2", "l2sq"),
        ("sqEuclidean", "l2sq"),
    ],
)
def test_names_of_metrics_in_any_case(name: str, metric: str) -> None:
    assert concord.Index(2, name).metric == metric


def test_euclidean_distances_are_not_promised_where_they_are_squared() -> None:
    with pytest.raises(concord.InvalidParameterError, match="squared distances"):
        concord.Index(2, "euclidean")


def test_gpu_is_a_name_of_cuda() -> None:
    if concord.built_with_cuda:
        pytest.skip("there may be a device")
    for name in ("cuda", "gpu", "GPU:0"):
        with pytest.raises(concord.UnsupportedError):
            concord.Index(2, device=name)
    assert concord.Index(2, device="CPU").stats().device.name == "cpu"


def test_a_clash_of_automatic_labels_says_which_to_give(vectors: Floats) -> None:
    index = concord.Index(16)
    index.add(vectors[:3], labels=[1, 2, 3])
    with pytest.raises(concord.DuplicateLabelError, match="automatic labels begin at 3.* from 4"):
        index.add(vectors[3:5])
    index.add(vectors[3:5], labels=[4, 5])


@pytest.mark.parametrize(
    ("module", "missing", "extra"),
    [
        ("concord.sklearn", "joblib", "sklearn"),
        ("concord.sklearn", "sklearn", "sklearn"),
        ("concord.langchain", "langchain_core", "langchain"),
        ("concord.llama_index", "fsspec", "llama-index"),
        ("concord.llama_index", "llama_index", "llama-index"),
        ("concord.umap", "pynndescent", "umap"),
        ("concord.opentsne", "openTSNE", "opentsne"),
        ("concord.haystack", "haystack", "haystack"),
        ("concord.txtai", "txtai", "txtai"),
        ("concord.datasets", "datasets", "datasets"),
        ("progress=True", "tqdm", "progress"),
    ],
)
def test_a_missing_package_names_its_extra(module: str, missing: str, extra: str) -> None:
    use = (
        "concord.Index(1).add([[1]], progress=True)"
        if module.startswith("progress")
        else f"import {module}"
    )
    program = f"""
import sys, concord
for name in [name for name in sys.modules if name.partition(".")[0] == {missing!r}]:
    del sys.modules[name]
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
try:
    {use}
except ImportError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    assert module in said and missing in said
    assert f"pip install 'concord-ann[{extra}]'" in said
