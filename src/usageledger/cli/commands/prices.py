"""`usageledger prices`: your own prices and their history, in the registry of a data folder."""

import csv
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from usageledger.cli.local_registry import existing_settings, opened_registry
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, RegistryUrl
from usageledger.cli.terminal.output import CommandError, counted, iso_time, note, print_json, print_table
from usageledger.settings import Settings

if TYPE_CHECKING:
    from rich.table import Table

    from usageledger.pricing import Override
    from usageledger.registry import OwnPrice, RateCards, Revision

LATER = (
    "Usage of days that have their rate cards already, today's included, keeps its price until 'usageledger prices "
    "reprice'."
)
KINDS = "completions, embeddings, images, …"

app = typer.Typer(
    help="See what usage costs, set prices of your own, and let them hold for the past.\n\n"
    "unpriced, diff and reprice ask a server. The others work on the data folder\n"
    "directly, while a server runs on it or not.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Kind = Annotated[str, typer.Option("--kind", metavar="<kind>", help=f"The kind of usage: {KINDS}.")]
Provider = Annotated[str, typer.Option("--provider", metavar="<text>", help="Whose price it is.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Take prices more than 10 times off the ones before.")]


@app.command(
    "set",
    epilog="[bold]Examples[/]\n\n"
    "  usageledger prices set input=0.20 output=0.60 --model in-house-7b\n"
    "  usageledger prices set input=1/1M cached-input=0.1/1M --model gpt-5 \\\n"
    "      --tier batch --from 2026-12-01 --note 'contract 4711'\n"
    "  usageledger prices set input=list --model gpt-5 --from 2027-01-01\n\n"
    "A price is USD for as many units as price lists give: 1M tokens or characters,\n"
    "1k requests or calls, 60 seconds, 1 image, session or GiB-hour. PART=USD/UNITS\n"
    "says it: 0.25/1k. PART=list goes back to the price list from that day on.",
)
def set_prices(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    prices: Annotated[list[str], typer.Argument(metavar="PART=USD...", help="Such as input=1.25 output=10/1M.")],
    model: Annotated[str, typer.Option("--model", metavar="<text>", help="The model, as events name it.")] = "",
    kind: Kind = "completions",
    provider: Provider = "openai",
    tier: Annotated[
        str, typer.Option("--tier", metavar="<text>", help="standard, batch, flex, priority, … or 'flex batch'.")
    ] = "standard",
    since: Annotated[
        str,
        typer.Option("--from", metavar="<day>", help="The first UTC day, such as 2026-11-01.", show_default="today"),
    ] = "",
    above: Annotated[
        str, typer.Option("--above", metavar="<int>", help="Only for events with more input tokens than this.")
    ] = "",
    size: Annotated[str, typer.Option("--size", metavar="<WxH>", help="Only for images of this size.")] = "",
    quality: Annotated[str, typer.Option("--quality", metavar="<text>", help="Only for images of this quality.")] = "",
    context_level: Annotated[
        str, typer.Option("--context-level", metavar="<level>", help="Only for web searches of this level.")
    ] = "",
    tool: Annotated[str, typer.Option("--tool", metavar="<text>", help="Only for web searches by this tool.")] = "",
    memory_gb: Annotated[
        str, typer.Option("--memory-gb", metavar="<int>", help="Only for sessions with this memory.")
    ] = "",
    region: Annotated[str, typer.Option("--region", metavar="<text>", help="Only for requests in this region.")] = "",
    reason: Annotated[str, typer.Option("--note", metavar="<text>", help="Why, or where the price is from.")] = "",
    yes: Yes = False,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Set prices of your own, from a day on.

    Earlier prices stay as they are. A later one for the same takes its place
    from its day on, and one for the same day corrects it.
    """
    now = int(time.time())
    fields = {"kind": kind, "provider": provider, "model": model, "tier": tier, "above": above, "note": reason}
    fields |= {"size": size, "quality": quality, "context_level": context_level}
    fields |= {"tool": tool, "memory_gb": memory_gb, "region": region}
    fields["from"] = since or datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    given = []
    for price in prices:
        part, separator, text = price.partition("=")
        if not separator:
            raise CommandError(f"Expected PART=USD such as input=1.25, got {price!r}.", exit_code=2)
        given.append((price, {**fields, "part": part, "price": text}))
    _add(read_all(given), existing_settings(data, registry_url), now=now, yes=yes, as_json=as_json)


@app.command(
    "import",
    epilog="[bold]Examples[/]\n\n"
    "  usageledger prices import contract.csv\n"
    "  usageledger prices list --json | usageledger prices import --data other -\n\n"
    "A CSV file has a line of titles. The columns are kind, provider, model, tier,\n"
    "part, price, from, above, size, quality, context_level, tool, memory_gb,\n"
    "session_minutes, region and note; those that say nothing may be empty or\n"
    "absent. JSON is an array of such objects.",
)
def import_prices(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A CSV or JSON file of prices; - for stdin.")],
    yes: Yes = False,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Set many prices from a file: all of them, or none where one is wrong."""
    text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8-sig")
    settings = existing_settings(data, registry_url)
    _add(read_all(_records(text)), settings, now=int(time.time()), yes=yes, as_json=as_json)


@app.command(
    "list",
    epilog="[bold]Examples[/]\n\n"
    "  usageledger prices list\n"
    "  usageledger prices list --json > prices.json\n\n"
    "What price lists say of a model is shown by 'usageledger prices show MODEL'.",
)
def list_prices(data: DataFolder = DEFAULT_FOLDER, registry_url: RegistryUrl = None, as_json: AsJson = False) -> None:
    """List your own prices, in the order in which they were set."""
    from usageledger.pricing.operator_prices import written

    with opened_registry(existing_settings(data, registry_url)) as registry:
        own = registry.rate_cards.own_prices()
    if as_json:
        print_json([written(each.price) for each in own])
    elif not own:
        note("There are no prices of your own: 'usageledger prices show MODEL' shows what price lists say.")
    else:
        print_table(lambda _: own_table(own))


@app.command(epilog="[bold]Examples[/]\n\n  usageledger prices revisions\n\nTimes are UTC.")
def revisions(data: DataFolder = DEFAULT_FOLDER, registry_url: RegistryUrl = None, as_json: AsJson = False) -> None:
    """List when past costs were given other prices, and why."""
    with opened_registry(existing_settings(data, registry_url)) as registry:
        found = registry.rate_cards.revisions()
    if as_json:
        print_json([asdict(revision) for revision in found])
    elif not found:
        note("Past costs were never given other prices.")
    else:
        print_table(lambda _: revision_table(found))


# --- setting -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """A price to be set, and the rate (10⁻¹⁸ USD a unit) that held before; None where there was none."""

    price: "Override"
    before: int | None

    def words(self) -> str:
        """`gpt-5 input from 2026-11-01: 1.25 -> 1 USD per 1M tokens`."""
        from usageledger.pricing.cards import PARTS
        from usageledger.pricing.operator_prices import part_name, price_text, unit_words

        price = self.price
        before, after = (
            "no price" if rate is None else price_text(rate, price.part) for rate in (self.before, price.rate)
        )
        tier = "" if price.tier == "standard" else f" ({price.tier})"
        about = f"{price.model or price.provider}, {part_name(price.kind, price.part)}{tier}"
        day, per = iso_time(price.start)[:10], unit_words(price.part, PARTS[price.part].per)
        if price.rate is None:
            return f"{about} from {day}: {before} USD per {per} -> what the price list says"
        return f"{about} from {day}: {before} -> {after} USD per {per}"


def read_all(given: Iterable[tuple[str, Mapping[str, str]]]) -> "list[Override]":
    """Reads the prices; errors name each by the place where its writer finds it.

    Raises:
        CommandError: names all that is wrong.
    """
    from usageledger.errors import PriceError
    from usageledger.pricing.operator_prices import read_price

    prices: list[Override] = []
    wrong: list[str] = []
    for named, fields in given:
        try:
            prices.append(read_price(fields))
        except PriceError as error:
            wrong.append(f"{named}: {error}")
    if wrong:
        raise CommandError(" ".join(wrong), exit_code=2)
    if not prices:
        raise CommandError("There are no prices in the file.", exit_code=2)
    return prices


def _records(text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The prices of a file, each with its place in it."""
    if text.lstrip()[:1] in ("[", "{"):
        try:
            read: Any = json.loads(text, object_pairs_hook=_once_each)
        except json.JSONDecodeError as error:
            raise CommandError(f"The file is not JSON: {error}", exit_code=2) from None
        for number, each in enumerate(read if isinstance(read, list) else [read], 1):
            if not isinstance(each, dict) or not all(isinstance(value, str) for value in each.values()):
                raise CommandError(f"price {number}: expected an object of texts, got {each!r:.100}.", exit_code=2)
            yield f"price {number}", each
        return
    reader = csv.DictReader(StringIO(text), restkey="", strict=True)
    try:
        titles = reader.fieldnames or ()
        if twice := next((title for place, title in enumerate(titles) if title in titles[:place]), None):
            raise CommandError(f"line {reader.line_num}: there are two columns titled {twice!r}.", exit_code=2)
        for row in reader:
            if "" in row:
                raise CommandError(f"line {reader.line_num}: more values than titles.", exit_code=2)
            yield f"line {reader.line_num}", {name: value or "" for name, value in row.items()}
    except csv.Error as error:
        raise CommandError(f"The file is not CSV: {error}", exit_code=2) from None


def _once_each(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, none of whose fields may be given twice, since only one of their values could count."""
    given: dict[str, Any] = {}
    for name, value in fields:
        if name in given:
            words = f"Field given twice: {name!r:.100}, as {given[name]!r:.100} and as {value!r:.100}."
            raise CommandError(words, exit_code=2)
        given[name] = value
    return given


def _add(prices: "list[Override]", settings: Settings, *, now: int, yes: bool, as_json: bool) -> None:
    """Sets prices, after a comparison with those that hold today."""
    from usageledger.pricing.operator_prices import FAR_OFF, far_off, written

    with opened_registry(settings) as registry:
        changes = list(_changes(prices, registry.rate_cards))
        far = [c for c in changes if None not in (c.before, c.price.rate) and far_off(c.before or 0, c.price.rate or 0)]
        if far and not yes:
            words = "; ".join(change.words() for change in far)
            raise CommandError(f"More than {FAR_OFF} times off: {words}. Nothing was set: give --yes if it is right.")
        registry.rate_cards.set_prices(prices, now=now)
    if as_json:
        print_json([written(price) for price in prices])
        return
    for change in changes:
        note(change.words())
    note(f"Set {counted(len(changes), 'price')}. {LATER}")


def _changes(prices: "Sequence[Override]", cards: "RateCards") -> "Iterator[Change]":
    from usageledger.pricing.book import PriceBook

    book, own = PriceBook(), cards.overrides()
    for price in prices:
        yield Change(price, book.prices(price.subject, own).rates.get(price.part))
        own.append(price)


# --- what is shown -----------------------------------------------------------------------------------------------


def own_table(own: "Sequence[OwnPrice]") -> "Table":
    """The operator's prices, a row for each."""
    from usageledger.cli.terminal.text_table import plain_table
    from usageledger.pricing.cards import PARTS
    from usageledger.pricing.operator_prices import LISTED, part_name, price_text, unit_words

    table = plain_table("From", "About", "Part", ">USD", "Per", "Note", "Set")
    for each in own:
        price = each.price
        listed = price.rate is None
        table.add_row(
            iso_time(price.start)[:10],
            about(price),
            part_name(price.kind, price.part),
            LISTED if price.rate is None else price_text(price.rate, price.part),
            "" if listed else unit_words(price.part, PARTS[price.part].per),
            price.note,
            iso_time(each.created_at)[:10],
        )
    return table


def revision_table(found: "Sequence[Revision]") -> "Table":
    """Repricings, a row for each."""
    from usageledger.cli.terminal.text_table import plain_table

    table = plain_table(">Revision", "When", "Why")
    for revision in found:
        table.add_row(str(revision.id), iso_time(revision.created_at)[:16].replace("T", " ") + "Z", revision.reason)
    return table


def about(price: "Override") -> str:
    """Names the difference to other prices of the kind: `gpt-5, batch, above 272,000 input tokens`."""
    words = [f"{price.provider} {price.model or price.kind}", *([] if price.tier == "standard" else [price.tier])]
    words += price.case_words
    return ", ".join([*words, *([f"above {price.band:,} input tokens"] if price.band else [])])
