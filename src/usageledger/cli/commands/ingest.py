"""`usageledger ingest`: events from files to a server."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usageledger.cli.options import AsJson
from usageledger.cli.server_connection import Key, ProfileName, Url, connect_to
from usageledger.cli.terminal.output import CommandError, counted, note, print_data, print_json, visible

if TYPE_CHECKING:
    from usageledger.cli.delivery import Delivery, Tally

REFUSALS_SHOWN_MAX = 20
EPILOG = """\
[bold]Examples[/]

  usageledger ingest events.ndjson
  usageledger ingest --profile ledger.example.com 2026-11-*.ndjson.gz
  zstdcat backup.zst | usageledger ingest --json -

The key needs the scope api.usage.write. Sending a file again is safe: an event
that is there already is counted as a duplicate and changes nothing. Exit code 1
where any event was refused.
"""


def ingest(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Files of events; - for stdin. NDJSON, a JSON array or one JSON object, plain, gzip or Zstandard.",
        ),
    ],
    url: Url = None,
    key: Key = None,
    profile: ProfileName = None,
    batch: Annotated[int, typer.Option("--batch", min=1, metavar="<int>", help="Events in one request.")] = 1000,
    retries: Annotated[
        int,
        typer.Option(
            "--retries",
            min=0,
            metavar="<int>",
            help="How often a batch is sent again when the server cannot be reached or says later.",
        ),
    ] = 6,
    as_json: AsJson = False,
) -> None:
    """Send files of usage events to a server.

    Batches are sent until the server has answered that they are on disk.
    Events that it refuses are named with their file and line; the others of
    their batch are kept.
    """
    from usageledger.cli.delivery import Delivery

    _check_files(files)
    server = connect_to(url, key, profile, openai=False)
    with _progress(files) as (advance, say):
        delivery = Delivery(server, retries=retries, say=say)
        try:
            _send(files, delivery, batch, advance)
        except (CommandError, KeyboardInterrupt):
            if delivery.tally.batches or delivery.tally.rejected or as_json:
                _report(delivery.tally, as_json=as_json)
                say("Run the same command again to go on: what was kept counts once.")
            raise
        finally:
            delivery.close()
    _report(delivery.tally, as_json=as_json)
    if delivery.tally.rejected:
        raise typer.Exit(1)


def _send(names: list[str], delivery: "Delivery", batch_size: int, advance: Callable[[int, int], None]) -> None:
    from usageledger.cli.event_files import STDIN, open_file, read_records
    from usageledger.client.delivery import batches

    done = 0
    for name in names:
        with open_file(name) as file:
            records = read_records(file, "stdin" if name == STDIN else name)
            for batch in batches(records, batch_size, lambda record: len(record.text)):
                delivery.send(batch)
                place = file.tell() if file.seekable() else 0
                advance(done + place, len(batch))
            done += file.tell() if file.seekable() else 0


def _report(tally: "Tally", *, as_json: bool) -> None:
    """The counts on stdout; the refusals on stderr, or with the counts as JSON."""
    if as_json:
        print_json(asdict(tally))
        return
    for refusal in tally.errors[:REFUSALS_SHOWN_MAX]:
        name = "" if refusal.id is None else f"{refusal.id}: "
        note(f"{refusal.file}:{refusal.line}: {name}{refusal.message}")
    shown = len({(refusal.file, refusal.line) for refusal in tally.errors[:REFUSALS_SHOWN_MAX]})
    if tally.rejected > shown:
        note(f"… and {counted(tally.rejected - shown, 'more refused event')}.")
    if tally.resent:
        note(
            f"{counted(tally.resent, 'batch', 'batches')} had to be sent again after an answer was lost: events that "
            "the first try had kept are among the duplicates."
        )
    print_data(f"{tally.accepted:,} accepted, {counted(tally.duplicates, 'duplicate')}, {tally.rejected:,} refused")


def _check_files(names: list[str]) -> None:
    """Looks at all files before the first one is sent."""
    for name in names:
        if name != "-" and not Path(name).exists():
            raise CommandError(f"There is no file {name}.", exit_code=2)
        if Path(name).is_dir():
            raise CommandError(f"{name} is a folder: name the files in it.", exit_code=2)


@contextmanager
def _progress(names: list[str]) -> Generator[tuple[Callable[[int, int], None], Callable[[str], None]]]:
    """(advance, say): a bar on stderr where that is a terminal, and a way to speak beside it."""
    import sys

    if not sys.stderr.isatty():
        yield (lambda _place, _events: None), note
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    total = None if "-" in names else sum(Path(name).stat().st_size for name in names)
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
