"""Parts that a provider charges at the price of another one."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.price_rows import book, price_file, row
from tests.unit.test_hosted import SOLD
from tests.unit.test_price_checks import refused
from tools.price_file import finished, following

from usageledger.pricing import UNITS_PER_USD, Prices, Subject
from usageledger.pricing.hosted import all_rows
from usageledger.pricing.listed_prices import seconds_of
from usageledger.pricing.price_checks import check, check_after
from usageledger.pricing.price_file import Alike, PriceFile

M = UNITS_PER_USD // 10**6
TEXT, IMAGE, AUDIO = "input_text_tokens", "input_image_tokens", "input_audio_tokens"
CACHED_TEXT, CACHED_IMAGE = "input_cached_text_tokens", "input_cached_image_tokens"
SAID = Alike(
    provider="acme",
    models=("m",),
    kind="completions",
    parts={IMAGE: TEXT, CACHED_IMAGE: CACHED_TEXT},
    start="2026-02-01",
    source="https://acme.test/images",
)
SUBJECT = Subject(seconds_of("2026-05-05"), "completions", "acme", "m")
ROWS = (
    row(TEXT, "2", end="2026-06-01"),
    row(TEXT, "3", start="2026-06-01"),
    row(TEXT, "1", tier="batch"),
    row(TEXT, "4", above=100),
    row(CACHED_TEXT, "0.5", last_seen="2026-06-30"),
    row(TEXT, "7", model="n"),
)


def prices(*said: Alike, rows: Any = ROWS, **changed: Any) -> Prices:
    return book(*rows, alike=said or (SAID,)).prices(replace(SUBJECT, **changed))


def test_a_part_costs_what_the_other_does_in_every_tier_band_and_time() -> None:
    assert prices().rates == {TEXT: 2 * M, IMAGE: 2 * M, CACHED_TEXT: M // 2, CACHED_IMAGE: M // 2}
    assert prices(day=seconds_of("2026-06-01")).rates[IMAGE] == 3 * M
    assert prices(batch=True).rates == {TEXT: M, IMAGE: M}
    assert prices(band=100).rates == {TEXT: 4 * M, IMAGE: 4 * M}
    source = prices().sources[IMAGE]
    assert source.text == (
        "https://acme.test/prices; input_image_tokens at the price of input_text_tokens: https://acme.test/images"
    )
    assert (source.start, source.start_is, source.end) == ("2026-02-01", "first_seen", "2026-06-01")


@pytest.mark.parametrize(
    ("part", "changed", "code"),
    [
        (AUDIO, {}, "no_row"),
        (IMAGE, {"model": "n"}, "no_row"),
        (IMAGE, {"day": seconds_of("2026-01-31")}, "before_first_seen"),
        (CACHED_IMAGE, {"day": seconds_of("2026-07-01")}, "past_support"),
        (CACHED_IMAGE, {"batch": True}, "no_variant"),
    ],
)
def test_no_other_part_model_or_time_costs_alike(part: str, changed: dict[str, Any], code: str) -> None:
    assert prices(**changed).reasons[part].code == code


def test_it_ends_when_the_source_says_so() -> None:
    ended = replace(SAID, end="2026-05-05")
    assert prices(ended).reasons[IMAGE].code == "gap"
    assert prices(ended, day=seconds_of("2026-05-04")).rates[IMAGE] == 2 * M


def test_a_row_of_its_own_takes_its_place_from_its_start_on() -> None:
    rows = (*ROWS, row(IMAGE, "9", start="2026-05-05"))
    assert prices(rows=rows).rates[IMAGE] == 9 * M
    assert prices(rows=rows, day=seconds_of("2026-05-04")).rates[IMAGE] == 2 * M
    assert prices(rows=rows, batch=True).rates[IMAGE] == M
    assert prices(rows=(*ROWS, row(IMAGE, "9"))).rates[IMAGE] == 9 * M


def test_what_another_sells_costs_alike_only_where_that_is_said_of_the_seller() -> None:
    at = replace(SUBJECT, provider="cloud", model="eu.m")
    of_seller = replace(SAID, provider="cloud", models=("eu.m",))
    assert IMAGE not in book(*ROWS, hosted=(SOLD,), alike=(SAID,)).prices(at).rates
    assert book(*ROWS, hosted=(SOLD,), alike=(of_seller,)).prices(at).rates[IMAGE] == 22 * M // 10


def file(*alike: Alike) -> PriceFile:
    return finished(price_file(*ROWS, confirmed_through="2026-11-20", alike=alike))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"source": " "}, "acme: input_image_tokens, input_cached_image_tokens alike: source: none is given"),
        ({"start": "2026-02-30"}, "from: expected a UTC day"),
        ({"models": ("m", "o")}, "there is no row of 'o'"),
        ({"parts": {IMAGE: AUDIO}}, "there is no row of 'm'"),
        ({"parts": {"pixels": TEXT}}, "completions have no part 'pixels'"),
    ],
)
def test_what_costs_alike_is_checked(given: dict[str, Any], words: str) -> None:
    made = price_file(*ROWS, alike=(replace(SAID, **given),))
    assert words in refused(replace(made, rows_sha256=file(SAID).rows_sha256))


def test_it_is_said_once() -> None:
    assert "overlaps" in refused(price_file(*ROWS, alike=(SAID, replace(SAID, start="2026-03-01"))))
    check(file(SAID))


def test_what_cost_alike_stays_so() -> None:
    before = file(SAID)
    changed: list[tuple[Alike, ...]] = [(), (replace(SAID, start="2026-03-01"),)]
    for later in changed:
        after = finished(replace(following(before, "2026-11-28"), alike=later))
        assert "it says something else of days up to 2026-11-20" in refused(after, before, yes=True)
    taken: list[tuple[Alike, ...]] = [(replace(SAID, end="2026-11-21"),), (SAID, replace(SAID, models=("n",)))]
    for later in taken:
        check_after(finished(replace(following(before, "2026-11-28"), alike=later)), before, yes=True)
    assert len(all_rows(before)) == len(ROWS) + 5
