"""A headless Chromium for tests of pages: the fixture ``browser``, and how long it is waited for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
PATIENCE = 300_000  # ms, for a busy machine


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Fails where there is none, and says what installs it."""
    assert CHROMIUM, "no Chromium here: docker/install-deps.sh --browser"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE
        )
        yield started
        started.close()
