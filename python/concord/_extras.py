"""The optional packages, and what to install where one is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

PACKAGES = {
    "progress": ("tqdm",),
    "sklearn": ("sklearn", "scipy", "joblib"),
    "langchain": ("langchain_core",),
    "llama-index": ("llama_index", "fsspec"),
    "umap": ("umap", "pynndescent"),
    "opentsne": ("openTSNE",),
    "haystack": ("haystack",),
    "txtai": ("txtai",),
    "datasets": ("datasets",),
    "ray": ("ray", "starlette"),
}
"""What each extra brings, by the names that are imported."""


@contextlib.contextmanager
def needed(extra: str, for_what: str) -> Iterator[None]:
    """Imports within name the extra if its package is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PACKAGES[extra]:
            raise
        raise ModuleNotFoundError(
            f"{for_what} needs {error.name}: pip install 'concord-ann[{extra}]'", name=error.name
        ) from error
