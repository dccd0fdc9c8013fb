"""The LangChain store: LangChain's standard suite, and what it does not ask about."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import VectorStoreIntegrationTests

import concord
from concord.langchain import ConcordVectorStore

EMBEDDING = DeterministicFakeEmbedding(size=6)


class TestStandardSuite(VectorStoreIntegrationTests):
    """All of its tests, synchronous and asynchronous."""

    @pytest.fixture
    def vectorstore(self) -> VectorStore:
        return ConcordVectorStore(self.get_embeddings(), device="cpu")


@pytest.mark.usefixtures("stores_on_shards")
class TestStandardSuiteOnShards(TestStandardSuite):
    """The same, with a ShardedIndex in the place of the store's Index."""


class Plane(Embeddings):
    """A text is two numbers, which are its embedding."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(number) for number in text.split()]


def grid(**parameters: Any) -> ConcordVectorStore:
    """100 documents on a grid."""
    return ConcordVectorStore.from_texts(
        [f"{i % 10} {i // 10}" for i in range(100)],
        Plane(),
        [{"i": i, "even": i % 2 == 0} for i in range(100)],
        ids=[str(i) for i in range(100)],
        metric="l2",
        **parameters,
    )


def ids(documents: list[Document]) -> list[str]:
    return [str(document.id) for document in documents]


def test_scores_are_distances_and_relevance_is_one_at_home() -> None:
    store = grid()
    found = store.similarity_search_with_score("3 4", k=5)
    assert ids([document for document, _ in found]) == ["43", "33", "42", "44", "53"]
    assert [score for _, score in found] == [0, 1, 1, 1, 1]
    for metric in ("cosine", "ip", "l2"):
        texts = ["1 0", "0 1", "0.8 0.6"]
        store = ConcordVectorStore.from_texts(texts, Plane(), metric=metric)
        relevant = store.similarity_search_with_relevance_scores("1 0", k=3)
        assert [document.page_content for document, _ in relevant] == ["1 0", "0.8 0.6", "0 1"]
        scores = [score for _, score in relevant]
        expected = [1, 1 - 0.4**0.5 / 2**0.5, 0] if metric == "l2" else [1, 0.8, 0]
        np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_filters_and_deletions_never_shorten_the_answer() -> None:
    store = grid()
    even = store.similarity_search("3 4", k=50, filter=lambda document: document.metadata["even"])
    assert sorted(map(int, ids(even))) == list(range(0, 100, 2))
    retriever = store.as_retriever(
        search_kwargs={"k": 1, "filter": lambda document: document.metadata["i"] > 90}
    )
    assert ids(retriever.invoke("3 4")) == ["93"]
    store.delete([str(i) for i in range(90)])
    assert len(store) == 10
    assert ids(store.similarity_search("3 4", k=10))[0] == "93"
    assert len(store.similarity_search("3 4", k=100)) == 10
    store.add_texts(["3 3"], ids=["93"])
    assert ids(store.similarity_search("3 4", k=1)) == ["93"] and len(store) == 10
    assert store.store.index is not None and len(store.store.index) == 10  # the others are removed
    assert store.get_by_ids(["93"])[0].metadata == {}
    store.delete()
    assert store.similarity_search("3 4") == [] and len(store) == 0


def test_a_filter_is_asked_once_about_each_document() -> None:
    store = grid()
    asked: list[str] = []

    def is_wanted(document: Document) -> bool:
        asked.append(str(document.id))
        return document.id == "5"

    assert ids(store.similarity_search("3 4", k=7, filter=is_wanted)) == ["5"]
    assert sorted(map(int, asked)) == list(range(100))


def test_marginal_relevance_prefers_what_is_unlike() -> None:
    store = ConcordVectorStore.from_texts(["1 0", "1 0.01", "1 0.02", "0 1"], Plane())
    near = store.max_marginal_relevance_search("1 0", k=2, lambda_mult=1)
    unlike = store.max_marginal_relevance_search("1 0", k=2, lambda_mult=0)
    assert [document.page_content for document in near] == ["1 0", "1 0.01"]
    assert [document.page_content for document in unlike] == ["1 0", "0 1"]
    assert ConcordVectorStore(Plane()).max_marginal_relevance_search("1 0") == []


def test_documents_are_the_stores_own() -> None:
    given = {"n": 1}
    store = ConcordVectorStore.from_texts(["1 0"], Plane(), [given], ids=["a"])
    given["n"] = 2
    store.similarity_search("1 0")[0].metadata["n"] = 3
    store.get_by_ids(["a"])[0].metadata["n"] = 4
    assert store.get_by_ids(["a"])[0].metadata == {"n": 1}


def test_codes_are_those_of_the_index(tmp_path: pathlib.Path) -> None:
    store = grid(codes="sq8")
    assert store.store.index is not None and store.store.index.codes == "sq8"
    found = store.similarity_search_with_score("3 4", k=5)
    assert ids([document for document, _ in found]) == ["43", "33", "42", "44", "53"]
    assert [score for _, score in found] == [0, 1, 1, 1, 1]
    store.save(tmp_path / "store")
    loaded, plain = ConcordVectorStore.load(tmp_path / "store", Plane()), grid()
    assert loaded.store.index is not None and plain.store.index is not None
    assert loaded.store.index.digest() == store.store.index.digest() != plain.store.index.digest()
    with pytest.raises(concord.InvalidParameterError, match="codes"):
        ConcordVectorStore(Plane(), codes="pq")


def test_what_is_refused_changes_nothing() -> None:
    store = grid()
    with pytest.raises(ValueError, match="2 texts came with 1 metadatas"):
        store.add_texts(["1 1", "2 2"], [{}])
    with pytest.raises(ValueError, match="1 ids"):
        store.add_texts(["1 1", "2 2"], ids=["x"])
    with pytest.raises(concord.DimensionMismatchError):
        store.add_texts(["1 1 1"])
    with pytest.raises(concord.InvalidVectorError):
        store.add_texts(["nan 1"], ids=["3"])
    with pytest.raises(concord.InvalidParameterError):
        ConcordVectorStore(Plane(), metric="hamming")
    assert len(store) == 100 and "3" in ids(store.similarity_search("3 0", k=1))


def test_save_and_load(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "store"
    store = grid()
    store.delete(["43"])
    store.save(path)
    loaded = ConcordVectorStore.load(path, Plane())
    for query in ("3 4", "9.2 0.1"):
        expected = store.similarity_search_with_score(query, k=20)
        assert loaded.similarity_search_with_score(query, k=20) == expected
    loaded.add_texts(["3 4"], ids=["new"])
    assert ids(loaded.similarity_search("3 4", k=1)) == ["new"]
    before = path.read_bytes()
    store.add_documents([Document(page_content="1 1", metadata={"not JSON": object()})])
    with pytest.raises(TypeError):
        store.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    path.write_bytes(before[:100])
    with pytest.raises(concord.CorruptFileError):
        ConcordVectorStore.load(path, Plane())


def test_ids_are_strings() -> None:
    with pytest.raises(TypeError, match="key 0 is 7, int; keys are strings"):
        ConcordVectorStore.from_texts(["1 0", "0 1"], Plane(), ids=[7, 8])  # type: ignore[list-item]
    store = ConcordVectorStore.from_texts(["1 0", "0 1"], Plane(), ids=["7", "8"])
    assert [document.id for document in store.get_by_ids(["7"])] == ["7"]
    assert len(store.max_marginal_relevance_search("1 0", k=2)) == 2


class Counting(Plane):
    calls = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.calls += 1
        return super().embed_documents(texts)


@pytest.mark.parametrize(
    ("texts", "metadatas", "kind"),
    [
        (["1 0", "0 1"], [{}, None], TypeError),
        (["1 0", "0 1"], [{}, {1: 2}], TypeError),
        (["1 0", 3], [{}, {}], ValueError),
        (["1 0", None], None, ValueError),
    ],
)
def test_an_addition_happens_wholly_or_not(texts: Any, metadatas: Any, kind: type) -> None:
    embedding = Counting()
    store = ConcordVectorStore.from_texts(["0 1"], embedding, ids=["k"])
    with pytest.raises(kind):
        store.add_texts(texts, metadatas, ids=["k", "new"])
    ((document, distance),) = store.similarity_search_with_score("0 1", k=5)
    assert (document.page_content, document.id) == ("0 1", "k") and distance < 1e-6
    assert embedding.calls == 1  # refused before the embedding works, which may cost money


def test_filters_may_be_dictionaries() -> None:
    store = grid()
    even = store.similarity_search("3 4", k=50, filter={"even": True})
    assert sorted(map(int, ids(even))) == list(range(0, 100, 2))
    found = store.similarity_search("3 4", k=2, filter={"i": {"$gte": 40, "$lt": 44}})
    assert ids(found) == ["43", "42"]
    retriever = store.as_retriever(search_kwargs={"k": 1, "filter": {"i": {"$gt": 90}}})
    assert ids(retriever.invoke("3 4")) == ["93"]
    found = store.max_marginal_relevance_search("3 4", k=3, filter={"even": False})
    assert all(int(i) % 2 for i in ids(found))
    assert (
        len(store.similarity_search_with_relevance_scores("3 4", k=3, filter={"even": True})) == 3
    )


def test_keywords_that_no_method_knows_are_refused() -> None:
    store = grid()
    assert ids(store.similarity_search("3 4", k=1, ef=200, slack=0.5)) == ["43"]
    for call in (
        lambda: store.similarity_search("3 4", where={}),
        lambda: store.similarity_search("3 4", score_threshold=0.5),
        lambda: store.max_marginal_relevance_search("3 4", progress=True),
        lambda: store.add_texts(["1 1"], progress=True),
        lambda: store.delete(["1"], force=True),
        lambda: ConcordVectorStore(Plane(), efc=1),  # type: ignore[call-arg]
        lambda: ConcordVectorStore.from_texts(["1 1"], Plane(), efc=1),
    ):
        with pytest.raises(TypeError, match="keyword"):
            call()
    with pytest.raises(TypeError, match="did you mean filter"):
        store.similarity_search("3 4", filters={})
    assert len(store) == 100
    above = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.99, "k": 9}
    )
    assert ids(above.invoke("3 4")) == ["43"]


def test_a_store_is_pickled_and_copied() -> None:
    store = grid()
    for other in (pickle.loads(pickle.dumps(store)), copy.deepcopy(store)):
        assert ids(other.similarity_search("3 4", k=3)) == ids(store.similarity_search("3 4", k=3))
        other.delete()
        assert len(store) == 100 and "100 documents" in repr(store)


def test_a_file_made_with_a_device_is_loaded_without_it(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "store"
    grid().save(path)
    with zipfile.ZipFile(path) as archive:
        parameters = json.loads(archive.read("content.json"))["parameters"]
    assert not {"device", "threads"} & set(parameters)
    loaded = ConcordVectorStore.load(path, Plane(), threads=1, device="cpu")
    assert loaded.store.index is not None
    assert (loaded.store.index.threads, loaded.store.index.device) == (1, "cpu")
    assert concord.Store.load(path)["43"].metadata == {"i": 43, "even": False}


def test_a_saved_file_has_the_mode_of_a_plain_one(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "store"
    old = os.umask(0o022)
    try:
        grid().save(path)
        assert path.stat().st_mode & 0o777 == 0o644
        path.chmod(0o664)
        grid().save(path)
        assert path.stat().st_mode & 0o777 == 0o664
    finally:
        os.umask(old)


async def test_asynchronous_construction() -> None:
    store = await ConcordVectorStore.afrom_texts(["one", "two"], EMBEDDING, ids=["1", "2"])
    assert ids(await store.asimilarity_search("two", k=1)) == ["2"]
    assert await store.adelete(["2"])
    assert ids(await store.amax_marginal_relevance_search("two", k=2)) == ["1"]


class ForQueries(Plane):
    """Embeds no documents."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise AssertionError("their vectors are known")


def test_texts_whose_vectors_are_known() -> None:
    known = (("east", [1.0, 0.0]), ("north", [0.0, 1.0]))
    store = ConcordVectorStore.from_embeddings(
        iter(known), ForQueries(), [{"n": 1}, {"n": 2}], ["a", "b"], metric="l2", device="cpu"
    )
    assert store.store.metric == "l2sq"
    assert ids(store.similarity_search("0 1", k=2)) == ["b", "a"]
    assert ids(store.similarity_search("0 1", k=2, filter={"n": {"$lt": 2}})) == ["a"]
    assert len(ConcordVectorStore.from_embeddings([], ForQueries())) == 0
    with pytest.raises(ValueError, match="2 texts came with 1 ids"):
        ConcordVectorStore.from_embeddings(known, ForQueries(), ids=["a"])


def test_relevance_of_a_vector_is_that_of_its_text() -> None:
    store = grid()
    found = store.similarity_search_by_vector_with_relevance_scores([3.0, 4.0], k=5, ef=200)
    assert found == store.similarity_search_with_relevance_scores("3 4", k=5)
    assert found[0][1] == 1 and found[0][0].id == "43"
    store = ConcordVectorStore.from_texts(["1 0", "0 1", "-1 0"], Plane())
    scores = [one[1] for one in store.similarity_search_by_vector_with_relevance_scores([1.0, 0.0])]
    np.testing.assert_allclose(scores, [1, 0, -1], atol=1e-6)


def test_save_local_and_load_local(tmp_path: pathlib.Path) -> None:
    store, folder = grid(), tmp_path / "new" / "folder"
    store.save_local(folder)
    store.delete(["43"])
    store.save_local(str(folder), "other")
    for name, nearest in (("index", "43"), ("other", "33")):
        loaded = ConcordVectorStore.load_local(folder, Plane(), name, device="cpu")
        assert ids(loaded.similarity_search("3 4", k=1)) == [nearest]
    assert sorted(path.name for path in folder.iterdir()) == ["index.concord", "other.concord"]
    ConcordVectorStore.load_local(str(folder), Plane(), allow_dangerous_deserialization=True)
    with pytest.raises(FileNotFoundError):
        ConcordVectorStore.load_local(folder, Plane(), "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(concord.IoError):
        store.save_local(tmp_path / "file")
