"""The Haystack document store: Haystack's standard suite, and what it does not ask about."""

from __future__ import annotations

import os
import threading
from typing import Any

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

import numpy as np
import pytest
from conftest import package

import concord

# Typed as Any, because type checkers run with the package and without.
haystack: Any = package("haystack")
errors: Any = package("haystack.document_stores.errors")
in_memory: Any = package("haystack.document_stores.in_memory")
core_errors: Any = package("haystack.core.errors")
haystack_errors: Any = package("haystack.errors")
suite: Any = package("haystack.testing.document_store")
Document, Pipeline = haystack.Document, haystack.Pipeline
DuplicatePolicy: Any = package("haystack.document_stores.types").DuplicatePolicy

from concord.haystack import ConcordDocumentStore, ConcordEmbeddingRetriever  # noqa: E402


class TestStandardSuite(
    suite.DocumentStoreBaseExtendedTests,  # type: ignore[misc]
    suite.CountDocumentsByFilterTest,  # type: ignore[misc]
    suite.FilterableDocsFixtureMixin,  # type: ignore[misc]
):
    """All of its tests that a store without pages of metadata can pass."""

    @pytest.fixture
    def document_store(self) -> ConcordDocumentStore:
        return ConcordDocumentStore(device="cpu")

    def test_write_documents(self, document_store: ConcordDocumentStore) -> None:
        """The suite leaves the default policy to the store; ours is to fail."""
        one = Document(content="one")
        assert document_store.write_documents([one]) == 1
        with pytest.raises(errors.DuplicateDocumentError):
            document_store.write_documents([Document(content="two"), one])
        assert document_store.filter_documents() == [one]


def documents(n: int = 60, dim: int = 8) -> list[Any]:
    """Documents of which each tenth has no embedding."""
    vectors = np.random.default_rng(1).normal(size=(n, dim))
    return [
        Document(
            id=str(i),
            content=f"text {i}",
            meta={"i": i, "color": ("red", "green")[i % 2]},
            embedding=None if i % 10 == 9 else vector.tolist(),
        )
        for i, vector in enumerate(vectors)
    ]


def where(field: str, operator: str, value: object) -> dict[str, object]:
    return {"field": field, "operator": operator, "value": value}


@pytest.mark.parametrize(("metric", "theirs"), [("cosine", "cosine"), ("ip", "dot_product")])
def test_retrieval_is_that_of_the_store_in_memory(metric: str, theirs: str) -> None:
    store = ConcordDocumentStore(metric=metric, ef=200, device="cpu")
    exact = in_memory.InMemoryDocumentStore(embedding_similarity_function=theirs, shared=False)
    for one in (store, exact):
        assert one.write_documents(documents()) == 60
    query = documents(61)[60].embedding
    for filters in (None, where("meta.color", "==", "red"), where("meta.i", ">=", 57), {}):
        found = store.embedding_retrieval(query, filters, 50, return_embedding=True)
        expected = exact.embedding_retrieval(
            query, filters=filters, top_k=50, return_embedding=True
        )
        assert [one.id for one in found] == [one.id for one in expected]
        scores: list[Any] = [one.score for one in found]
        np.testing.assert_allclose(scores, [one.score for one in expected], atol=1e-5)
        assert [one.embedding for one in found] == [one.embedding for one in expected]
    assert store.embedding_retrieval(query)[0].embedding is None


def test_scores_of_squared_distances_fall_from_one() -> None:
    store = ConcordDocumentStore(metric="l2", device="cpu")
    store.write_documents(
        [Document(id="a", embedding=[0.0, 0.0]), Document(id="b", embedding=[3.0, 4.0])]
    )
    found = store.embedding_retrieval([0.0, 0.0])
    assert [(one.id, one.score) for one in found] == [("a", 1.0), ("b", 1 / 26)]


def test_what_is_refused_changes_nothing() -> None:
    store = ConcordDocumentStore(device="cpu")
    store.write_documents(documents())
    before = store.filter_documents()
    wrong = [
        Document(id="new"),
        Document(id="3", embedding=[1.0, 2.0]),
    ]
    for policy in (DuplicatePolicy.OVERWRITE, DuplicatePolicy.FAIL, DuplicatePolicy.NONE):
        with pytest.raises((concord.DimensionMismatchError, errors.DuplicateDocumentError)):
            store.write_documents(wrong, policy)
    with pytest.raises(haystack_errors.FilterError):
        store.embedding_retrieval([1.0] * 8, where("meta.i", "~", 3))
    with pytest.raises(TypeError, match="did you mean ef"):
        store.embedding_retrieval([1.0] * 8, efs=3)
    with pytest.raises(concord.InvalidParameterError):
        ConcordDocumentStore(metric="hamming")
    assert store.filter_documents() == before and store.count_documents() == 60


def test_overwriting_takes_and_gives_embeddings() -> None:
    store = ConcordDocumentStore(device="cpu")
    one, other = [1.0, 0.0], [0.0, 1.0]
    store.write_documents([Document(id="a", embedding=one), Document(id="b", embedding=other)])
    again = [Document(id="a"), Document(id="b", embedding=one), Document(id="b", embedding=other)]
    assert store.write_documents(again, DuplicatePolicy.OVERWRITE) == 3
    assert [found.id for found in store.embedding_retrieval(one)] == ["b"]
    assert (
        store.write_documents(
            [Document(id="b"), Document(id="c", embedding=one)], DuplicatePolicy.SKIP
        )
        == 1
    )
    assert [found.id for found in store.embedding_retrieval(one)] == ["c", "b"]
    store.delete_documents(["c", "a", "nobody"])
    assert [found.id for found in store.filter_documents()] == ["b"]
    store.delete_all_documents()
    store.write_documents([Document(id="d", embedding=[1.0, 2.0, 3.0])])  # another dimension
    assert [found.id for found in store.embedding_retrieval([1.0, 2.0, 3.0])] == ["d"]


def test_documents_are_the_stores_own() -> None:
    given = Document(id="a", meta={"n": [1]}, embedding=[1.0, 0.0])
    store = ConcordDocumentStore(device="cpu")
    store.write_documents([given])
    given.meta["n"].append(2)
    store.filter_documents()[0].meta["n"].append(3)
    found: Any = store.embedding_retrieval([1.0, 0.0], return_embedding=True)[0]
    found.meta["n"].append(4)
    found.embedding.append(5.0)
    assert store.filter_documents()[0].meta == {"n": [1]}
    assert store.filter_documents()[0].embedding == [1.0, 0.0]


@pytest.mark.parametrize("policy", ["replace", "merge"])
def test_a_pipeline_runs_and_is_kept_as_text(policy: str) -> None:
    store = ConcordDocumentStore(metric="l2", M=8, device="cpu")
    pipeline = Pipeline()
    pipeline.add_component(
        "retriever",
        ConcordEmbeddingRetriever(
            store, where("meta.color", "==", "red"), top_k=3, filter_policy=policy
        ),
    )
    text = pipeline.dumps()
    with pytest.raises(core_errors.DeserializationError, match="allowlist"):
        Pipeline.loads(text)  # Haystack asks for modules by name
    kept = Pipeline.loads(text, allowed_modules=["concord.haystack"])
    again = kept.get_component("retriever")
    assert again.document_store.to_dict() == store.to_dict()
    assert (again.filters, again.top_k) == (where("meta.color", "==", "red"), 3)
    store.write_documents(documents())
    query = {"query_embedding": documents()[21].embedding}
    near = pipeline.run({"retriever": query})["retriever"]["documents"]
    assert len(near) == 3 and all(one.meta["color"] == "red" for one in near)
    late = {**query, "filters": where("meta.i", ">", 20), "top_k": 50}
    found = pipeline.run({"retriever": late})["retriever"]["documents"]
    colors = {one.meta["color"] for one in found}
    assert colors == ({"red", "green"} if policy == "replace" else {"red"})
    assert {one.meta["i"] > 20 for one in found} == {True}
    with pytest.raises(TypeError, match="ConcordDocumentStore"):
        ConcordEmbeddingRetriever(in_memory.InMemoryDocumentStore())


def test_writers_and_readers_at_once() -> None:
    store = ConcordDocumentStore(device="cpu")
    store.write_documents(documents())
    query = documents()[0].embedding
    wrong = []

    def write(number: int) -> None:
        for round in range(10):
            more = [
                Document(id=f"{number} {round} {i}", content="x", embedding=one.embedding)
                for i, one in enumerate(documents(8))
            ]
            store.write_documents(more)
            store.delete_documents([one.id for one in more])

    def read() -> None:
        for _ in range(30):
            if len(store.embedding_retrieval(query, top_k=20)) != 20:
                wrong.append("short")
            store.filter_documents(where("meta.i", "<", 5))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    threads += [threading.Thread(target=read) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not wrong and store.count_documents() == 60
    assert [one.id for one in store.filter_documents()] == [str(i) for i in range(60)]
