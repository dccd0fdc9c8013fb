"""A LangChain vector store. Needs ``concord-ann[langchain]``.

Documents are in memory, their vectors in an index. Many threads may use a store; additions and
deletions wait for one another, searches wait for none. The asynchronous methods are LangChain's own:
they run these in threads, and all long work releases the GIL.
"""

from __future__ import annotations

import math
import os
import tempfile
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from concord._keyed_index import KeyedIndex

Filter = Callable[[Document], bool]
"""Says of a document whether it may be found."""


class ConcordVectorStore(VectorStore):
    """Documents found by the nearness of their embeddings.

    Args:
        embedding: turns texts into vectors; the first texts decide the dimension.
        metric: as for :class:`concord.Index`.
        ef: candidates of a search, as for :meth:`concord.Index.search`.
        parameters: other parameters of :class:`concord.Index`: ``M``, ``ef_construction``, ``threads``, ….

    Scores are distances, nearest first. Adding under an id that is there replaces its document. ``delete``
    takes documents away at once; the graph forgets their vectors, and is built anew from the rest
    when more than half of it is forgotten. A ``filter`` is asked of documents in the order of their
    nearness until enough have passed.

    >>> from concord.langchain import ConcordVectorStore
    >>> from langchain_core.embeddings import DeterministicFakeEmbedding
    >>> store = ConcordVectorStore(DeterministicFakeEmbedding(size=8))
    >>> store.add_texts(["one", "two", "three"], [{"n": 1}, {"n": 2}, {"n": 3}], ids=["a", "b", "c"])
    ['a', 'b', 'c']
    >>> [document.page_content for document in store.similarity_search("two", k=1)]
    ['two']
    >>> odd = store.similarity_search("two", k=3, filter=lambda document: document.metadata["n"] % 2)
    >>> sorted(document.id for document in odd)
    ['a', 'c']
    """

    def __init__(
        self, embedding: Embeddings, *, metric: str = "cosine", ef: int = 64, **parameters: Any
    ) -> None:
        self._embedding = embedding
        self._vectors = KeyedIndex(ef, metric=metric, **parameters)
        self._documents: dict[str, Document] = {}

    @property
    def embeddings(self) -> Embeddings:
        """What turns texts into vectors."""
        return self._embedding

    def __len__(self) -> int:
        """Documents."""
        return len(self._documents)

    # ------------------------------------------------------------------------------------- content

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[Any, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed and add texts; those without an id get one. Returns the ids."""
        texts = list(texts)
        metadatas = metadatas if metadatas is not None else [{} for _ in texts]
        ids = ids if ids is not None else [None] * len(texts)
        if not len(texts) == len(metadatas) == len(ids):
            raise ValueError(
                f"{len(texts)} texts came with {len(metadatas)} metadatas and {len(ids)} ids"
            )
        keys = [key or str(uuid.uuid4()) for key in ids]
        if keys:
            self._vectors.put(keys, self._embedding.embed_documents(texts))
        for key, text, metadata in zip(keys, texts, metadatas, strict=True):
            self._documents[key] = Document(id=key, page_content=text, metadata=dict(metadata))
        return keys

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete the documents with these ids, or all; ids that are not there are passed over."""
        if ids is None:
            self._documents = {}
            self._vectors.clear()
        else:
            for key in ids:
                self._documents.pop(key, None)
            self._vectors.remove(ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in their order, without those that are not there."""
        return [_copy(self._documents[key]) for key in ids if key in self._documents]

    # -------------------------------------------------------------------------------------- search

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The ``k`` nearest documents of a vector and their distances."""
        documents = self._documents

        def allowed(key: str) -> bool:
            document = documents.get(key)
            return document is not None and (filter is None or bool(filter(document)))

        return [
            (_copy(document), found.distance)
            for found in self._vectors.search(embedding, k, allowed)
            if (document := documents.get(found.key)) is not None
        ]

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
        """Near a text and unlike one another: see :meth:`max_marginal_relevance_search_by_vector`."""
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
        """Of the ``fetch_k`` nearest the ``k`` that are near and unlike one another.

        ``lambda_mult`` goes from 0, most unlike, to 1, nearest.
        """
        near = self.similarity_search_by_vector(embedding, max(k, fetch_k), **kwargs)
        if not near:
            return []
        vectors = [self._vectors.vector(str(document.id)).tolist() for document in near]
        query = np.asarray(embedding, np.float32)
        chosen = maximal_marginal_relevance(query, vectors, lambda_mult, k)
        return [near[place] for place in chosen]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """1 for the same vector: the cosine, the inner product, or LangChain's scale for L2."""
        if self._vectors.metric == "l2sq":
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the store to one file, whole or not at all; metadata has to be JSON."""
        documents = {
            key: [document.page_content, document.metadata]
            for key, document in list(self._documents.items())
        }
        folder, name = os.path.split(os.fspath(path))
        with tempfile.NamedTemporaryFile(dir=folder or ".", prefix=name, delete=False) as file:
            try:
                self._vectors.save(file, documents)
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise

    @classmethod
    def load(cls, path: str | os.PathLike[str], embedding: Embeddings) -> ConcordVectorStore:
        """Read what :meth:`save` wrote; ``embedding`` is not in the file."""
        store = cls(embedding)
        with open(path, "rb") as file:
            store._vectors, documents = KeyedIndex.load(file)
        store._documents = {
            key: Document(id=key, page_content=text, metadata=metadata)
            for key, (text, metadata) in documents.items()
        }
        return store


def _copy(document: Document) -> Document:
    """So that a caller who changes what was found does not change the store."""
    return document.model_copy(update={"metadata": dict(document.metadata)})
