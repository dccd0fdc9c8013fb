"""Groups: which vectors of an index belong together, such as the chunks of a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from concord import _concord
from concord.errors import ArrayTypeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from concord.index import SupportsArray

Grouping: TypeAlias = "Groups | SupportsArray | Sequence[Any]"
"""What puts vectors into groups, as :meth:`Index.groups` takes it."""


class Groups:
    """The groups of the vectors of one index, as they were when it was made: see :meth:`Index.groups`.

    Vectors that are added later have no group, and a search with groups does not find them. It never changes,
    and any number of searches and threads may use it.
    """

    __slots__ = ("_core",)

    def __init__(self, core: _concord.Groups) -> None:
        if not isinstance(core, _concord.Groups):
            raise TypeError("groups are made by Index.groups, because they belong to an index")
        self._core = core

    @property
    def count(self) -> int:
        """The number of groups."""
        return self._core.count

    @property
    def size(self) -> int:
        """The number of vectors that there were."""
        return self._core.size

    @property
    def nbytes(self) -> int:
        """Memory in use."""
        return self._core.nbytes

    def __repr__(self) -> str:
        return f"concord.Groups({self.count} of {self.size} vectors)"


def groups_of(core: _concord._Core, given: Grouping) -> Groups:
    """The groups that the caller means."""
    if isinstance(given, Groups):
        return given
    if np.ma.is_masked(given):
        raise ArrayTypeError("keys of groups are masked; each vector needs one")
    keys = np.asarray(given)
    if keys.ndim != 1:
        raise ArrayTypeError(f"keys of groups have one dimension, not {keys.ndim}")
    if keys.dtype.kind == "f" and not hasattr(given, "dtype"):
        keys = np.array(given, dtype=object)  # a list of integers too wide for one type of numpy
    if keys.dtype.kind not in "iub":
        try:
            keys = np.unique(keys, return_inverse=True)[1]
        except TypeError as error:
            raise ArrayTypeError(f"keys of groups have no order: {error}") from error
    return Groups(core.groups_of_keys(np.ascontiguousarray(keys).astype(np.uint64)))
