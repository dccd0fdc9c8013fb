"""Threads of one call, ranges of arguments, and distances as people name them: rules that modules share.

Everything here is a function of its arguments, so any number of threads may call it.
"""

from __future__ import annotations

import contextlib
import math
import numbers
import operator
from typing import NamedTuple, SupportsIndex, cast

import numpy as np
import numpy.typing as npt

from concord import _concord
from concord.errors import InvalidParameterError, UnsupportedError

MOST = float(np.finfo(np.float32).max)
MOST_RESULTS = 65_536
"""The largest ``k`` and ``ef`` of a search."""


def limited(threads: int | None) -> contextlib.AbstractContextManager[object]:
    """Calls of this thread within it run on at most so many threads; ``None`` sets no limit."""
    return contextlib.nullcontext() if threads is None else _concord.ThreadLimit(threads)


def integer_of(value: object, name: str) -> int:
    """An integer of any library. Raises TypeError, which names the argument as Python's does not."""
    try:
        return operator.index(cast("SupportsIndex", value))
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}") from None


def count_of(value: SupportsIndex, name: str) -> int:
    """A ``k`` or an ``ef``, 1 to 65,536. Raises InvalidParameterError."""
    number = integer_of(value, name)
    if not 1 <= number <= MOST_RESULTS:
        raise InvalidParameterError(f"{name} is {number}; allowed are 1 to {MOST_RESULTS}")
    return number


def recall_of(value: object) -> float:
    """A recall to be reached, above 0 and below 1. Raises InvalidParameterError."""
    number = cast("float", value)
    if not isinstance(value, numbers.Real) or not 0 < number < 1:
        raise InvalidParameterError(f"recall is {value!r}; allowed are numbers above 0 and below 1")
    return float(number)


def share_of(value: object, name: str) -> float:
    """A share, 0 to 1. Raises InvalidParameterError."""
    number = cast("float", value)
    if not isinstance(value, numbers.Real) or not 0 <= number <= 1:
        raise InvalidParameterError(f"{name} is {value!r}; allowed are numbers from 0 to 1")
    return float(number)


def expect_names(**given: object) -> None:
    """Raises TypeError for a metric, a device or the like that is no text, by the name of its argument."""
    for name, value in given.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a str, not {type(value).__name__}")


def radius_of(value: object) -> float:
    """A radius, 0 to infinity; what no float holds is infinity. Raises InvalidParameterError."""
    number = cast("float", value)  # numbers.Real has int and float, which type checkers do not know
    if not isinstance(value, numbers.Real) or not number >= 0:
        raise InvalidParameterError(f"radius is {value!r}; allowed are numbers from 0")
    try:
        return float(number)
    except OverflowError:
        return math.inf


class Distance(NamedTuple):
    """What a caller calls a distance: an index has a metric, and ``is_root`` if it is that one's root."""

    metric: str
    is_root: bool

    def values(self, distances: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Of what an index gives. 1 - cosine may be rounded to just below zero, which no distance is."""
        distances = np.maximum(distances, np.float32(0))
        return np.sqrt(distances) if self.is_root else distances

    def reach(self, radius: float) -> float:
        """The radius of an index that has all within ``radius``: rounded up, since what is at it counts."""
        stored = radius * radius if self.is_root else radius  # infinity if it overflows; ** raises
        if stored >= MOST:
            return math.inf
        return float(np.nextafter(np.float32(stored), np.float32(np.inf)))

    def within(self, values: npt.NDArray[np.float32], radius: float) -> npt.NDArray[np.bool_]:
        """Which of the distances that :meth:`values` gave are within the radius."""
        return values <= np.float32(min(radius, MOST))


DISTANCES = {
    "l2": Distance("l2sq", True),
    "euclidean": Distance("l2sq", True),
    "l2sq": Distance("l2sq", False),
    "sqeuclidean": Distance("l2sq", False),
    "cosine": Distance("cosine", False),
    "cos": Distance("cosine", False),
    "angular": Distance("cosine", False),
}
"""The distances of graphs, by their names in lower case."""


def distance_of(metric: object) -> Distance:
    """The distance that a caller names. Raises InvalidParameterError."""
    found = DISTANCES.get(metric.lower()) if isinstance(metric, str) else None
    if found is None:
        raise InvalidParameterError(
            f"metric is {metric!r}; allowed are {', '.join(map(repr, DISTANCES))}. Inner product has no graph, "
            "because a vector need not be its own nearest"
        )
    return found


def expect_distance(metric: str, what: str) -> None:
    """Raises UnsupportedError for an index of inner products."""
    if metric == "inner_product":
        raise UnsupportedError(
            f"{what} needs a distance, and inner_product is none; allowed are l2sq and cosine"
        )
