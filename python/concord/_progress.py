"""Turns the argument ``progress`` into the callable that the extension module calls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from concord import _extras


def ends(answer: object) -> bool:
    """Whether what a callable of the caller returned ends the work: ``False``, also of numpy."""
    return answer is False or (type(answer).__name__ in ("bool", "bool_") and not answer)


@contextlib.contextmanager
def callback(
    progress: bool | Callable[[int, int], object] | None, unit: str = " vectors"
) -> Iterator[Callable[[int, int], object] | None]:
    """``None`` for no report, the callable of the caller, or a tqdm bar that shows so many units per second."""
    if progress is None or progress is False:
        yield None
    elif progress is not True:
        if not callable(progress):
            raise TypeError(f"progress must be a bool or a callable, not {type(progress).__name__}")
        yield progress
    else:
        with _extras.needed("progress", "progress=True"):
            from tqdm.auto import tqdm

        with tqdm(unit=unit, unit_scale=True) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield show
