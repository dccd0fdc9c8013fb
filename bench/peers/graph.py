"""Which nodes of a layered graph a search can reach.

The lenient rule of ``concord-bench compare``: in the top layer from the entry point, in each layer below from
every node that was reached in the layer above.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[Any]


def unreachable(layers: Sequence[tuple[Rows, Rows]], entry: Sequence[int], nodes: int) -> int:
    """Nodes of the bottom layer that cannot be reached.

    ``layers`` are from the top to the bottom, each ``(ids, neighbors)``: the nodes of the layer and, row by
    row, whom they link to, padded with numbers that are no node.
    """
    reached = np.zeros(nodes, bool)
    reached[list(entry)] = True
    for ids, neighbors in layers:
        place = np.full(nodes, -1)
        place[ids] = np.arange(len(ids))
        frontier = np.flatnonzero(reached & (place >= 0))
        while len(frontier):
            linked = neighbors[place[frontier]].ravel()
            linked = np.unique(linked[(linked >= 0) & (linked < nodes)])
            linked = linked[place[linked] >= 0]
            frontier = linked[~reached[linked]]
            reached[frontier] = True
    return int(nodes - reached.sum())
