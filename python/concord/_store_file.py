"""The file of a store: a zip archive with the index file and a JSON file beside it.

``vectors.concord`` is what ``Index.save`` writes; it is missing while there is no vector. ``content.json`` has
``version`` (2), ``parameters`` (those that define the graph, ``codes`` and ``storage`` only where they are
not the default), ``ef``, ``dim`` (or null) and ``records``: label, key, document, metadata of each item.
Version 1, of concord-ann 0.1, is read. Its runtime is not kept.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from typing import IO, Any, NamedTuple

from concord._limits import MOST_RESULTS
from concord.errors import CorruptFileError, IoError
from concord.index import Index

VECTORS = "vectors.concord"
CONTENT = "content.json"
VERSION = 2
PARAMETERS = ("metric", "M", "ef_construction", "seed", "epoch_limit", "codes", "storage")

Record = tuple[int, str, Any, dict[str, Any]]
"""Label, key, document, metadata."""


class Content(NamedTuple):
    """What is beside the index."""

    parameters: dict[str, Any]
    ef: int
    dim: int | None
    records: list[Record]


def write(file: IO[bytes], content: Content, index: Index | None) -> None:
    """Write an archive. What is no JSON raises TypeError before anything is written."""
    text = json.dumps({"version": VERSION, **content._asdict()})
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(CONTENT, text)
        if index is not None:
            with archive.open(VECTORS, "w", force_zip64=True) as member:
                index.save(member)


def read(file: IO[bytes], runtime: dict[str, Any]) -> tuple[Content, Index | None]:
    """Read an archive. Throws CorruptFileError where parts are damaged or do not belong together."""
    try:
        with zipfile.ZipFile(file) as archive:
            saved = json.loads(archive.read(CONTENT))
            content = _content(saved)
            index = None
            if VECTORS in archive.namelist():
                index = Index.from_bytes(archive.read(VECTORS), **runtime)
        _expect_to_belong(content, index)
    except (CorruptFileError, IoError):
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        AttributeError,
        EOFError,
        KeyError,
        NotImplementedError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise CorruptFileError(f"the file is not a Concord store: {error}") from error
    return content, index


def _content(saved: dict[str, Any]) -> Content:
    version = saved.get("version", 1)
    if version not in (1, VERSION):
        raise CorruptFileError(f"the store has version {version}; this library reads 1 and 2")
    parameters = {
        name: saved["parameters"][name] for name in PARAMETERS if name in saved["parameters"]
    }
    if version == 1:
        return Content(parameters, saved["ef"], None, _records_of_version_1(saved))
    records = [
        (label, key, document, dict(fields)) for label, key, document, fields in saved["records"]
    ]
    return Content(parameters, saved["ef"], saved["dim"], records)


def _records_of_version_1(saved: dict[str, Any]) -> list[Record]:
    """The LangChain store kept texts and metadata by key, the LlamaIndex store a list of nodes."""
    content = saved["content"]
    if isinstance(content, dict):
        items = {key: (text, dict(metadata)) for key, (text, metadata) in content.items()}
    else:
        items = {node["__data__"]["id_"]: (node, {}) for node in content}
    return [(label, key, *items[key]) for label, key in saved["keys"]]


def _expect_to_belong(content: Content, index: Index | None) -> None:
    empty = Index(content.dim or 1, **content.parameters)  # refuses bad ones
    labels = [label for label, *_ in content.records]
    keys = [key for _, key, *_ in content.records]
    sound = (
        all(type(label) is int for label in labels)
        and all(isinstance(key, str) for key in keys)
        and len(set(labels)) == len(labels)
        and len(set(keys)) == len(keys)
        and all(index is not None and label in index for label in labels)
        and (index is None or content.dim in (None, index.dim))
        and (
            index is None
            or (index.metric, index.codes, index.storage)
            == (empty.metric, empty.codes, empty.storage)
        )
        and type(content.ef) is int
        and 1 <= content.ef <= MOST_RESULTS
    )
    if not sound:
        raise CorruptFileError(
            "the file is not a Concord store: items and vectors do not belong together"
        )
