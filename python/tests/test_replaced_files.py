"""The one writer of files: links, modes, owners, long names, full disks, failures half-way."""

from __future__ import annotations

import os
import pathlib
import resource
import signal
from collections.abc import Callable, Iterator

import pytest

import concord
from concord import _files


@pytest.fixture
def masked() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)


def write(path: os.PathLike[str] | str, text: bytes = b"new") -> None:
    with _files.replacing(path) as file:
        file.write(text)


def mode(path: pathlib.Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.usefixtures("masked")
def test_modes_are_those_of_the_umask_or_of_the_old_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    write(path)
    assert mode(path) == 0o644
    for old in (0o664, 0o600, 0o777):
        path.chmod(old)
        write(path)
        assert mode(path) == old
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["file"]


def test_links_are_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "folder").mkdir()
    real, link, dangling = tmp_path / "folder" / "real", tmp_path / "link", tmp_path / "dangling"
    real.write_bytes(b"old")
    link.symlink_to("folder/real")
    dangling.symlink_to(tmp_path / "folder" / "made")
    write(link)
    write(dangling)
    assert link.is_symlink() and real.read_bytes() == b"new"
    assert dangling.is_symlink() and (tmp_path / "folder" / "made").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["x" * 255, "索" * 85, "näme \udcff"])
def test_every_name_that_the_system_takes(name: str, tmp_path: pathlib.Path) -> None:
    write(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"new"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
def test_owner_and_group_stay(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    path.chmod(0o640)
    write(path)
    assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (1234, 2345, 0o640)


def test_a_group_that_cannot_be_given_loses_its_permissions(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o664)
    made = os.fstat

    def of_another(file: int) -> os.stat_result:
        status = list(made(file))
        status[5] += 1
        return os.stat_result(status)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fstat", of_another)
    monkeypatch.setattr(os, "fchown", refuse)
    write(path)
    assert mode(path) == 0o604


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), _files.replacing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "store"
    store = concord.Store(dim=64, threads=1)
    store.add(["a"], [[1.0] * 64])
    store.save(path)
    before = path.read_bytes()
    store.add([str(i) for i in range(300)], [[float(i)] + [1.0] * 63 for i in range(300)])
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 1000, old[1]))
        with pytest.raises(concord.IoError) as raised:
            store.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert raised.value.errno and raised.value.filename == str(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["store"]


def test_what_the_system_refuses_is_an_error_of_concord(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "pipe").parent.joinpath("folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    refusals: list[tuple[Callable[[], object], type[OSError]]] = [
        (lambda: write(tmp_path / "no" / "file"), FileNotFoundError),
        (lambda: write(tmp_path / "file" / "below"), NotADirectoryError),
        (lambda: write(tmp_path / "folder"), OSError),
        (lambda: write(tmp_path / "pipe"), OSError),
        (lambda: concord.Store.load(tmp_path / "none"), FileNotFoundError),
        (lambda: concord.Store.load(tmp_path / "folder"), IsADirectoryError),
    ]
    for call, builtin in refusals:
        with pytest.raises(builtin) as raised:
            call()
        assert isinstance(raised.value, concord.IoError)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "pipe"]
