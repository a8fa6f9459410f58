"""Output of commands: data to stdout; messages, progress and errors to stderr.

Names come from outside, and a terminal does what some characters say. So every line is printed as `visible` has it.
"""

import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unicodedata import category

import typer

from usageledger.errors import UsageLedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console, RenderableType

JOINER = "\N{ZERO WIDTH JOINER}"
EMOJI_ENDS = {"\N{VARIATION SELECTOR-16}", *map(chr, range(0x1F3FB, 0x1F400))}  # beside symbols: tones of skin
PIPE_WIDTH = 200  # columns where stdout is no terminal, so that nothing is cut


class CommandError(UsageLedgerError):
    """An error of a command, in words for its user; `exit_code` is 1, or 2 where the command line is wrong."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def visible(text: str) -> str:
    r"""Writes `text` on one line, invisible characters escaped: an escape character is `\x1b`, a line end `\n`.

    The joiner within an emoji stays: it neither steers a terminal, nor makes one name look like another.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or _joins_emoji(text, place) else each.encode("unicode_escape").decode()
        for place, each in enumerate(text)
    )


def _joins_emoji(text: str, place: int) -> bool:
    before, after = text[max(0, place - 1) : place], text[place + 1 : place + 2]
    is_emoji = before in EMOJI_ENDS or category(before or " ") == "So"
    return text[place] == JOINER and is_emoji and category(after or " ") == "So"


def print_data(line: str) -> None:
    """Prints a line of the command's result on stdout."""
    typer.echo(visible(line))


def print_json(value: Any) -> None:
    """Prints the command's result as one line of JSON on stdout."""
    print_json_text(json.dumps(value))


def print_json_text(text: str) -> None:
    """Prints encoded JSON on one line of stdout; invisible characters are escaped as JSON escapes them."""
    if not text.isprintable():
        text = "".join(each if each.isprintable() else _json_escape(each) for each in text)
    typer.echo(text)


def _json_escape(character: str) -> str:
    """The character in units of UTF-16."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def print_table(draw: "Callable[[Console], RenderableType]") -> None:
    """Prints the table that `draw` makes for the terminal's width and abilities, on stdout."""
    from rich.console import Console

    fixed = sys.stdout.isatty() or os.environ.get("COLUMNS")
    console = Console(width=None if fixed else PIPE_WIDTH, highlight=False, markup=False, emoji=False)
    console.print(draw(console))


def note(line: str = "") -> None:
    """A line to a person, on stderr."""
    typer.echo(visible(line), err=True)


def ask(question: str) -> str:
    """The line that a person answers at the terminal."""
    typer.echo(f"{visible(question)} ", err=True, nl=False)
    return sys.stdin.readline().strip()


def print_error(message: str) -> None:
    """Prints an error as one line on stderr, whatever characters `message` has."""
    label = "Error:"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        label = typer.style(label, fg="red", bold=True)
    typer.echo(f"{label} {visible(' '.join(message.split()))}", err=True)


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 event`, `12,000 events`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(names: "Sequence[str]", conjunction: str = "or") -> str:
    """`1m, 1h or 1d`."""
    return ", ".join(names[:-1]) + f" {conjunction} {names[-1]}" if len(names) > 1 else names[0]


def iso_time(seconds: int) -> str:
    """`2026-06-06T14:05:09Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
