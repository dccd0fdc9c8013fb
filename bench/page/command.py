"""The command line of ``concord-bench report``."""

from __future__ import annotations

import argparse
import pathlib

from . import documents, pictures
from .html_page import compose


def run(arguments: list[str]) -> None:
    """Writes the page and the pictures. Raises BadInputError."""
    parser = argparse.ArgumentParser(
        prog="concord-bench report",
        description="One HTML page of results of concord-bench and bench/peers.",
    )
    parser.add_argument("files", nargs="+", type=pathlib.Path, metavar="FILE.json")
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="PAGE.html")
    options = parser.parse_args(arguments)
    try:
        page = compose(documents.read(options.files))
    except KeyError as error:
        raise documents.BadInputError(f"a result has no {error}: it is not whole") from None
    folder = options.out.with_name(options.out.stem + "-plots")
    try:
        folder.mkdir(exist_ok=True)
        options.out.write_text(page.html())
        for plot, names in page.plots:
            pictures.save(plot, names, folder)
    except OSError as error:
        raise documents.BadInputError(f"{error.filename}: {error.strerror}") from None
    print(f"report: {options.out} ({len(page.plots)} plots; SVG and PNG in {folder})")
