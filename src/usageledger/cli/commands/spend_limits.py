"""`usageledger limits`: limits of spend, in the registry of a data folder; a running server answers by them at once."""

import re
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from usageledger.cli.local_registry import existing_settings, opened_registry
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, RegistryUrl
from usageledger.cli.terminal.output import CommandError, iso_time, note, print_json, print_table, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from usageledger.registry import Registry, SpendLimit

Usd = Annotated[str, typer.Argument(metavar="USD", help="The amount in US dollars, to the cent, such as 500 or 0.50.")]
Project = Annotated[
    str | None,
    typer.Option("--project", metavar="<id>", help="Of this project.", show_default="the organization"),
]

app = typer.Typer(
    help="Show, set and remove limits of spend.\n\n"
    "A limit says how much may be spent in a calendar month, in UTC. The API says\n"
    "whether recorded spend has reached it; nothing is stopped by the ledger.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "  usageledger limits show\n"
    "  usageledger limits show --json | jq '.[].threshold_cents'\n\n"
    "Times are UTC."
)
def show(data: DataFolder = DEFAULT_FOLDER, registry_url: RegistryUrl = None, as_json: AsJson = False) -> None:
    """Show all limits: the organization's and those of projects."""
    with opened_registry(existing_settings(data, registry_url)) as registry:
        limits = registry.spend_settings.limits()
    if as_json:
        print_json([asdict(limit) for limit in limits])
    elif not limits:
        note("There are no limits: set one with 'usageledger limits set'.")
    else:
        print_table(lambda _: _table(limits))


@app.command(
    "set",
    epilog="[bold]Examples[/]\n\n"
    "  usageledger limits set 2000\n"
    "  usageledger limits set 49.90 --project proj_a\n\n"
    "A project has to be known: from an event, or made through the API.",
)
def set_limit(
    usd: Usd,
    project: Project = None,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Set the limit of a month, in place of the one before."""
    from usageledger.pricing.money import cents_text

    cents = cents_of(usd)
    with opened_registry(existing_settings(data, registry_url)) as registry:
        check_project(registry, project)
        limit = registry.spend_settings.set_limit(project, cents, now=int(time.time()))
    if as_json:
        print_json(asdict(limit))
    else:
        note(f"The limit of {scope_words(project)} is {cents_text(cents)} USD a month.")


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "  usageledger limits remove\n"
    "  usageledger limits remove --project proj_a\n\n"
    "What was spent stays as it is."
)
def remove(
    project: Project = None,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Remove a limit."""
    with opened_registry(existing_settings(data, registry_url)) as registry:
        check_project(registry, project)
        removed = registry.spend_settings.delete_limit(project, now=int(time.time()))
    if not removed:
        raise CommandError(f"There is no limit of {scope_words(project)}.")
    if as_json:
        print_json({"project_id": project, "removed": True})
    else:
        note(f"Removed the limit of {scope_words(project)}.")


def cents_of(usd: str) -> int:
    """Reads an amount of US dollars as cents. Raises CommandError."""
    match = re.fullmatch(r"([0-9]{1,15})(?:\.([0-9]{1,2}))?", usd)
    if not match:
        raise CommandError(f"Expected an amount in USD such as 500 or 0.50, got {usd[:100]!r}.", exit_code=2)
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))


def scope_words(project: str | None) -> str:
    """Names a scope within a sentence."""
    return "the organization" if project is None else f"the project {visible(project)}"


def check_project(registry: "Registry", project: str | None) -> None:
    """Raises CommandError where there is no such project."""
    if project is not None and registry.get_project(project) is None:
        raise CommandError(f"There is no project {project!r}: its first event makes it, or the API.")


def _table(limits: "Sequence[SpendLimit]") -> "Table":
    from usageledger.cli.terminal.text_table import plain_table
    from usageledger.pricing.money import cents_text

    table = plain_table("Of", ">USD a month", "Since")
    for limit in limits:
        scope = "the organization" if limit.project_id is None else limit.project_id
        table.add_row(scope, cents_text(limit.threshold_cents), iso_time(limit.changed_at)[:16].replace("T", " ") + "Z")
    return table
