"""Keywords that a method takes because its base class does, and does not know."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def refuse(unknown: Mapping[str, Any], method: str, known: Iterable[str]) -> None:
    """Raise TypeError for any, as Python does where a method names its keywords."""
    for name in unknown:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"allowed are {', '.join(known)}"
        raise TypeError(f"{method} got an unexpected keyword {name!r}; {hint}")
