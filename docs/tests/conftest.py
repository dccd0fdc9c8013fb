"""What the tests of the site share."""

from __future__ import annotations

import functools
import http.server
import os
import pathlib
import sys
import threading
from collections.abc import Iterator

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "support"))

from browser import browser  # noqa: F401  # a fixture


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *arguments: object) -> None:
        """Requests are not worth a line."""


@pytest.fixture(scope="session")
def site() -> pathlib.Path:
    """The folder that ``docs/build.sh`` built."""
    return pathlib.Path(os.environ["CONCORD_SITE"])


@pytest.fixture(scope="session")
def address(site: pathlib.Path) -> Iterator[str]:
    """Where the site is served: a browser lets pages use the clipboard there, and not in files."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
