"""Ray Serve over the files of a folder: replicas of every shard that search, and one that asks them all.

A shard's replicas map its index file, so those of a node share its memory, or follow its journal. They lock
nothing, and no actor of :class:`concord.ray.ShardedIndex` is needed. Sockets are Ray Serve's alone.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ray import serve as ray_serve  # type: ignore[import-not-found,unused-ignore]
from ray.exceptions import RayTaskError  # type: ignore[import-not-found,unused-ignore]
from starlette.responses import JSONResponse  # type: ignore[import-not-found,unused-ignore]

from concord import _concord, _vectors
from concord.errors import (
    ArrayTypeError,
    DimensionMismatchError,
    InvalidParameterError,
    InvalidVectorError,
    MissingFileError,
    UnsupportedError,
)
from concord.index import Index, Path, Vectors
from concord.matches import Matches
from concord.ray._layout import Found, Layout, shard_path
from concord.ray._moments import Moments
from concord.ray._shard import found_in
from concord.replica import Replica

BAD_INPUT = (
    ArrayTypeError,
    DimensionMismatchError,
    InvalidParameterError,
    InvalidVectorError,
    UnsupportedError,
)
"""What a request can be refused for. All else is a failure."""


class ShardReplica:
    """Searches one shard: its index file as it was at the start, or what its writer has done since."""

    def __init__(self, folder: str, shard: int, threads: int, follow_s: float | None) -> None:
        path = shard_path(folder, shard)
        self._failure: Exception | None = None
        self._moments = Moments()
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
                with self._moments.changing():
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
        return self._moments.read(
            lambda: found_in(self._index(), queries, k, ef, options, exactly=False)
        )


class Search:
    """Asks one replica of each shard and merges what they find."""

    def __init__(self, layout: Layout, dim: int, *shards: Any) -> None:
        self._layout = layout
        self._dim = dim
        self._shards = shards

    async def search(
        self,
        queries: Vectors,
        k: int = 10,
        ef: int = 64,
        *,
        slack: float = math.inf,
        rescore: int | None = None,
        use_codes: bool = True,
    ) -> Matches:
        """As :meth:`concord.ray.ShardedIndex.search`; one query is ``[1, dim]``. Raises if a shard does."""
        rows = _vectors.matrix(queries, "queries", self._dim)
        if rows.ndim != 2 or rows.shape[1] != self._dim:
            raise DimensionMismatchError(
                f"queries have shape {list(rows.shape)}; allowed is [n, {self._dim}]"
            )
        options = {"slack": slack, "rescore": rescore, "use_codes": use_codes}
        refs = [shard.search.remote(rows, k, ef, options) for shard in self._shards]
        try:
            found = await asyncio.gather(*refs)
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, BAD_INPUT) else error) from None
        return self._layout.merged(list(enumerate(found)), len(rows), k)

    async def __call__(self, request: Any) -> Any:
        """HTTP: JSON with ``queries`` and what else :meth:`search` takes, to ``labels`` and ``distances``.

        A row ends where nothing more was found. What cannot be asked gets 400 and ``error``, a text.
        """
        try:
            asked = _asked(await request.body())
            matches = await self.search(**asked)
        except BAD_INPUT as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        rows = [one.to_list() for one in matches.each()]
        return {
            "labels": [[label for label, _ in row] for row in rows],
            "distances": [[distance for _, distance in row] for row in rows],
        }


def _asked(body: bytes) -> dict[str, Any]:
    """The arguments of a search that a request has."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidParameterError(f"the request is no JSON: {error}") from None
    if not isinstance(asked, dict) or "queries" not in asked or not asked.keys() <= READERS.keys():
        raise InvalidParameterError(
            f"a request is a dictionary with queries; allowed are {', '.join(READERS)}"
        )
    return {name: READERS[name](name, value) for name, value in asked.items()}


def _matrix(name: str, value: Any) -> Any:
    try:
        given = np.array(value)
        # Integers beyond 64 bits are objects.
        kinds = {int, float} if given.dtype.kind in "iuf" else set(map(type, given.flat))
        if not kinds <= {int, float}:
            raise TypeError("elements are numbers")
        with np.errstate(over="ignore"):  # infinity is refused by its place
            return given.astype(np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise ArrayTypeError(f"{name} are no matrix: {error}") from None


def _number(name: str, value: Any) -> float:
    if type(value) not in (int, float):
        raise InvalidParameterError(f"{name} must be a number, not {_kind(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _integer(name: str, value: Any) -> int | None:
    if type(value) is not int and not (name == "rescore" and value is None):
        raise InvalidParameterError(f"{name} must be an integer, not {_kind(value)}")
    return value


def _truth(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise InvalidParameterError(f"{name} must be true or false, not {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    """As JSON names it."""
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a truth value",
        int: "an integer",
        float: "a fraction",
    }
    return names.get(type(value), "null")


READERS: dict[str, Callable[[str, Any], Any]] = {
    "queries": _matrix,
    "k": _integer,
    "ef": _integer,
    "slack": _number,
    "rescore": _integer,
    "use_codes": _truth,
}
"""What a request may have, and what reads it."""


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
