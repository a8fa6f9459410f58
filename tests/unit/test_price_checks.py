"""The checks that a price file passes before it is taken."""

from typing import Any

import pytest
from msgspec import structs
from tests.support.price_rows import price_file, row
from tools.price_file import finished, following

from usageledger.errors import PriceFileError
from usageledger.pricing.price_checks import check, check_after
from usageledger.pricing.price_file import Alias, Correction, Factor, Hours, PriceFile, Row, digest, id_of

INPUT, OUTPUT = "input_text_tokens", "output_text_tokens"
THROUGH = "2026-11-20"


def made(*rows: Row, **given: Any) -> PriceFile:
    file = structs.replace(price_file(*rows, confirmed_through=THROUGH), **given)
    return structs.replace(file, rows_sha256=digest(file))


def refused(file: PriceFile, before: PriceFile | None = None, **how: bool) -> str:
    with pytest.raises(PriceFileError) as raised:
        check(file) if before is None else check_after(file, before, **how)
    return str(raised.value)


def many(count: int = 40, **given: Any) -> list[Row]:
    return [row(INPUT, "1", model=f"m{number}", **given) for number in range(count)]


def after(before: PriceFile, *rows: Row, **given: Any) -> PriceFile:
    return finished(structs.replace(following(before, "2026-11-28"), rows=rows, **given))


ABOUT = "acme m completions input_text_tokens standard from 2020-01-01"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(INPUT, "1"), row(INPUT, "1")], f"{ABOUT}: it is there twice"),
        (
            [row(INPUT, "1"), row(INPUT, "2", start="2021-01-01")],
            "from 2021-01-01: it overlaps the row of 1 from 2020-01-01",
        ),
        (
            [row(INPUT, "1", confidence="disputed"), row(INPUT, "2", start="2021-01-01")],
            "from 2021-01-01: it overlaps the row of 1 from 2020-01-01",
        ),
        ([row(INPUT, "1", end="2020-01-01")], f"{ABOUT}: it ends on 2020-01-01, and begins on 2020-01-01"),
        (
            [row(INPUT, "1", last_seen="2019-12-31")],
            f"{ABOUT}: it was last seen on 2019-12-31, and begins on 2020-01-01",
        ),
        ([row(INPUT, "-1")], "price: expected a decimal that is 0 or more, got '-1'"),
        ([row(INPUT, "1e-6")], "price: expected a decimal that is 0 or more, got '1e-6'"),
        ([row(INPUT, "NaN")], "price: expected a decimal that is 0 or more, got 'NaN'"),
        ([row(INPUT, "\u0661")], "price: expected a decimal"),
        ([row(INPUT, "99999999", per=1)], "price: a price of 99999999 USD for 1 is more than 1,000,000 USD a unit"),
        ([row(INPUT, "1", per=0)], "per: expected 1 or more, got 0"),
        (
            [row("tokens", "1")],
            "acme m completions tokens standard from 2020-01-01: part: completions have no part 'tokens'",
        ),
        ([row(INPUT, "1", kind="chat")], "kind: there is no kind 'chat'"),
        ([row(INPUT, "1", source=" ")], f"{ABOUT}: source: none is given"),
        ([row(INPUT, "1", start="2020-02-30")], "from: expected a UTC day such as 2026-11-01, got '2020-02-30'"),
        ([row(INPUT, "1", start="20200101")], "from: expected a UTC day such as 2026-11-01, got '20200101'"),
        ([row(INPUT, "1", end="soon")], "to: expected a UTC day such as 2026-11-01, got 'soon'"),
        ([row(INPUT, "1", last_seen="2020-01-01T00:00Z")], "last_seen: expected a UTC day"),
        ([row(INPUT, "1", hours=(Hours(("04:00-01:00",)),))], "hours: expected 01:00-04:00, got '04:00-01:00'"),
        ([row(INPUT, "1", hours=(Hours(("01:00-04:00",), (0,)),))], "hours: days are 1 to 7, got [0]"),
        (
            [row(INPUT, "1", end="2021-01-01"), row(INPUT, "10.01", start="2021-01-01")],
            "more than 10 times off the 1 before, without a note",
        ),
        (
            [row(INPUT, "1", end="2021-01-01"), row(INPUT, "0.09", start="2021-01-01")],
            "more than 10 times off the 1 before, without a note",
        ),
        (
            [row(INPUT, "1", end="2021-01-01"), row(INPUT, "0", start="2021-01-01")],
            "more than 10 times off the 1 before, without a note",
        ),
    ],
)
def test_a_row_that_is_wrong_is_named(rows: list[Row], words: str) -> None:
    assert words in refused(made(*rows))


def test_what_looks_alike_and_is_right_passes() -> None:
    check(
        made(
            row(INPUT, "1", end="2021-01-01"),
            row(INPUT, "10", start="2021-01-01", end="2022-01-01"),
            row(INPUT, "0", start="2022-01-01", end="2023-01-01", note="free since then"),
            row(INPUT, "1", start="2023-01-01", confidence="disputed", note="no longer free"),
            row(INPUT, "2", start="2023-01-01", confidence="disputed"),
            row(INPUT, "1", tier="batch"),
            row(INPUT, "1", above=200_000),
            row(INPUT, "1", model="h", hours=(Hours(("00:00-12:00",)),)),
            row(INPUT, "2", model="h", hours=(Hours(("12:00-24:00",)),)),
            row("num_requests", "10", kind="web_search_calls", tool="a", per=1000),
            row("num_requests", "25", kind="web_search_calls", tool="b", per=1000),
        )
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rows_sha256": "0" * 64}, "it was changed after it was made"),
        ({"serial": 0}, "serial: expected 1 or more, got 0"),
        ({"made": "today"}, "made: expected a UTC day, got 'today'"),
        ({"lists": {"a list": {"1.0": "?"}}}, "lists: a list 1.0: expected a UTC day, got '?'"),
        ({"previous_sha256": "abc"}, "previous_sha256 and earlier_sha256: expected a SHA-256, got 'abc'"),
        ({"previous_sha256": "0" * 64, "earlier_sha256": ("ab",)}, "expected a SHA-256, got 'ab'"),
    ],
)
def test_a_header_that_is_wrong_is_refused(given: dict[str, Any], words: str) -> None:
    assert words in refused(structs.replace(made(row(INPUT, "1")), **given))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"aliases": (Alias("acme", "a", "m", "2020-01-01", "s"), Alias("acme", "a", "n", "2021-01-01", "s"))},
            "acme a -> n from 2021-01-01: it overlaps the one from 2020-01-01",
        ),
        (
            {"aliases": (Alias("acme", "a", "m", "2020-01-01", ""),)},
            "acme a -> m from 2020-01-01: source: none is given",
        ),
        ({"aliases": (Alias("acme", "a", "m", "2020-01-01T04:00Z", "s"),)}, "from: expected a UTC day"),
        (
            {"factors": (Factor("acme", "m", "eu", "10%", "2020-01-01", "launch", "high", "s"),)},
            "acme m in eu from 2020-01-01: factor: expected a decimal that is 0 or more, got '10%'",
        ),
        ({"corrections": (Correction("abc", " "),)}, "correction of abc: no reason"),
    ],
)
def test_what_else_a_file_says_is_checked(given: dict[str, Any], words: str) -> None:
    assert words in refused(made(row(INPUT, "1"), **given))


def test_only_the_first_faults_are_told() -> None:
    assert refused(made(*many(8, per=0))).endswith("; and 3 more")


# --- after another -----------------------------------------------------------------------------------------------

OLD = row(INPUT, "1")


def test_a_file_that_is_not_newer_is_refused() -> None:
    first = made(OLD)
    second = after(first, OLD)
    assert "serial 1 is not newer than 1" in refused(first, first)
    assert "serial 1 is not newer than 2" in refused(first, second, rebase=True)
    check_after(second, first)


def test_a_file_that_was_made_from_another_is_refused_unless_it_is_meant() -> None:
    first, other = made(OLD), made(OLD, row(OUTPUT, "1"))
    third = after(after(other, *other.rows), OLD)
    assert "serial 3 was made from" in refused(third, first)
    check_after(third, first, rebase=True)


def test_files_between_may_be_skipped() -> None:
    first = made(OLD, *many())
    second = after(first, *many(), corrections=(Correction(id_of(OLD), "the page said so"),))
    fifth = after(after(after(second, row(INPUT, "2"), *many()), *many()), *many())
    check_after(fifth, first)
    check_after(fifth, second)
    assert "no correction names" in refused(structs.replace(fifth, corrections=()), first)
    assert "serial 5 was made from" in refused(structs.replace(fifth, earlier_sha256=()), first)


CHANGED = f"it says something else of days up to {THROUGH}, and no correction names {id_of(OLD)}"


@pytest.mark.parametrize(
    "later",
    [
        [],
        [row(INPUT, "2")],
        [row(INPUT, "1", per=1000)],
        [row(INPUT, "1", start="2020-01-02")],
        [row(INPUT, "1", end="2026-11-20"), row(INPUT, "2", start="2026-11-20")],
        [row(INPUT, "1", last_seen="2026-11-19")],
        [row(INPUT, "1", confidence="low")],
        [row(INPUT, "1", confidence="disputed"), row(INPUT, "2", confidence="disputed")],
        [row(INPUT, "1", tier="batch")],
        [row(INPUT, "1", hours=(Hours(("00:00-12:00",)),))],
    ],
    ids=str,
)
def test_what_was_said_of_the_past_is_only_changed_by_a_correction(later: list[Row]) -> None:
    before = made(OLD, *many())
    file = after(before, *later, *many())
    assert CHANGED in refused(file, before, yes=True)
    check_after(structs.replace(file, corrections=(Correction(id_of(OLD), "the page said so"),)), before, yes=True)
    other = structs.replace(file, corrections=(Correction(id_of(row(OUTPUT, "1")), "of another row"),))
    assert CHANGED in refused(other, before, yes=True)


@pytest.mark.parametrize(
    "later",
    [
        [OLD, row(OUTPUT, "2", start="2024-01-01")],
        [row(INPUT, "1", end="2026-11-21"), row(INPUT, "2", start="2026-11-21")],
        [row(INPUT, "1", last_seen=THROUGH)],
        [row(INPUT, "1", source="another page", confidence="medium", note="seen", start_is="announced")],
        [
            row(INPUT, "1", end="2026-11-21"),
            row(INPUT, "1", start="2026-11-21", confidence="disputed"),
            row(INPUT, "2", start="2026-11-21", confidence="disputed"),
        ],
    ],
    ids=str,
)
def test_rows_are_added_and_closed(later: list[Row]) -> None:
    before = made(OLD, *many())
    check_after(after(before, *later, *many()), before)


def test_a_row_of_days_to_come_may_change() -> None:
    now, then = row(INPUT, "1", end="2027-01-01"), row(INPUT, "2", start="2027-01-01")
    before = made(now, then, *many())
    check_after(after(before, OLD, *many()), before)


@pytest.mark.parametrize("name", ["aliases", "factors"])
def test_names_and_factors_of_the_past_stay_too(name: str) -> None:
    said: dict[str, tuple[Alias | Factor, ...]] = {
        "aliases": (Alias("acme", "a", "m", "2020-01-01", "s"),),
        "factors": (Factor("acme", "m", "eu", "1.1", "2020-01-01", "launch", "high", "s"),),
    }
    before = made(OLD, **{name: said[name]})
    assert "it says something else of days" in refused(after(before, OLD, **{name: ()}), before)
    closed = tuple(structs.replace(each, end="2026-11-21") for each in said[name])
    check_after(after(before, OLD, **{name: closed}), before)
    check_after(after(before, OLD, **{name: (), "corrections": (Correction(id_of(said[name][0]), "why"),)}), before)


def test_many_rows_change_at_once_only_when_it_is_meant() -> None:
    before = made(*many(40))
    few = after(before, *many(38), *many(40, end="2026-11-21")[38:])
    check_after(few, before)
    more = after(before, *many(37), *many(40, end="2026-11-21")[37:])
    words = refused(more, before)
    assert "3 of 40 rows without an end change at once, such as acme m37" in words
    assert "--yes" in words
    check_after(more, before, yes=True)
