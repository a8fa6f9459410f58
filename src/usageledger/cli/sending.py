"""Sending of files to a server, with a bar of progress and the counts of the outcome."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from usageledger.cli.terminal.output import CommandError, counted, note, print_data, print_json, visible

if TYPE_CHECKING:
    from usageledger.cli.delivery import Tally
    from usageledger.cli.event_files import Record
    from usageledger.cli.server_connection import Connection

BatchSize = Annotated[int, typer.Option("--batch", min=1, metavar="<int>", help="Events in one request.")]
Retries = Annotated[
    int,
    typer.Option(
        "--retries",
        min=0,
        metavar="<int>",
        help="How often a batch is sent again when the server cannot be reached or says later.",
    ),
]
REFUSALS_SHOWN_MAX = 20


def send_files(  # noqa: PLR0913 - what a person may choose
    names: Sequence[str],
    read: "Callable[[BinaryIO, str], Iterator[Record]]",
    server: "Connection",
    report: "Callable[[Tally], None]",
    *,
    batch_size: int,
    retries: int,
    as_json: bool,
) -> None:
    """Sends the records of files, and reports the outcome, also where it ends before all were sent."""
    from usageledger.cli.delivery import Delivery

    with progress(names) as (advance, say):
        delivery = Delivery(server, retries=retries, say=say)
        try:
            walk_files(names, read, batch_size, delivery.send, advance)
        except (CommandError, KeyboardInterrupt):
            if delivery.tally.batches or delivery.tally.rejected or as_json:
                report(delivery.tally)
                say("Run the same command again to go on: what was kept counts once.")
            raise
        finally:
            delivery.close()
    report(delivery.tally)
    if delivery.tally.rejected:
        raise typer.Exit(1)


def walk_files(
    names: Sequence[str],
    read: "Callable[[BinaryIO, str], Iterator[Record]]",
    batch_size: int,
    take: "Callable[[list[Record]], None]",
    advance: Callable[[int, int], None],
) -> None:
    """Gives the records of files to `take`, in batches."""
    from usageledger.cli.event_files import STDIN
    from usageledger.cli.spend_logs import open_source
    from usageledger.client.delivery import batches
    from usageledger.settings import without_password

    done = 0
    for name in names:
        with open_source(name) as file:
            records = read(file, "stdin" if name == STDIN else without_password(name))
            for batch in batches(records, batch_size, lambda record: len(record.text)):
                take(batch)
                place = file.tell() if file.seekable() else 0
                advance(done + place, len(batch))
            done += file.tell() if file.seekable() else 0


def print_tally(tally: "Tally", *, as_json: bool) -> None:
    """The counts on stdout; the refusals on stderr, or with the counts as JSON."""
    if as_json:
        print_json(asdict(tally))
        return
    for refusal in tally.errors[:REFUSALS_SHOWN_MAX]:
        name = "" if refusal.id is None else f"{refusal.id}: "
        line = f":{refusal.line}" if refusal.line else ""
        note(f"{refusal.file}{line}: {name}{refusal.message}")
    shown = len({(refusal.file, refusal.line) for refusal in tally.errors[:REFUSALS_SHOWN_MAX]})
    if tally.rejected > shown:
        note(f"… and {counted(tally.rejected - shown, 'more refused event')}.")
    if tally.resent:
        note(
            f"{counted(tally.resent, 'batch', 'batches')} had to be sent again after an answer was lost: events that "
            "the first try had kept are among the duplicates."
        )
    another_way = f" ({tally.same_response:,} by another way)" if tally.same_response else ""
    known = counted(tally.duplicates, "duplicate") + another_way
    print_data(f"{tally.accepted:,} accepted, {known}, {tally.rejected:,} refused")


def check_files(names: Sequence[str]) -> None:
    """Looks at all files before the first one is sent."""
    for name in names:
        if name != "-" and not Path(name).exists():
            raise CommandError(f"There is no file {name}.", exit_code=2)
        if Path(name).is_dir():
            raise CommandError(f"{name} is a folder: name the files in it.", exit_code=2)


@contextmanager
def progress(names: Sequence[str]) -> Generator[tuple[Callable[[int, int], None], Callable[[str], None]]]:
    """(advance, say): a bar on stderr where that is a terminal, and a way to speak beside it."""
    import sys

    if not sys.stderr.isatty():
        yield (lambda _place, _events: None), note
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    total = None if any(not Path(name).exists() for name in names) else sum(Path(name).stat().st_size for name in names)
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[events]:,} events"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total, events=0)
        sent = 0

        def advance(place: int, events: int) -> None:
            nonlocal sent
            sent += events
            progress.update(task, completed=place, events=sent)

        def say(text: str) -> None:
            progress.console.print(Text(visible(text)))

        yield advance, say
