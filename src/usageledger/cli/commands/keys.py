"""`usageledger keys`: admin API keys, in the registry of a data folder; a running server sees every change."""

import re
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from usageledger.cli.local_registry import existing_settings, make_data_folder, opened_registry
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, RegistryUrl
from usageledger.cli.terminal.output import (
    CommandError,
    ask,
    iso_time,
    note,
    print_data,
    print_json,
    print_table,
    visible,
)
from usageledger.settings import load_settings

if TYPE_CHECKING:
    from rich.table import Table

    from usageledger.registry import AdminKey, Registry

UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
PAGE = 100
WIDE = 110  # columns that a table with every time needs

app = typer.Typer(
    help="Make, list and revoke admin API keys.\n\n"
    "They work on the data folder directly, while a server runs on it or not; a\n"
    "running server follows within seconds.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "  usageledger keys create --name grafana --scope api.usage.read\n"
    "  KEY=$(usageledger keys create --name gateway --scope api.usage.write)\n"
    "  usageledger keys create --name audit --expires-in 30d\n\n"
    "Sending events takes the scope api.usage.write, asking for usage takes\n"
    "api.usage.read, and keys, projects and users take api.management."
)
def create(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    name: Annotated[str, typer.Option("--name", metavar="<text>", help="What the key is for.")] = "key",
    scopes: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="<scope>",
            help="What the key may do, once for each scope: api.usage.read, api.usage.write, api.management.",
            show_default="all",
        ),
    ] = None,
    expires_in: Annotated[
        str | None,
        typer.Option(
            "--expires-in", metavar="<duration>", help="How long it is valid: 12h, 30d, 52w.", show_default="for ever"
        ),
    ] = None,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make a key; its value is printed on stdout, once.

    Only a digest of the value is kept, so it cannot be shown again.
    """
    from usageledger.registry import SCOPES

    now = int(time.time())
    expires_at = None if expires_in is None else now + _seconds(expires_in)
    settings = load_settings({"data": data, "registry": registry_url})
    make_data_folder(settings)
    with opened_registry(settings) as registry:
        key, value = registry.create_key(name, scopes or SCOPES, expires_at=expires_at, now=now)
    if as_json:
        print_json({"value": value, **asdict(key)})
        return
    print_data(value)
    until = "" if expires_at is None else f", valid until {iso_time(expires_at)}"
    note(f"Made {key.id} ({key.name}), which may {', '.join(key.scopes)}{until}. Its value is shown only now.")


@app.command(
    "list",
    epilog="[bold]Examples[/]\n\n"
    "  usageledger keys list\n"
    "  usageledger keys list --json | jq -r '.[].id'\n\n"
    "Times are UTC.",
)
def list_keys(data: DataFolder = DEFAULT_FOLDER, registry_url: RegistryUrl = None, as_json: AsJson = False) -> None:
    """List the keys that are not revoked, oldest first.

    Values are never shown: only their last four characters are kept.
    """
    with opened_registry(existing_settings(data, registry_url)) as registry:
        keys = list(_all_keys(registry))
    if as_json:
        print_json([asdict(key) for key in keys])
    elif not keys:
        note("There are no keys: make one with 'usageledger keys create'.")
    else:
        print_table(lambda console: key_table(keys, console.width))


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "  usageledger keys revoke key_Jd0c8mBxXW7oZkqv2n1TgYfa\n"
    "  usageledger keys revoke key_Jd0c8mBxXW7oZkqv2n1TgYfa --yes\n\n"
    "A running server refuses the key within seconds."
)
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the key, from 'usageledger keys list'.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make a key invalid for good."""
    with opened_registry(existing_settings(data, registry_url)) as registry:
        key = registry.get_key(key_id)
        if key is None:
            raise CommandError(f"There is no key {key_id!r}, or it is revoked already.")
        if not yes:
            _confirm(key)
        revoked = registry.revoke_key(key_id, now=int(time.time()))
    if as_json:
        print_json({"id": key_id, "revoked": revoked})
    else:
        note(f"Revoked {key_id} ({key.name}).")


def _confirm(key: "AdminKey") -> None:
    if not sys.stdin.isatty():
        raise CommandError("Revoking cannot be undone: give --yes where nobody can be asked.", exit_code=2)
    if ask(f"Revoke {key.id} ({key.name}) for good? [y/N]").lower() not in ("y", "yes"):
        raise CommandError("Not revoked.")


def _seconds(duration: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhdw])", duration)
    if not match:
        raise CommandError(f"--expires-in: expected a duration such as 12h, 30d or 52w, got {duration!r}.", exit_code=2)
    return int(match[1]) * UNIT_SECONDS[match[2]]


def _all_keys(registry: "Registry") -> Iterator["AdminKey"]:
    after = None
    while True:
        page = registry.list_keys(after=after, limit=PAGE)
        yield from page.data
        if not page.has_more:
            return
        after = page.data[-1].id


def key_table(keys: "list[AdminKey]", width: int) -> "Table":
    """The keys as a table that fits into `width` columns: the narrow one leaves out when keys were made."""
    from rich import box
    from rich.text import Text

    from usageledger.cli.terminal.text_table import TextTable

    wide = width >= WIDE
    times = ("created_at", "expires_at", "last_used_at") if wide else ("expires_at", "last_used_at")
    titles = {"created_at": "Created", "expires_at": "Expires", "last_used_at": "Last used"}
    table = TextTable(box=box.SIMPLE_HEAD, padding=(0, int(wide), 0, 0), show_edge=False, leading=1)
    table.add_column("Key", no_wrap=True)
    table.add_column("Name", overflow="fold", min_width=8)
    table.add_column("Scopes", no_wrap=True)
    for time_name in times:
        table.add_column(titles[time_name], no_wrap=True)
    for key in keys:
        name = Text.assemble(key.id, "\n", (visible(key.redacted_value), "dim"))
        moments = [_moment(getattr(key, time_name), " " if wide else "\n") for time_name in times]
        table.add_row(name, key.name, Text("\n".join(key.scopes)), *map(Text, moments))
    return table


def _moment(seconds: int | None, separator: str) -> str:
    """`2026-06-06 14:05Z`, or on two lines; a dash for never."""
    return "-" if seconds is None else iso_time(seconds)[:16].replace("T", separator) + "Z"
