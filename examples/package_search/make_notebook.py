"""Makes ``package_search.ipynb`` from ``search.py``, or checks that it is what it would be.

    pip install -r requirements.txt -r requirements-map.txt -r requirements-notebook.txt
    python make_notebook.py             # runs the program in Jupyter and stores what it shows
    python make_notebook.py --check     # runs nothing: compares it with search.py and output.txt

Nobody edits the notebook. Its cells are those of ``search.py``, so there is one copy of the code to keep. What
depends on the day or the machine (identifiers, times, versions) is left out.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

import jupytext
import nbformat

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM, OUTPUT, NOTEBOOK = (
    HERE / name for name in ("search.py", "output.txt", "package_search.ipynb")
)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def unexecuted() -> nbformat.NotebookNode:
    """The cells of the program."""
    notebook = jupytext.read(PROGRAM)
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = nbformat.from_dict({})
    return notebook


def executed() -> nbformat.NotebookNode:
    """The cells of the program with what they show."""
    import nbclient

    notebook = unexecuted()
    client = nbclient.NotebookClient(
        notebook, timeout=900, coalesce_streams=True, resources={"metadata": {"path": str(HERE)}}
    )
    client.execute()
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = [
                one
                for one in cell.outputs
                if one.output_type == "display_data" or one.name == "stdout"
            ]
    return notebook


def printed(notebook: nbformat.NotebookNode) -> str:
    """What the cells printed."""
    return "".join(
        one.text
        for cell in notebook.cells
        if cell.cell_type == "code"
        for one in cell.outputs
        if one.output_type == "stream"
    )


def faults(notebook: nbformat.NotebookNode) -> list[str]:
    """How the notebook differs from the program and its output."""
    nbformat.validate(notebook)
    cells = [
        [(cell.cell_type, cell.source) for cell in one.cells] for one in (notebook, unexecuted())
    ]
    pictures = sum(
        "image/png" in one.get("data", {})
        for cell in notebook.cells
        for one in cell.get("outputs", [])
    )
    claims = {
        "its cells are not those of search.py": cells[0] == cells[1],
        "its texts are not output.txt": printed(notebook) == OUTPUT.read_text(),
        "it does not show one map": pictures == 1,
    }
    return [fault for fault, holds in claims.items() if not holds]


def main() -> None:
    """Make, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    if not parser.parse_args().check:
        nbformat.write(executed(), NOTEBOOK)
    found = faults(nbformat.read(NOTEBOOK, as_version=4))
    if found:
        sys.exit(f"{NOTEBOOK.name}: {'; '.join(found)}; python make_notebook.py makes it anew")


if __name__ == "__main__":
    main()
