"""`usageledger explain`: the cost of one event, digit by digit, from a server."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from usageledger.cli.options import AsJson
from usageledger.cli.server_connection import Key, ProfileName, Url, connect_to
from usageledger.cli.terminal.figures import aligned, digits
from usageledger.cli.terminal.output import iso_time, note, print_table
from usageledger.cli.terminal.times import parse_moment
from usageledger.meters import GAUGES

if TYPE_CHECKING:
    from rich.table import Table

EPILOG = """\
[bold]Examples[/]

  usageledger explain req_1 --at 1793491200
  usageledger explain req_1 --at 2026-11-01T00:00:00Z --json

An event is known by its id and its timestamp.
"""


# Of a price.
ORIGIN = ("source", "layer", "from", "from_is", "to", "confidence", "provisional", "resolved_from", "assumed")


def explain(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    event_id: Annotated[str, typer.Argument(metavar="ID", help="The event's id.")],
    at: Annotated[
        str,
        typer.Option("--at", metavar="<time>", help="The event's timestamp: Unix seconds, or 2026-11-01T09:30:00Z."),
    ],
    url: Url = None,
    key: Key = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Show what an event costs and why: its parts, its rate card and the sum."""
    from usageledger.cli.asking import client_of

    now = int(datetime.now(UTC).timestamp())
    query = {"id": event_id, "timestamp": parse_moment("--at", at, zone=UTC, now=now)}
    with client_of(connect_to(url, key, profile, openai=False)) as client:
        told = client.request("GET", "/explain", query)
    if as_json:
        from usageledger.cli.exports import print_as_json

        print_as_json(told)
        return
    _say_event(told)
    if told["lines"] or told["unpriced"]:
        print_table(lambda _: sum_table(told))
    else:
        note("Nothing of it is charged for.")
    for words in dict.fromkeys(map(_origin, told["lines"])):
        items = [line["line_item"].rpartition(", ")[2] for line in told["lines"] if _origin(line) == words]
        note(f"{', '.join(items)}: {words}")
    for words in dict.fromkeys(missing["message"] for missing in told["unpriced"]):
        items = [part["line_item"].rpartition(", ")[2] for part in told["unpriced"] if part["message"] == words]
        note(f"{', '.join(items)}: no price, since {words}")
    _say_history(told["history"])


def _origin(line: Mapping[str, Any]) -> str:
    """Say in words where the price of a line is from, and for when it is."""
    from usageledger.pricing.cards import Source, origin_words

    names = {"source": "text", "from": "start", "from_is": "start_is", "to": "end"}
    return origin_words(Source(**{names.get(name, name): line[name] for name in ORIGIN}))


def _say_event(told: Mapping[str, Any]) -> None:
    event, card = told["event"], told["rate_card"]
    others = [
        f"{name} {value}" for name, value in event.items() if name not in ("id", "timestamp") and value is not None
    ]
    note(f"{event['id']} at {iso_time(event['timestamp'])}: {', '.join(others)}")
    note("Parts: " + ", ".join(f"{name} {count:,}" for name, count in told["counts"].items()))
    band = f", above {card['above_input_tokens']:,} input tokens" if card["above_input_tokens"] else ""
    note(f"Rate card {card['id']}: {card['tier']}{band}, {iso_time(card['day'])[:10]}")
    if GAUGES & told["counts"].keys():
        note("A size is charged by the hour, once: the largest of its store in that UTC hour.")


def sum_table(told: Mapping[str, Any]) -> "Table":
    """The sum: a row for each line item, and the total below."""
    from usageledger.cli.terminal.text_table import plain_table

    lines: Sequence[Mapping[str, Any]] = [*told["lines"], *told["unpriced"]]
    prices = aligned([_value(line, "unit_price") for line in lines])
    *amounts, total = aligned([*(_value(line, "amount") for line in lines), Decimal(told["amount"]["value"])])
    table = plain_table("Line item", ">Quantity", "Unit", ">USD a unit", ">Amount USD")
    table.show_footer = True
    table.columns[0].footer, table.columns[4].footer = "Sum", total
    for line, price, amount in zip(lines, prices, amounts, strict=True):
        cells = (line["line_item"], digits(Decimal(line["quantity"])), line["quantity_unit"])
        table.add_row(*cells, price or "unpriced", amount)
    return table


def _value(line: Mapping[str, Any], name: str) -> Decimal | None:
    return Decimal(line[name]["value"]) if name in line else None


def _say_history(history: Sequence[Mapping[str, Any]]) -> None:
    """Prints the amount after each repricing, where there was one."""
    for said in history if len(history) > 1 else ():
        amount = digits(Decimal(said["amount"]["value"]))
        since = "at first" if said["revision"] is None else f"since {iso_time(said['created_at'])}: {said['reason']}"
        note(f"{amount} USD {since}")
