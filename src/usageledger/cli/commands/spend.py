"""`usageledger spend`: what this month has cost against limits, asked of a server."""

from typing import TYPE_CHECKING

from usageledger.cli.options import AsJson
from usageledger.cli.server_connection import Key, ProfileName, Url, connect_to
from usageledger.cli.terminal.output import iso_time, note, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from usageledger.client import Money, Spend

EPILOG = """\
[bold]Examples[/]

  usageledger spend
  usageledger spend --json | jq '.[] | select(.status == "enforcing") | .project_id'

The month is the calendar's, in UTC; the organization has no project.
"""


def spend(
    url: Url = None,
    key: Key = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Show what this month has cost, is held, is left and may become.

    A line for the organization and one for each project that has a limit or
    an alert. Limits are set with [bold]usageledger limits[/].
    """
    from usageledger.cli.asking import client_of
    from usageledger.client.spend import read_spend

    with client_of(connect_to(url, key, profile, openai=False)) as client:
        answer = client.request("GET", "/spend")
        found = read_spend(answer)
    if as_json:
        from usageledger.cli.exports import print_as_json

        print_as_json(answer["data"])
        return
    print_table(lambda _: _table(found))
    unpriced = found[0].unpriced_requests if found else 0
    if unpriced:
        note(
            f"Requests without a price, which are in no amount: {unpriced:,}; 'usageledger prices unpriced' lists them."
        )


def _table(found: "Sequence[Spend]") -> "Table":
    from usageledger.cli.terminal.text_table import plain_table

    month = iso_time(found[0].start_time)[:7] if found else ""
    table = plain_table("Project", f">Spent in {month}", ">Limit", ">Held", ">Left", ">Forecast", "")
    for each in found:
        table.add_row(
            "the organization" if each.project_id is None else each.project_id,
            _usd(each.spent),
            _usd(each.limit),
            _usd(each.held),
            _usd(each.available),
            _usd(each.forecast.amount if each.forecast else None),
            "limit reached" if each.status == "enforcing" else "",
        )
    return table


def _usd(amount: "Money | None") -> str:
    return "-" if amount is None else f"{amount.value:,.2f}"
