"""A LlamaIndex vector store. Needs ``concord-ann[llama-index]``.

Nodes are in memory, their vectors in an index. Many threads may use a store; additions and deletions
wait for one another, searches wait for none. The asynchronous methods are LlamaIndex's own, which call
these.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import fsspec  # type: ignore[import-untyped]
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.indices.query.embedding_utils import get_top_k_mmr_embeddings
from llama_index.core.schema import BaseNode
from llama_index.core.storage.docstore.utils import doc_to_json, json_to_doc
from llama_index.core.vector_stores.simple import DEFAULT_VECTOR_STORE, NAMESPACE_SEP
from llama_index.core.vector_stores.types import (
    DEFAULT_PERSIST_DIR,
    DEFAULT_PERSIST_FNAME,
    BasePydanticVectorStore,
    FilterCondition,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from concord._keyed_index import Found, KeyedIndex
from concord.index import Index

PERSIST_PATH = f"{DEFAULT_PERSIST_DIR}/{DEFAULT_PERSIST_FNAME}"
"""Where LlamaIndex keeps stores unless told otherwise."""

MMR_PREFETCH = 4
"""In mode MMR, how many times the nodes that are wanted are looked at."""


class ConcordVectorStore(BasePydanticVectorStore):
    """Nodes found by the nearness of their embeddings.

    Args:
        metric: as for :class:`concord.Index`.
        ef: candidates of a search, as for :meth:`concord.Index.search`.
        parameters: other parameters of :class:`concord.Index`: ``M``, ``ef_construction``, ``threads``, ….

    Query modes are ``DEFAULT`` and ``MMR``. Similarities are cosines, inner products, or
    1 / (1 + squared distance). Filters may be nested; they are asked of nodes in the order of nearness until
    enough have passed. What is deleted is gone at once; the graph forgets its vectors, and is built anew
    from the rest when more than half of it is forgotten.

    >>> from concord.llama_index import ConcordVectorStore
    >>> from llama_index.core.schema import TextNode
    >>> from llama_index.core.vector_stores.types import VectorStoreQuery
    >>> store = ConcordVectorStore()
    >>> store.add([TextNode(id_="a", embedding=[1, 0]), TextNode(id_="b", embedding=[0, 1])])
    ['a', 'b']
    >>> store.query(VectorStoreQuery(query_embedding=[0.1, 1.0], similarity_top_k=1)).ids
    ['b']
    """

    stores_text: bool = True
    _vectors: KeyedIndex = PrivateAttr()
    _nodes: dict[str, BaseNode] = PrivateAttr()

    def __init__(self, *, metric: str = "cosine", ef: int = 64, **parameters: Any) -> None:
        super().__init__(stores_text=True)
        self._vectors = KeyedIndex(ef, metric=metric, **parameters)
        self._nodes = {}

    @classmethod
    def class_name(cls) -> str:
        """The name in LlamaIndex's own files."""
        return "ConcordVectorStore"

    @property
    def client(self) -> Index | None:
        """The index; ``None`` before the first node."""
        return self._vectors.index

    # ------------------------------------------------------------------------------------- content

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes with their embeddings; a node whose id is there is replaced. Returns the ids."""
        ids = [node.node_id for node in nodes]
        if ids:
            self._vectors.put(ids, [node.get_embedding() for node in nodes])
        for node in nodes:  # the vector is in the index already
            self._nodes[node.node_id] = node.model_copy(deep=True, update={"embedding": None})
        return ids

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """The nodes with these ids, or all, that pass the filters; without their embeddings."""
        return [self._nodes[key].model_copy(deep=True) for key in self._chosen(node_ids, filters)]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete the nodes of a document."""
        self._forget(key for key, node in self._nodes.items() if node.ref_doc_id == ref_doc_id)

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete the nodes with these ids, or all, that pass the filters."""
        self._forget(self._chosen(node_ids, filters))

    def clear(self) -> None:
        """Delete everything."""
        self._nodes = {}
        self._vectors.clear()

    def _chosen(self, node_ids: list[str] | None, filters: MetadataFilters | None) -> list[str]:
        passes = _filter(self._nodes, filters)
        among = list(self._nodes) if node_ids is None else dict.fromkeys(node_ids)
        return [key for key in among if key in self._nodes and passes(key)]

    def _forget(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        for key in keys:
            self._nodes.pop(key, None)
        self._vectors.remove(keys)

    # -------------------------------------------------------------------------------------- search

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nearest nodes of ``query.query_embedding``, within its ids and filters."""
        if query.mode not in (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR):
            raise ValueError(f"query mode is {query.mode}; allowed are DEFAULT and MMR")
        if query.query_embedding is None:
            raise ValueError("the query has no embedding")
        nodes = self._nodes
        passes = _filter(nodes, query.filters)
        # LlamaIndex's own retriever gives an empty list where it means no restriction.
        node_ids, doc_ids = set(query.node_ids or ()), set(query.doc_ids or ())

        def allowed(key: str) -> bool:
            node = nodes.get(key)
            return (
                node is not None
                and (not node_ids or key in node_ids)
                and (not doc_ids or node.ref_doc_id in doc_ids)
                and passes(key)
            )

        wanted = query.similarity_top_k
        if query.mode == VectorStoreQueryMode.MMR:
            found = self._vectors.search(query.query_embedding, MMR_PREFETCH * wanted, allowed)
            found = self._unlike_one_another(found, query, kwargs.get("mmr_threshold"))
        else:
            found = self._vectors.search(query.query_embedding, wanted, allowed)
        found = [one for one in found if one.key in nodes]
        return VectorStoreQueryResult(
            nodes=[nodes[one.key].model_copy(deep=True) for one in found],
            similarities=[self._similarity(one.distance) for one in found],
            ids=[one.key for one in found],
        )

    def _unlike_one_another(
        self, found: list[Found], query: VectorStoreQuery, threshold: float | None
    ) -> list[Found]:
        if not found:
            return []
        by_key = {one.key: one for one in found}
        _, chosen = get_top_k_mmr_embeddings(
            query.query_embedding or [],
            [self._vectors.vector(key).tolist() for key in by_key],
            similarity_top_k=query.similarity_top_k,
            embedding_ids=list(by_key),
            mmr_threshold=query.mmr_threshold if threshold is None else threshold,
        )
        return [by_key[key] for key in chosen]

    def _similarity(self, distance: float) -> float:
        return 1 / (1 + distance) if self._vectors.metric == "l2sq" else 1 - distance

    # --------------------------------------------------------------------------------------- files

    def persist(
        self,
        persist_path: str = PERSIST_PATH,
        fs: fsspec.AbstractFileSystem | None = None,
    ) -> None:
        """Write the store to one file; ``StorageContext.persist`` calls this."""
        fs = fs or fsspec.filesystem("file")
        fs.makedirs(os.path.dirname(persist_path) or ".", exist_ok=True)
        with fs.open(persist_path, "wb") as file:
            self._vectors.save(file, [doc_to_json(node) for node in self._nodes.values()])

    @classmethod
    def from_persist_path(
        cls, persist_path: str, fs: fsspec.AbstractFileSystem | None = None
    ) -> ConcordVectorStore:
        """Read what :meth:`persist` wrote."""
        store = cls()
        with (fs or fsspec.filesystem("file")).open(persist_path, "rb") as file:
            store._vectors, nodes = KeyedIndex.load(file)
        store._nodes = {node.node_id: node for node in map(json_to_doc, nodes)}
        return store

    @classmethod
    def from_persist_dir(
        cls,
        persist_dir: str = DEFAULT_PERSIST_DIR,
        namespace: str = DEFAULT_VECTOR_STORE,
        fs: fsspec.AbstractFileSystem | None = None,
    ) -> ConcordVectorStore:
        """Read the store from the folder that ``StorageContext.persist`` wrote."""
        name = f"{namespace}{NAMESPACE_SEP}{DEFAULT_PERSIST_FNAME}"
        return cls.from_persist_path(os.path.join(persist_dir, name), fs)


def _filter(nodes: dict[str, BaseNode], filters: MetadataFilters | None) -> Callable[[str], bool]:
    """LlamaIndex's own filters, over a node's metadata and the id of its document; nested ones too."""
    if filters is None or not filters.filters:
        return lambda key: True

    def metadata(key: str) -> dict[str, Any]:
        document = nodes[key].ref_doc_id
        of_document = dict.fromkeys(("document_id", "doc_id", "ref_doc_id"), document)
        return {**of_document, **nodes[key].metadata}

    parts = [
        _filter(nodes, part)
        if isinstance(part, MetadataFilters)
        else build_metadata_filter_fn(metadata, MetadataFilters(filters=[part]))
        for part in filters.filters
    ]
    if filters.condition == FilterCondition.OR:
        return lambda key: any(part(key) for part in parts)
    if filters.condition == FilterCondition.NOT:
        return lambda key: not any(part(key) for part in parts)
    return lambda key: all(part(key) for part in parts)
