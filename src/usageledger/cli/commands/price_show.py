"""`usageledger prices show`: the prices of a model on a day, and their sources."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from usageledger.buckets import DAY_SECONDS
from usageledger.cli.commands.price_changes import LATER
from usageledger.cli.commands.prices import KINDS
from usageledger.cli.local_registry import is_there, registry_if_there
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, RegistryUrl
from usageledger.cli.terminal.output import CommandError, iso_time, note, print_json, print_table
from usageledger.meters import METER_BY_KIND, METERS, MODEL
from usageledger.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.table import Table

    from usageledger.pricing import Prices, Reason, Source, Subject
    from usageledger.pricing.book import PriceBook
    from usageledger.registry import CardPrices

EPILOG = """\
[bold]Examples[/]

  usageledger prices show gpt-5
  usageledger prices show claude-opus-4-1 --provider anthropic
  usageledger prices show dall-e-3 --on 2026-06-01 --json
  usageledger prices show claude-opus-4-6 --provider anthropic --region us
  usageledger prices show --kind code_interpreter_sessions \\
      --memory-gb 4 --session-minutes 20

A star marks a price that usage of that day does not have: its rate cards were
given before.
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """The price of a part, in 10⁻¹⁸/9 USD a unit; None where it has none.

    Attributes:
        given: what the rate card says that usage of this day has, where it has one, else the same as `rate`.
    """

    subject: "Subject"
    part: str
    rate: int | None
    given: int | None
    source: "Source | None"


def show(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="The model, as events name it; kinds without models need none."),
    ] = None,
    model_option: Annotated[
        str | None, typer.Option("--model", metavar="<text>", help="The same as MODEL.", show_default=False)
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="<kind>", help=f"The kind: {KINDS}.", show_default="the first with a price"),
    ] = None,
    provider: Annotated[str, typer.Option("--provider", metavar="<text>", help="Whose price it is.")] = "openai",
    project: Annotated[
        str | None, typer.Option("--project", metavar="<text>", help="With the prices of this project.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="<day>", help="The UTC day, such as 2026-11-01.", show_default="today"),
    ] = None,
    size: Annotated[str | None, typer.Option("--size", metavar="<WxH>", help="Of images of this size.")] = None,
    quality: Annotated[
        str | None, typer.Option("--quality", metavar="<text>", help="Of images of this quality.")
    ] = None,
    context_level: Annotated[
        str | None, typer.Option("--context-level", metavar="<level>", help="Of web searches of this level.")
    ] = None,
    tool: Annotated[str | None, typer.Option("--tool", metavar="<text>", help="Of web searches by this tool.")] = None,
    memory_gb: Annotated[
        str | None, typer.Option("--memory-gb", metavar="<int>", help="Of sessions with this memory.")
    ] = None,
    session_minutes: Annotated[
        str | None, typer.Option("--session-minutes", metavar="<int>", help="Of sessions that lasted so long.")
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="<text>", help="Of requests in this region.")
    ] = None,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show what a model costs on a day: by tier, context and part.

    Your own prices come first, then the price list. What neither of them says
    has no price: such usage is listed as unpriced, and never charged as 0. What
    an event may say beside its model is given by options: without --region the
    prices are those of requests that were bound to none.
    """
    from msgspec import structs

    if model and model_option:
        raise CommandError(f"--model: the model is given as MODEL as well, {model!r}.", exit_code=2)
    model = model or model_option
    day = int(time.time()) // DAY_SECONDS * DAY_SECONDS if on is None else _day(on)
    said = {"size": size, "quality": quality, "context_level": context_level, "tool": tool}
    said |= {"memory_gb": memory_gb, "session_minutes": session_minutes, "region": region}
    case = {name: value for name, value in said.items() if value is not None}
    asked = [structs.replace(each, project=project) for each in _subjects(model, kind, provider, day, case)]
    settings = load_settings({"data": data, "registry": registry_url})
    about = f"{provider} {model!r}" if model else provider
    words = f"{about}{f' as {kind}' if kind else ''} has no price on {iso_time(day)[:10]}."
    shown, lacking = _found(settings, asked, case, words, known_only=kind is None)
    if as_json:
        print_json([_json(line) for line in shown])
        return
    note(f"{provider} {model or ''}".rstrip() + f", {shown[0].subject.kind}, {iso_time(day)[:10]}")
    print_table(lambda _: price_table(shown))
    for words in (*_notes(shown), *_reasons(lacking)):
        note(words)


def _found(
    settings: Settings, asked: "Sequence[Subject]", case: "Mapping[str, str]", otherwise: str, *, known_only: bool
) -> "tuple[list[Shown], list[tuple[Subject, str, Reason]]]":
    """The prices of the first of the subjects that has some, and what of it has none.

    Args:
        settings: of the registry.
        asked: subjects, in order.
        case: what an event would say beside its model.
        otherwise: said where none of them has a price.
        known_only: passes over subjects that neither the operator's prices nor a list know.
    """
    from usageledger.pricing.book import PriceBook
    from usageledger.pricing.own_prices import OwnPrices
    from usageledger.rating.current_book import newest_prices

    if not is_there(settings.registry_url):
        note(f"There is no registry in {settings.data.absolute()}: prices of your own would be in it.")
    with registry_if_there(settings) as registry:
        book = PriceBook(newest_prices(registry.price_files) if registry else None, strict_days=settings.strict_days)
        cards = registry and registry.rate_cards
        own = OwnPrices(cards.overrides() if cards else ())
        for subject in asked:
            if known_only and not own.about(subject, book.names_of(subject)) and not book.knows(subject):
                continue
            offers = [offer for each in _of_case(book.subjects(subject, own), case) for offer in book.offers(each, own)]
            given = cards.of([at for at, _ in offers]) if cards else {}
            if shown := [line for at, prices in offers for line in _lines(at, prices, given.get(at))]:
                return shown, [missing for at, prices in offers for missing in _lacking(at, prices)]
        raise CommandError(f"{otherwise}{_why(book, asked)} 'usageledger prices set' sets one.")


def _day(text: str) -> int:
    from usageledger.pricing.operator_prices import read_day

    try:
        return read_day(text)
    except ValueError as error:
        raise CommandError(f"--on: {error}", exit_code=2) from None


def _subjects(
    model: str | None, kind: str | None, provider: str, day: int, case: "Mapping[str, str]"
) -> "Iterator[Subject]":
    """Yields a model's subjects: of the kind that is named, or of each kind that has models and says such a case."""
    from msgspec import structs

    from usageledger.pricing import Subject

    if kind is not None and kind not in METER_BY_KIND:
        raise CommandError(f"--kind: there is no kind {kind!r}. Kinds are: {', '.join(METER_BY_KIND)}.", exit_code=2)
    if model is None and (kind is None or MODEL in METER_BY_KIND[kind].dimensions):
        raise CommandError(f"Missing argument 'MODEL': prices of {kind or 'completions'} are by model.", exit_code=2)
    kinds = [meter.kind for meter in METERS if MODEL in meter.dimensions] if kind is None else [kind]
    wrong = {each: [*_misplaced(each, case)] for each in kinds}
    if all(wrong.values()):
        raise CommandError(" ".join(wrong[kinds[0]]), exit_code=2)
    for each in kinds:
        if not wrong[each] and (MODEL in METER_BY_KIND[each].dimensions) == (model is not None):
            yield structs.replace(Subject(day, each, provider, model), **case)


def _misplaced(kind: str, case: "Mapping[str, str]") -> "Iterator[str]":
    """Yields what no event of this kind says."""
    from usageledger.events.typed_events import FIELDS

    for name, value in case.items():
        if name not in FIELDS[kind]:
            yield f"{name}: {kind} have none, got {value!r}."
        elif problem := FIELDS[kind][name].problem(value):
            yield f"{problem[1]}."


def _of_case(subjects: "Iterable[Subject]", case: "Mapping[str, str]") -> "list[Subject]":
    """The subjects that an event of this case may be about."""
    from msgspec import structs

    fitting = (at for at in subjects if all(getattr(at, name) in (None, value) for name, value in case.items()))
    return list(dict.fromkeys(structs.replace(at, **case) for at in fitting))


def _lines(at: "Subject", prices: "Prices", card: "CardPrices | None") -> "Iterator[Shown]":
    given = card.prices.rates if card else prices.rates
    for part in at.parts:
        if part in prices.rates or part in given:
            yield Shown(at, part, prices.rates.get(part), given.get(part), prices.sources.get(part))


def _lacking(at: "Subject", prices: "Prices") -> "Iterator[tuple[Subject, str, Reason]]":
    """Yields the parts that have no price although a list knows one, of another time or case."""
    for part, reason in prices.reasons.items():
        if reason.code not in ("no_row", "no_variant"):
            yield at, part, reason


def _reasons(lacking: "Sequence[tuple[Subject, str, Reason]]") -> "Iterator[str]":
    """Yields a line for each part that has no price, and why."""
    from usageledger.pricing.operator_prices import part_name

    for subject, part, reason in lacking:
        yield f"No price: {_about(subject)}, {part_name(subject.kind, part)}: {reason.words}"


def _why(book: "PriceBook", subjects: "Sequence[Subject]") -> str:
    """Explains why no price is shown, and where else to look."""
    reasons = [reason for at in subjects for reason in book.prices(at).reasons.values() if reason.code != "no_row"]
    why = f" Why: {reasons[0].words}." if reasons else ""
    named = ((at, book.providers(at.kind, at.model, at.day)) for at in subjects[:1] if at.model is not None)
    others = [each for at, providers in named for each in providers if each != at.provider]
    return f"{why} Lists of other providers know it: {', '.join(others)}." if others else why


def price_table(shown: "Sequence[Shown]") -> "Table":
    """A row for each tier, context band or size; parts that have the same prices in all of them share a column.

    Where several sources say the prices, each is marked with the number that `sources` gives it; a price that usage of
    the day does not have is marked with a star.
    """
    from usageledger.cli.terminal.text_table import plain_table
    from usageledger.pricing.cards import PARTS
    from usageledger.pricing.operator_prices import part_name, unit_words

    listed = sources(shown)
    by_place = {(line.subject, line.part): line for line in shown}
    parts = [group[0] for group in _groups(shown)]
    titles = [f">{part_name(shown[0].subject.kind, part)}\nper {unit_words(part, PARTS[part].per)}" for part in parts]
    table = plain_table("USD", *titles)
    for subject in dict.fromkeys(line.subject for line in shown):
        lines = (by_place.get((subject, part)) for part in parts)
        table.add_row(_about(subject), *("-" if line is None else _cell(line, listed) for line in lines))
    return table


def _cell(line: Shown, listed: "Sequence[str]") -> str:
    from usageledger.pricing.cards import origin_words

    star = "" if line.given == line.rate else "*"
    mark = f" [{listed.index(origin_words(line.source)) + 1}]" if line.source and len(listed) > 1 else ""
    return _price(line.rate, line.part) + star + mark


def _price(rate: int | None, part: str) -> str:
    from usageledger.pricing.operator_prices import price_text

    return "none" if rate is None else price_text(rate, part)


def sources(shown: "Sequence[Shown]") -> list[str]:
    """Lists the sources of the prices, in the order in which they are first named."""
    from usageledger.pricing.cards import origin_words

    return list(dict.fromkeys(origin_words(line.source) for line in shown if line.source))


def _groups(shown: "Sequence[Shown]") -> list[list[str]]:
    """Parts that have the same prices wherever they have any, together."""
    from usageledger.pricing.cards import PARTS

    prices: dict[str, list[tuple[Any, ...]]] = {}
    for line in shown:
        prices.setdefault(line.part, []).append((line.subject, line.rate, line.source, line.given))
    groups: dict[tuple[Any, ...], list[str]] = {}
    for part, said in prices.items():
        groups.setdefault((PARTS[part].unit, *said), []).append(part)
    return list(groups.values())


def _notes(shown: "Sequence[Shown]") -> "Iterator[str]":
    """Yields the notes below the table."""
    from usageledger.pricing.operator_prices import part_name

    kind = shown[0].subject.kind
    for first, *others in _groups(shown):
        if others:
            yield f"{part_name(kind, first)}: the same for {', '.join(part_name(kind, part) for part in others)}"
    listed = sources(shown)
    for number, source in enumerate(listed, 1):
        yield f"[{number}] {source}" if len(listed) > 1 else f"Source: {source}"
    differing = [line for line in shown if line.given != line.rate]
    for line in differing:
        named = f"{_about(line.subject)}, {part_name(kind, line.part)}"
        yield f"* {named}: usage of this day has {_price(line.given, line.part)}"
    if differing:
        yield LATER


def _about(subject: "Subject") -> str:
    """Names the difference to other subjects of the model and kind: `batch, above 272,000 input tokens`."""
    words = subject.words().split(", ", 2)[2]
    return words.replace(f", {iso_time(subject.day)[:10]}", "")


def _json(line: Shown) -> dict[str, Any]:
    from usageledger.pricing import usd_text
    from usageledger.pricing.cards import CASES, PARTS, origin

    subject = line.subject
    names = ("kind", "provider", "model", "tier", *CASES)
    return {
        **{name: getattr(subject, name) for name in names},
        "above_input_tokens": subject.band,
        "from_second": subject.second,
        "project_id": subject.project,
        "part": line.part,
        "line_item": subject.line_item(line.part),
        "unit": PARTS[line.part].unit,
        "usd_per_unit": None if line.rate is None else usd_text(line.rate),
        **origin(line.source),
        "usd_per_unit_of_usage": None if line.given is None else usd_text(line.given),
    }
