"""Ray Serve over the files of a folder: the answers of one process, by handle and by HTTP."""

from __future__ import annotations

import asyncio
import json
import math
import os
import pathlib
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil  # type: ignore[import-not-found,import-untyped,unused-ignore]
import pytest
import ray  # type: ignore[import-not-found,unused-ignore]
from conftest import DIM, SMALL, Open, expect_equal, in_process, make_vectors, wait_until
from ray import serve as ray_serve  # type: ignore[import-not-found,unused-ignore]

import concord
import concord.ray
from concord.ray import _serve
from concord.ray._layout import Layout, shard_path


def free_port() -> int:
    with socket.socket() as any_:
        any_.bind(("127.0.0.1", 0))
        return int(any_.getsockname()[1])


@pytest.fixture(scope="module")
def port(_node: None) -> Iterator[int]:
    port = free_port()
    ray_serve.start(http_options={"host": "127.0.0.1", "port": port})
    yield port
    ray_serve.shutdown()  # type: ignore[no-untyped-call,unused-ignore]


def ask(port: int, **what: Any) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/",
        json.dumps(what).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def refusal(port: int, body: bytes) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=60)
    return raised.value.code, raised.value.read().decode()


def expect_refusals(port: int) -> None:
    """Whoever asks is told what is wrong; nothing of it is a failure of the server."""
    query = [0.0] * DIM
    asked: list[tuple[bytes, str]] = [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[1]", "with queries"),
        (b"{}", "with queries"),
        (json.dumps({"queries": [query], "filters": [1]}).encode(), "allowed are queries, k"),
        (json.dumps({"queries": [query, query[1:]]}).encode(), "queries are no matrix"),
        (json.dumps({"queries": ["a"]}).encode(), "queries are no matrix"),
        (json.dumps({"queries": [query[1:]]}).encode(), "shape [1, 15]"),
        (json.dumps({"queries": query}).encode(), "shape [16]"),
        (json.dumps({"queries": [query], "k": -1}).encode(), "k is -1"),
        (json.dumps({"queries": [query], "k": "a"}).encode(), "k must be an integer"),
        (json.dumps({"queries": [query], "ef": 0}).encode(), "ef is 0"),
        (json.dumps({"queries": [[math.nan] * DIM]}).encode(), "query 0"),
        (json.dumps({"queries": [[10**400] * DIM]}).encode(), "too large"),
        (json.dumps({"queries": [[10**30] * DIM]}).encode(), "query 0"),
        (json.dumps({"queries": [[True] * DIM]}).encode(), "elements are numbers"),
        (json.dumps({"queries": [["1"] * DIM]}).encode(), "elements are numbers"),
        (json.dumps({"queries": None}).encode(), "elements are numbers"),
        (b"[" * 100_000, "no JSON"),
        (b'{"queries":' + b"[" * 100_000, "no JSON"),
        (json.dumps({"queries": [query], "k": True}).encode(), "k must be an integer"),
        (json.dumps({"queries": [query], "ef": 1.5}).encode(), "ef must be an integer, not a frac"),
        (json.dumps({"queries": [query], "k": 10**400}).encode(), "k is 1000"),
        (json.dumps({"queries": [query], "slack": None}).encode(), "must be a number, not null"),
        (json.dumps({"queries": [query], "slack": -(10**400)}).encode(), "slack is -inf"),
        (json.dumps({"queries": [query], "rescore": "1"}).encode(), "rescore must be an integer"),
        (
            json.dumps({"queries": [query], "use_codes": 1}).encode(),
            "true or false, not an integer",
        ),
    ]
    for body, text in asked:
        code, answer = refusal(port, body)
        assert code == 400 and text in json.loads(answer)["error"], (body, code, answer)
        assert "Traceback" not in answer


def test_mapped_files_answer_by_handle_and_by_http(port: int, tmp_path: pathlib.Path) -> None:
    vectors = make_vectors(600, copies=0.5)
    alone = in_process(vectors, 2)
    alone.save(tmp_path / "index")
    app = concord.ray.serve(tmp_path / "index", replicas=2, num_cpus=0.5)
    handle = ray_serve.run(app, name="mapped")
    wanted = alone.search(vectors[:20], 5, 32)
    expect_equal(handle.search.remote(vectors[:20], 5, 32).result(), wanted)
    shown = ask(port, queries=vectors[:20].tolist(), k=5, ef=32)
    assert shown["labels"] == wanted.labels.tolist()
    assert shown["distances"] == wanted.distances.tolist()
    more = ask(port, queries=vectors[:1].tolist(), k=1000, ef=1000)
    assert len(more["labels"][0]) <= 600  # without padding
    expect_refusals(port)
    names = {process.pid: process.info["cmdline"] for process in psutil.process_iter(["cmdline"])}
    replicas = [pid for pid, words in names.items() if "mapped:shard-000" in " ".join(words or [])]
    assert len(replicas) == 4
    os.kill(replicas[0], signal.SIGKILL)
    for _ in range(20):
        expect_equal(handle.search.remote(vectors[:20], 5, 32).result(timeout_s=60), wanted)
    ray_serve.delete("mapped")


def test_followers_show_what_the_writer_has_acknowledged(port: int, open_index: Open) -> None:
    vectors = make_vectors(400)
    index = open_index(2)
    index.add(vectors[:200])
    app = concord.ray.serve(index._folder, follow_s=0.05, num_cpus=0.5)
    handle = ray_serve.run(app, name="following")
    expect_equal(
        handle.search.remote(vectors[:20]).result(),
        in_process(vectors[:200], 2).search(vectors[:20]),
    )
    index.add(vectors[200:])
    wanted = in_process(vectors, 2).search(vectors[:20])

    def is_there() -> bool:
        found = handle.search.remote(vectors[:20]).result()
        return bool((found.labels == wanted.labels).all())

    wait_until(is_there)
    index.compact()
    expect_equal(handle.search.remote(vectors[:20]).result(), wanted)
    ray_serve.delete("following")


def test_an_error_of_the_server_itself_is_no_refusal() -> None:
    class Shard:
        class search:  # noqa: N801
            @staticmethod
            async def remote(*arguments: Any) -> Any:
                raise TypeError("a mistake")

    class Request:
        async def body(self) -> bytes:
            return json.dumps({"queries": [[0.0] * DIM]}).encode()

    with pytest.raises(TypeError, match="a mistake"):
        asyncio.run(_serve.Search(Layout(1, 1), DIM, Shard)(Request()))


def test_a_search_does_not_wait_until_a_replica_has_caught_up(tmp_path: pathlib.Path) -> None:
    vectors = make_vectors(200)
    index = concord.Index.open(shard_path(str(tmp_path), 0), DIM, **SMALL, threads=1)
    index.add(vectors)
    replica = _serve.ShardReplica(str(tmp_path), 0, 1, 3600)
    index.add(vectors + 1)
    found: list[Any] = []
    search = threading.Thread(
        target=lambda: found.append(replica.search(vectors[:5], 10, 200, {})), daemon=True
    )
    with replica._moments.changing():  # as long as it follows
        search.start()
        search.join(20)
        assert len(found) == 1
    assert (found[0].labels[:, 0] == np.arange(5)).all()
    assert (found[0].numbers == found[0].labels.astype(int)).all()


@pytest.mark.usefixtures("_node")
def test_folders_that_cannot_be_served_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(concord.MissingFileError, match="no manifest"):
        concord.ray.serve(tmp_path)
    concord.ShardedIndex.open(tmp_path / "new", DIM, shards=2, **SMALL)
    with pytest.raises(concord.InvalidParameterError, match="call compact"):
        concord.ray.serve(tmp_path / "new")
    assert ray.is_initialized()
