"""`usageledger copy`: a ledger, or a registry, to another place."""

from contextlib import closing
from typing import Annotated

import typer

from usageledger.cli.local_registry import is_there
from usageledger.cli.options import AsJson
from usageledger.cli.terminal.output import CommandError, counted, iso_time, note, print_data, print_json
from usageledger.settings import load_settings, without_password

EPILOG = """\
[bold]Examples[/]

  usageledger copy --from sqlite:///backup/registry.sqlite \\
                   --to postgresql+psycopg://ledger@db/ledger
  usageledger copy --from duckdb:///backup/ledger.duckdb \\
                   --to clickhouse://ledger@db:8123/usage

Copy from a backup: the ledger goes on meanwhile. Started again, it goes on
where it was; from a later backup, it adds what came since.
"""
REGISTRIES = ("sqlite:", "postgresql:", "postgresql+psycopg:")


def copy(
    source: Annotated[str, typer.Option("--from", metavar="<url>", help="The ledger or registry to copy.")],
    target: Annotated[str, typer.Option("--to", metavar="<url>", help="Where to: a ledger or registry of its own.")],
    as_json: AsJson = False,
) -> None:
    """Copy a ledger to another place, and prove that every event arrived.

    Goes day by day: a day that is equal in both is left, any other is copied
    and then compared, event by event, by a digest of all that is stored of it.
    A registry is copied as a whole. Both belong together: events name the rate
    cards of their registry by number, so copy that too.
    """
    kinds = {url.startswith(REGISTRIES) for url in (source, target)}
    if len(kinds) > 1:
        raise CommandError("Copy a ledger to a ledger, or a registry to a registry.", exit_code=2)
    if not is_there(source):
        raise CommandError(f"There is nothing at {source}: check --from.", exit_code=2)
    (_copy_registry if kinds.pop() else _copy_ledger)(source, target, as_json=as_json)


def _copy_registry(source: str, target: str, *, as_json: bool) -> None:
    from usageledger.registry import open_registry

    with open_registry(source) as old, open_registry(target) as new:
        rows = old.copy_to(new)
    if as_json:
        print_json({"tables": rows})
        return
    for table, count in rows.items():
        print_data(f"{table}: {counted(count, 'row')}")
    note(f"{without_password(target)} holds everything of {without_password(source)}.")


def _copy_ledger(source: str, target: str, *, as_json: bool) -> None:
    from usageledger.ledger import open_ledger
    from usageledger.ledger.copying import copy as days_copied

    memory_bytes = load_settings({}).memory_bytes
    days, events, added = 0, 0, 0
    with (
        closing(open_ledger(source, memory_bytes=memory_bytes)) as old,
        closing(open_ledger(target, memory_bytes=memory_bytes)) as new,
    ):
        for day in days_copied(old, new):
            days, events, added = days + 1, events + day.events, added + day.added
            if as_json:
                print_json({"day": day.day, "events": day.events, "added": day.added, "sha256": day.digest})
            else:
                print_data(
                    f"{iso_time(day.day)[:10]}  {counted(day.events, 'event')}, {day.added:,} added, {day.digest[:16]}"
                )
    if not as_json:
        note(f"{counted(events, 'event')} of {counted(days, 'day')} are the same in both, {added:,} of them added now.")
