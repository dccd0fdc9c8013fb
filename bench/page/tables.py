"""A table that becomes Markdown or HTML."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Sequence


@dataclasses.dataclass
class Table:
    """Cells are plain text; ``**bold**`` in a cell is bold, and nothing else is markup."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """A table of GitHub's Markdown."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "".join("| " + " | ".join(line) + " |\n" for line in lines)

    def html(self) -> str:
        """A table element; numbers stand to the right."""
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.header)
        body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>\n" for row in self.rows)
        return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    shown = html.escape(text)
    while "**" in shown:
        shown = shown.replace("**", "<strong>", 1).replace("**", "</strong>", 1)
    number = re.fullmatch(r"\**[+-]?[\d.,]+( (s|ms|us|MiB))?( of \d+)?\**", text)
    return f"<td{' class=number' if number else ''}>{shown}</td>"
