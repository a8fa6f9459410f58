"""`usageledger prices reprice` and `prices diff`: past usage at today's prices, from a server."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from usageledger.cli.options import AsJson
from usageledger.cli.server_connection import Key, ProfileName, Url, connect_to
from usageledger.cli.terminal.figures import aligned, digits
from usageledger.cli.terminal.output import CommandError, counted, iso_time, note, print_table

if TYPE_CHECKING:
    from rich.table import Table

    from usageledger.cli.server_connection import Connection

REPRICE_EPILOG = """\
[bold]Examples[/]

  usageledger prices reprice --from 2026-11-01 --to 2026-12-01
  usageledger prices reprice --from 2026-11-01 --model gpt-5 --apply \\
      --reason 'contract 4711, agreed late'

Costs as they were before: 'usageledger costs --as-of TIME'.
"""
DIFF_EPILOG = """\
[bold]Examples[/]

  usageledger prices diff
  usageledger prices diff --from 2026-11-01 --model gpt-5 --json

After an upgrade of the price book nothing changes by itself: this shows what
'usageledger prices reprice' would change.
"""

Since = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="<day>", help="The first UTC day, such as 2026-11-01.", show_default="the first with usage"
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--to", metavar="<day>", help="The UTC day before which to stop.", show_default="today included"),
]
Model = Annotated[str | None, typer.Option("--model", metavar="<text>", help="Only usage of this model.")]


def reprice(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    since: Since = None,
    until: Until = None,
    model: Model = None,
    apply: Annotated[bool, typer.Option("--apply", help="Let today's prices hold for this usage.")] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="<text>", help="Why, for whoever asks later; with --apply.")
    ] = None,
    url: Url = None,
    key: Key = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Show what today's prices make of past costs, and let them hold.

    Costs that change are shown by model and cause, then by line item.
    Without --apply nothing changes. With it, costs are answered by today's
    prices from now on; what held before can still be asked for, and no event is
    written again.
    """
    if apply and not (reason or "").strip():
        raise CommandError("--apply needs --reason: why past costs change.", exit_code=2)
    connection = connect_to(url, key, profile, openai=False)
    answer = _ask((since, until), model, connection, apply=apply, reason=reason)
    if as_json:
        from usageledger.cli.exports import print_as_json

        print_as_json(answer)
        return
    if answer["lines"]:
        print_table(lambda _: cause_table(answer["causes"]))
        print_table(lambda _: line_table(answer["lines"]))
    _tell(answer)
    if answer["applied"]:
        note(f"Revision {answer['revision']['id']}: these prices hold now.")
    elif answer["rate_cards"]:
        note("Nothing has changed yet: --apply --reason TEXT lets these prices hold.")


def diff(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    since: Since = None,
    until: Until = None,
    model: Model = None,
    url: Url = None,
    key: Key = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Show where today's prices differ from those that past usage has."""
    answer = _ask((since, until), model, connect_to(url, key, profile, openai=False))
    if as_json:
        from usageledger.cli.exports import print_as_json

        print_as_json(answer["prices"])
        return
    if answer["prices"]:
        print_table(lambda _: price_table(answer["prices"]))
    _tell(answer)


def _ask(
    window: tuple[str | None, str | None], model: str | None, connection: "Connection", **given: Any
) -> dict[str, Any]:
    from usageledger.cli.asking import client_of

    body = {"start_time": day("--from", window[0]), "end_time": day("--to", window[1]), "model": model, **given}
    with client_of(connection) as client:
        return client.request(
            "POST", "/reprice", body={name: value for name, value in body.items() if value is not None}
        )


def day(option: str, text: str | None) -> int | None:
    """The first second of a UTC day that an option names."""
    from usageledger.pricing.operator_prices import read_day

    try:
        return None if text is None else read_day(text)
    except ValueError as error:
        raise CommandError(f"{option}: {error}", exit_code=2) from None


def _tell(answer: Mapping[str, Any]) -> None:
    """Prints the notes below the table."""
    before, after, difference = (
        digits(Decimal(answer["total"][name]["value"]), least_places=2) for name in ("before", "after", "difference")
    )
    if answer["rate_cards"]:
        cards = counted(answer["rate_cards"], "rate card")
        note(
            f"{cards} of these days say something else than before." if answer["applied"] else f"{cards} would change."
        )
        note(f"All costs of these days: {before} USD before, {after} USD after, a difference of {difference} USD.")
    else:
        note(f"This usage has today's prices already: {before} USD.")
    for words in answer["kept"]:
        note(f"{words}.")


# --- tables ------------------------------------------------------------------------------------------------------


def cause_table(causes: Sequence[Mapping[str, Any]]) -> "Table":
    """The models whose costs differ and why, those that differ most first."""
    from usageledger.cli.terminal.text_table import plain_table

    causes = sorted(causes, key=lambda each: -abs(Decimal(each["difference"]["value"])))
    table = plain_table("Model", "Cause", ">Before USD", ">After USD", ">Difference")
    columns = [
        [None if each[side] is None else Decimal(each[side]["value"]) for each in causes]
        for side in ("before", "after", "difference")
    ]
    for each, *cells in zip(causes, *(aligned_or(column, "unpriced") for column in columns), strict=True):
        table.add_row(each["model"] or "", each["cause"], *cells)
    return table


def line_table(lines: Sequence[Mapping[str, Any]]) -> "Table":
    """Line items whose costs differ, those that differ most first."""
    from usageledger.cli.terminal.text_table import plain_table

    lines = sorted(lines, key=lambda line: -abs(Decimal(line["difference"]["value"])))
    columns = [[amount_of(line[side]) for line in lines] for side in ("before", "after")]
    columns.append([Decimal(line["difference"]["value"]) for line in lines])
    table = plain_table("Line item", ">Before USD", ">After USD", ">Difference")
    for line, *cells in zip(lines, *(aligned_or(column, "unpriced") for column in columns), strict=True):
        table.add_row(line["line_item"], *cells)
    return table


def price_table(prices: Sequence[Mapping[str, Any]]) -> "Table":
    """Prices that differ, in USD for as many units as price lists give."""
    from usageledger.cli.terminal.text_table import plain_table
    from usageledger.pricing.cards import PARTS
    from usageledger.pricing.operator_prices import unit_words

    columns = [[_listed(price[side], price["part"]) for price in prices] for side in ("before", "after")]
    table = plain_table("Line item", "Days", ">Before USD", ">After USD", "Per")
    for price, *cells in zip(prices, *(aligned_or(column, "none") for column in columns), strict=True):
        days = dict.fromkeys(iso_time(price[day])[:10] for day in ("first_day", "last_day"))
        per = unit_words(price["part"], PARTS[price["part"]].per)
        table.add_row(_named(price), " to ".join(days), *cells, per)
    return table


def _named(price: Mapping[str, Any]) -> str:
    """Names a line item, with its context band and its time of day."""
    words = [price["line_item"]]
    if price["above_input_tokens"]:
        words.append(f"above {price['above_input_tokens']:,} input tokens")
    if price["from_second"]:
        words.append(f"from second {price['from_second']:,} of the day")
    return ", ".join(words)


def _listed(side: Mapping[str, Any] | None, part: str) -> Decimal | None:
    from usageledger.pricing.cards import PARTS

    return None if side is None else Decimal(side["unit_price"]["value"]) * PARTS[part].per


def amount_of(side: Mapping[str, Any] | None) -> Decimal | None:
    """Reads the amount of one side of a line; None where it has no price."""
    return None if side is None else Decimal(side["amount"]["value"])


def aligned_or(numbers: Sequence[Decimal | None], nothing: str) -> list[str]:
    """Aligns the numbers, with a word in place of missing ones."""
    return [text or nothing for text in aligned(numbers, least_places=2)]
