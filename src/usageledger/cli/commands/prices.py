"""`usageledger prices`: your own prices and their history, in the registry of a data folder."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from usageledger.cli.commands.price_changes import add
from usageledger.cli.local_registry import existing_settings, opened_registry
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, RegistryUrl
from usageledger.cli.terminal.output import CommandError, iso_time, note, print_json, print_table

if TYPE_CHECKING:
    from rich.table import Table

    from usageledger.pricing import Override
    from usageledger.registry import OwnPrice, Revision

KINDS = "completions, embeddings, images, …"

app = typer.Typer(
    help="See what usage costs, set prices of your own, and let them hold for the past.\n\n"
    "unpriced, diff and reprice ask a server. The others work on the data folder\n"
    "directly, while a server runs on it or not.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Kind = Annotated[
    str, typer.Option("--kind", metavar="<kind>", help=f"The kind of usage: {KINDS}.", show_default="completions")
]
Provider = Annotated[str, typer.Option("--provider", metavar="<text>", help="Whose price it is.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Take prices 10 times off the ones before, and for all models.")]
NewModel = Annotated[
    bool, typer.Option("--new-model", help="Take names that neither a list nor an event has.", show_default=False)
]


@app.command(
    "set",
    epilog="[bold]Examples[/]\n\n"
    "  usageledger prices set input=1.10 output=8.80 --model gpt-5\n"
    "  usageledger prices set input=0.20 --model 'in-house-*' --new-model\n"
    "  usageledger prices set input=1/1M cached-input=0.1/1M --model gpt-5 \\\n"
    "      --tier batch --from 2026-12-01 --note 'contract 4711'\n"
    "  usageledger prices set input=list --model gpt-5 --from 2027-01-01\n"
    "  usageledger prices set '*=-12%' --provider azure --like openai\n"
    "  usageledger prices set lifetime=1h --provider anthropic --project proj_a\n\n"
    "A price is USD for as many units as price lists give: 1M tokens or characters,\n"
    "1k requests or calls, 60 seconds, 1 image, session or GiB-hour. PART=USD/UNITS\n"
    "says it: 0.25/1k. PART=list goes back to the price list from that day on.\n"
    "*=-12% is a discount on all prices of the list, *=+10% a surcharge: of all kinds,\n"
    "models and tiers that are not named. FIELD=VALUE is a default: what is meant where\n"
    "an event leaves a field out and its price depends on it, such as lifetime=1h.",
)
def set_prices(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    prices: Annotated[list[str], typer.Argument(metavar="PART=USD...", help="Such as input=1.25 output=10/1M.")],
    model: Annotated[
        str, typer.Option("--model", metavar="<text>", help="The model; * at the end for all that begin so.")
    ] = "",
    kind: Kind = "",
    provider: Provider = "openai",
    tier: Annotated[
        str,
        typer.Option(
            "--tier",
            metavar="<text>",
            help="standard, batch, flex, priority, … or 'flex batch'.",
            show_default="standard",
        ),
    ] = "",
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
    like: Annotated[
        str, typer.Option("--like", metavar="<provider>", help="A discount on the list of this provider.")
    ] = "",
    tool: Annotated[str, typer.Option("--tool", metavar="<text>", help="Only for web searches by this tool.")] = "",
    memory_gb: Annotated[
        str, typer.Option("--memory-gb", metavar="<int>", help="Only for sessions with this memory.")
    ] = "",
    region: Annotated[str, typer.Option("--region", metavar="<text>", help="Only for requests in this region.")] = "",
    project: Annotated[str, typer.Option("--project", metavar="<text>", help="Only for usage of this project.")] = "",
    reason: Annotated[str, typer.Option("--note", metavar="<text>", help="Why, or where the price is from.")] = "",
    yes: Yes = False,
    new_model: NewModel = False,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Set prices of your own, from a day on.

    A price holds for all names of the model, and with a * at the end for every
    name that begins so. Earlier prices stay as they are. A later one for the same
    takes its place from its day on, and one for the same day corrects it.
    """
    fields = {"kind": kind, "provider": provider, "model": model, "tier": tier, "above": above, "note": reason}
    fields |= {"size": size, "quality": quality, "context_level": context_level, "like": like, "project": project}
    fields |= {"tool": tool, "memory_gb": memory_gb, "region": region}
    fields["from"] = since or datetime.now(UTC).strftime("%Y-%m-%d")
    given = []
    for price in prices:
        part, separator, text = price.partition("=")
        if not separator:
            raise CommandError(f"Expected PART=USD such as input=1.25, got {price!r}.", exit_code=2)
        given.append((price, {**fields, "part": part, "price": text}))
    settings = existing_settings(data, registry_url)
    add(read_all(given), settings, yes=yes, new_model=new_model, as_json=as_json)


@app.command(
    "import",
    epilog="[bold]Examples[/]\n\n"
    "  usageledger prices import contract.csv\n"
    "  usageledger prices list --json | usageledger prices import --data other -\n\n"
    "A CSV file has a line of titles. The columns are kind, provider, model, tier,\n"
    "part, price, from, above, size, quality, context_level, tool, memory_gb,\n"
    "session_minutes, region, like, project and note; those that say nothing may be\n"
    "empty or absent. JSON is an array of such objects.",
)
def import_prices(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    file: Annotated[str, typer.Argument(metavar="FILE", help="A CSV or JSON file of prices; - for stdin.")],
    yes: Yes = False,
    new_model: NewModel = False,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Set many prices from a file: all of them, or none where one is wrong."""
    text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8-sig")
    settings = existing_settings(data, registry_url)
    add(read_all(_records(text)), settings, yes=yes, new_model=new_model, as_json=as_json)


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


# --- reading -----------------------------------------------------------------------------------------------------


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


# --- what is shown -----------------------------------------------------------------------------------------------


def own_table(own: "Sequence[OwnPrice]") -> "Table":
    """The operator's prices, a row for each."""
    from usageledger.cli.terminal.text_table import plain_table
    from usageledger.pricing.cards import PARTS
    from usageledger.pricing.operator_prices import unit_words, written

    table = plain_table("From", "About", "Part", ">USD", "Per", "Note", "Set")
    for each in own:
        price = each.price
        text = written(price)
        table.add_row(
            iso_time(price.start)[:10],
            about(price),
            text["part"],
            text["price"].partition("/")[0],
            "" if price.rate is None else unit_words(price.part, PARTS[price.part].per),
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
    words = [f"{price.provider} {price.model or price.kind}"]
    words += [f"like {price.like}"] if price.like else []
    words += [f"project {price.project}"] if price.project else []
    words += [price.tier] if price.tier not in ("standard", "*") else []
    words += price.case_words
    return ", ".join([*words, *([f"above {price.band:,} input tokens"] if price.band else [])])
