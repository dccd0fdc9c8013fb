"""Saving and loading: paths, open files, closed files, damaged files."""

from __future__ import annotations

import errno
import io
import os
import pathlib
from typing import Any, cast

import numpy as np
import pytest
from conftest import Floats

import concord


@pytest.mark.parametrize("make", [str, pathlib.Path, os.fsencode])
def test_any_kind_of_path(index: concord.Index, tmp_path: pathlib.Path, make: Any) -> None:
    path = make(tmp_path / "näme \udcff.concord")
    index.save(path)
    for loaded in (concord.load(path), concord.Index.load(path, threads=1, device="cpu")):
        assert loaded.digest() == index.digest()
        assert loaded.audit().ok
    assert (loaded.threads, loaded.device) == (1, "cpu")
    assert len(os.listdir(tmp_path)) == 1


def test_a_mapped_index_is_the_loaded_one_read_only(
    index: concord.Index, vectors: Floats, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "index.concord"
    index.save(path)
    for check in (False, True):
        mapped = concord.Index.map(path, check=check, threads=1)
        assert len(mapped) == len(index)
        for ours, theirs in zip(
            mapped.search(vectors[:20], k=5), index.search(vectors[:20], k=5), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
        assert mapped.digest() == index.digest() and mapped.audit().ok
        with pytest.raises(concord.UnsupportedError, match="mapped"):
            mapped.add(vectors[:1])
    damaged = bytearray(path.read_bytes())
    damaged[4100] ^= 1  # a level
    path.write_bytes(damaged)
    with pytest.raises(concord.CorruptFileError):
        concord.Index.map(path, check=True)
    lazily = concord.Index.map(path)
    for _ in range(2):
        with pytest.raises(concord.CorruptFileError):
            lazily.search(vectors[:1], k=1)


def test_parameters_come_from_the_file(tmp_path: pathlib.Path) -> None:
    index = concord.Index(3, "ip", 7, 50, seed=9, epoch_limit=11)
    index.save(tmp_path / "empty")
    loaded = concord.load(tmp_path / "empty")
    assert (loaded.dim, loaded.metric, loaded.M, loaded.ef_construction) == (
        3,
        "inner_product",
        7,
        50,
    )
    assert (loaded.seed, loaded.epoch_limit, len(loaded)) == (9, 11, 0)


def test_open_files(index: concord.Index, tmp_path: pathlib.Path) -> None:
    memory = io.BytesIO()
    index.save(memory)
    memory.seek(0)
    assert concord.load(memory).digest() == index.digest()
    with open(tmp_path / "file", "wb") as file:
        file.write(b"head")
        index.save(file)
    with open(tmp_path / "file", "rb") as file:
        assert file.read(4) == b"head"
        assert concord.load(file).digest() == index.digest()
    index.save(tmp_path / "path")
    assert (tmp_path / "path").read_bytes() == memory.getvalue()


class Slow(io.RawIOBase):
    """A raw file that takes a few bytes at once, and none after so many."""

    def __init__(self, most: int) -> None:
        self.content = bytearray()
        self.most = most

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        if len(self.content) >= self.most:
            raise OSError(errno.ENOSPC, "no space left")
        self.content += piece[:999]
        return min(len(piece), 999)


def test_raw_files_that_take_less_at_once_or_fail(index: concord.Index) -> None:
    slow: Any = Slow(2**30)
    index.save(slow)
    assert bytes(slow.content) == index.to_bytes()
    with pytest.raises(OSError, match="no space left"):
        index.save(cast(Any, Slow(5000)))
    assert concord.load(io.BytesIO(slow.content)).digest() == index.digest()


def test_closed_files(index: concord.Index, tmp_path: pathlib.Path) -> None:
    before = index.digest()
    with open(tmp_path / "file", "wb") as file:
        pass
    memory = io.BytesIO()
    memory.close()
    for closed in (file, memory):
        with pytest.raises(concord.IoError, match="closed"):
            index.save(closed)
        with pytest.raises(concord.IoError, match="closed"):
            concord.load(closed)
    assert index.digest() == before


def test_files_of_the_wrong_kind(index: concord.Index, tmp_path: pathlib.Path) -> None:
    with open(tmp_path / "text", "w") as text, pytest.raises(TypeError):
        index.save(text)  # type: ignore[arg-type]
    for nothing in (None, 3, [1]):
        with pytest.raises(TypeError):
            index.save(nothing)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            concord.load(nothing)  # type: ignore[arg-type]


def test_paths_that_cannot_be_used(index: concord.Index, tmp_path: pathlib.Path) -> None:
    before = index.digest()
    for bad in (tmp_path / "no" / "folder", tmp_path, str(tmp_path / "a\0b")):
        with pytest.raises(OSError) as raised:
            index.save(bad)
        assert isinstance(raised.value, concord.IoError)
        with pytest.raises(concord.Error):
            concord.load(bad)
    with pytest.raises(concord.IoError, match="No such file"):
        concord.load(tmp_path / "none")
    assert os.listdir(tmp_path) == []
    assert index.digest() == before


def test_damaged_files_are_refused(index: concord.Index, tmp_path: pathlib.Path) -> None:
    index.save(tmp_path / "index")
    content = (tmp_path / "index").read_bytes()
    for bad in (b"", b"no index", content[:-1], content[: len(content) // 2], content + b"x"):
        with pytest.raises(concord.CorruptFileError):
            concord.load(io.BytesIO(bad))
    refused = 0
    for place in np.random.default_rng(5).integers(0, len(content), 60):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        try:  # the gaps between the sections of a file mean nothing
            assert concord.load(io.BytesIO(damaged)).digest() == index.digest()
        except concord.CorruptFileError:
            refused += 1
    assert refused > 30


def test_a_loaded_index_grows_as_the_saved_one(vectors: Floats, tmp_path: pathlib.Path) -> None:
    index = concord.Index(16, epoch_limit=64)
    index.add(vectors[:333])  # in the middle of an epoch
    index.save(tmp_path / "index")
    loaded = concord.load(tmp_path / "index")
    for one in (index, loaded):
        one.add(vectors[333:])
    assert loaded.digest() == index.digest()


def test_saving_follows_links_and_takes_long_names(
    index: concord.Index, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "link").symlink_to("real")
    for _ in range(2):
        index.save(tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert concord.load(tmp_path / "real").digest() == index.digest()
    name = "索" * 80 + ".idx12"
    index.save(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["link", "real", name])
