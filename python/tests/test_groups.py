"""Index.groups and searches with them: against a scan, in every form of keys, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import Floats, make_index, make_vectors

import concord


def picked(labels: Any, keys: Any, k: int, hits: int) -> list[int]:
    """The labels of the first k groups in order, at most so many of each."""
    taken: dict[Any, int] = {}
    found = []
    for label in labels:
        key = keys[label]
        if key not in taken and len(taken) == k:
            continue
        taken[key] = taken.get(key, 0) + 1
        if taken[key] <= hits:
            found.append(int(label))
    return found


def test_a_small_index_is_scanned(index: concord.Index, vectors: Floats) -> None:
    keys = np.arange(len(index)) % 7
    order = index.exact_search(vectors[:10], len(index))[0]
    for k, hits in ((7, 1), (5, 3), (20, 2)):
        labels, distances = index.search(
            vectors[:10], k, 64, groups=index.groups(keys), group_hits=hits
        )
        assert labels.shape == distances.shape == (10, k * hits)
        for row in range(10):
            expected = picked(order[row], keys, k, hits)
            assert labels[row].tolist() == expected + [concord.NO_LABEL] * (
                k * hits - len(expected)
            )


def test_every_form_of_keys_means_the_same(index: concord.Index, vectors: Floats) -> None:
    keys = np.arange(len(index)) // 9
    groups = index.groups(keys)
    assert (groups.count, groups.size) == (len(set(keys.tolist())), len(index))
    assert repr(groups) == f"concord.Groups({groups.count} of {len(index)} vectors)"
    assert groups.nbytes >= 4 * len(index)
    expected = index.search(vectors[:5], 4, groups=groups)
    for form in (keys.tolist(), keys.astype(np.int16), [f"document {key}" for key in keys], -keys):
        for given in (form, index.groups(form)):
            found = index.search(vectors[:5], 4, groups=given)
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_array_equal(found[1], expected[1])


def test_with_a_filter_and_without_what_was_removed() -> None:
    vectors = make_vectors(300)
    index = make_index(vectors)
    keys = np.arange(300) // 3
    groups = index.groups(keys)
    index.remove([0, 1])
    labels, _ = index.search(vectors[0], 50, groups=groups, filter=index.filter(slice(0, 100)))
    assert len({keys[label] for label in labels[labels >= 0]}) == (labels >= 0).sum() == 34
    assert not {0, 1} & set(labels.tolist())
    labels, _ = index.search(vectors[:2], 8, groups=groups, filter=[index.filter(slice(50)), None])
    assert labels[0].max() < 52 and 0 not in labels
    index.add(vectors[:1])
    assert 300 not in index.search(vectors[0], 100, groups=groups)[0]


def test_what_is_refused(index: concord.Index, vectors: Floats) -> None:
    n = len(index)
    groups = index.groups(np.zeros(n, int))
    invalid = concord.InvalidParameterError
    with pytest.raises(invalid, match=str(n)):
        index.groups(np.zeros(n - 1, int))
    with pytest.raises(concord.ArrayTypeError, match="one dimension"):
        index.groups(np.zeros((n, 2), int))
    with pytest.raises(invalid, match="group_hits"):
        index.search(vectors[0], groups=groups, group_hits=0)
    with pytest.raises(invalid, match="products to 65536"):
        index.search(vectors[0], 256, groups=groups, group_hits=257)
    with pytest.raises(invalid, match="slack"):
        index.search(vectors[0], groups=groups, slack=0.1)
    with pytest.raises(invalid, match="another index"):
        make_index(vectors).search(vectors[0], groups=groups)
    with pytest.raises(TypeError, match=r"Index\.groups"):
        concord.Groups(None)  # type: ignore[arg-type]
    sharded = concord.ShardedIndex(dim=vectors.shape[1])
    sharded.add(vectors)
    with pytest.raises(invalid, match="another index"):
        sharded.search(vectors[0], groups=groups)
