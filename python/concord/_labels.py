"""Labels that a caller gives, as the extension module reads them."""

from __future__ import annotations

import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, SupportsIndex, cast

import numpy as np
import numpy.typing as npt

from concord.errors import ArrayTypeError, DimensionMismatchError

if TYPE_CHECKING:
    from concord.index import Labels

MOST_LABEL = 2**64 - 2
"""The largest label."""


def labels_of(labels: Labels, vectors: int | None) -> npt.NDArray[np.uint64]:
    """Labels as the extension module reads them; refused if a cast would change one. ``None``: any number.

    Their number is compared before any is read, because a broadcast array may have any length.
    """
    allowed = "allowed are integers from 0 to 2**64 - 2, in one dimension"
    if isinstance(labels, slice):
        raise ArrayTypeError(
            f"a slice is no label; {allowed}. Those of a part of the order of insertion are "
            "index.labels()[first:last]"
        )
    try:
        exact = _exact_labels(labels) if isinstance(labels, (list, tuple)) else labels
    except (TypeError, OverflowError) as error:
        raise ArrayTypeError(f"labels do not fit: {error}; {allowed}") from None
    if isinstance(exact, np.ma.MaskedArray) and np.ma.is_masked(exact):
        raise ArrayTypeError(f"labels have masked elements; {allowed}")
    numbers = np.asarray(exact)
    if numbers.size == 0:
        return np.empty(0, np.uint64)
    if numbers.ndim > 1 or numbers.dtype.kind not in "iu":
        raise ArrayTypeError(f"labels are {numbers.dtype} of shape {numbers.shape}; {allowed}")
    if vectors is not None and numbers.size != vectors:
        raise DimensionMismatchError(
            f"{numbers.size} labels for {vectors} vectors; there must be one each"
        )
    if numbers.min() < 0 or numbers.max() > MOST_LABEL:
        raise ArrayTypeError(f"labels are {numbers.min()} to {numbers.max()}; {allowed}")
    return np.ascontiguousarray(numbers, np.uint64).reshape(-1)


def _exact_labels(labels: Sequence[SupportsIndex]) -> array.array[int]:
    if bool in set(map(type, labels)):
        raise TypeError("booleans are no labels")
    return array.array("Q", cast("Sequence[int]", labels))
