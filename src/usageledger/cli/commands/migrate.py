"""`usageledger migrate`: the tables of a ledger on ClickHouse."""

from typing import Annotated

import typer

from usageledger.cli.options import AsJson, LedgerUrl
from usageledger.cli.terminal.output import CommandError, note, print_data, print_json
from usageledger.settings import load_settings, without_password

EPILOG = """\
[bold]Examples[/]

  export USAGELEDGER_LEDGER='clickhouse://admin:secret@db:8123/usage'
  usageledger migrate --dry-run
  usageledger migrate

It may run any number of times, and on several machines at once. A cluster
without replicas has no ON CLUSTER: run it once for the address of each node.
"""


def migrate(
    ledger_url: LedgerUrl = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the statements, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the tables of a ledger on ClickHouse, or add what they lack.

    Prints the statements as they are run. The embedded ledger and the registry
    need no such step: they are brought up to date when they are opened.
    """
    from usageledger.ledger import migrate_ledger, on_clickhouse

    url = load_settings({"ledger": ledger_url}).ledger
    if url is None or not on_clickhouse(url):
        raise CommandError("Give the address of a ledger on ClickHouse: --ledger clickhouse://…", exit_code=2)
    statements = migrate_ledger(url, apply=not dry_run)
    if as_json:
        print_json({"statements": statements, "applied": not dry_run})
        return
    for line in (line for statement in statements for line in f"{statement};".splitlines()):
        print_data(line)
    place = without_password(url)
    if not statements:
        note(f"Nothing to do: {place} has every table and column.")
    elif dry_run:
        note(f"Nothing was changed. Run it without --dry-run to bring {place} to this version.")
    else:
        note(f"{place} is ready for this version.")
