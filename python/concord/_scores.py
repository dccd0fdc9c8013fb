"""Scores of the packages that want the best highest: the one place that makes them of distances."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import numpy.typing as npt


@overload
def similarity(metric: str, distance: float) -> float: ...
@overload
def similarity(metric: str, distance: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]: ...
def similarity(metric: str, distance: Any) -> Any:
    """The cosine, the inner product, or 1 / (1 + squared distance)."""
    return 1 / (1 + distance) if metric == "l2sq" else 1 - distance
