"""Batches of a ``ray.data.Dataset``, in its order.

Ray Data gives blocks in the order in which they are done, unless it is told to keep theirs. Another order is
another graph. So order is kept while a dataset is read here, whatever its owner has set.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from concord.errors import ArrayTypeError


def is_dataset(value: object) -> bool:
    """Whether this is a Dataset, without importing Ray Data for other things."""
    module = sys.modules.get("ray.data")
    return module is not None and isinstance(value, module.Dataset)


@contextlib.contextmanager
def in_order(dataset: Any) -> Iterator[None]:
    """Within, the dataset keeps its order."""
    options = dataset.context.execution_options
    before = options.preserve_order
    options.preserve_order = True
    try:
        yield
    finally:
        options.preserve_order = before


def batches(
    dataset: Any, column: str, labels: str | None, batch_size: int, dim: int
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any] | None]]:
    """Vectors ``[n, dim]`` and labels, one batch after the other."""
    with in_order(dataset):
        for batch in dataset.iter_batches(
            batch_size=batch_size, batch_format="numpy", prefetch_batches=1
        ):
            missing = [name for name in (column, labels) if name is not None and name not in batch]
            if missing:
                raise ArrayTypeError(
                    f"the dataset has no column {missing[0]!r}; it has {sorted(batch)}"
                )
            rows = batch[column]
            if rows.dtype == object:  # lists, which need not have one length
                if any(len(row) != dim for row in rows):
                    raise ArrayTypeError(f"column {column!r} has rows that have not {dim} elements")
                rows = np.stack(list(rows)) if len(rows) else np.empty((0, dim), np.float32)
            yield rows, None if labels is None else batch[labels]
