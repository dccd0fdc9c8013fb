"""A LangChain vector store over :class:`concord.Store`. Needs ``concord-ann[langchain]``.

Documents are kept in memory, their vectors in an index. Many threads may use a store, as they may use a
:class:`concord.Store`. The asynchronous methods are those of LangChain, which run these in threads; all
long work releases the GIL.
"""

from __future__ import annotations

import contextlib
import math
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from concord import _extras, _files, _keywords
from concord.index import Device
from concord.store import Hit, Item, Store, checked_items, checked_keys

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from concord._options import StoreOptions

with _extras.needed("langchain", "concord.langchain"):
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore
    from langchain_core.vectorstores.utils import maximal_marginal_relevance

Filter: TypeAlias = "Mapping[str, Any] | Callable[[Document], object]"
"""Which documents a search may return. It is a dictionary over metadata, as for ``concord.Store``, or a
callable that gets each document.
"""


class ConcordVectorStore(VectorStore):
    """Documents that are searched by their embeddings.

    Args:
        embedding: turns texts into vectors; the first texts decide the dimension.
        options: ``metric``, ``ef``, ``M``, ``ef_construction``, ``seed``, ``epoch_limit``, ``codes``,
            ``storage``, ``threads`` and ``device``, as for :class:`concord.Store`.

    Ids are strings. Scores are distances, nearest first. Adding under an existing id replaces its document.
    An addition happens wholly or not at all. A keyword that no method knows is refused.

    >>> from concord.langchain import ConcordVectorStore
    >>> from langchain_core.embeddings import DeterministicFakeEmbedding
    >>> store = ConcordVectorStore(DeterministicFakeEmbedding(size=8))
    >>> store.add_texts(["one", "two", "three"], [{"n": 1}, {"n": 2}, {"n": 3}], ids=["a", "b", "c"])
    ['a', 'b', 'c']
    >>> [document.page_content for document in store.similarity_search("two", k=1)]
    ['two']
    >>> [document.id for document in store.similarity_search("two", k=3, filter={"n": {"$gt": 2}})]
    ['c']
    >>> odd = store.similarity_search("two", k=3, filter=lambda document: document.metadata["n"] % 2)
    >>> sorted(document.id for document in odd)
    ['a', 'c']
    """

    def __init__(
        self,
        embedding: Embeddings,
        **options: Unpack[StoreOptions],
    ) -> None:
        self._embedding = embedding
        self._store = Store(**options)

    @property
    def embeddings(self) -> Embeddings:
        """The embedding that turns texts into vectors."""
        return self._embedding

    @property
    def store(self) -> Store:
        """Texts with metadata, under their ids."""
        return self._store

    def __len__(self) -> int:
        """Documents."""
        return len(self._store)

    def __repr__(self) -> str:
        """The metric and the number of documents."""
        return f"ConcordVectorStore(metric={self._store.metric!r}): {len(self)} documents"

    # ------------------------------------------------------------------------------------- content

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[Any, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed and add texts. Texts without an id get one. Returns the ids."""
        _keywords.refuse(kwargs, "add_texts", ("metadatas", "ids"))
        texts = list(texts)
        return self._put(texts, metadatas, ids, lambda: self._embedding.embed_documents(texts))

    def _put(
        self,
        texts: list[str],
        metadatas: list[dict[Any, Any]] | None,
        ids: Sequence[str | None] | None,
        embed: Callable[[], list[list[float]]],
    ) -> list[str]:
        for name, given in (("metadatas", metadatas), ("ids", ids)):
            if given is not None and len(given) != len(texts):
                raise ValueError(f"{len(texts)} texts came with {len(given)} {name}")
        keys = [str(uuid.uuid4()) if key is None else key for key in ids or [None] * len(texts)]
        # Refused before the embedding works.
        for item in checked_items(checked_keys(keys), texts, metadatas):
            _document(item)
        if keys:
            self._store.upsert(keys, embed(), texts, metadatas)
        return keys

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete the documents with these ids, or all. Unknown ids are ignored."""
        _keywords.refuse(kwargs, "delete", ("ids",))
        if ids is None:
            self._store.clear()
        else:
            self._store.delete(ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in their order. Unknown ids are left out."""
        return [_document(item) for key in ids if (item := self._store.get(key))]

    # -------------------------------------------------------------------------------------- search

    def similarity_search_with_score_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: Filter | None = None,
        ef: int | None = None,
        slack: float = math.inf,
        **kwargs: Any,
    ) -> list[tuple[Document, float]]:
        """The ``k`` nearest documents of a vector and their distances.

        ``ef`` and ``slack`` are those of :meth:`concord.Index.search`; all searches take them.
        """
        _keywords.refuse(kwargs, "a search", ("k", "filter", "ef", "slack"))
        accept: Any = filter
        if callable(filter):
            asked = filter
            accept = lambda item: asked(_document(item))  # noqa: E731
        found = self._store.search(embedding, max(k, 0), filter=accept, ef=ef, slack=slack)
        return [(_document(hit), hit.distance) for hit in found]

    def similarity_search_by_vector_with_relevance_scores(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The ``k`` nearest documents of a vector, with scores of which 1 is the best and higher is better."""
        relevance = self._select_relevance_score_fn()
        found = self.similarity_search_with_score_by_vector(embedding, k, **kwargs)
        return [(document, relevance(distance)) for document, distance in found]

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The ``k`` nearest documents of a text and their distances."""
        vector = self._embedding.embed_query(query)
        return self.similarity_search_with_score_by_vector(vector, k, **kwargs)

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The ``k`` nearest documents of a text."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """The ``k`` nearest documents of a vector."""
        found = self.similarity_search_with_score_by_vector(embedding, k, **kwargs)
        return [document for document, _ in found]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """As :meth:`max_marginal_relevance_search_by_vector`, for a text."""
        vector = self._embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(
            vector, k, fetch_k, lambda_mult, **kwargs
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """From the ``fetch_k`` nearest, ``k`` that are near and differ from one another.

        ``lambda_mult`` runs from 0 (most different) to 1 (nearest).
        """
        near = self.similarity_search_by_vector(embedding, max(k, fetch_k), **kwargs)
        vectors = {}
        for place, document in enumerate(near):
            with contextlib.suppress(KeyError):  # of one that was deleted meanwhile
                vectors[place] = self._store.vector(str(document.id)).tolist()
        if not vectors:
            return []
        near = [near[place] for place in vectors]
        query = np.asarray(embedding, np.float32)
        chosen = maximal_marginal_relevance(query, list(vectors.values()), lambda_mult, k)
        return [near[place] for place in chosen]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """1 for the same vector: the cosine, the inner product, or LangChain's scale for L2."""
        if self._store.metric == "l2sq":
            return lambda distance: self._euclidean_relevance_score_fn(math.sqrt(distance))
        return lambda distance: 1.0 - distance

    # --------------------------------------------------------------------------------------- files

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[Any, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> ConcordVectorStore:
        """A store of these texts; ``kwargs`` are those of the class."""
        store = cls(embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    def from_embeddings(
        cls,
        text_embeddings: Iterable[tuple[str, list[float]]],
        embedding: Embeddings,
        metadatas: list[dict[Any, Any]] | None = None,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> ConcordVectorStore:
        """As :meth:`from_texts`, of texts whose vectors are known; ``embedding`` is asked for queries only."""
        pairs = list(text_embeddings)
        store = cls(embedding, **kwargs)
        store._put([text for text, _ in pairs], metadatas, ids, lambda: [row for _, row in pairs])
        return store

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the store to one file, as :meth:`concord.Store.save`. Metadata must be JSON."""
        self._store.save(path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        embedding: Embeddings,
        *,
        threads: int = 0,
        device: Device = "auto",
    ) -> ConcordVectorStore:
        """Read a file that :meth:`save` wrote. ``embedding`` is not in the file."""
        store = cls(embedding)
        store._store = Store.load(path, threads=threads, device=device)
        return store

    def save_local(self, folder_path: str | os.PathLike[str], index_name: str = "index") -> None:
        """As :meth:`save`, to ``index_name.concord`` in a folder, which is made if it is missing."""
        with _files.failures_at(folder_path):
            os.makedirs(folder_path, exist_ok=True)
        self.save(_local(folder_path, index_name))

    @classmethod
    def load_local(
        cls,
        folder_path: str | os.PathLike[str],
        embeddings: Embeddings,
        index_name: str = "index",
        *,
        allow_dangerous_deserialization: bool = False,
        threads: int = 0,
        device: Device = "auto",
    ) -> ConcordVectorStore:
        """Read what :meth:`save_local` wrote.

        ``allow_dangerous_deserialization`` is taken and not needed, because nothing in the file runs.
        """
        path = _local(folder_path, index_name)
        return cls.load(path, embeddings, threads=threads, device=device)


def _local(folder: str | os.PathLike[str], name: str) -> str:
    return os.path.join(os.fspath(folder), f"{name}.concord")


def _document(item: Item | Hit) -> Document:
    return Document(id=item.key, page_content=item.document, metadata=item.metadata)
