"""Calls of actors: what they raise comes out as the shard raised it, and what does not answer is named."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

import ray  # type: ignore[import-not-found,unused-ignore]
from ray.exceptions import (  # type: ignore[import-not-found,unused-ignore]
    GetTimeoutError,
    RayActorError,
    RayError,
    RayTaskError,
)

from concord.errors import Error
from concord.ray._shard import WRITES


class ShardUnavailableError(Error, RuntimeError):
    """Shards did not answer within the time limit.

    Ray starts an actor again whose process ended, so the same call may succeed later.
    """

    code = "shard_unavailable"

    def __init__(self, shards: Sequence[int], text: str) -> None:
        super().__init__(shards, text)
        self.shards = tuple(shards)
        """Their numbers."""
        self._text = text

    def __str__(self) -> str:
        """The text, which names the shards."""
        return self._text


def call(actor: Any, member: str, *arguments: Any) -> Any:
    """Begin a call of a shard's member."""
    group = "write" if member in WRITES else "read"
    return getattr(actor, member).options(concurrency_group=group).remote(*arguments)


def unavailable(shards: Sequence[int], timeout_s: float) -> ShardUnavailableError:
    """The error of shards that did not answer."""
    names = ", ".join(map(str, shards))
    return ShardUnavailableError(
        shards, f"shard {names} did not answer within {timeout_s:g} s; Ray may be starting it again"
    )


def of_shard(shard: int, error: Exception) -> Exception:
    """An error of concord that begins with the shard; others as they are."""
    if not isinstance(error, Error):
        return error
    text = f"shard {shard}: {error}"
    if isinstance(error, OSError) and error.errno is not None:
        return type(error)(error.errno, text, error.filename)
    return type(error)(text)


def result(shard: int, ref: Any) -> Any:
    """What a call that has ended returned or raised."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        cause = error.cause
        raise (of_shard(shard, cause) if isinstance(cause, Exception) else error) from None


def answers(refs: Sequence[Any], timeout_s: float) -> tuple[list[tuple[int, Any]], list[int]]:
    """What the calls of shards 0, 1, … returned within the time, by shard, and which did not.

    A call that was not answered in time is cancelled: a shard that has not begun with it never does. None in
    the place of a call: the shard was not asked.
    """
    asked = {shard: ref for shard, ref in enumerate(refs) if ref is not None}
    calls = list(asked.values())
    missing = [shard for shard in range(len(refs)) if shard not in asked]
    end = time.monotonic() + timeout_s
    with contextlib.suppress(RayError):  # mostly all of them are there, and one call is enough
        return list(zip(asked, ray.get(calls, timeout=timeout_s), strict=True)), missing
    left = max(end - time.monotonic(), 0)
    ended, late = ray.wait(calls, num_returns=len(calls), timeout=left)
    for ref in late:
        ray.cancel(ref)
    there = []
    for shard, ref in asked.items():
        try:
            if ref not in ended:
                raise GetTimeoutError
            there.append((shard, result(shard, ref)))
        except (RayActorError, GetTimeoutError):
            missing.append(shard)
    return there, sorted(missing)


def all_answers(refs: Sequence[Any], timeout_s: float) -> list[Any]:
    """What all shards returned; raises :exc:`ShardUnavailableError` if one did not."""
    there, missing = answers(refs, timeout_s)
    if missing:
        raise unavailable(missing, timeout_s)
    return [answer for _, answer in there]


def patient_result(actor: Any, shard: int, ref: Any, timeout_s: float) -> Any:
    """What a call of any length returned, as long as its actor answers other calls in time."""
    while not ray.wait([ref], timeout=timeout_s)[0]:
        if not ray.wait([call(actor, "ready")], timeout=timeout_s)[0]:
            raise unavailable([shard], timeout_s)
    try:
        return result(shard, ref)
    except RayActorError:
        raise unavailable([shard], timeout_s) from None
