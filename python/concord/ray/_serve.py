"""Ray Serve over the files of a folder: replicas of every shard that search, and one that asks them all.

A shard's replicas map its index file, so those of a node share its memory, or follow its journal. They lock
nothing, and no actor of :class:`concord.ray.ShardedIndex` is needed. Sockets are Ray Serve's alone.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ray import serve as ray_serve  # type: ignore[import-not-found,unused-ignore]

from concord import _concord, _vectors
from concord.errors import DimensionMismatchError, InvalidParameterError, MissingFileError
from concord.index import Index, Path, Vectors
from concord.matches import Matches
from concord.ray._layout import Found, Layout, shard_path
from concord.ray._shard import found_in
from concord.replica import Replica


class ShardReplica:
    """Searches one shard: its index file as it was at the start, or what its writer has done since."""

    def __init__(self, folder: str, shard: int, threads: int, follow_s: float | None) -> None:
        path = shard_path(folder, shard)
        self._failure: Exception | None = None
        self._index: Callable[[], Index]
        if follow_s is None:
            mapped = Index.map(path, threads=threads, device="cpu")
            self._index = lambda: mapped
            return
        replica = Replica(path, threads=threads, device="cpu")
        replica.catch_up()
        self._index = replica.index
        threading.Thread(target=self._follow, args=(replica, follow_s), daemon=True).start()

    def _follow(self, replica: Replica, follow_s: float) -> None:
        while self._failure is None:
            time.sleep(follow_s)
            try:
                replica.catch_up()
            except OSError:
                continue  # the folder may be away for a while; the replica tries again
            except Exception as error:
                self._failure = error

    def check_health(self) -> None:
        """Ray Serve replaces a replica whose files have gone another way."""
        if self._failure is not None:
            raise self._failure

    def search(self, queries: Any, k: int, ef: int, options: dict[str, Any]) -> Found:
        """What the shard finds."""
        return found_in(self._index(), queries, k, ef, options, exactly=False)


class Search:
    """Asks one replica of each shard and merges what they find."""

    def __init__(self, layout: Layout, dim: int, *shards: Any) -> None:
        self._layout = layout
        self._dim = dim
        self._shards = shards

    async def search(self, queries: Vectors, k: int = 10, ef: int = 64, **options: Any) -> Matches:
        """As :meth:`concord.ray.ShardedIndex.search`; one query is ``[1, dim]``. Raises if a shard does."""
        rows = _vectors.matrix(queries, "queries", self._dim)
        if rows.ndim != 2 or rows.shape[1] != self._dim:
            raise DimensionMismatchError(
                f"queries have shape {list(rows.shape)}; allowed is [n, {self._dim}]"
            )
        refs = [shard.search.remote(rows, k, ef, options) for shard in self._shards]
        found = await asyncio.gather(*refs)
        return self._layout.merged(list(enumerate(found)), len(rows), k)

    async def __call__(self, request: Any) -> dict[str, Any]:
        """HTTP: JSON with ``queries``, and ``k`` and ``ef``; answers with ``labels`` and ``distances``.

        A row ends where nothing more was found.
        """
        asked = await request.json()
        matches = await self.search(np.array(asked.pop("queries"), np.float32), **asked)
        rows = [one.to_list() for one in matches.each()]
        return {
            "labels": [[label for label, _ in row] for row in rows],
            "distances": [[distance for _, distance in row] for row in rows],
        }


def serve(
    folder: Path,
    *,
    replicas: int = 1,
    threads: int = 1,
    follow_s: float | None = None,
    num_cpus: float | None = None,
) -> Any:
    """An application for ``ray.serve.run`` that searches the index in a folder.

    Its handle has ``search(queries, k, ef)``, with the answers of :class:`concord.ray.ShardedIndex`. By HTTP it
    takes ``{"queries": [[…]], "k": 10, "ef": 64}``.

    Args:
        folder: as for :meth:`concord.ShardedIndex.map`; every node can reach it.
        replicas: of each shard.
        threads: of each replica.
        follow_s: seconds between two looks at the writer's journal. By default replicas map the index files,
            as they are when a replica starts; compact before.
        num_cpus: that Ray reserves for each replica; by default ``threads``.
    """
    path = os.path.realpath(os.fsdecode(folder))
    manifest = _concord.read_shard_manifest(os.fsencode(path))
    if manifest is None:
        raise MissingFileError(2, f"there is no manifest of a ShardedIndex in {path!r}", path)
    if follow_s is None and not all(manifest["bytes"]):
        raise InvalidParameterError(
            f"a shard in {path!r} has no index file yet; call compact() first, or follow its writer"
        )
    deployment = ray_serve.deployment(
        num_replicas=replicas,
        ray_actor_options={"num_cpus": threads if num_cpus is None else num_cpus},
    )(ShardReplica)
    shards = [
        deployment.options(name=f"shard-{shard:04d}").bind(path, shard, threads, follow_s)
        for shard in range(manifest["shards"])
    ]
    layout = Layout(manifest["shards"], manifest["block"])
    front = ray_serve.deployment(name="search", ray_actor_options={"num_cpus": 0})(Search)
    return front.bind(layout, manifest["dim"], *shards)
