"""The LlamaIndex store: alone, and under VectorStoreIndex. LlamaIndex publishes no standard suite."""

from __future__ import annotations

import copy
import json
import pathlib
import pickle
import zipfile
from typing import Any

import fsspec  # type: ignore[import-untyped]
import numpy as np
import pytest
from llama_index.core import (
    MockEmbedding,
    StorageContext,
    VectorStoreIndex,
    load_index_from_storage,
)
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.storage.docstore.utils import doc_to_json
from llama_index.core.vector_stores.simple import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

import concord
from concord.llama_index import ConcordVectorStore


def make_nodes(n: int = 60, dim: int = 8) -> list[TextNode]:
    """Three documents of 20 nodes each, with metadata."""
    vectors = np.random.default_rng(1).normal(size=(n, dim))
    return [
        TextNode(
            id_=f"node {i}",
            text=f"text {i}",
            embedding=vector.tolist(),
            metadata={"i": i, "colour": ("red", "green")[i % 2], "tags": [str(i % 3), "all"]},
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"document {i // 20}")},
        )
        for i, vector in enumerate(vectors)
    ]


def make_store(codes: str = "none") -> ConcordVectorStore:
    store = ConcordVectorStore(codes=codes, device="cpu")
    assert store.add(make_nodes()) == [f"node {i}" for i in range(60)]
    return store


def where(*filters: Any, condition: FilterCondition = FilterCondition.AND) -> MetadataFilters:
    return MetadataFilters(
        filters=[
            part
            if isinstance(part, MetadataFilters)
            else MetadataFilter(key=part[0], operator=part[1], value=part[2])
            for part in filters
        ],
        condition=condition,
    )


def ask(store: Any, k: int = 5, query: int = 7, **more: Any) -> Any:
    embedding = make_nodes()[query].get_embedding()
    return store.query(VectorStoreQuery(query_embedding=embedding, similarity_top_k=k, **more))


CONDITIONS = {
    "equal": where(("colour", FilterOperator.EQ, "red")),
    "unequal": where(("colour", FilterOperator.NE, "red")),
    "range": where(("i", FilterOperator.GTE, 10), ("i", FilterOperator.LT, 13)),
    "in": where(("i", FilterOperator.IN, [1, 2, 3])),
    "not in": where(("i", FilterOperator.NIN, list(range(50)))),
    "contains": where(("tags", FilterOperator.CONTAINS, "2")),
    "or": where(
        ("i", FilterOperator.EQ, 5), ("i", FilterOperator.GT, 57), condition=FilterCondition.OR
    ),
    "not": where(("i", FilterOperator.LT, 55), condition=FilterCondition.NOT),
    "no such key": where(("size", FilterOperator.EQ, 1)),
    "of a document": where(("ref_doc_id", FilterOperator.EQ, "document 2")),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_filters_are_those_of_the_simple_store(name: str) -> None:
    simple = SimpleVectorStore()
    simple.add(make_nodes())
    store = make_store()
    for query in (7, 30):
        found = ask(store, 8, query, filters=CONDITIONS[name])
        expected = ask(simple, 8, query, filters=CONDITIONS[name])
        assert found.ids == expected.ids
        np.testing.assert_allclose(found.similarities, expected.similarities, atol=1e-6)
    passing = {node.node_id for node in store.get_nodes(filters=CONDITIONS[name])}
    assert set(ask(store, 60, filters=CONDITIONS[name]).ids) == passing
    store.delete_nodes(filters=CONDITIONS[name])
    assert set(ask(store, 60).ids) == {f"node {i}" for i in range(60)} - passing


@pytest.mark.usefixtures("stores_on_shards")
def test_works_on_shards() -> None:
    for name in CONDITIONS:
        test_filters_are_those_of_the_simple_store(name)
    test_deletions()
    store = make_store()
    assert isinstance(store.client, concord.ShardedIndex)


def test_nested_filters() -> None:
    nested = where(
        CONDITIONS["in"],
        where(("colour", FilterOperator.EQ, "red"), ("i", FilterOperator.EQ, 58)),
        condition=FilterCondition.OR,
    )
    assert set(ask(make_store(), 60, filters=nested).ids) == {
        "node 1",
        "node 2",
        "node 3",
        "node 58",
    }


def test_queries_within_ids_and_documents() -> None:
    store = make_store()
    assert ask(store, 1).ids == ["node 7"]
    assert set(ask(store, 9, node_ids=["node 3", "node 50", "none"]).ids) == {"node 3", "node 50"}
    found = ask(store, 30, doc_ids=["document 2"])
    assert {node.ref_doc_id for node in found.nodes} == {"document 2"} and len(found.ids) == 20
    assert found.nodes[0].get_content() == f"text {found.ids[0][5:]}"
    assert ask(ConcordVectorStore(), 3).ids == []
    with pytest.raises(ValueError, match="allowed are DEFAULT and MMR"):
        ask(store, mode=VectorStoreQueryMode.HYBRID)
    with pytest.raises(ValueError, match="no embedding"):
        store.query(VectorStoreQuery(query_str="text"))


def test_deletions() -> None:
    store = make_store()
    store.delete("document 0")
    store.delete("no such document")
    assert set(ask(store, 60).ids) == {f"node {i}" for i in range(20, 60)}
    store.delete_nodes(["node 20", "no such node"])
    assert store.get_nodes(["node 20"]) == []
    assert len(ask(store, 60).ids) == 39
    node = make_nodes()[30]
    node.text = "another"
    store.add([node])
    assert (
        len(ask(store, 60).ids) == 39 and store.get_nodes(["node 30"])[0].get_content() == "another"
    )
    assert store.client is not None and len(store.client) == 39  # no others
    store.clear()
    assert store.client is None and ask(store).ids == []


def test_marginal_relevance() -> None:
    store = ConcordVectorStore()
    vectors = [[1, 0], [1, 0.01], [1, 0.02], [0.5, 1]]
    store.add([TextNode(id_=str(i), embedding=vector) for i, vector in enumerate(vectors)])
    for threshold, expected in ((1.0, ["0", "1"]), (0.2, ["0", "3"])):
        query = VectorStoreQuery(
            query_embedding=[1, 0],
            similarity_top_k=2,
            mode=VectorStoreQueryMode.MMR,
            mmr_threshold=threshold,
        )
        assert store.query(query).ids == expected
        query.mmr_threshold = None
        assert store.query(query, mmr_threshold=threshold).ids == expected


def test_nodes_are_the_stores_own() -> None:
    store, nodes = ConcordVectorStore(), make_nodes()[:1]
    store.add(nodes)
    nodes[0].metadata["i"] = "changed"
    ask(store).nodes[0].metadata["i"] = "changed"
    store.get_nodes()[0].metadata["i"] = "changed"
    assert store.get_nodes()[0].metadata["i"] == 0
    assert nodes[0].embedding is not None


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_similarities(metric: str) -> None:
    store = ConcordVectorStore(metric=metric)
    store.add([TextNode(id_="a", embedding=[1, 0]), TextNode(id_="b", embedding=[0, 1])])
    found = store.query(VectorStoreQuery(query_embedding=[1, 0], similarity_top_k=2))
    assert found.ids == ["a", "b"]
    np.testing.assert_allclose(
        found.similarities or [], [1, 1 / 3 if metric == "l2" else 0], atol=1e-6
    )


@pytest.mark.parametrize("codes", ["none", "sq8"])
def test_persist(codes: str, tmp_path: pathlib.Path) -> None:
    store = make_store(codes)
    store.delete("document 1")
    path = str(tmp_path / "folder" / "store")
    store.persist(path)
    loaded = ConcordVectorStore.from_persist_path(path)
    assert loaded.client is not None and loaded.client.codes == codes
    found, expected = ask(loaded, 40), ask(store, 40)
    assert (found.ids, found.similarities) == (expected.ids, expected.similarities)
    assert found.nodes == expected.nodes
    pathlib.Path(path).write_bytes(b"{}")
    with pytest.raises(concord.CorruptFileError):
        ConcordVectorStore.from_persist_path(path)


async def test_under_a_vector_store_index(tmp_path: pathlib.Path) -> None:
    embedding = MockEmbedding(embed_dim=8)
    context = StorageContext.from_defaults(vector_store=ConcordVectorStore())
    index = VectorStoreIndex(make_nodes(), storage_context=context, embed_model=embedding)
    retriever = index.as_retriever(similarity_top_k=3, filters=CONDITIONS["of a document"])
    found = retriever.retrieve("anything")
    assert len(found) == 3 and {one.node.ref_doc_id for one in found} == {"document 2"}
    assert len(await retriever.aretrieve("anything")) == 3
    index.delete_ref_doc("document 2")
    assert retriever.retrieve("anything") == []
    context.persist(str(tmp_path))
    context = StorageContext.from_defaults(
        persist_dir=str(tmp_path),
        vector_store=ConcordVectorStore.from_persist_dir(str(tmp_path)),
    )
    again = load_index_from_storage(context, embed_model=embedding)
    assert len(again.as_retriever(similarity_top_k=50).retrieve("anything")) == 40


def test_persist_that_fails_leaves_the_store_that_was_there(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "store"
    make_store().persist(str(path))
    before = path.read_bytes()
    bad = ConcordVectorStore()
    bad.add([TextNode(id_="b", embedding=[0, 1], metadata={"when": object()})])
    with pytest.raises(TypeError):
        bad.persist(str(path))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    assert len(ConcordVectorStore.from_persist_path(str(path)).get_nodes()) == 60
    with pytest.raises(FileNotFoundError) as raised:
        ConcordVectorStore.from_persist_path(str(tmp_path / "none"))
    assert isinstance(raised.value, concord.IoError)


def test_other_file_systems(tmp_path: pathlib.Path) -> None:
    memory = fsspec.filesystem("memory")
    store = make_store()
    store.persist("/folder/store", memory)
    before = memory.cat_file("/folder/store")
    loaded = ConcordVectorStore.from_persist_path("/folder/store", memory, threads=1, device="cpu")
    assert loaded.client is not None and loaded.client.threads == 1
    assert ask(loaded).ids == ask(store).ids
    store.add([TextNode(id_="b", embedding=[1.0] * 8, metadata={"when": object()})])
    with pytest.raises(TypeError):
        store.persist("/folder/store", memory)
    assert memory.cat_file("/folder/store") == before
    memory.rm("/folder", recursive=True)
    make_store().persist(f"file://{tmp_path}/store")
    assert (tmp_path / "store").exists()


def test_an_addition_happens_wholly_or_not() -> None:
    store = make_store()
    nodes = make_nodes()[:3]
    for node in nodes:
        node.text = "another"
    nodes[2].embedding = None
    with pytest.raises(ValueError, match="embedding"):
        store.add(nodes)
    nodes[2].embedding = [1.0]
    with pytest.raises(concord.Error):
        store.add(nodes)
    assert {node.get_content() for node in store.get_nodes()} == {f"text {i}" for i in range(60)}


def test_a_store_is_pickled_and_copied() -> None:
    store = make_store()
    for other in (pickle.loads(pickle.dumps(store)), copy.deepcopy(store)):
        assert ask(other).ids == ask(store).ids and ask(other).nodes == ask(store).nodes
        other.clear()
        assert len(store.get_nodes()) == 60


def test_keywords_that_no_method_knows_are_refused() -> None:
    store = make_store()
    query = VectorStoreQuery(query_embedding=make_nodes()[7].get_embedding(), similarity_top_k=1)
    assert store.query(query, ef=200, slack=0.5).ids == ["node 7"]
    for call in (
        lambda: store.query(query, eff=200),
        lambda: store.add([], batch=3),
        lambda: store.delete("document 0", force=True),
        lambda: store.delete_nodes(["node 1"], force=True),
        lambda: ConcordVectorStore(efc=1),  # type: ignore[call-arg]
    ):
        with pytest.raises(TypeError, match="keyword"):
            call()
    assert len(store.get_nodes()) == 60


def test_files_of_version_1_are_read(tmp_path: pathlib.Path) -> None:
    nodes = make_nodes()
    index = concord.Index(8, "cosine")
    index.add([node.get_embedding() for node in nodes])
    with zipfile.ZipFile(tmp_path / "store", "w") as archive:
        saved = {
            "keys": [(i, node.node_id) for i, node in enumerate(nodes)],
            "ef": 64,
            "parameters": {"metric": "cosine", "device": "cuda"},
            "content": [doc_to_json(node.model_copy(update={"embedding": None})) for node in nodes],
        }
        archive.writestr("content.json", json.dumps(saved))
        archive.writestr("vectors.concord", index.to_bytes())
    loaded = ConcordVectorStore.from_persist_path(str(tmp_path / "store"))
    assert ask(loaded).nodes == ask(make_store()).nodes
