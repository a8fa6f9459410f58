"""`usageledger alerts`: alerts on spend, in the registry of a data folder."""

import time
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from usageledger.cli.commands.spend_limits import Project, Usd, cents_of, check_project, scope_words
from usageledger.cli.local_registry import existing_settings, opened_registry
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, RegistryUrl
from usageledger.cli.terminal.output import CommandError, iso_time, note, print_data, print_json, print_table, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from usageledger.registry import Delivery, Firing, Registry, SpendAlert

SHARES = (50, 80, 100)  # of a limit, in per cent
FIRINGS_LISTED_MAX = 100
To = Annotated[list[str], typer.Option("--to", metavar="<address>", help="Whom to tell, once for each address.")]
Prefix = Annotated[
    str | None, typer.Option("--prefix", metavar="<text>", help="Stands before the subject.", show_default="none")
]
AlertId = Annotated[str, typer.Argument(metavar="ID", help="The id of the alert, from 'usageledger alerts list'.")]

app = typer.Typer(
    help="List, make, test and delete alerts on spend, and list what fired.\n\n"
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
    to: To,
    project: Project = None,
    prefix: Prefix = None,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make an alert."""
    from usageledger.pricing.money import cents_text
    from usageledger.registry import AlertTerms

    terms = AlertTerms(cents_of(usd), tuple(to), prefix)
    with opened_registry(existing_settings(data, registry_url)) as registry:
        check_project(registry, project)
        alert = registry.spend_settings.create_alert(project, terms, now=int(time.time()))
    if as_json:
        print_json(_plain(alert))
        return
    note(f"An alert at {cents_text(terms.threshold_cents)} USD a month of {scope_words(project)}:")
    print_data(alert.id)


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "  usageledger alerts delete alert_Jd0c8mBxXW7oZkqv2n1TgYfa\n\n"
    "The ids are those of 'usageledger alerts list'."
)
def delete(
    alert_id: AlertId,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Delete an alert."""
    with opened_registry(existing_settings(data, registry_url)) as registry:
        alert = _alert(registry, alert_id)
        registry.spend_settings.delete_alert(alert.project_id, alert_id, now=int(time.time()))
    if as_json:
        print_json({"id": alert_id, "deleted": True})
    else:
        note(f"Deleted {alert_id}.")


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "  usageledger alerts suggest --limit 500 --to finance@example.com\n"
    "  usageledger alerts suggest --limit 40 --project proj_a --to ann@example.com\n\n"
    "The ids of the alerts are printed on stdout, the lowest first."
)
def suggest(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    limit: Annotated[str, typer.Option("--limit", metavar="<usd>", help="What a month may cost in US dollars.")],
    to: To,
    project: Project = None,
    prefix: Prefix = None,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make three alerts, at 50, 80 and 100 % of an amount."""
    from usageledger.pricing.money import cents_text
    from usageledger.registry import AlertTerms

    most, made = cents_of(limit), list["SpendAlert"]()
    with opened_registry(existing_settings(data, registry_url)) as registry:
        check_project(registry, project)
        for share in SHARES:
            terms = AlertTerms(most * share // 100, tuple(to), prefix)
            made.append(registry.spend_settings.create_alert(project, terms, now=int(time.time())))
    if as_json:
        print_json([_plain(alert) for alert in made])
        return
    amounts = ", ".join(cents_text(alert.terms.threshold_cents) for alert in made)
    note(f"Alerts at {amounts} USD a month of {scope_words(project)}:")
    for alert in made:
        print_data(alert.id)


@app.command(
    "test",
    epilog="[bold]Examples[/]\n\n"
    "  usageledger alerts test alert_Jd0c8mBxXW7oZkqv2n1TgYfa\n\n"
    "The SMTP server is that of USAGELEDGER_SMTP_URL and USAGELEDGER_SMTP_FROM, which\n"
    "the server that counts has to have as well.",
)
def send_test(
    alert_id: AlertId,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Send the messages of an alert to its recipients and all webhooks, marked as a test.

    It is an error if one of them was not delivered.
    """
    from usageledger.spending.channels import Smtp
    from usageledger.spending.ways import Ways

    settings = existing_settings(data, registry_url)
    with opened_registry(settings) as registry:
        told = list(Ways(registry, Smtp.of(settings), time.time).test(_alert(registry, alert_id)))
    if as_json:
        print_json([{"target": target, "delivered": each.delivered, "answer": each.status} for target, each in told])
    else:
        for target, each in told:
            print_data(f"{visible(target)}: {visible(each.status)}")
    if failed := sum(not each.delivered for _, each in told):
        raise CommandError(f"{failed} of {len(told)} messages were not delivered.")


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "  usageledger alerts firings\n"
    "  usageledger alerts firings --json | jq '.[].deliveries[] | select(.state == \"failed\")'\n\n"
    "Times are UTC."
)
def firings(data: DataFolder = DEFAULT_FOLDER, registry_url: RegistryUrl = None, as_json: AsJson = False) -> None:
    """List the last 100 firings, the newest first, and what became of their messages."""
    from usageledger.registry.paging import Page

    with opened_registry(existing_settings(data, registry_url)) as registry:
        found = registry.alert_firings.list(Page(limit=FIRINGS_LISTED_MAX, order="desc")).data
        deliveries = registry.deliveries.of(firing.id for firing in found)
    if as_json:
        print_json([_plain_firing(firing, deliveries.get(firing.id, ())) for firing in found])
    elif not found:
        note("No alert has fired.")
    else:
        print_table(lambda _: _firings_table(found, deliveries))


def _alert(registry: "Registry", alert_id: str) -> "SpendAlert":
    """Finds an alert of whatever scope. Raises CommandError."""
    for alert in registry.spend_settings.alerts():
        if alert.id == alert_id:
            return alert
    raise CommandError(f"There is no alert {alert_id!r}.")


def _plain_firing(firing: "Firing", deliveries: "Sequence[Delivery]") -> dict[str, Any]:
    from usageledger.pricing.money import usd_text

    shown = asdict(firing) | {"spend": usd_text(firing.spend)}
    return {name: value for name, value in shown.items() if name not in ("number", "facts")} | {
        "deliveries": [asdict(delivery) for delivery in deliveries]
    }


def _firings_table(found: "Sequence[Firing]", deliveries: "Mapping[str, Sequence[Delivery]]") -> "Table":
    from usageledger.cli.terminal.text_table import plain_table
    from usageledger.pricing.money import UNITS_PER_CENT, cents_text
    from usageledger.spending.months import month_of

    table = plain_table("Fired", "Alert", "Of", "Month", ">USD", ">Spent", "Messages")
    for firing in found:
        states = Counter(delivery.state for delivery in deliveries.get(firing.id, ()))
        table.add_row(
            iso_time(firing.fired_at),
            firing.alert_id,
            "the organization" if firing.project_id is None else firing.project_id,
            month_of(firing.period_start).name,
            cents_text(firing.threshold_cents),
            cents_text(firing.spend // UNITS_PER_CENT),
            ", ".join(f"{count} {state}" for state, count in states.items()),
        )
    return table


def _plain(alert: "SpendAlert") -> dict[str, Any]:
    return {"id": alert.id, "project_id": alert.project_id, **asdict(alert.terms), "changed_at": alert.changed_at}


def _table(alerts: "Sequence[SpendAlert]") -> "Table":
    from usageledger.cli.terminal.text_table import plain_table
    from usageledger.pricing.money import cents_text

    table = plain_table("Alert", "Of", ">USD a month", "To", "Prefix")
    for alert in alerts:
        scope = "the organization" if alert.project_id is None else alert.project_id
        terms = alert.terms
        table.add_row(
            alert.id, scope, cents_text(terms.threshold_cents), ", ".join(terms.recipients), terms.subject_prefix or ""
        )
    return table
