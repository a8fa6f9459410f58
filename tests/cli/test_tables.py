"""Tables at every width: nothing is cut, what is shown adds up, and how it looks is kept as files."""

import io
import os
from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from usageledger.cli.terminal.figures import digits
from usageledger.cli.terminal.tables import Drawing, total, usage_table
from usageledger.cli.terminal.text_table import plain_table
from usageledger.client.pages import Amount, UsageBucket
from usageledger.client.results import CompletionsResult, CostsResult, VectorStoresResult
from usageledger.meter import Meter
from usageledger.meters import COSTS, METER_BY_KIND

GOLDEN = Path(__file__).parent.parent / "golden" / "cli_tables"
DAY = 86400
START = 1_793_491_200  # 2026-11-01, a Sunday
COMPLETIONS, STORES = METER_BY_KIND["completions"], METER_BY_KIND["vector_stores"]
MODELS = ("gpt-6-luna", "claude-sonnet-5-5", None, "gemini-3.1-flash-image-preview-of-november")

Buckets = Sequence[UsageBucket[Any]]


def bucket(number: int, results: Sequence[Any], width: int = DAY) -> UsageBucket[Any]:
    start = START + number * width
    return UsageBucket(start, start + width, None, None, tuple(results))


def completions(number: int, model: str | None, size: int) -> CompletionsResult:
    names: dict[str, Any] = {measure.name: 0 for measure in COMPLETIONS.reported}
    names |= {"input_tokens": size * 1_000_003, "output_tokens": size * 70_001, "num_model_requests": size * 11}
    return CompletionsResult(
        **names | {"input_cached_tokens": size * 400_000}, model=model, project_id=f"proj_{number}"
    )


def by_model(days: int) -> Buckets:
    return [
        bucket(day, [completions(n, model, (day * 7 + n * 5) % 11) for n, model in enumerate(MODELS) if (day + n) % 4])
        for day in range(days)
    ]


def cost(
    amount: str, item: str | None = None, quantity: Decimal | int | None = None, unit: str = "tokens"
) -> CostsResult:
    value = Amount(value=Decimal(amount), currency="usd")
    if quantity is None:
        return CostsResult(amount=value, line_item=item)
    return CostsResult(amount=value, line_item=item, quantity=Decimal(quantity), quantity_unit=unit)


def costs(days: int) -> Buckets:
    return [
        bucket(
            day,
            [
                cost(f"0.{day}0125", "gpt-4o-2024-08-06, cached input", 400 + day),
                cost(f"{day * 3}.5", "gpt-4o-2024-08-06, output", 1_234_567),
                cost("0.000000000000000001", "whisper-1, transcription", day, "duration_seconds"),
            ],
        )
        for day in range(days)
    ]


STORES_OF_A_WEEK = [
    bucket(day, [VectorStoresResult(usage_bytes=(5 + day % 3) * 10**9, project_id="proj_a")] if day != 4 else [])
    for day in range(7)
]
PICTURES: dict[str, tuple[Meter, tuple[str, ...], str, Buckets]] = {
    "completions": (COMPLETIONS, (), "1d", by_model(9)),
    "completions_by_model": (COMPLETIONS, ("model",), "1d", by_model(31)),
    "completions_by_project_and_model": (COMPLETIONS, ("project_id", "model"), "1d", by_model(9)),
    "costs_by_line_item": (COSTS, ("line_item",), "1d", costs(7)),
    "costs": (COSTS, (), "1d", [bucket(day, [cost(f"{day * 3}.{day}01251")]) for day in range(7)]),
    "vector_stores": (STORES, (), "1d", STORES_OF_A_WEEK),
    "vector_stores_by_project": (STORES, ("project_id",), "1d", STORES_OF_A_WEEK),
}


def drawn(meter: Meter, group_by: tuple[str, ...], width: str, buckets: Buckets, columns: int, **more: Any) -> str:
    given: dict[str, Any] = {"zone": UTC, "plain": False} | more
    table, _ = usage_table(Drawing(meter=meter, group_by=group_by, bucket_width=width, width=columns, **given), buckets)
    out = io.StringIO()
    Console(file=out, width=columns, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("columns", [80, 140])
@pytest.mark.parametrize("name", PICTURES)
def test_how_it_looks(name: str, columns: int) -> None:
    text = drawn(*PICTURES[name], columns)
    kept = GOLDEN / f"{name}_{columns}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        kept.write_text(text)
    assert text == kept.read_text(), "run the tests with UPDATE_GOLDEN=1 if this change is meant"


@pytest.mark.parametrize("columns", [50, 60, 72, 80, 81, 100, 123, 140, 200, 300])
@pytest.mark.parametrize("name", PICTURES)
def test_nothing_is_wider_than_the_terminal_and_numbers_are_whole(name: str, columns: int) -> None:
    meter, group_by, width, buckets = PICTURES[name]
    text = drawn(meter, group_by, width, buckets, columns)
    assert max(map(cell_len, text.splitlines())) <= columns
    assert "…" not in text
    rows = [[result.to_row() for result in bucket.results] for bucket in buckets]
    whole = total(meter.measures[0], rows)
    assert whole is not None
    # The number may be longer in a column of decimals; all of its digits are there.
    assert digits(whole) in text


@pytest.mark.parametrize("columns", [50, 60])
def test_names_make_room_for_the_number(columns: int) -> None:
    names = ("project_id", "user_id", "model", "api_key_id")
    long: dict[str, Any] = {name: f"{name}-of-thirty-characters-----" for name in names}
    measures: dict[str, Any] = {measure.name: 0 for measure in COMPLETIONS.reported}
    results = [CompletionsResult(**measures | {"input_tokens": 3_193_689}, **long)]
    text = drawn(COMPLETIONS, names, "1d", [bucket(0, results)], columns)
    assert max(map(cell_len, text.splitlines())) <= columns
    assert " 3,193,689\n" in text
    assert "…" not in text


def test_quantities_have_the_digits_that_count() -> None:
    results = [cost("1", name, Decimal(size)) for name, size in (("a", "1234567.0000001"), ("b", "0.000123456789"))]
    text = drawn(COSTS, ("line_item",), "1d", [bucket(0, results)], 100)
    assert " 1,234,567         tokens" in text
    assert " 0.0001235 tokens" in text


def test_lines_are_named_and_numbers_whole_where_a_table_is_too_wide() -> None:
    table = plain_table("Name", *[f">number {n}\nper 1M tokens" for n in range(5)])
    table.add_row("a name", *["0.0625 [12]"] * 5)
    out = io.StringIO()
    Console(file=out, width=60, highlight=False).print(table)
    assert "a name" in out.getvalue()
    assert out.getvalue().count("0.0625") == 5
    assert "…" not in out.getvalue()


def test_what_has_no_room_is_counted() -> None:
    meter, group_by, width, buckets = PICTURES["completions"]
    given: dict[str, Any] = {"meter": meter, "group_by": group_by, "bucket_width": width, "zone": UTC, "plain": False}
    left_out = [usage_table(Drawing(width=columns, **given), buckets)[1] for columns in (45, 60, 80, 200)]
    assert left_out == [3, 1, 0, 0]


def test_days_of_a_zone() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    shifted = [UsageBucket(b.start_time - 9 * 3600, b.end_time - 9 * 3600, None, None, b.results) for b in by_model(2)]
    text = drawn(COMPLETIONS, (), "1d", shifted, 100, zone=tokyo)
    assert text.startswith("Completions, 2026-11-01 to 2026-11-03 Asia/Tokyo\n")
    assert "\n2026-11-01 Sun " in text
    assert "\nStart (Asia/Tokyo)" in text
    assert "\n2026-10-31 15:00 " in drawn(COMPLETIONS, (), "1d", shifted, 100)


def test_quantities_in_several_units_have_no_sum() -> None:
    mixed = [bucket(0, [cost("1", "a", 1_111), cost("1", "b", 2_222, "calls"), cost("1", "c", 3_333)])]
    text = drawn(COSTS, ("project_id",), "1d", mixed, 140)
    assert "Quantity" not in text or "6,666" not in text
    text = drawn(COSTS, ("line_item",), "1d", mixed, 140)
    assert [unit in text for unit in ("1,111 tokens", "2,222 calls", "6,666")] == [True, True, False]


def test_groups_that_look_alike_stay_apart() -> None:
    alike = [bucket(0, [cost("1", None), cost("2", "(none)"), cost("4", "a\x1b"), cost("8", "a\x07")])]
    text = drawn(COSTS, ("line_item",), "1d", alike, 80)
    assert [line.split()[1] for line in text.splitlines() if line.startswith(("(none)", "a\\x"))] == [
        "8.00",
        "4.00",
        "2.00",
        "1.00",
    ]


def test_one_line_is_its_own_total() -> None:
    assert "Total" not in drawn(COMPLETIONS, (), "1d", by_model(1), 80)


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.decimals(0, 10**9, places=18)), max_size=5),
        min_size=1,
        max_size=5,
    ).filter(any),
    st.integers(60, 200),
)
def test_groups_and_buckets_have_the_same_total(given_rows: list[list[tuple[str, Decimal]]], columns: int) -> None:
    buckets = [
        bucket(
            day, [CostsResult(amount=Amount(value=value, currency="usd"), line_item=item) for item, value in results]
        )
        for day, results in enumerate(given_rows)
    ]
    whole = digits(sum((value for results in given_rows for _, value in results), Decimal()), least_places=2)
    for group_by in ((), ("line_item",)):
        assert whole in drawn(COSTS, group_by, "1d", buckets, columns)
