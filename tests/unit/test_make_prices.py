"""The next price file, made of lists that are made up: each kind of news, and that it is acted on once."""

import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ClauseEquals, ClauseStartsWith, ModelInfo, ModelPrice, Provider, Tier, TieredPrices
from msgspec import structs
from tests.support.price_rows import price_file, row
from tools.make_prices import Figure, known_text, make, read_known, report_text, unmatched
from tools.price_file import finished
from tools.price_lists import LITELLM_FILE, PriceList, genai_list, litellm_list, llm_prices_list

from usageledger.pricing.price_checks import check_after
from usageledger.pricing.price_file import Alike, PriceFile, Row

INPUT, OUTPUT = "input_text_tokens", "output_text_tokens"
THROUGH, DAY = "2026-11-20", "2026-11-28"
Brief = tuple[str | None, str, str, str | None, str, str | None]


def seen(part: str, price: str, source: str = "one 1.0 (PyPI)", **given: Any) -> Row:
    return row(part, price, origin="observed", start_is="first_seen", confidence="medium", source=source, **given)


def listing(package: str, *rows: Row, adds: bool = True) -> PriceList:
    names = frozenset((each.provider, str(each.model)) for each in rows)
    return PriceList(package, "2.0", f"{package} 2.0 (PyPI)", rows, names, adds)


def before(*rows: Row) -> PriceFile:
    lists = {"one": {"1.0": "2026-11-01"}, "two": {"1.0": "2026-11-01"}}
    return finished(structs.replace(price_file(*rows, confirmed_through=THROUGH), lists=lists))


def brief(file: PriceFile) -> list[Brief]:
    return [(each.model, each.price, each.start, each.end, each.confidence, each.last_seen) for each in file.rows]


def made(
    old: PriceFile, *lists: PriceList, known: set[Figure] | None = None, headings: tuple[str, ...] = ()
) -> list[Brief]:
    """The rows of the next file, which is one that would be taken, with these headings in its report."""
    file, how = make(old, lists, known or set(), DAY)
    check_after(file, old, yes=True)
    assert tuple(heading.partition(":")[0] for heading in sorted(how.report)) == headings
    assert (file.serial, file.made, file.confirmed_through) == (2, DAY, DAY)
    for each in lists:
        assert file.lists[each.package]["2.0"] == DAY
    again, nothing = make(
        structs.replace(file, confirmed_through=THROUGH), lists, unmatched(file, lists, set(), DAY), DAY
    )
    assert (again.rows, nothing.report) == (file.rows, {}), "it is acted on once"
    return brief(file)


OLD = ("m", "1", "2020-01-01", None, "medium", None)


def test_what_lists_say_still_is_confirmed() -> None:
    assert made(before(seen(INPUT, "1.0")), listing("one", row(INPUT, "1"))) == [(*OLD[:1], "1.0", *OLD[2:])]


def test_a_figure_of_a_part_that_costs_alike_is_new_where_it_says_something_else() -> None:
    image = "input_image_tokens"
    said = Alike("acme", ("m",), "completions", {image: INPUT}, "2020-01-01", "https://acme.test/images")
    old = finished(structs.replace(before(seen(INPUT, "1")), alike=(said,)))
    assert made(old, listing("one", row(INPUT, "1"), row(image, "1"))) == [OLD]
    other = listing("one", row(INPUT, "1"), row(image, "2"))
    assert made(old, other, headings=("Changed",)) == [OLD, ("m", "2", DAY, None, "high", None)]


def test_a_new_figure_is_known_from_this_day_on() -> None:
    lists = listing("one", row(INPUT, "1"), row(OUTPUT, "2")), listing("two", row(OUTPUT, "2.0"))
    assert made(before(seen(INPUT, "1"), row(INPUT, "9", model="z")), *lists[:1], headings=("New",)) == [
        OLD,
        ("m", "2", DAY, None, "high", None),
        ("z", "9", "2020-01-01", None, "high", None),
    ]
    apart = listing("one", row(OUTPUT, "2")), listing("two", row(OUTPUT, "3"))
    assert made(
        before(seen(INPUT, "1", model="z")),
        *apart,
        listing("three", row(INPUT, "1", model="z")),
        headings=("To decide",),
    ) == [("z", *OLD[1:])]
    foreign = listing("three", row(INPUT, "1"), row(OUTPUT, "2"), adds=False)
    assert made(before(seen(INPUT, "1")), foreign, headings=("To decide",)) == [OLD]


def test_an_observed_price_that_changed_ends() -> None:
    old = before(seen(INPUT, "1"))
    assert made(old, listing("one", row(INPUT, "20")), headings=("Changed",)) == [
        ("m", "1", "2020-01-01", DAY, "medium", None),
        ("m", "20", DAY, None, "high", None),
    ]


@pytest.mark.parametrize(
    ("old", "lists"),
    [
        (row(INPUT, "1"), [listing("one", row(INPUT, "2"))]),
        (seen(INPUT, "1"), [listing("one", row(INPUT, "2")), listing("two", row(INPUT, "1"))]),
    ],
    ids=["curated", "observed, and a list still says it"],
)
def test_a_figure_that_contradicts_a_row_makes_it_disputed(old: Row, lists: list[PriceList]) -> None:
    rows = made(before(old), *lists, headings=("Disputed",))
    assert rows == [
        ("m", "1", "2020-01-01", DAY, old.confidence, None),
        ("m", "1", DAY, None, "disputed", None),
        ("m", "2", DAY, None, "disputed", None),
    ]


def test_what_was_seen_before_is_not_acted_on() -> None:
    known: set[Figure] = {("one", "acme", "m", INPUT, "standard", "0", "2")}
    assert made(before(row(INPUT, "1")), listing("one", row(INPUT, "2")), known=known) == [(*OLD[:4], "high", None)]
    assert read_known(known_text(known)) == known


def test_a_price_that_ended_does_not_come_back_by_itself() -> None:
    ended = before(row(INPUT, "1", end="2026-01-01"))
    assert len(made(ended, listing("one", row(INPUT, "1")), headings=("To decide",))) == 1
    dropped = before(seen(INPUT, "1", last_seen="2026-01-01"))
    assert made(dropped, listing("one", row(INPUT, "1")), headings=("New",))[1] == ("m", "1", DAY, None, "high", None)


def test_a_name_that_no_list_has_any_more_was_last_seen_when_they_were_compared() -> None:
    old = before(seen(INPUT, "1"), seen(INPUT, "1", model="of two", source="one 1.0 (PyPI); two 1.0 (PyPI)"))
    rows = made(old, listing("one", row(INPUT, "1", model="other")), headings=("Dropped", "New"))
    assert rows[:2] == [(*OLD[:5], THROUGH), ("of two", *OLD[1:])]


def test_a_price_of_a_provider_that_the_lists_were_not_asked_for_is_not_dropped() -> None:
    old = before(row(INPUT, "1"), seen(INPUT, "1", provider="cloud"))
    assert made(old, listing("one", row(INPUT, "1"))) == brief(old)


def test_a_day_that_was_compared_is_not_compared_again() -> None:
    with pytest.raises(SystemExit, match="compared with the file on 2026-11-20 already"):
        make(before(row(INPUT, "1")), [], set(), THROUGH)


def test_the_report_is_for_a_person() -> None:
    file, how = make(before(row(INPUT, "1")), [listing("one", row(INPUT, "2", above=5), row(INPUT, "3"))], set(), DAY)
    assert report_text(how, file).splitlines() == [
        f"Prices 2, made on {DAY}: 3 rows are new.",
        "",
        "## Disputed: a person says which one is right",
        "",
        f"- acme `m`, standard, {INPUT}: 1 → 3 USD (one 2.0 (PyPI))",
        "",
        "## New",
        "",
        f"- acme `m`, standard above 5, {INPUT}: 2 USD (one 2.0 (PyPI))",
    ]


# --- the lists ---------------------------------------------------------------------------------------------------


def said(prices: PriceList) -> set[tuple[str, str | None, str, str, int, str]]:
    return {(each.provider, each.model, each.part, each.tier, each.above, each.price) for each in prices.rows}


def test_genai_prices_is_read_by_names_that_it_spells_out() -> None:
    tiered = TieredPrices(base=Decimal("1.50"), tiers=[Tier(start=200_000, price=Decimal(3))])
    models = [
        ModelInfo(id="a", match=ClauseEquals("a"), prices=ModelPrice(input_mtok=tiered)),
        ModelInfo(id="b", match=ClauseStartsWith("b-"), prices=ModelPrice(input_mtok=Decimal(2))),
    ]
    snapshot = DataSnapshot([Provider(id="openai", name="", api_pattern="", models=models)], False)
    found = genai_list(DAY, snapshot, "9.9")
    assert said(found) == {
        ("openai", "a", INPUT, "standard", 0, "1.5"),
        ("openai", "a", INPUT, "standard", 200_000, "3"),
    }
    assert (found.source, found.names) == ("genai-prices 9.9 (PyPI)", frozenset({("openai", "a"), ("openai", "b")}))


def test_litellm_is_read_from_its_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "litellm-1.200.0-py3-none-any.whl"
    models = {
        "gemini/G": {
            "litellm_provider": "gemini",
            "mode": "chat",
            "input_cost_per_token": 1.25e-06,
            "input_cost_per_token_above_200k_tokens": 2.5e-06,
            "output_cost_per_token_batches": 5e-06,
            "output_cost_per_token_above_200k_tokens_flex": 1e-05,
            "output_cost_per_token_above_4_hours": 1,
        },
        "speech": {
            "litellm_provider": "openai",
            "mode": "audio_speech",
            "output_cost_per_token": 1,
            "output_cost_per_audio_token": 6e-06,
        },
        "azure/x": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 1},
    }
    with zipfile.ZipFile(wheel, "w") as made_up:
        made_up.writestr(LITELLM_FILE, json.dumps(models))
    found = litellm_list(wheel)
    assert said(found) == {
        ("google", "g", INPUT, "standard", 0, "1.25"),
        ("google", "g", INPUT, "standard", 200_000, "2.5"),
        ("google", "g", OUTPUT, "batch", 0, "5"),
        ("google", "g", OUTPUT, "flex", 200_000, "10"),
        ("openai", "speech", "output_audio_tokens", "standard", 0, "6"),
    }
    assert (found.source, found.names) == ("litellm 1.200.0 (PyPI)", frozenset({("google", "g"), ("openai", "speech")}))
    with pytest.raises(ValueError, match="expected a wheel of litellm"):
        litellm_list(tmp_path / "other-1.0-py3-none-any.whl")


def test_llm_prices_is_read_from_its_files(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    history = [
        {"input": 2, "output": 8, "input_cached": None, "from_date": None, "to_date": "2026-01-01"},
        {"input": 1.5, "output": 6, "input_cached": 0.15, "from_date": "2026-01-01", "to_date": None},
    ]
    model = {"id": "grok-x", "name": "Grok X", "price_history": history}
    (tmp_path / "data" / "xai.json").write_text(json.dumps({"vendor": "xai", "models": [model]}))
    (tmp_path / "data" / "amazon.json").write_text(json.dumps({"vendor": "amazon", "models": [model]}))
    found = llm_prices_list(tmp_path, "0123456789ab")
    assert said(found) == {
        ("x-ai", "grok-x", INPUT, "standard", 0, "1.5"),
        ("x-ai", "grok-x", OUTPUT, "standard", 0, "6"),
        ("x-ai", "grok-x", "input_cached_text_tokens", "standard", 0, "0.15"),
    }
    assert (found.source, found.adds) == ("simonw/llm-prices@0123456789ab", False)
