"""`usageledger alerts`: alerts on spend, in the registry of a data folder."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from usageledger.cli.commands.spend_limits import Project, Usd, cents_of, check_project, scope_words, usd_of
from usageledger.cli.local_registry import existing_settings, opened_registry
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, RegistryUrl
from usageledger.cli.terminal.output import CommandError, note, print_data, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from usageledger.registry import SpendAlert

app = typer.Typer(
    help="List, make and delete alerts on spend.\n\n"
    "An alert says at which amount of a calendar month, in UTC, whom to tell.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command(
    "list",
    epilog="[bold]Examples[/]\n\n"
    "  usageledger alerts list\n"
    "  usageledger alerts list --json | jq '.[].recipients'\n\n"
    "Amounts are of a month.",
)
def list_alerts(data: DataFolder = DEFAULT_FOLDER, registry_url: RegistryUrl = None, as_json: AsJson = False) -> None:
    """List all alerts: the organization's and those of projects, in the order in which they were made."""
    with opened_registry(existing_settings(data, registry_url)) as registry:
        alerts = registry.spend_settings.alerts()
    if as_json:
        print_json([_plain(alert) for alert in alerts])
    elif not alerts:
        note("There are no alerts: make one with 'usageledger alerts create'.")
    else:
        print_table(lambda _: _table(alerts))


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "  usageledger alerts create 1600 --to finance@example.com\n"
    "  usageledger alerts create 40 --project proj_a --to ann@example.com --to bob@example.com --prefix '[spend]'\n\n"
    "The id of the alert is printed on stdout."
)
def create(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    usd: Usd,
    to: Annotated[list[str], typer.Option("--to", metavar="<address>", help="Whom to tell, once for each address.")],
    project: Project = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", metavar="<text>", help="Stands before the subject.", show_default="none")
    ] = None,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make an alert."""
    from usageledger.registry import AlertTerms

    terms = AlertTerms(cents_of(usd), tuple(to), prefix)
    with opened_registry(existing_settings(data, registry_url)) as registry:
        check_project(registry, project)
        alert = registry.spend_settings.create_alert(project, terms, now=int(time.time()))
    if as_json:
        print_json(_plain(alert))
        return
    note(f"An alert at {usd_of(terms.threshold_cents)} USD a month of {scope_words(project)}:")
    print_data(alert.id)


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "  usageledger alerts delete alert_Jd0c8mBxXW7oZkqv2n1TgYfa\n\n"
    "The ids are those of 'usageledger alerts list'."
)
def delete(
    alert_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the alert, from 'usageledger alerts list'.")],
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Delete an alert."""
    with opened_registry(existing_settings(data, registry_url)) as registry:
        found = [alert for alert in registry.spend_settings.alerts() if alert.id == alert_id]
        if not found or not registry.spend_settings.delete_alert(found[0].project_id, alert_id, now=int(time.time())):
            raise CommandError(f"There is no alert {alert_id!r}.")
    if as_json:
        print_json({"id": alert_id, "deleted": True})
    else:
        note(f"Deleted {alert_id}.")


def _plain(alert: "SpendAlert") -> dict[str, Any]:
    return {"id": alert.id, "project_id": alert.project_id, **asdict(alert.terms), "changed_at": alert.changed_at}


def _table(alerts: "Sequence[SpendAlert]") -> "Table":
    from usageledger.cli.terminal.text_table import plain_table

    table = plain_table("Alert", "Of", ">USD a month", "To", "Prefix")
    for alert in alerts:
        scope = "the organization" if alert.project_id is None else alert.project_id
        terms = alert.terms
        table.add_row(
            alert.id, scope, usd_of(terms.threshold_cents), ", ".join(terms.recipients), terms.subject_prefix or ""
        )
    return table
