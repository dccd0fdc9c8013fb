"""A LlamaIndex vector store over :class:`concord.Store`. Needs ``concord-ann[llama-index]``.

Nodes are kept in memory, their vectors in an index. Many threads may use a store, as they may use a
:class:`concord.Store`. The asynchronous methods are those of LlamaIndex, which call these.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from concord import _extras, _files, _keywords, _scores
from concord.index import Device, Index
from concord.store import Hit, Item, Store

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from concord._options import StoreOptions

with _extras.needed("llama-index", "concord.llama_index"):
    import fsspec  # type: ignore[import-untyped]
    from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
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

PERSIST_PATH = f"{DEFAULT_PERSIST_DIR}/{DEFAULT_PERSIST_FNAME}"
"""Where LlamaIndex keeps stores by default."""

MMR_PREFETCH = 4
"""Mode MMR chooses among so many times the nodes wanted."""


class ConcordVectorStore(BasePydanticVectorStore):
    """Nodes that are searched by their embeddings.

    Args:
        options: ``metric``, ``ef``, ``M``, ``ef_construction``, ``seed``, ``epoch_limit``, ``codes``,
            ``storage``, ``threads`` and ``device``, as for :class:`concord.Store`.

    Query modes are ``DEFAULT`` and ``MMR``. Similarities are cosines, inner products, or
    1 / (1 + squared distance). Filters may be nested. A query asks its filters once for each node, and then
    the graph for the nearest of those that pass. An addition happens wholly or not at all. A keyword that no
    method knows is refused.

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
    _store: Store = PrivateAttr()

    def __init__(
        self,
        **options: Unpack[StoreOptions],
    ) -> None:
        super().__init__(stores_text=True)
        self._store = Store(**options)

    @classmethod
    def class_name(cls) -> str:
        """The name in files of LlamaIndex."""
        return "ConcordVectorStore"

    @property
    def client(self) -> Index | None:
        """The index; ``None`` before the first node."""
        return self._store.index

    # ------------------------------------------------------------------------------------- content

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes with their embeddings. A node with an existing id replaces the old one. Returns the ids."""
        _keywords.refuse(kwargs, "add", ("nodes",))
        ids = [node.node_id for node in nodes]
        vectors = [node.get_embedding() for node in nodes]
        # The vector is in the index already.
        bare = [node.model_copy(update={"embedding": None}) for node in nodes]
        self._store.upsert(ids, vectors, bare)
        return ids

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """The nodes with these ids, or all, that pass the filters, without their embeddings."""
        return [item.document for item in self._chosen(node_ids, filters)]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete the nodes of a document."""
        _keywords.refuse(delete_kwargs, "delete", ("ref_doc_id",))
        of_document = self._store.items(lambda item: item.document.ref_doc_id == ref_doc_id)
        self._store.delete(item.key for item in of_document)

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete the nodes with these ids, or all, that pass the filters."""
        _keywords.refuse(delete_kwargs, "delete_nodes", ("node_ids", "filters"))
        self._store.delete(item.key for item in self._chosen(node_ids, filters))

    def clear(self) -> None:
        """Delete everything."""
        self._store.clear()

    def _chosen(self, node_ids: list[str] | None, filters: MetadataFilters | None) -> list[Item]:
        passes = _filter(filters)
        if node_ids is None:
            return self._store.items(lambda item: passes(item.document))
        found = map(self._store.get, dict.fromkeys(node_ids))
        return [item for item in found if item is not None and passes(item.document)]

    # -------------------------------------------------------------------------------------- search

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nearest nodes of ``query.query_embedding``, within its ids and filters.

        ``kwargs`` may hold ``ef`` and ``slack`` of :meth:`concord.Index.search`, and ``mmr_threshold``.
        """
        known = ("ef", "slack", "mmr_threshold")
        _keywords.refuse({name: None for name in kwargs if name not in known}, "query", known)
        if query.mode not in (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR):
            raise ValueError(f"query mode is {query.mode}; allowed are DEFAULT and MMR")
        if query.query_embedding is None:
            raise ValueError("the query has no embedding")
        passes = _filter(query.filters)
        # LlamaIndex's own retriever gives an empty list where it means no restriction.
        node_ids, doc_ids = set(query.node_ids or ()), set(query.doc_ids or ())

        def allowed(item: Item) -> bool:
            return (
                (not node_ids or item.key in node_ids)
                and (not doc_ids or item.document.ref_doc_id in doc_ids)
                and passes(item.document)
            )

        wanted = query.similarity_top_k
        is_mmr = query.mode == VectorStoreQueryMode.MMR
        threshold = kwargs.pop("mmr_threshold", None)
        found = self._store.search(
            query.query_embedding,
            MMR_PREFETCH * wanted if is_mmr else wanted,
            filter=allowed,
            **kwargs,
        )
        if is_mmr:
            found = self._unlike_one_another(found, query, threshold)
        return VectorStoreQueryResult(
            nodes=[hit.document for hit in found],
            similarities=[_scores.similarity(self._store.metric, hit.distance) for hit in found],
            ids=[hit.key for hit in found],
        )

    def _unlike_one_another(
        self, found: list[Hit], query: VectorStoreQuery, threshold: float | None
    ) -> list[Hit]:
        vectors = {}
        for one in found:
            with contextlib.suppress(KeyError):  # of one that was deleted meanwhile
                vectors[one.key] = self._store.vector(one.key).tolist()
        if not vectors:
            return []
        by_key = {one.key: one for one in found}
        _, chosen = get_top_k_mmr_embeddings(
            query.query_embedding or [],
            list(vectors.values()),
            similarity_top_k=query.similarity_top_k,
            embedding_ids=list(vectors),
            mmr_threshold=query.mmr_threshold if threshold is None else threshold,
        )
        return [by_key[key] for key in chosen]

    # --------------------------------------------------------------------------------------- files

    def persist(
        self,
        persist_path: str = PERSIST_PATH,
        fs: fsspec.AbstractFileSystem | None = None,
    ) -> None:
        """Write the store to one file; ``StorageContext.persist`` calls this.

        A file on disk stays until the new one is whole. Other file systems get the content in one piece.
        """
        fs = fs or LocalFileSystem()
        fs.makedirs(os.path.dirname(persist_path) or ".", exist_ok=True)
        if isinstance(fs, LocalFileSystem):
            with _files.replacing(fs._strip_protocol(persist_path)) as file:
                self._store._write(file, doc_to_json)
            return
        content = io.BytesIO()
        self._store._write(content, doc_to_json)
        fs.pipe_file(persist_path, content.getvalue())

    @classmethod
    def from_persist_path(
        cls,
        persist_path: str,
        fs: fsspec.AbstractFileSystem | None = None,
        *,
        threads: int = 0,
        device: Device = "auto",
    ) -> ConcordVectorStore:
        """Read a file that :meth:`persist` wrote."""
        store = cls()
        with (
            _files.failures_at(persist_path),
            (fs or LocalFileSystem()).open(persist_path, "rb") as file,
        ):
            store._store = Store._read(file, json_to_doc, threads=threads, device=device)
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


def _filter(filters: MetadataFilters | None) -> Callable[[BaseNode], bool]:
    """LlamaIndex's own filters, nested or not, over a node's metadata and the id of its document."""
    if filters is None or not filters.filters:
        return lambda node: True

    def condition(part: Any) -> Callable[[BaseNode], bool]:
        if isinstance(part, MetadataFilters):
            return _filter(part)
        # It asks for metadata by id, and is given a node as the id.
        return build_metadata_filter_fn(_metadata, MetadataFilters(filters=[part]))  # type: ignore[arg-type, return-value]

    parts = [condition(part) for part in filters.filters]
    if filters.condition == FilterCondition.OR:
        return lambda node: any(part(node) for part in parts)
    if filters.condition == FilterCondition.NOT:
        return lambda node: not any(part(node) for part in parts)
    return lambda node: all(part(node) for part in parts)


def _metadata(node: BaseNode) -> dict[str, Any]:
    of_document = dict.fromkeys(("document_id", "doc_id", "ref_doc_id"), node.ref_doc_id)
    return {**of_document, **node.metadata}
