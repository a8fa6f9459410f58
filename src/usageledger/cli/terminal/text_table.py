"""Tables of text: nothing in a cell is markup, steers the terminal, or begins a line that it is not asked to begin."""

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from usageledger.cli.terminal.output import visible


class TextTable(Table):
    """A table whose cells are text from outside, escaped. A `Text`, which is our own, is not escaped."""

    def add_row(self, *renderables: Any, **more: Any) -> None:
        """A row; texts are shown as `visible` has them."""
        super().add_row(*(Text(visible(cell)) if isinstance(cell, str) else cell for cell in renderables), **more)


def plain_table(*titles: str) -> TextTable:
    """A table without a frame; a title that begins with > is of numbers, at the right."""
    table = TextTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for title in titles:
        number = title.startswith(">")
        table.add_column(
            title.removeprefix(">"), justify="right" if number else "left", overflow="fold", no_wrap=number
        )
    return table
