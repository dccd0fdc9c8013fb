"""Reads result files and says of each what it is."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import statistics
from typing import Any

Json = dict[str, Any]
COMMANDS = "run, build, compare, words, serve-mix, durability or churn"


class BadInputError(Exception):
    """One line for the user."""


@dataclasses.dataclass
class Documents:
    """All files of a report; every document has its file's name in ``file``."""

    peers: list[Json]
    """Of bench/peers."""
    bench: list[Json]
    """Of concord-bench run, build and compare, in order of data set, size and threads."""
    serve: list[Json]
    """Of concord-bench serve-mix."""
    durable: list[Json]
    """Of concord-bench durability."""
    churn: list[Json]
    """Of concord-bench churn, and of peers.churn."""
    filtered: list[Json]
    """Of peers.filtered."""
    words: list[Json]
    """Of concord-bench words."""

    def all(self) -> list[Json]:
        """Of every kind."""
        return [
            *self.peers,
            *self.bench,
            *self.serve,
            *self.durable,
            *self.churn,
            *self.filtered,
            *self.words,
        ]


def read(paths: list[pathlib.Path]) -> Documents:
    """Reads and sorts the files. Raises BadInputError."""
    found = Documents([], [], [], [], [], [], [])
    for path in paths:
        try:
            document = json.loads(path.read_text())
        except OSError as error:
            raise BadInputError(f"{path}: {error.strerror}") from None
        except ValueError as error:
            raise BadInputError(f"{path}: no JSON: {error}") from None
        kind = _kind(document, found)
        if kind is None:
            raise BadInputError(f"{path}: no result of bench/peers or of concord-bench {COMMANDS}")
        if kind is found.peers:
            _refuse_doubles(path, document, found.peers)
        if kind is found.bench:
            _name_phases_as_today(document)
        document["file"] = path.name
        kind.append(document)
    found.bench.sort(key=_order)
    return found


def _kind(document: object, found: Documents) -> list[Json] | None:
    """The documents of the same kind; None where it is no result."""
    if not isinstance(document, dict) or document.get("schema") != 1:
        return None
    if document.get("tool") in ("concord-peers", "concord-bench") and "churn" in document:
        return found.churn
    if document.get("tool") == "concord-peers":
        if "filtered" in document:
            return found.filtered
        return found.peers
    if document.get("tool") != "concord-bench":
        return None
    parts = {
        "build": found.bench,
        "serve_mix": found.serve,
        "durability": found.durable,
        "words": found.words,
    }
    return next((kind for part, kind in parts.items() if part in document), None)


def _name_phases_as_today(document: Json) -> None:
    """Results of 0.1 call the phase `score` `prune`."""
    phases = document["build"]["phases"]
    if "prune" in phases:
        phases["score"] = phases.pop("prune")


def _order(document: Json) -> tuple[str, int, int]:
    data = document["data"]
    return short_name(data["name"]), data["vectors"], document["build"]["threads"]


def _refuse_doubles(path: pathlib.Path, document: Json, others: list[Json]) -> None:
    """A page has one place for each data set."""
    for other in others:
        both = document["data"].keys() & other["data"].keys()
        if both:
            raise BadInputError(f"{path}: {min(both)} is in {other['file']}, too; name one of them")


def threads_of(document: Json) -> list[str]:
    """Thread counts of a peers document, ascending."""
    return [str(threads) for threads in sorted(document["parameters"]["threads"])]


def results_of(document: Json, data: str) -> list[Json]:
    """Of one data set, Concord first."""
    results = [r for r in document["results"] if r["data"] == data]
    return sorted(results, key=lambda r: not r["library"].startswith("concord"))


def seconds(result: Json, threads: str) -> float | None:
    """Median seconds of a build."""
    build = result["builds"].get(threads)
    return statistics.median(build["seconds"]) if build else None


def points(result: Json, threads: str) -> list[Json]:
    """Points of a search in order of recall, speeds as medians with ends."""
    made = [
        point
        | {
            "qps": statistics.median(point["qps"]),
            "low": min(point["qps"]),
            "high": max(point["qps"]),
        }
        for point in result["search"].get(threads, [])
    ]
    return sorted(made, key=lambda point: (point["recall"], -point["qps"]))


def at_target(result: Json, threads: str, target: str) -> Json | None:
    """The point of the smallest effort that reaches a recall."""
    effort = result.get("targets", {}).get(target)
    return next((p for p in points(result, threads) if p["effort"] == effort), None)


def first_answer(result: Json) -> float | None:
    """Median seconds from a fresh process's load to its first answer."""
    measured = result.get("first_answer_seconds")
    return statistics.median(measured) if measured else None


def peak(result: Json, threads: str) -> int | None:
    """Bytes a build took beside the caller's array at its peak."""
    build = result["builds"].get(threads)
    return build["peak_bytes"] if build and build["peak_exact"] else None


def label(document: Json) -> str:
    """A concord-bench document in a few words."""
    data = document["data"]
    return f"{short_name(data['name'])}, {data['vectors']:,}, {threads_text(document['build']['threads'])}"


def short_name(name: str) -> str:
    """The name of a data set without its size and what its file's name says of metric and format."""
    name = re.sub(r"^synthetic \d+,(\d+)(,\d+)?", r"synthetic \1-d", name)
    return re.sub(r"(-(euclidean|angular|dot))?\.(hdf5|h5|[fb]vecs|fbin|u8bin|i8bin)$", "", name)


def threads_text(count: int | str) -> str:
    """1 thread, 2 threads."""
    return "1 thread" if int(count) == 1 else f"{count} threads"
