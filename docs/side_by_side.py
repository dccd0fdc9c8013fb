"""The directive of the migration pages: one section of two programs, side by side.

``side-by-side:: hnswlib search`` shows what stands below the line ``# [search]`` in
``migration/hnswlib_before.py`` and in ``migration/hnswlib_after.py``. Both programs are run by the tests.
"""

from __future__ import annotations

import pathlib
import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def section(program: str, name: str) -> str:
    """The lines below ``# [name]`` up to the next such line; KeyError without one."""
    parts = re.split(r"^# \[(.+)\]\n", program, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[name].strip()


class SideBySide(SphinxDirective):
    """Two code blocks in a container that the style sheet makes a row."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Read both programs and note them as what the page depends on."""
        library, name = self.arguments[0].split(maxsplit=1)
        row = nodes.container(classes=["side-by-side"])
        for title, which in ((library, "before"), ("Concord", "after")):
            path = pathlib.Path(self.env.srcdir, "migration", f"{library}_{which}.py")
            self.env.note_dependency(str(path))
            code = section(path.read_text(), name)
            row += nodes.container(
                "",
                nodes.paragraph("", title, classes=["side-title"]),
                nodes.literal_block(code, code, language="python"),
            )
        return [row]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("side-by-side", SideBySide)
    return {"parallel_read_safe": True}
