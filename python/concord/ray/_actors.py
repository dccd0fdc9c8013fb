"""The actors of a folder: one for each shard, named after both, and detached. Thread-safety: functions."""

from __future__ import annotations

import os
from typing import Any

import ray  # type: ignore[import-not-found,unused-ignore]

from concord import _concord
from concord.errors import InvalidParameterError, MissingFileError
from concord.ray._layout import shard_path
from concord.ray._shard import GROUPS, Shard


def manifest_of(folder: str, wanted: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The parameters of a folder, and whether it has no manifest yet."""
    known = _concord.read_shard_manifest(os.fsencode(folder))
    if known is None:
        if wanted["dim"] is None:
            raise MissingFileError(
                2, f"there is no manifest of a ShardedIndex in {folder!r}", folder
            )
        os.makedirs(folder, exist_ok=True)
        return wanted, True
    if wanted["dim"] is not None:
        other = [f"{name} {known[name]}" for name in wanted if known[name] != wanted[name]]
        if other:
            raise InvalidParameterError(
                f"the index in {folder!r} has {', '.join(other)}, which is not what was asked for"
            )
    return known, False


def _actor_name(folder: str, shard: int) -> str:
    return f"concord {folder} {shard}"


def has_actor(folder: str, shard: int, namespace: str) -> bool:
    """Whether a shard has an actor."""
    try:
        ray.get_actor(_actor_name(folder, shard), namespace)
    except ValueError:
        return False
    return True


def actor_of(
    folder: str,
    shard: int,
    namespace: str,
    options: dict[str, Any],
    parameters: dict[str, Any],
    takeover_s: float,
) -> Any:
    """The actor of a shard, which is started if it is not there; then with these options of Ray."""
    remote: Any = ray.remote
    memory = options["memory"] or _bytes_of(folder, shard) or None
    return (
        remote(concurrency_groups=GROUPS)(Shard)
        .options(
            **{**options, "memory": memory},
            name=_actor_name(folder, shard),
            namespace=namespace,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            max_task_retries=-1,
            scheduling_strategy="SPREAD",
        )
        .remote(folder, shard, parameters, takeover_s)
    )


def _bytes_of(folder: str, shard: int) -> int:
    """The length of a shard's files."""
    path = shard_path(folder, shard)
    return sum(os.path.getsize(name) for name in (path, f"{path}.journal") if os.path.exists(name))
