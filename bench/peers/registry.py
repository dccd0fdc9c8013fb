"""All libraries by name, and which of them can run here."""

from __future__ import annotations

from . import coded, gpu, libraries, rivals
from .libraries import Library

CPU = (*libraries.LIBRARIES, *coded.LIBRARIES, *rivals.LIBRARIES)
KNOWN: dict[str, type[Library]] = {x.name: x for x in (*CPU, *gpu.LIBRARIES)}
ON_REQUEST = {
    "pynndescent": "it compiles for a minute in every process",
    "ngt ONNG": "its build takes ten times as long as others",
}
"""Not by default, and searched in one round only; with the reason."""


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
        skipped = {name: f"only where named: {reason}" for name, reason in ON_REQUEST.items()}
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
