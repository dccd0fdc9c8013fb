"""Adapters of a page each, against the packages themselves: txtai, datasets, sentence-transformers, mem0.

`tests/ecosystem.sh clients` installs the packages and runs this. A test whose package is missing skips itself
by name.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Floats, expect_examples_to_hold, make_vectors, package

import concord
from concord.sentence_transformers import semantic_search

# Warnings of the packages about one another are not ours.
pytestmark = pytest.mark.filterwarnings("ignore")


def unit(n: int, dim: int = 16, seed: int = 1) -> Floats:
    rows = make_vectors(n, dim, seed)
    lengths: Floats = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / lengths


@pytest.mark.parametrize("name", ["haystack", "txtai", "datasets"])
def test_examples_of_an_adapter(name: str) -> None:
    package(name)
    expect_examples_to_hold(f"concord.{name}")


def test_the_package_loads_none_of_them() -> None:
    names = ["haystack", "txtai", "datasets", "sentence_transformers", "mem0", "torch", "pandas"]
    program = f"import concord, concord.sentence_transformers, sys; print(*(set(sys.modules) & set({names})))"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == ""


# ---------------------------------------------------------------------------------------------- txtai


def backend(dim: int = 16, **settings: Any) -> Any:
    factory = package("txtai.ann").ANNFactory
    name = "concord.txtai.Concord"
    return factory.create({"backend": name, "dimensions": dim, name: {"device": "cpu", **settings}})


def test_txtai_finds_what_its_exact_backend_finds(tmp_path: pathlib.Path) -> None:
    ours = backend(efsearch=200, m=8, codes="sq8")
    exact = package("txtai.ann").ANNFactory.create({"backend": "numpy", "dimensions": 16})
    rows, more, queries = unit(400), unit(100, seed=2), unit(20, seed=3)
    for ann in (ours, exact):
        ann.index(rows)
        ann.append(more)
        ann.delete([3, 450, 3, 9999])
    assert ours.count() == 498 and ours.backend.M == 8 and ours.backend.codes == "sq8"
    assert ours.config["offset"] == 500 and ours.config["build"]["settings"]["m"] == 8
    for found, expected in zip(ours.search(queries, 10), exact.search(queries, 10), strict=True):
        assert [id for id, _ in found] == [id for id, _ in expected]
        np.testing.assert_allclose([s for _, s in found], [s for _, s in expected], atol=1e-5)
    ours.delete([7777])
    assert ours.search(rows[3], 500)[0][-1][0] != -1 and len(ours.search(rows[3], 600)[0]) == 498
    ours.save(str(tmp_path / "ann"))
    again = backend(efsearch=200)
    again.config["offset"] = ours.config["offset"]
    again.load(str(tmp_path / "ann"))
    assert again.backend.digest() == ours.backend.digest()
    assert again.search(queries, 10) == ours.search(queries, 10)
    again.append(unit(1, seed=4))
    assert again.search(unit(1, seed=4), 1)[0][0][0] == 500  # no id is used again
    assert again.backend.audit().ok


def test_txtai_embeddings_live_on_it(tmp_path: pathlib.Path) -> None:
    txtai = package("txtai.embeddings")
    rows = {f"text {i}": row for i, row in enumerate(unit(50))}

    def settings() -> dict[str, Any]:
        transform: Callable[[list[str]], Any] = lambda texts: np.array([rows[t] for t in texts])  # noqa: E731
        name = "concord.txtai.Concord"
        return {
            "method": "external",
            "transform": transform,
            "backend": name,
            name: {"device": "cpu"},
        }

    embeddings = txtai.Embeddings(settings())
    embeddings.index([(i, f"text {i}", None) for i in range(40)])
    embeddings.upsert([(i, f"text {i}", None) for i in range(30, 50)])
    assert embeddings.count() == 50
    assert [embeddings.search(f"text {i}", 1)[0][0] for i in (0, 35, 49)] == [0, 35, 49]
    embeddings.delete([35])
    assert embeddings.count() == 49 and embeddings.search("text 35", 1)[0][0] != 35


def test_txtai_is_told_what_is_wrong() -> None:
    ann = backend(m=1)
    with pytest.raises(concord.InvalidParameterError, match="M is 1"):
        ann.index(unit(10))
    assert ann.backend is None
    ann = backend()
    ann.index(unit(10))
    with pytest.raises(concord.InvalidVectorError):
        ann.append(np.full((1, 16), np.nan, np.float32))
    assert ann.config["offset"] == ann.count() == 10


# ----------------------------------------------------------------------------------------------- datasets


def dataset(rows: Floats) -> Any:
    return package("datasets").Dataset.from_dict(
        {"number": list(range(len(rows))), "embedding": rows.tolist()}
    )


def test_datasets_find_the_nearest_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    package("datasets")
    from concord import datasets as adapter

    monkeypatch.setattr(adapter, "BATCH", 64)
    rows, queries = make_vectors(300), make_vectors(7, seed=2)
    data = dataset(rows)
    made = adapter.index_column(data, "embedding", M=8, device="cpu")
    assert data.list_indexes() == ["embedding"] and data.get_index("embedding") is made
    plain = concord.Index(16, M=8, device="cpu")
    plain.add(rows)
    assert made.index.digest() == plain.digest()  # whatever the parts were
    true = concord.exact_knn(rows, queries, 5)
    scores, examples = data.get_nearest_examples_batch("embedding", queries, k=5, ef=300)
    assert [one["number"] for one in examples] == true.labels.tolist()
    np.testing.assert_allclose(scores, true.distances, rtol=1e-6)
    scores, example = data.get_nearest_examples("embedding", queries[0], k=5, ef=300)
    assert example["number"] == true.labels[0].tolist() and len(scores) == 5
    scores, example = data.get_nearest_examples("embedding", queries[:1], k=400, ef=300)
    assert len(example["number"]) == len(scores) == 300  # what was not found is left out
    odd = data.search("embedding", queries[0], k=4, filter=np.arange(1, 300, 2))
    assert all(row % 2 for row in odd.indices)


@pytest.mark.parametrize("metric", ["cosine", "ip"])
def test_scores_in_datasets_are_best_highest(metric: str) -> None:
    package("datasets")
    from concord.datasets import index_column

    data = dataset(make_vectors(50))
    index_column(data, "embedding", "other", metric=metric, device="cpu")
    scores, rows = data.search("other", make_vectors(1, seed=2)[0], k=50)
    assert (np.diff(scores) <= 0).all() and sorted(rows) == list(range(50))


def test_an_index_of_a_column_is_saved_and_attached_again(tmp_path: pathlib.Path) -> None:
    package("datasets")
    from concord.datasets import ColumnIndex, attach, index_column

    data = dataset(make_vectors(50))
    index_column(data, "embedding", device="cpu").save(tmp_path / "index")
    data.drop_index("embedding")
    loaded = ColumnIndex.load(tmp_path / "index", device="cpu")
    attach(data, loaded, "again")
    found = data.get_nearest_examples("again", make_vectors(50)[7], k=1)
    assert found.examples["number"] == [7] and found.scores[0] == 0
    part = dataset(make_vectors(50)).select(range(20, 45))
    with pytest.raises(concord.InvalidParameterError, match="50 vectors, and the data set 25 rows"):
        attach(part, loaded, "again")
    index_column(part, "embedding", device="cpu")
    assert part.get_nearest_examples("embedding", make_vectors(50)[30], k=1).examples["number"] == [
        30
    ]


def test_a_column_that_is_refused_is_not_attached() -> None:
    datasets = package("datasets")
    from concord.datasets import index_column

    for column, error in (
        ([[1.0, 2.0], [1.0]], concord.Error),
        ([[1.0, 2.0], None], concord.Error),
        (["a", "b"], (concord.Error, TypeError)),
        ([], concord.InvalidParameterError),
    ):
        data = datasets.Dataset.from_dict({"embedding": column})
        with pytest.raises(error):
            index_column(data, "embedding", device="cpu")
        assert data.list_indexes() == []


# --------------------------------------------------------------------------------- sentence-transformers


@pytest.mark.parametrize(("name", "metric"), [("cos_sim", "cosine"), ("dot_score", "ip")])
def test_semantic_search_is_the_best_of_all_scores(name: str, metric: str) -> None:
    queries, corpus = make_vectors(6), make_vectors(200, seed=2)
    scores = queries @ corpus.T
    if name == "cos_sim":
        scores /= np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(corpus, axis=1)
    best = np.argsort(-scores, axis=1)[:, :5]
    index = concord.Index.from_vectors(corpus, metric=metric, device="cpu")
    for where in (corpus, index):
        found = semantic_search(queries, where, top_k=5, score_function=name, ef=200)
        assert [[one["corpus_id"] for one in row] for row in found] == best.tolist()
        np.testing.assert_allclose(
            [[one["score"] for one in row] for row in found],
            np.take_along_axis(scores, best, axis=1),
            atol=1e-4,
        )
        assert len(semantic_search(queries[0], where, 10, 10, 300, name)[0]) == 200
        assert semantic_search(queries, where, top_k=0, score_function=name) == [[]] * 6


def test_semantic_search_is_that_of_sentence_transformers() -> None:
    torch = pytest.importorskip("torch")  # too large for tests/ecosystem.sh
    util = package("sentence_transformers.util")
    queries, corpus = torch.tensor(make_vectors(6)), torch.tensor(make_vectors(200, seed=2))
    for function in (util.cos_sim, util.dot_score):
        ours = semantic_search(queries, corpus, top_k=7, score_function=function)
        theirs = util.semantic_search(queries, corpus, top_k=7, score_function=function)
        assert [[one["corpus_id"] for one in row] for row in ours] == [
            [one["corpus_id"] for one in row] for row in theirs
        ]
        np.testing.assert_allclose(
            [[one["score"] for one in row] for row in ours],
            [[one["score"] for one in row] for row in theirs],
            atol=1e-4,
        )


def test_semantic_search_refuses_scores_that_do_not_fit() -> None:
    index = concord.Index.from_vectors(make_vectors(5), metric="l2", device="cpu")
    with pytest.raises(
        concord.InvalidParameterError, match="needs an index with the metric 'cosine'"
    ):
        semantic_search(make_vectors(1), index)
    with pytest.raises(
        concord.InvalidParameterError, match="'manhattan_sim'; allowed are 'cos_sim'"
    ):
        semantic_search(make_vectors(1), make_vectors(5), score_function="manhattan_sim")
    with pytest.raises(TypeError, match="top_k"):
        semantic_search(make_vectors(1), make_vectors(5), top_k=1.5)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- mem0


def test_mem0_works_by_the_store_for_langchain() -> None:
    """mem0 names its vector stores in a table of its own; the way in for others is LangChain."""
    package("langchain_core")
    langchain = package("mem0.vector_stores.langchain")
    from langchain_core.embeddings import DeterministicFakeEmbedding

    from concord.langchain import ConcordVectorStore

    embedding = DeterministicFakeEmbedding(size=8)
    memory = langchain.Langchain(client=ConcordVectorStore(embedding, device="cpu"))
    texts = ["likes tea", "has a cat", "lives in Rome"]
    payloads = [{"data": text, "user_id": user} for text, user in zip(texts, "aab", strict=True)]
    memory.insert(embedding.embed_documents(texts), payloads, ["1", "2", "3"])
    query = embedding.embed_query("has a cat")
    found = memory.search("has a cat", query, top_k=3)
    assert found[0].id == "2" and found[0].score == pytest.approx(1, abs=1e-5)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert {one.id for one in memory.search("", query, filters={"user_id": "a"})} == {"1", "2"}
    memory.update("3", embedding.embed_query("has a cat"), {"data": "has a cat", "user_id": "c"})
    assert memory.get("3").payload["user_id"] == "c"
    memory.delete("2")
    assert [one.id for one in memory.search("", query, top_k=1)] == ["3"]
    memory.delete_col()
    assert memory.search("", query) == []
