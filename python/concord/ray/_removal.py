"""A removal from all shards: checked as a whole, then sent in batches, each of which comes once.

Thread-safety: one thread.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from concord.ray._addition import refuse_unknown
from concord.ray._layout import Labels, Numbers
from concord.ray._writer import IN_FLIGHT, Part, Writer, batch_size_of, expect_each_once


def remove(writer: Writer, labels: Labels, batch_size: int) -> int:
    """Remove the vectors of these labels; returns how many that were."""
    batch_size = batch_size_of(batch_size)
    removals = [counts.removals for counts in writer.lead()]
    if not len(labels):
        return 0
    owners = writer.owners(labels)
    expect_each_once(labels[owners >= 0])
    if (owners < 0).any():
        refuse_unknown(labels, owners)
    with writer.sending():
        for start in range(0, len(labels), batch_size):
            piece = slice(start, start + batch_size)
            list(writer.settle(IN_FLIGHT - 1))
            writer.send(len(labels[piece]), _parts(labels[piece], owners[piece], removals))
        list(writer.settle(0))
    return len(labels)


def _parts(labels: Labels, owners: Numbers, removals: list[int]) -> Iterator[Part]:
    """What each shard gets of a batch; counts its removals."""
    for shard in np.unique(owners).tolist():
        mine = labels[owners == shard]
        yield Part(shard, removals[shard], len(mine), (mine,))
        removals[shard] += len(mine)
