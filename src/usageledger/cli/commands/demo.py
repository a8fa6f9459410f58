"""`usageledger demo`: a ledger full of made-up usage, gone when it ends."""

import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from usageledger.cli.commands.serve import run_server
from usageledger.cli.options import AsJson
from usageledger.cli.terminal.output import counted, note
from usageledger.cli.terminal.progress import progress
from usageledger.settings import Settings, load_settings

EVENTS_MIN = 100
DAYS_MAX = 3660
EPILOG = """\
[bold]Examples[/]

  usageledger demo
  usageledger demo --days 90 --events 2000000
  usageledger demo --port 0 --json | tee demo.json

The same --seed makes the same projects, users and keys.
"""


def demo(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    days: Annotated[
        int, typer.Option("--days", min=1, max=DAYS_MAX, metavar="<int>", help="How many days of usage, up to now.")
    ] = 31,
    events: Annotated[
        int, typer.Option("--events", min=EVENTS_MIN, metavar="<int>", help="How many events in all.")
    ] = 200_000,
    host: Annotated[
        str, typer.Option("--host", envvar="USAGELEDGER_HOST", metavar="<text>", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port", envvar="USAGELEDGER_PORT", metavar="<int>", help="Port to listen on; 0 takes a free one."
        ),
    ] = 8080,
    seed: Annotated[
        int, typer.Option("--seed", min=0, metavar="<int>", help="Another number makes another organization.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Serve a temporary ledger full of made-up usage, to look around in.

    Twelve projects and forty people use models of several vendors, with
    working days, nights and weekends, in all kinds of usage. The data is in a
    temporary folder, which is removed at the end.
    """
    import logging

    from usageledger.server.http.listening import listen

    # Ended by SIGTERM while it makes events, the command must still remove its folder.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    logging.getLogger("usageledger.pricing").setLevel(logging.ERROR)  # some of it has no price, which is meant
    with tempfile.TemporaryDirectory(prefix="usageledger-demo-") as folder:
        settings = load_settings({"host": host, "port": port, "data": Path(folder)})
        listen(host, settings.port).close()  # a port that is taken is said now, and not after the events
        began = time.monotonic()
        note(f"Making {counted(events, 'event')} of {counted(days, 'day')} …")
        _fill(settings, days, events, seed)
        note(f"Made in {time.monotonic() - began:.1f} s.")
        run_server(settings, as_json=as_json)


def _fill(settings: Settings, days: int, events: int, seed: int) -> None:
    from usageledger.cli.demo.data import demo_tables
    from usageledger.cli.demo.plan import make_organization
    from usageledger.ledger import open_ledger
    from usageledger.registry import open_registry

    now = int(time.time())
    organization = make_organization(seed)
    with open_registry(settings.registry_url) as registry:
        projects, users = dict(organization.projects), dict(organization.users)
        registry.note_seen(projects, users, now=now - days * 86400)
        for project_id, name in projects.items():
            registry.rename_project(project_id, name)
    ledger = open_ledger(settings.ledger_url, memory_bytes=settings.memory_bytes)
    try:
        made = 0
        with progress("Making", events) as tell:
            for table in demo_tables(days, events, seed, now):
                ledger.append(table)
                made += table.num_rows
                tell(made)
        with progress("Adding up", None):
            while ledger.compact():
                pass
    finally:
        ledger.close()
