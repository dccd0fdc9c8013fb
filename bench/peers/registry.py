"""All libraries by name, and which of them can run here."""

from __future__ import annotations

from . import gpu, libraries
from .libraries import Library

KNOWN: dict[str, type[Library]] = {x.name: x for x in (*libraries.LIBRARIES, *gpu.LIBRARIES)}
ON_REQUEST = ("pynndescent",)
"""Not by default, and searched in one round only: it compiles for a minute in every process."""


def by_name(name: str) -> type[Library]:
    """The library of a name. Raises ValueError."""
    if name not in KNOWN:
        raise ValueError(f"unknown library {name}; known are {', '.join(KNOWN)}")
    return KNOWN[name]


def usable(names: list[str] | None) -> tuple[list[str], dict[str, str]]:
    """Of the named ones (none: all but ON_REQUEST; "all"), those that can run here, and why others cannot."""
    run: list[str] = []
    skipped: dict[str, str] = {}
    if names is None:
        names = [name for name in KNOWN if name not in ON_REQUEST]
        skipped = dict.fromkeys(ON_REQUEST, "only where named: it compiles in every process")
    elif names == ["all"]:
        names = list(KNOWN)
    for name in names:
        library = by_name(name)
        reason = (gpu.missing() if library in gpu.LIBRARIES else None) or library.problem()
        if reason is None:
            run.append(name)
        else:
            skipped[name] = reason
    return run, skipped
