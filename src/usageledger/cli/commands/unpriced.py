"""`usageledger prices unpriced`: usage that has no known price, asked of a server."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from usageledger.cli.commands.reprice import Since, Until, day
from usageledger.cli.options import AsJson
from usageledger.cli.server_connection import Key, ProfileName, Url, connect_to
from usageledger.cli.terminal.figures import digits
from usageledger.cli.terminal.output import iso_time, note, print_table

if TYPE_CHECKING:
    from rich.table import Table

EPILOG = """\
[bold]Examples[/]

  usageledger prices unpriced
  usageledger prices unpriced --from 2026-11-01 --json

'usageledger prices set' gives it a price, and 'usageledger prices reprice' lets
that hold for the usage that is there already.
"""


def unpriced(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    since: Since = None,
    until: Until = None,
    url: Url = None,
    key: Key = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """List usage with no known price: it is in no amount."""
    from usageledger.cli.asking import client_of

    window = {"start_time": day("--from", since), "end_time": day("--to", until)}
    with client_of(connect_to(url, key, profile, openai=False)) as client:
        entries = client.request("GET", "/unpriced", {k: v for k, v in window.items() if v is not None})["data"]
    if as_json:
        from usageledger.cli.exports import print_as_json

        print_as_json(entries)
    elif not entries:
        note("All usage has a price.")
    else:
        print_table(lambda _: unpriced_table(entries))


def unpriced_table(entries: Sequence[Mapping[str, Any]]) -> "Table":
    """A row for each model, tier and part."""
    from usageledger.cli.terminal.text_table import plain_table

    table = plain_table("Kind", "Provider", "Line item", ">Quantity", "Unit", "From", "To", "Why")
    for entry in entries:
        days = [iso_time(entry[name])[:10] for name in ("first_time", "last_time")]
        for line in entry["quantities"]:
            quantity = digits(Decimal(line["quantity"]))
            about = (entry["kind"], entry["provider"], line["line_item"])
            table.add_row(*about, quantity, line["quantity_unit"], *days, line["message"])
    return table
