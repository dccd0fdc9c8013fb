"""Examples in docstrings run; annotations hold under mypy --strict, for the package and its users."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pathlib
import subprocess
import sys

import pytest

import concord

MODULES = [
    "concord",
    "concord.index",
    "concord.errors",
    "concord.interchange",
    "concord.langchain",
    "concord.llama_index",
    "concord.reports",
    "concord.sklearn",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    assert result.attempted > 10 or name != "concord.index"


def test_everything_public_is_documented() -> None:
    for name in concord.__all__:
        value = getattr(concord, name)
        if not inspect.isclass(value):
            continue
        assert value.__doc__, name
        for member, what in vars(value).items():
            if not member.startswith("_") and (callable(what) or isinstance(what, property)):
                assert what.__doc__, f"{name}.{member}"


def mypy(*arguments: str | pathlib.Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_package_and_the_tests_are_typed(tmp_path: pathlib.Path) -> None:
    mypy("--cache-dir", tmp_path, "-p", "concord")
    here = pathlib.Path(__file__).parent
    mypy("--cache-dir", tmp_path, here)
    # Their conftest is another module of the same name.
    mypy("--cache-dir", tmp_path, here.parent / "gpu_tests", here / "dlpack.py")


def test_the_stub_says_what_the_module_has(tmp_path: pathlib.Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text(
        "concord\\._concord\\.(Index|open|map|load\\w*|save_\\w*)\n"
    )  # of nanobind's own types
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "concord._concord", "--allowlist", str(allowed)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout
