"""Recall, by the rule of concord-bench: by distance, so that ties count.

An answer is right if its distance, computed again in double precision, is at most that of the k-th true
neighbor, give or take 1e-6 for the rounding of float. A label twice in one answer counts once.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

TOLERANCE = 1e-6
_BLOCK = 20_000
_SPARE = 20  # candidates beyond k whose distance is computed again

Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def distances(metric: str, queries: npt.NDArray[Any], rows: npt.NDArray[Any]) -> Doubles:
    """From query i to each of ``rows[i]`` ([q, k, dim]), in double precision."""
    a, b = queries.astype(np.float64)[:, None, :], rows.astype(np.float64)
    if metric == "l2sq":
        return ((a - b) ** 2).sum(-1)
    return 1 - (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


@dataclasses.dataclass
class Judge:
    """Knows how far the k-th true neighbor of each query is."""

    metric: str
    base: npt.NDArray[np.float32]
    queries: npt.NDArray[np.float32]
    limits: Doubles
    """[q], the largest distance of a right answer."""
    k: int

    @classmethod
    def of(
        cls, metric: str, base: npt.NDArray[np.float32], queries: npt.NDArray[np.float32], k: int
    ) -> Judge:
        """Scans all rows, block by block."""
        a = queries.astype(np.float64)
        if metric == "cosine":
            a /= np.linalg.norm(a, axis=1, keepdims=True)
        keep = min(k + _SPARE, len(base))
        best = np.full((len(a), 0), np.inf)
        ids = np.empty((len(a), 0), np.int64)
        for first in range(0, len(base), _BLOCK):
            b = base[first : first + _BLOCK].astype(np.float64)
            if metric == "cosine":
                b /= np.linalg.norm(b, axis=1, keepdims=True)
            scores = (b**2).sum(1) - 2 * a @ b.T
            numbers = np.broadcast_to(np.arange(first, first + len(b)), scores.shape)
            scores, numbers = np.hstack([best, scores]), np.hstack([ids, numbers])
            nearest = np.argpartition(scores, min(keep, scores.shape[1]) - 1)[:, :keep]
            best = np.take_along_axis(scores, nearest, 1)
            ids = np.take_along_axis(numbers, nearest, 1)
        k = min(k, len(base))
        kth = np.concatenate(
            [
                np.partition(distances(metric, q, base[rows]), k - 1)[:, k - 1]
                for q, rows in zip(
                    np.array_split(queries, 20), np.array_split(ids, 20), strict=True
                )
                if len(q)
            ]
        )
        return cls(metric, base, queries, kth + TOLERANCE * cls.scale(metric, kth), k)

    @staticmethod
    def scale(metric: str, kth: Doubles) -> Doubles:
        """What the tolerance is relative to."""
        return np.abs(kth) if metric == "l2sq" else np.maximum(1.0, np.abs(kth))

    def recall(self, labels: Labels) -> float:
        """Of answers [q, k]; -1, or any number that is no row, stands for none."""
        right = 0
        for first in range(0, len(labels), 256):
            found = np.sort(labels[first : first + 256], axis=1)
            fresh = (found >= 0) & (found < len(self.base))
            fresh[:, 1:] &= found[:, 1:] != found[:, :-1]
            rows = self.base[np.where(fresh, found, 0)]
            near = distances(self.metric, self.queries[first : first + 256], rows)
            hits = (fresh & (near <= self.limits[first : first + 256, None])).sum(1)
            right += int(np.minimum(hits, self.k).sum())
        return right / (self.k * len(labels))
