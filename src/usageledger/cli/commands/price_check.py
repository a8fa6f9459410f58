"""`usageledger prices check`: the share of names that have a price, and where public lists disagree."""

import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from usageledger.buckets import DAY_SECONDS
from usageledger.cli.local_registry import registry_if_there
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, RegistryUrl
from usageledger.cli.terminal.output import counted, iso_time, note, print_json, print_table
from usageledger.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from usageledger.pricing.coverage import Difference

DIFFERENCES_SHOWN_MAX = 20

EPILOG = """\
[bold]Examples[/]

  usageledger prices check
  usageledger prices check models.csv --json

The file is CSV with the titles provider, model and, where a model is for
something else than chat, mode: embedding, image_generation, …
"""


def check(
    names: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="Names of models, as events have them; - for stdin.",
            show_default="names of LiteLLM",
        ),
    ] = None,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Count which models of a sample have a price today, and why others have none.

    Then it names the prices that the installed genai-prices says otherwise
    than the price file. The file holds; one of the two is late or wrong.
    """
    from usageledger.pricing.book import PriceBook
    from usageledger.pricing.coverage import coverage, differences, read_names, sample
    from usageledger.pricing.own_prices import OwnPrices
    from usageledger.pricing.price_file import shipped
    from usageledger.rating.current_book import newest_prices

    asked = sample() if names is None else read_names(_text(names))
    day = int(time.time()) // DAY_SECONDS * DAY_SECONDS
    settings = load_settings({"data": data, "registry": registry_url})
    with registry_if_there(settings) as registry:
        file = newest_prices(registry.price_files) if registry else shipped()
        own = OwnPrices(registry.rate_cards.overrides() if registry else ())
    found = coverage(PriceBook(file, strict_days=settings.strict_days), asked, day, own)
    disagreeing = list(differences(file, day))
    if as_json:
        print_json(_json(found, disagreeing))
        return
    note(f"Prices {file.serial} of {file.made}, on {iso_time(day)[:10]}")
    print_table(lambda _: coverage_table(found))
    for each in disagreeing[:DIFFERENCES_SHOWN_MAX]:
        note(_words(each))
    if len(disagreeing) > DIFFERENCES_SHOWN_MAX:
        note(f"In all {counted(len(disagreeing), 'price')}: --json lists them.")


def _text(file: str) -> str:
    return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8-sig")


def coverage_table(found: "Mapping[str, Counter[str]]") -> "Table":
    """A row for each provider, that of most names first, and one for all."""
    from usageledger.cli.terminal.text_table import plain_table
    from usageledger.pricing.coverage import PRICED

    table = plain_table("Provider", ">Names", ">Priced", ">%", "Unpriced")
    total = sum(found.values(), Counter[str]())
    ordered = sorted(found.items(), key=lambda each: (-each[1].total(), each[0]))
    for provider, outcomes in (*ordered, ("all", total)):
        names, priced = outcomes.total(), outcomes[PRICED]
        why = ", ".join(f"{reason} {number:,}" for reason, number in outcomes.most_common() if reason != PRICED)
        table.add_row(provider, f"{names:,}", f"{priced:,}", f"{100 * priced // max(names, 1)}", why)
    return table


def _words(each: "Difference") -> str:
    row = each.row
    tier = "" if row.tier == "standard" else f", {row.tier}"
    band = f", above {row.above:,} input tokens" if row.above else ""
    about = f"{row.provider} {row.model}{tier}{band}, {row.part}"
    return f"{row.source} says {row.price} USD for {row.per:,}, the price file {each.usd}: {about}"


def _json(found: "Mapping[str, Counter[str]]", disagreeing: "Sequence[Difference]") -> dict[str, Any]:
    from usageledger.pricing.coverage import PRICED

    by_provider = [
        {
            "provider": provider,
            "names": outcomes.total(),
            "priced": outcomes[PRICED],
            "unpriced": {reason: number for reason, number in outcomes.items() if reason != PRICED},
        }
        for provider, outcomes in found.items()
    ]
    fields = ("provider", "model", "kind", "part", "tier", "above", "per")
    return {
        "names": sum(each.total() for each in found.values()),
        "priced": sum(each[PRICED] for each in found.values()),
        "by_provider": by_provider,
        "differences": [
            {name: getattr(each.row, name) for name in fields}
            | {"list": each.row.source, "usd_of_list": each.row.price, "usd_of_file": each.usd}
            for each in disagreeing
        ],
    }
