"""Any sequence of calls equals a model in numpy that knows nothing of graphs."""

from __future__ import annotations

import io
import pickle
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import concord

# Small integers: every distance is exact in float32, and equal distances are common.
ELEMENTS = st.integers(-5, 5)
TYPES = ["f4", "f8", "f2", "i1"]


def matrices(dim: int, most: int = 30) -> st.SearchStrategy[npt.NDArray[Any]]:
    return st.sampled_from(TYPES).flatmap(
        lambda dtype: hnp.arrays(
            dtype, st.tuples(st.integers(0, most), st.just(dim)), elements=ELEMENTS
        )
    )


LAYOUTS = st.sampled_from(
    [
        lambda x: x,
        np.asfortranarray,
        lambda x: x[::-1].copy()[::-1],
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: np.concatenate([x, x], axis=1)[:, : x.shape[1]],
    ]
)


class Model:
    """Vectors and labels in order; the nearest by sorting all distances."""

    def __init__(self, dim: int, metric: str) -> None:
        self.metric = metric
        self.vectors = np.empty((0, dim), np.float64)
        self.labels: list[int] = []

    def add(self, vectors: npt.NDArray[Any], labels: list[int]) -> None:
        self.vectors = np.concatenate([self.vectors, vectors.astype(np.float64)])
        self.labels += labels

    def remove(self, labels: list[int]) -> None:
        self.vectors = self.vectors[[label not in labels for label in self.labels]]
        self.labels = [label for label in self.labels if label not in labels]

    def nearest(self, query: npt.NDArray[Any], k: int) -> tuple[list[int], list[float]]:
        query = query.astype(np.float64)
        if self.metric == "l2sq":
            distances = ((self.vectors - query) ** 2).sum(axis=1)
        else:
            distances = 1 - self.vectors @ query
        order = np.argsort(distances, kind="stable")[:k]
        return [self.labels[i] for i in order], distances[order].tolist()


class AnySequence(RuleBasedStateMachine):
    @initialize(
        dim=st.integers(1, 20),
        metric=st.sampled_from(["l2sq", "ip"]),
        M=st.integers(2, 8),
        ef_construction=st.integers(1, 30),
        epoch_limit=st.sampled_from([1, 5, 64]),
        codes=st.sampled_from(["none", "sq8", "sq4"]),
        threads=st.integers(1, 3),
    )
    def start(self, dim: int, metric: str, **arguments: Any) -> None:
        self.index = concord.Index(dim, metric, device="cpu", **arguments)
        self.arguments = arguments
        self.model = Model(dim, metric)
        self.inserted = 0
        self.history: list[tuple[str, tuple[Any, ...]]] = []

    @rule(data=st.data(), layout=LAYOUTS, with_labels=st.booleans())
    def add(self, data: st.DataObject, layout: Any, with_labels: bool) -> None:
        vectors = data.draw(matrices(self.index.dim))
        n = len(vectors)
        labels = [*range(self.inserted, self.inserted + n)]
        if with_labels:
            fresh = st.integers(0, 2**64 - 2).filter(lambda x: x not in self.model.labels)
            labels = data.draw(st.lists(fresh, min_size=n, max_size=n, unique=True))
        if set(labels) & set(self.model.labels):
            with pytest.raises(concord.DuplicateLabelError):
                self.index.add(layout(vectors), labels if with_labels else None)
        else:
            assert self.index.add(layout(vectors), labels if with_labels else None) == n
            self.model.add(vectors, labels)
            self.inserted += n
            self.history.append(("add", (vectors, labels)))

    def some_labels(self, data: st.DataObject, most: int) -> list[int]:
        if not self.model.labels:
            return []
        known = st.sampled_from(self.model.labels)
        return data.draw(st.lists(known, max_size=most, unique=True))

    @rule(data=st.data(), as_array=st.booleans())
    def remove(self, data: st.DataObject, as_array: bool) -> None:
        labels = self.some_labels(data, 40)
        assert self.index.remove(np.array(labels, np.uint64) if as_array else labels) == len(labels)
        self.model.remove(labels)
        self.history.append(("remove", (labels,)))

    @rule(data=st.data(), layout=LAYOUTS, with_new=st.booleans())
    def replace(self, data: st.DataObject, layout: Any, with_new: bool) -> None:
        labels = self.some_labels(data, 10)
        if with_new:
            fresh = st.integers(0, 2**64 - 2).filter(lambda x: x not in self.model.labels)
            labels += data.draw(st.lists(fresh, max_size=5, unique=True))
        shape = (len(labels), self.index.dim)
        vectors = data.draw(hnp.arrays(data.draw(st.sampled_from(TYPES)), shape, elements=ELEMENTS))
        name = "upsert" if with_new else "update"
        assert getattr(self.index, name)(layout(vectors), labels) == len(labels)
        self.model.remove(labels)
        self.model.add(vectors, labels)
        self.inserted += len(labels)
        self.history.append((name, (vectors, labels)))

    @rule()
    def flush(self) -> None:
        self.index.flush()
        self.history.append(("flush", ()))

    @rule(data=st.data())
    def remove_what_is_refused(self, data: st.DataObject) -> None:
        labels = self.some_labels(data, 10)
        unknown = next(label for label in range(2**20) if label not in self.model.labels)
        before = self.index.digest()
        with pytest.raises(concord.UnknownLabelError):
            self.index.remove([*labels, unknown])
        if labels:
            with pytest.raises(concord.DuplicateLabelError):
                self.index.remove([*labels, labels[0]])
        assert self.index.digest() == before

    @rule(data=st.data())
    def add_what_is_refused(self, data: st.DataObject) -> None:
        vectors = data.draw(matrices(self.index.dim)).astype(np.float32)
        before = self.index.digest()
        for bad in (
            np.concatenate([vectors, np.full((1, self.index.dim), np.nan, np.float32)]),
            np.zeros((len(vectors) + 1, self.index.dim + 1), np.float32),
            np.zeros((len(vectors), self.index.dim), np.int64),
        ):
            with pytest.raises(concord.Error):
                self.index.add(bad)
        with pytest.raises(concord.Error):
            self.index.add(vectors, [0] * (len(vectors) + 2))
        assert self.index.digest() == before

    @rule(data=st.data(), k=st.integers(0, 40), layout=LAYOUTS)
    def exact_search_equals_sorting(self, data: st.DataObject, k: int, layout: Any) -> None:
        queries = data.draw(matrices(self.index.dim, 5))
        labels, distances = self.index.exact_search(layout(queries), k)
        for q, query in enumerate(queries):
            expected = self.model.nearest(query, k)
            found = len(expected[0])
            assert labels[q, :found].tolist() == expected[0]
            assert distances[q, :found].tolist() == expected[1]
            assert (labels[q, found:].astype(np.int64) == concord.NO_LABEL).all()
            assert np.isinf(distances[q, found:]).all()

    @rule(data=st.data(), k=st.integers(0, 40), ef=st.integers(1, 40), layout=LAYOUTS)
    def search_is_sound(self, data: st.DataObject, k: int, ef: int, layout: Any) -> None:
        queries = data.draw(matrices(self.index.dim, 5))
        labels, distances = self.index.search(layout(queries), k, ef, rescore=40)  # all of the list
        assert labels.shape == distances.shape == (len(queries), k)
        whole = max(k, ef) >= len(self.model.labels)  # the candidates are all vectors
        for q, query in enumerate(queries):
            found = labels[q][labels[q].astype(np.int64) != concord.NO_LABEL].tolist()
            assert len(found) == len(set(found)) == min(k, len(self.model.labels))
            every = dict(zip(*self.model.nearest(query, len(self.model.labels)), strict=True))
            assert [every[label] for label in found] == distances[q, : len(found)].tolist()
            assert sorted(distances[q].tolist()) == distances[q].tolist()
            if whole:
                assert found == self.model.nearest(query, k)[0]

    @rule(how=st.sampled_from(["file", "pickle"]))
    def save_and_load(self, how: str) -> None:
        before = self.index.digest()
        if how == "file":
            file = io.BytesIO()
            self.index.save(file)
            file.seek(0)
            self.index = concord.load(file, threads=2, device="cpu")
        else:
            self.index = pickle.loads(pickle.dumps(self.index))
        assert self.index.digest() == before

    @rule(threads=st.integers(1, 3))
    def change_threads(self, threads: int) -> None:
        self.index.threads = threads

    @rule()
    def the_same_operations_give_the_same_bytes(self) -> None:
        fresh = concord.Index(self.index.dim, self.index.metric, device="cpu", **self.arguments)
        if all(name in ("add", "flush") for name, _ in self.history):
            fresh.add(self.model.vectors, self.model.labels)  # in one call
        else:
            for name, arguments in self.history:
                getattr(fresh, name)(*arguments)
        assert fresh.digest() == self.index.digest()

    @invariant()
    def content_is_that_of_the_model(self) -> None:
        if not hasattr(self, "index"):
            return
        assert len(self.index) == len(self.model.labels)
        assert self.index.labels().tolist() == list(self.index) == self.model.labels
        for i in range(0, len(self.model.labels), 7):
            assert self.model.labels[i] in self.index
            assert self.index[self.model.labels[i]].tolist() == self.model.vectors[i].tolist()
        assert self.index.audit().ok


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=40, stateful_step_count=20)


@given(
    vectors=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 60), st.integers(1, 9)),
        elements=st.floats(-1e3, 1e3, width=32),
    ),
    k=st.integers(1, 5),
)
def test_cosine_agrees_with_double_precision(vectors: npt.NDArray[np.float32], k: int) -> None:
    index = concord.Index(vectors.shape[1], "cosine", threads=1, device="cpu")
    index.add(vectors)
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    unit = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    expected = np.sort(1 - unit @ unit[0])[:k]
    _, distances = index.exact_search(vectors[0], k=min(k, len(vectors)))
    np.testing.assert_allclose(distances, expected, atol=1e-5)
