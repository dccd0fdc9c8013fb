"""Index.range_search: against a scan with numpy, in every form of its arguments, and what is refused."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from conftest import Floats, make_index, make_vectors

import concord


def within(index: concord.Index, query: Any, radius: float) -> list[int]:
    """The labels within a radius, by an exact search of all."""
    labels, distances = index.exact_search(query, len(index))
    return [int(label) for label in labels[distances <= radius]]


def test_an_infinite_slack_finds_all_within_the_radius(
    index: concord.Index, vectors: Floats
) -> None:
    _, distances = index.exact_search(vectors[:20], 40)
    for radius in (0.0, float(np.median(distances[:, 5])), float(np.median(distances[:, -1]))):
        lims, labels, found = index.range_search(vectors[:20], radius, slack=np.inf)
        assert lims.dtype == np.int64 and labels.dtype == np.int64 and found.dtype == np.float32
        assert lims.shape == (21,) and lims[0] == 0 and lims[-1] == len(labels) == len(found)
        for row in range(20):
            hits = slice(lims[row], lims[row + 1])
            assert labels[hits].tolist() == within(index, vectors[row], radius)
            assert (np.diff(found[hits]) >= 0).all() and (found[hits] <= radius).all()


def test_limit_and_filter(index: concord.Index, vectors: Floats) -> None:
    mask = np.arange(len(index)) % 3 == 0
    radius = float(index.exact_search(vectors[0], 60)[1][-1])
    everything = within(index, vectors[0], radius)
    _, labels, _ = index.range_search(vectors[0], radius, 200, 0.3, filter=mask)
    assert labels.tolist() == [label for label in everything if mask[label]]
    lims, labels, _ = index.range_search(vectors[:1], radius, ef=200, slack=0.3, limit=7)
    assert lims.tolist() == [0, 7] and labels.tolist() == everything[:7]
    lims, labels, _ = index.range_search(vectors[[0, 0]], radius, slack=np.inf, filter=[mask, None])
    assert labels[lims[1] :].tolist() == everything
    assert lims[1] == sum(map(mask.__getitem__, everything))
    assert index.range_search(vectors[:2], radius, limit=0)[0].tolist() == [0, 0, 0]
    with pytest.raises(concord.InvalidParameterError, match="1 filters for 2 queries"):
        index.range_search(vectors[:2], radius, filter=[mask])


def test_one_query_no_query_and_no_hit(index: concord.Index, vectors: Floats) -> None:
    lims, labels, distances = index.range_search(vectors[3], 0)
    assert (lims.tolist(), labels.tolist(), distances.tolist()) == ([0, 1], [3], [0.0])
    empty = index.range_search(np.empty((0, index.dim), np.float32), 1)
    assert [len(part) for part in empty] == [1, 0, 0]
    lims, labels, _ = index.range_search(vectors[:3] + 100, 0.5)
    assert lims.tolist() == [0, 0, 0, 0] and len(labels) == 0
    fresh = concord.Index(dim=4)
    assert [len(part) for part in fresh.range_search(np.ones((2, 4)), np.inf)] == [3, 0, 0]


def test_batches_and_threads_change_nothing(index: concord.Index, vectors: Floats) -> None:
    radius = float(np.median(index.exact_search(vectors[:50], 30)[1][:, -1]))
    lims, labels, distances = index.range_search(vectors, radius)
    rows = [index.range_search(vector, radius) for vector in vectors]
    np.testing.assert_array_equal(np.concatenate([row[1] for row in rows]), labels)
    np.testing.assert_array_equal(np.concatenate([row[2] for row in rows]), distances)
    np.testing.assert_array_equal(np.cumsum([0] + [len(row[1]) for row in rows]), lims)
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda: results.append(index.range_search(vectors, radius)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in results:
        assert all(map(np.array_equal, other, (lims, labels, distances)))


def test_large_labels_come_back_as_uint64() -> None:
    index = concord.Index(dim=2)
    index.add([[0, 0], [1, 0]], labels=[2**63, 5])
    assert index.range_search([0, 0], 1)[1].tolist() == [2**63, 5]


def test_what_is_refused(index: concord.Index, vectors: Floats) -> None:
    invalid = concord.InvalidParameterError
    for radius in (-1, float("nan"), -np.inf):
        with pytest.raises(invalid, match="radius"):
            index.range_search(vectors, radius)
    for keywords, name in (
        ({"ef": 0}, "ef"),
        ({"slack": -1}, "slack"),
        ({"limit": 65537}, "limit"),
    ):
        with pytest.raises(invalid, match=name):
            index.range_search(vectors, 1, **keywords)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="radius"):
        index.range_search(vectors, "far")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="limit"):
        index.range_search(vectors, 1, limit=2.5)  # type: ignore[arg-type]
    with pytest.raises(concord.DimensionMismatchError):
        index.range_search(vectors[:, :3], 1)
    other = make_index(make_vectors(50))
    with pytest.raises(invalid, match="another index"):
        index.range_search(vectors, 1, filter=other.filter(slice(10)))
    products = concord.Index(dim=2, metric="ip")
    with pytest.raises(concord.UnsupportedError, match="inner_product"):
        products.range_search([0, 0], 1)
    with pytest.raises(concord.UnsupportedError, match="inner_product"):
        concord.ShardedIndex(dim=2, metric="ip").range_search([0, 0], 1)
