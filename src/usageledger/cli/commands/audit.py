"""`usageledger audit`: who changed keys and prices, from the registry of a data folder or elsewhere."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from usageledger.cli.local_registry import existing_settings, opened_registry
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, RegistryUrl
from usageledger.cli.terminal.output import iso_time, note, print_data, print_json

if TYPE_CHECKING:
    from usageledger.registry import AuditEntry

PAGE = 100
DETAILS_CHARACTERS_MAX = 160

EPILOG = """\
[bold]Examples[/]

  usageledger audit
  usageledger audit --limit 1000 --json | jq '.[] | select(.type == "price.set")'

Times are UTC. A change is made by a key, or by a user of this machine who ran
a command.
"""


def audit(
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="<int>", help="Most changes to list.")] = 50,
    data: DataFolder = DEFAULT_FOLDER,
    registry: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """List who changed keys and prices, when, and what, the newest first."""
    with opened_registry(existing_settings(data, registry)) as opened:
        entries: list[AuditEntry] = []
        has_more = True
        while has_more and len(entries) < limit:
            after = entries[-1].number if entries else None
            page = opened.audit_log.list(after=after, limit=min(PAGE, limit - len(entries)))
            entries += page.data
            has_more = page.has_more
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    for entry in entries:
        details = json.dumps(entry.details, ensure_ascii=False)
        shown = details if len(details) <= DETAILS_CHARACTERS_MAX else details[: DETAILS_CHARACTERS_MAX - 1] + "…"
        print_data(f"{iso_time(entry.effective_at)}  {entry.type:<15}  {entry.actor:<28}  {shown}")
    if not entries:
        note("Nothing was changed since there is a trail.")
    elif has_more:
        note(f"There are older ones: give a higher --limit than {limit}.")
