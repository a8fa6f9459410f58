"""`usageledger rebuild-rollups`: makes the sums of a ledger anew from its events."""

import time

from usageledger.buckets import iso
from usageledger.cli.local_registry import is_there
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, LedgerUrl
from usageledger.cli.terminal.output import CommandError, counted, note, print_data, print_json
from usageledger.settings import load_settings

EPILOG = """\
[bold]Examples[/]

  usageledger rebuild-rollups
  usageledger rebuild-rollups --data /var/lib/usageledger --json

Stop the server first: the ledger belongs to one process at a time. It can be
interrupted at any time: the same command goes on with the day it was at, and so
does a server. Answers are right meanwhile, and slower.
"""


def rebuild_rollups(data: DataFolder = DEFAULT_FOLDER, ledger_url: LedgerUrl = None, as_json: AsJson = False) -> None:
    """Make the sums that answers come from anew, day by day.

    Needed only where `usageledger verify` says that rollups do not equal the
    events. Events that were dropped after their time keep the sums they have.
    """
    from usageledger.ledger import open_ledger

    settings = load_settings({"data": data, "ledger": ledger_url})
    if not is_there(settings.ledger_url):
        raise CommandError(f"There is no ledger in {settings.data.absolute()}: check --data.", exit_code=2)
    ledger = open_ledger(settings.ledger_url, memory_bytes=settings.memory_bytes)
    done, began = 0, time.monotonic()
    try:
        for day in ledger.rollups.rebuild_rollups() if ledger.rollups else ():
            done += 1
            if not as_json:
                note(f"{iso(day)[:10]} is done")
    except KeyboardInterrupt:
        raise CommandError(f"Interrupted after {counted(done, 'day')}: the same command goes on.") from None
    finally:
        ledger.close()
    if as_json:
        print_json({"days": done, "seconds": round(time.monotonic() - began, 1)})
    else:
        print_data(f"{counted(done, 'day')} of sums made anew.")
