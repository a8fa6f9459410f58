"""The step from prices as their writer gives them to prices that hold: checks, and what each of them changes."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from usageledger.buckets import DAY_SECONDS
from usageledger.cli.local_registry import opened_registry
from usageledger.cli.terminal.output import CommandError, counted, iso_time, note, print_json
from usageledger.hints import did_you_mean
from usageledger.meters import METER_BY_KIND, METERS, MODEL
from usageledger.settings import Settings

if TYPE_CHECKING:
    from usageledger.pricing import Override, Prices, Source, Subject
    from usageledger.pricing.book import PriceBook
    from usageledger.pricing.own_prices import OwnPrices
    from usageledger.registry import RateCards

LATER = (
    "Usage of days that have their rate cards already, today's included, keeps its price until 'usageledger prices "
    "reprice'."
)
LATER_OF_PROJECT = (
    "What a project used before it had prices of its own shares its rate cards with other projects: that keeps its "
    "price in a repricing too."
)
LINES_MAX = 10  # of one price, and names in one line

Said = tuple[int, "Source"]  # a rate in 10⁻¹⁸ USD a unit, and where it is from


@dataclass(frozen=True, slots=True)
class Change:
    """The price of a part before and after one was set; None where there is none."""

    subject: "Subject"
    part: str
    before: Said | None
    after: Said | None

    @property
    def is_far_off(self) -> bool:
        """Tell whether it is probably a slip."""
        from usageledger.pricing.operator_prices import far_off

        return bool(self.before and self.after and far_off(self.before[0], self.after[0]))

    def words(self) -> str:
        """`gpt-5, input from 2026-11-01: list 1.25 (curated, since 2025-08-07) -> 1 USD per 1M tokens`."""
        from usageledger.pricing.cards import PARTS
        from usageledger.pricing.operator_prices import part_name, price_text, unit_words

        subject, after = self.subject, self.after
        tier = "" if subject.tier == "standard" else f" ({subject.tier})"
        tier += f" of {subject.project}" if subject.project else ""
        about = f"{subject.model or subject.provider}, {part_name(subject.kind, self.part)}{tier}"
        is_own = after and after[1].layer == "operator"
        new = price_text(after[0], self.part) if after and is_own else _said(after, self.part)
        per = unit_words(self.part, PARTS[self.part].per)
        return f"{about} from {iso_time(subject.day)[:10]}: {_said(self.before, self.part)} -> {new} USD per {per}"


def _said(price: Said | None, part: str) -> str:
    """`no price`, `own 0.2 (since 2026-01-01)`, `list 1.25 (curated, since 2025-08-07)`."""
    from usageledger.pricing.operator_prices import price_text

    if price is None:
        return "no price"
    rate, source = price
    words = "own" if source.layer == "operator" else "list"
    since = ", ".join([*([] if words == "own" else [source.layer]), f"since {source.start}"])
    return f"{words} {price_text(rate, part)} ({since})"


def add(prices: "Sequence[Override]", settings: Settings, *, yes: bool, new_model: bool, as_json: bool) -> None:
    """Sets prices, if nothing speaks against it, and says what each of them changes.

    Raises:
        CommandError: a name is not known, a price is far off or is for every model; nothing was set.
    """
    from usageledger.pricing.book import PriceBook
    from usageledger.pricing.operator_prices import FAR_OFF, written
    from usageledger.pricing.own_prices import OwnPrices
    from usageledger.rating.current_book import newest_prices

    now = int(time.time())
    with opened_registry(settings) as registry:
        book, before = (
            PriceBook(newest_prices(registry.price_files), strict_days=settings.strict_days),
            registry.rate_cards.overrides(),
        )
        if not new_model:
            _refuse_unknown(prices, before, book, registry.rate_cards)
        if not yes and any(price.model == "*" and price.rate is not None for price in prices):
            raise CommandError("A price for every model (*) is probably a slip. Nothing was set: give --yes if not.")
        _refuse_pointless(prices, book)
        own = OwnPrices(before)
        changes = [(price, list(_changes(price, book, own))) for price in prices]
        set_anew = (made for price, made in changes if price.rate is not None or price.percent is not None)
        far = [change for made in set_anew for change in made if change.is_far_off]
        if far and not yes:
            words = "; ".join(change.words() for change in far[:LINES_MAX])
            raise CommandError(f"More than {FAR_OFF} times off: {words}. Nothing was set: give --yes if it is right.")
        unseen = {price.project for price in prices if price.project and not registry.get_project(price.project)}
        registry.rate_cards.set_prices(prices, now=now)
    if as_json:
        print_json([written(price) for price in prices])
        return
    for price, made in changes:
        _tell(price, made)
    day = now // DAY_SECONDS * DAY_SECONDS
    for line in dict.fromkeys(line for price in prices if (line := _holds_for(price, book, day))):
        note(line)
    for project in sorted(unseen):
        note(f"No usage of the project {project!r} has come in yet.")
    note(f"Set {counted(len(changes), 'price')}. {LATER}")
    if any(price.project for price in prices):
        note(LATER_OF_PROJECT)


def _tell(price: "Override", made: Sequence[Change]) -> None:
    """Prints what a price changes."""
    for change in made[:LINES_MAX]:
        note(change.words())
    if len(made) > LINES_MAX:
        note(f"and {len(made) - LINES_MAX:,} more prices of lists.")
    if price.default is not None:
        since = iso_time(price.start)[:10]
        note(f"{price.provider}: {price.part} {price.default} from {since} where events do not say it.")
    elif not made:
        note(f"{price.model or price.provider} from {iso_time(price.start)[:10]}: no price of a name in lists changes.")


# --- names -------------------------------------------------------------------------------------------------------


def _refuse_unknown(
    prices: "Iterable[Override]", before: "Iterable[Override]", book: "PriceBook", cards: "RateCards"
) -> None:
    """Refuses names that no list, no earlier price and no event has: a slip would price nothing, in silence."""
    from usageledger.pricing.known_names import is_listed, listed_names

    known = {(price.like or price.provider, price.model) for price in before}
    wrong: list[str] = []
    for provider, model in dict.fromkeys((price.like or price.provider, price.model) for price in prices):
        if model is None or (provider, model) in known or is_listed(book, provider, model):
            continue
        if not _has_usage(provider, model, cards):
            others = [each for each in book.providers("completions", model, int(time.time())) if each != provider]
            known_by = f" Lists of other providers know it: {', '.join(others)}." if others else ""
            hint = did_you_mean(model, listed_names(book, provider))
            wrong.append(f"No list of {provider} and no usage has the model {model!r}.{hint}{known_by}")
    if wrong:
        raise CommandError(f"{' '.join(wrong)} Nothing was set: give --new-model if it is right.")


def _refuse_pointless(prices: "Iterable[Override]", book: "PriceBook") -> None:
    """Refuses defaults on which no price depends."""
    from usageledger.pricing.known_names import default_values

    for price in prices:
        if price.default is not None:
            values = default_values(book, price.provider, price.kind, price.part)
            if price.default not in values:
                known = f"They depend on: {', '.join(values)}." if values else f"They do not depend on {price.part}."
                about = f"{price.part} {price.default!r}"
                raise CommandError(
                    f"No price of {price.provider} is for {about}. {known} Nothing was set.", exit_code=2
                )


def _has_usage(provider: str, model: str, cards: "RateCards") -> bool:
    from msgspec import json

    from usageledger.pricing.names import matching, own_name

    provider, name = own_name(provider, model)
    text = json.encode(str(name).removesuffix("*")).decode()[1:-1]
    named = (own_name(subject.provider, subject.model) for subject in cards.subjects_with(text))
    fits = matching(str(name))
    return any(of == provider and other is not None and fits(other) for of, other in named)


def _holds_for(price: "Override", book: "PriceBook", day: int) -> str | None:
    """`gpt-5 holds today for gpt-5-2025-08-07`, of names in lists; None where it holds for its own name alone."""
    from usageledger.pricing.known_names import names_held

    if price.model is None or price.rate is None:
        return None
    others = [name for name in names_held(book, price.provider, price.model, day) if name != price.model]
    more = f" and {len(others) - LINES_MAX:,} more" if len(others) > LINES_MAX else ""
    return f"{price.model} holds today for {', '.join(others[:LINES_MAX])}{more}." if others else None


# --- what a price changes ----------------------------------------------------------------------------------------


def _changes(price: "Override", book: "PriceBook", own: "OwnPrices") -> Iterator[Change]:
    """Adds a price to `own`, and yields what it changes: of its name, or of the listed names that a wild card fits."""
    from usageledger.pricing.cards import PARTS

    subjects = list(_subjects(price, book))
    before = [book.prices(subject, own) for subject in subjects]
    own.add(price)
    for subject, old in zip(subjects, before, strict=True):
        new = book.prices(subject, own)
        for part in (price.part,) if price.part in PARTS else subject.parts:
            change = Change(subject, part, _price(old, part), _price(new, part))
            if change.before != change.after or (subject == price.subject and change.after):
                yield change


def _subjects(price: "Override", book: "PriceBook") -> "Iterator[Subject]":
    """Yields what a price is about: its model, or those of lists; for a discount on several kinds, of each of them."""
    from msgspec import structs

    from usageledger.pricing.cards import of_tier
    from usageledger.pricing.known_names import names_held

    tier, batch = (None, False) if price.tier == "*" else of_tier(price.tier)
    for meter in METERS if price.kind == "*" else (METER_BY_KIND[price.kind],):
        at = structs.replace(price.subject, kind=meter.kind, service_tier=tier, batch=batch)
        if MODEL not in meter.dimensions:
            yield structs.replace(at, model=None)
        elif price.model is not None and price.model.endswith("*"):
            of = price.like or price.provider
            for name in names_held(book, of, price.model, price.start):
                if book.knows(structs.replace(at, provider=of, model=name)):
                    yield structs.replace(at, model=name)
        else:
            yield at


def _price(prices: "Prices", part: str) -> Said | None:
    return (prices.rates[part], prices.sources[part]) if part in prices.rates else None
