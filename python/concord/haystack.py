"""A Haystack document store and its retriever over :class:`concord.Store`. Needs ``concord-ann[haystack]``.

Documents are kept in memory, the vectors of those that have an embedding in an index. There is no file of a
store: pipelines keep its options alone. Many threads may use a store. Writes wait for one another, and a search
sees all of an addition or nothing of it.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from concord import _extras, _keywords, _scores
from concord.store import Item, Store

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from concord._options import StoreOptions

with _extras.needed("haystack", "concord.haystack"):
    from haystack import Document, component, default_from_dict, default_to_dict  # type: ignore[import-not-found,unused-ignore]
    from haystack.document_stores.errors import DuplicateDocumentError  # type: ignore[import-not-found,unused-ignore]
    from haystack.document_stores.types import (  # type: ignore[import-not-found,unused-ignore]
        DuplicatePolicy,
        FilterPolicy,
        apply_filter_policy,
    )
    from haystack.utils.filters import document_matches_filter  # type: ignore[import-not-found,unused-ignore]

Filters = dict[str, Any]
"""Haystack's filter language: comparisons of fields, joined by AND, OR and NOT."""


class ConcordDocumentStore:
    """Documents that are searched by their embeddings.

    Args:
        options: ``metric``, ``ef``, ``M``, ``ef_construction``, ``seed``, ``epoch_limit``, ``codes``,
            ``storage``, ``threads`` and ``device``, as for :class:`concord.Store`.

    Documents come back as they were written, in the order of their first writing. Those without an embedding
    are counted and filtered, and no search finds them. A write happens wholly or not at all; without a policy
    it fails if an id is taken.

    >>> from concord.haystack import ConcordDocumentStore
    >>> from haystack import Document
    >>> store = ConcordDocumentStore()
    >>> store.write_documents([
    ...     Document(id="a", content="east", embedding=[1.0, 0.0], meta={"year": 2020}),
    ...     Document(id="b", content="north", embedding=[0.0, 1.0], meta={"year": 2024}),
    ... ])
    2
    >>> late = {"field": "meta.year", "operator": ">", "value": 2021}
    >>> [found.content for found in store.embedding_retrieval([0.9, 0.1], filters=late)]
    ['north']
    """

    def __init__(self, **options: Unpack[StoreOptions]) -> None:
        self._options = dict(options)
        self._store = Store(**options)
        self._documents: dict[str, Document] = {}
        self._change = threading.RLock()

    def to_dict(self) -> dict[str, Any]:
        """The options, without documents, as pipelines keep them."""
        kept: dict[str, Any] = default_to_dict(self, **self._options)
        return kept

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ConcordDocumentStore:
        """An empty store of what :meth:`to_dict` gave."""
        made: ConcordDocumentStore = default_from_dict(cls, data)
        return made

    # ------------------------------------------------------------------------------------- content

    def count_documents(self) -> int:
        """Documents, with an embedding or without."""
        return len(self._documents)

    def filter_documents(self, filters: Filters | None = None) -> list[Document]:
        """All documents that pass the filters."""
        passes = _condition(filters)
        return [copy.deepcopy(one) for one in list(self._documents.values()) if passes(one)]

    def write_documents(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Add documents; returns how many were written. Of an id that is given twice the last one counts."""
        if not isinstance(documents, list) or not all(isinstance(d, Document) for d in documents):
            raise ValueError("write_documents takes a list of haystack.Document")
        with self._change:
            chosen: dict[str, Document] = {}
            for one in documents:
                if policy == DuplicatePolicy.OVERWRITE or not (
                    one.id in self._documents or one.id in chosen
                ):
                    chosen[one.id] = copy.deepcopy(one)
                elif policy != DuplicatePolicy.SKIP:
                    raise DuplicateDocumentError(f"a document with the id {one.id!r} is there")
            self._put(chosen)
            return len(documents) if policy == DuplicatePolicy.OVERWRITE else len(chosen)

    def delete_documents(self, document_ids: list[str]) -> None:
        """Delete the documents with these ids. Unknown ids are ignored."""
        with self._change:
            self._store.delete(document_ids)
            for key in document_ids:
                self._documents.pop(key, None)

    def delete_all_documents(self) -> None:
        """Delete everything. Then the next embeddings decide the dimension."""
        with self._change:
            self._store.clear()
            self._documents.clear()

    def count_documents_by_filter(self, filters: Filters) -> int:
        """How many documents pass the filters."""
        return sum(map(_condition(filters), list(self._documents.values())))

    def delete_by_filter(self, filters: Filters) -> int:
        """Delete the documents that pass the filters; returns how many there were."""
        with self._change:
            found = [one.id for one in filter(_condition(filters), self._documents.values())]
            self.delete_documents(found)
            return len(found)

    def update_by_filter(self, filters: Filters, meta: dict[str, Any]) -> int:
        """Set fields of the meta of the documents that pass the filters; returns how many there are."""
        with self._change:
            found = self.filter_documents(filters)
            self._put(
                {one.id: replace(one, meta={**one.meta, **copy.deepcopy(meta)}) for one in found}
            )
            return len(found)

    def _put(self, documents: dict[str, Document]) -> None:
        """Takes the documents, which are nobody else's."""
        found = {key: one for key, one in documents.items() if one.embedding is not None}
        if found:
            bare = [replace(one, embedding=None) for one in found.values()]
            vectors: Any = [one.embedding for one in found.values()]
            self._store.upsert(list(found), vectors, bare)
        self._store.delete(documents.keys() - found.keys())
        self._documents.update(documents)

    # -------------------------------------------------------------------------------------- search

    def embedding_retrieval(
        self,
        query_embedding: list[float],
        filters: Filters | None = None,
        top_k: int = 10,
        return_embedding: bool = False,
        **options: Any,
    ) -> list[Document]:
        """The ``top_k`` nearest documents that pass the filters, best first.

        Scores are cosines, inner products, or 1 / (1 + squared distance). Each document is asked once
        whether it passes. ``options`` may hold ``ef`` and ``slack`` of :meth:`concord.Index.search`.
        """
        known = ("ef", "slack")
        unknown = {name: None for name in options if name not in known}
        _keywords.refuse(unknown, "embedding_retrieval", known)
        passes = _condition(filters)
        ask: Callable[[Item], bool] = lambda item: passes(item.document)  # noqa: E731
        found = self._store.search(
            query_embedding, top_k, filter=None if filters is None else ask, **options
        )
        documents = []
        for hit in found:
            whole = self._documents.get(hit.key) if return_embedding else None
            documents.append(
                replace(
                    hit.document,
                    score=_scores.similarity(self._store.metric, hit.distance),
                    embedding=None if whole is None else copy.copy(whole.embedding),
                )
            )
        return documents


@component
class ConcordEmbeddingRetriever:
    """The component of a pipeline that finds the nearest documents of a query's embedding.

    Args:
        document_store: where it searches.
        filters: of all queries that bring none, or by ``filter_policy`` beside those that they bring.
        top_k: documents wanted.
        return_embedding: whether documents come with their embeddings.
        filter_policy: ``REPLACE`` or ``MERGE``.
    """

    def __init__(
        self,
        document_store: ConcordDocumentStore,
        filters: Filters | None = None,
        top_k: int = 10,
        return_embedding: bool = False,
        filter_policy: str | FilterPolicy = FilterPolicy.REPLACE,
    ) -> None:
        if not isinstance(document_store, ConcordDocumentStore):
            raise TypeError("document_store must be a ConcordDocumentStore")
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k
        self.return_embedding = return_embedding
        self.filter_policy = FilterPolicy(filter_policy)

    def to_dict(self) -> dict[str, Any]:
        """The arguments, as pipelines keep them."""
        kept: dict[str, Any] = default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            top_k=self.top_k,
            return_embedding=self.return_embedding,
            filter_policy=self.filter_policy.value,
        )
        return kept

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ConcordEmbeddingRetriever:
        """A retriever of what :meth:`to_dict` gave, over an empty store."""
        arguments = dict(data["init_parameters"])
        store = arguments["document_store"]
        if isinstance(store, dict):
            arguments["document_store"] = ConcordDocumentStore.from_dict(store)
        made: ConcordEmbeddingRetriever = default_from_dict(
            cls, {**data, "init_parameters": arguments}
        )
        return made

    @component.output_types(documents=list[Document])  # type: ignore[untyped-decorator,unused-ignore]
    def run(
        self,
        query_embedding: list[float],
        filters: Filters | None = None,
        top_k: int | None = None,
        return_embedding: bool | None = None,
    ) -> dict[str, list[Document]]:
        """The nearest documents, under ``documents``. What is not given is the component's."""
        return {
            "documents": self.document_store.embedding_retrieval(
                query_embedding,
                apply_filter_policy(self.filter_policy, self.filters, filters),
                self.top_k if top_k is None else top_k,
                self.return_embedding if return_embedding is None else return_embedding,
            )
        }


def _condition(filters: Filters | None) -> Callable[[Document], bool]:
    """Haystack's own language, by Haystack's own function."""
    if not filters:
        return lambda document: True
    asked = copy.deepcopy(filters)
    return lambda document: bool(document_matches_filter(asked, document))
