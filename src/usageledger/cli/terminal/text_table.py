"""Tables of text: nothing in a cell is markup, steers the terminal, or begins a line that it is not asked to begin."""

from typing import Any, Literal

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from usageledger.cli.terminal.output import visible


class TextTable(Table):
    """A table whose cells are text from outside, escaped. A `Text`, which is our own, is not escaped."""

    def add_row(self, *renderables: Any, **more: Any) -> None:
        """A row; texts are shown as `visible` has them, and numbers are broken at blanks only."""
        cells = [Text(visible(cell)) if isinstance(cell, str) else cell for cell in renderables]
        super().add_row(*cells, **more)
        for column, cell in zip(self.columns, cells, strict=False):
            if column.justify == "right":
                column.min_width = max(column.min_width or 0, *map(cell_len, ["", *str(cell).split()]))


def plain_table(*titles: str) -> TextTable:
    """A table without a frame; a title that begins with > is of numbers, at the right."""
    table = TextTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for title in titles:
        justify: Literal["right", "left"] = "right" if title.startswith(">") else "left"
        table.add_column(title.removeprefix(">"), justify=justify, overflow="fold")
    return table
