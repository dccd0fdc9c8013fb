"""An index whose shards are in many processes and machines, as actors of Ray over plain files.

Needs the extra: ``pip install 'concord-ann[ray]'``. docs/ray.md says when to use it, and what holds when
something dies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from concord import _extras

with _extras.needed("ray", "concord.ray"):
    from concord.ray._calls import ShardUnavailableError
    from concord.ray._filter import Filter
    from concord.ray._index import ShardedIndex
    from concord.ray._search import Answer
    from concord.ray._shard import ShardStatus

if TYPE_CHECKING:
    from concord.ray._serve import serve

__all__ = ["Answer", "Filter", "ShardStatus", "ShardUnavailableError", "ShardedIndex", "serve"]


def __getattr__(name: str) -> Any:
    """``serve``, which alone needs Ray Serve."""
    if name != "serve":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _extras.needed("ray", "concord.ray.serve"):
        from concord.ray._serve import serve
    return serve
