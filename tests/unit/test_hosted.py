"""Models that a provider sells at their vendor's prices."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.price_rows import book, price_file, row
from tests.unit.test_price_checks import refused
from tools.price_file import finished, following

from usageledger.pricing import UNITS_PER_USD, Prices, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.hosted import all_rows
from usageledger.pricing.listed_prices import seconds_of
from usageledger.pricing.price_checks import check, check_after
from usageledger.pricing.price_file import Hosted, PriceFile

M = UNITS_PER_USD // 10**6
INPUT, OUTPUT = "input_text_tokens", "output_text_tokens"
SOLD = Hosted(
    provider="cloud",
    vendor="acme",
    models={"eu.m": "m"},
    kind="completions",
    prices={"standard": (INPUT,), "batch": (INPUT,)},
    factor="1.1",
    start="2026-02-01",
    seen="2026-11-20",
    source="https://cloud.test/prices",
)
SUBJECT = Subject(seconds_of("2026-05-05"), "completions", "cloud", "eu.m")
ROWS = (
    row(INPUT, "2", end="2026-11-25"),
    row(INPUT, "3", start="2026-11-25"),
    row(OUTPUT, "8"),
    row(INPUT, "1", tier="batch"),
    row(INPUT, "1.5", tier="flex"),
)


def prices(**changed: Any) -> Prices:
    return book(*ROWS, hosted=(SOLD,)).prices(replace(SUBJECT, **changed))


def test_a_hosted_model_costs_what_its_vendor_charges_times_the_factor() -> None:
    assert prices().rates == {INPUT: 22 * M // 10}
    assert prices(batch=True).rates == {INPUT: 11 * M // 10}
    assert prices(provider="acme", model="m").rates == {INPUT: 2 * M, OUTPUT: 8 * M}
    source = prices().sources[INPUT]
    assert source.text == "acme m × 1.1: https://cloud.test/prices; https://acme.test/prices"  # noqa: RUF001
    assert (source.start, source.start_is, source.end) == ("2026-02-01", "first_seen", "2026-11-25")
    assert (source.layer, source.confidence) == ("observed", "medium")


@pytest.mark.parametrize(
    ("part", "changed", "code"),
    [
        (OUTPUT, {}, "no_row"),
        (INPUT, {"service_tier": "flex"}, "no_variant"),
        (INPUT, {"day": seconds_of("2026-01-31")}, "before_first_seen"),
        (INPUT, {"day": seconds_of("2026-11-25")}, "gap"),  # the vendor's next price was not seen at the seller
        (INPUT, {"model": "m"}, "no_alias"),
        (INPUT, {"model": "us.m"}, "no_alias"),
    ],
)
def test_nothing_else_of_the_vendor_is_taken(part: str, changed: dict[str, Any], code: str) -> None:
    assert prices(**changed).reasons[part].code == code


def test_a_name_that_a_router_gives_without_a_provider_is_its_vendor() -> None:
    sold = replace(SOLD, models={"m": "m"})
    routed = replace(SUBJECT, provider="litellm", model="m")
    assert book(*ROWS, hosted=(sold,)).prices(routed).rates[INPUT] == 2 * M


def file(*hosted: Hosted, **given: Any) -> PriceFile:
    return finished(replace(price_file(*ROWS, confirmed_through="2026-11-20", hosted=hosted), **given))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"source": " "}, "cloud eu.m from acme: source: none is given"),
        ({"factor": "10%"}, "factor: expected a decimal that is 0 or more, got '10%'"),
        ({"seen": "2026-01-31"}, "seen: expected a UTC day that is not before 2026-02-01, got '2026-01-31'"),
        ({"start": "2026-02-01T04:00Z"}, "from: expected a UTC day"),
        ({"models": {"eu.m": "n"}}, "acme has no row of 'n'"),
        ({"vendor": "cloud", "models": {"eu.m": "eu.m"}}, "cloud has no row of 'eu.m'"),
    ],
)
def test_what_is_hosted_is_checked(given: dict[str, Any], words: str) -> None:
    made = price_file(*ROWS, hosted=(replace(SOLD, **given),))
    assert words in refused(replace(made, rows_sha256=file(SOLD).rows_sha256))


def test_a_price_is_said_once() -> None:
    own = row(INPUT, "5", provider="cloud", model="eu.m", start="2026-03-01")
    assert "it overlaps the row of 2.2 from 2026-02-01" in refused(price_file(*ROWS, own, hosted=(SOLD,)))
    check(finished(price_file(*ROWS, replace(own, part=OUTPUT), hosted=(SOLD,))))


def test_what_was_hosted_stays_so() -> None:
    before = file(SOLD)
    other = replace(SOLD, models={"us.m": "m"})
    changed: list[tuple[Hosted, ...]] = [(), (replace(SOLD, factor="1.2"),), (replace(SOLD, start="2026-03-01"),)]
    for later in [*changed, (other,)]:
        after = finished(replace(following(before, "2026-11-28"), hosted=later))
        assert "it says something else of days up to 2026-11-20" in refused(after, before, yes=True)
    taken: list[tuple[Hosted, ...]] = [(replace(SOLD, seen="2026-11-28"), other), (replace(SOLD, end="2026-11-21"),)]
    for later in taken:
        check_after(finished(replace(following(before, "2026-11-28"), hosted=later)), before, yes=True)


def test_a_price_of_the_vendor_that_was_seen_at_the_seller_holds_there() -> None:
    made = file(replace(SOLD, seen="2026-11-28"))
    assert [each.price for each in all_rows(made) if each.provider == "cloud"] == ["2.2", "3.3", "1.1"]
    assert PriceBook(made).prices(replace(SUBJECT, day=seconds_of("2026-11-25"))).rates[INPUT] == 33 * M // 10
