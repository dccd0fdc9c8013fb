"""``semantic_search`` as sentence-transformers has it, over an index or an exact scan. Needs no package.

It takes what ``encode`` gives, as an array or as a tensor, and answers in the same shape.
"""

from __future__ import annotations

from collections.abc import Callable

from concord import _scores
from concord._limits import integer_of
from concord.errors import InvalidParameterError
from concord.index import Index, Vectors
from concord.knn import exact_knn

METRICS = {"cos_sim": "cosine", "dot_score": "inner_product"}
"""Score functions of sentence-transformers by their names, and the metrics that they are."""


def semantic_search(
    query_embeddings: Vectors,
    corpus_embeddings: Vectors | Index,
    query_chunk_size: int = 100,
    corpus_chunk_size: int = 500_000,
    top_k: int = 10,
    score_function: str | Callable[..., object] = "cos_sim",
    *,
    ef: int = 64,
) -> list[list[dict[str, int | float]]]:
    """The ``top_k`` best rows of a corpus for each query, best first; fewer only if fewer exist.

    Args:
        query_embeddings: ``[q, dim]``, or ``[dim]`` for one query.
        corpus_embeddings: ``[n, dim]``, which are scanned exactly, or an index of them with the metric
            ``"cosine"`` or ``"inner_product"``, which is searched.
        query_chunk_size: taken and not needed.
        corpus_chunk_size: taken and not needed.
        top_k: rows wanted.
        score_function: ``"cos_sim"`` or ``"dot_score"``, or these functions of ``sentence_transformers.util``.
        ef: as for :meth:`concord.Index.search`; a scan does not need it.

    Returns:
        For each query a list of ``{"corpus_id": row, "score": score}``. With an index, rows are its labels.

    >>> from concord.sentence_transformers import semantic_search
    >>> semantic_search([[1, 0]], [[0, 1], [2, 0], [-1, 0]], top_k=2)
    [[{'corpus_id': 1, 'score': 1.0}, {'corpus_id': 0, 'score': 0.0}]]
    >>> import concord
    >>> index = concord.Index.from_vectors([[0, 1], [2, 0], [-1, 0]], metric="cosine")
    >>> semantic_search([1, 0], index, top_k=1)
    [[{'corpus_id': 1, 'score': 1.0}]]
    """
    wanted = integer_of(top_k, "top_k")
    name = score_function if isinstance(score_function, str) else score_function.__name__
    metric = METRICS.get(name)
    if metric is None:
        raise InvalidParameterError(
            f"score_function is {name!r}; allowed are {', '.join(map(repr, METRICS))}"
        )
    if isinstance(corpus_embeddings, Index):
        if corpus_embeddings.metric != metric:
            raise InvalidParameterError(
                f"score_function {name!r} needs an index with the metric {metric!r}, "
                f"not {corpus_embeddings.metric!r}"
            )
        found = corpus_embeddings.search(query_embeddings, k=wanted, ef=ef)
    else:
        found = exact_knn(corpus_embeddings, query_embeddings, wanted, metric=metric)
    return [
        [
            {"corpus_id": label, "score": _scores.similarity(metric, distance)}
            for label, distance in one.to_list()
        ]
        for one in found.each()
    ]
