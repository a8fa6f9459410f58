"""Pages as tables of pyarrow, pandas and polars: the same numbers, to the last digit."""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usageledger.client import (
    Amount,
    CompletionsResult,
    CostsResult,
    Result,
    UsageBucket,
    UsagePage,
    results,
)
from usageledger.client.data_frames import arrow_table

DAY = 86_400
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from usageledger.client import CostsResult, MissingExtraError, UsagePage
try:
    getattr(UsagePage((), False, None, {}, CostsResult), sys.argv[2])()
except ImportError as error:
    assert type(error) is MissingExtraError
    print(error)
"""
KINDS = [
    cls for cls in vars(results).values() if isinstance(cls, type) and hasattr(cls, "OBJECT") and cls is not Result
]


def page(*found: Any, kind: type[Any] = CostsResult) -> UsagePage[Any]:
    buckets = [UsageBucket(n * DAY, (n + 1) * DAY, None, None, (each,)) for n, each in enumerate(found)]
    return UsagePage((*buckets, UsageBucket(0, DAY, None, None, ())), False, None, {}, kind)


def cost(value: str, **more: Any) -> CostsResult:
    return CostsResult(amount=Amount(value=Decimal(value), currency="usd"), **more)


COSTS = page(cost("0E-6176", project_id="a"), cost("0.0000045000", quantity=Decimal("30.0")), cost("12.5"))
USAGE = page(
    CompletionsResult(input_tokens=2**53 + 1, output_tokens=2, num_model_requests=3, batch=True),
    CompletionsResult(input_tokens=1, output_tokens=0, num_model_requests=1, input_cached_tokens=2**62 + 1),
    kind=CompletionsResult,
)


LARGE = page(
    CompletionsResult(input_tokens=2**63, output_tokens=2**63 - 1, num_model_requests=3),
    CompletionsResult(input_tokens=1, output_tokens=0, num_model_requests=1, input_cached_tokens=2**100 + 1),
    kind=CompletionsResult,
)


@pytest.mark.parametrize("found", [COSTS, USAGE, LARGE], ids=["costs", "usage", "large"])
@pytest.mark.parametrize("to", ["arrow", "pandas", "polars"])
def test_each_table_has_the_rows(found: UsagePage[Any], to: str) -> None:
    if to == "arrow":
        rows = found.to_arrow().to_pylist()
    elif to == "pandas":
        rows = pa.Table.from_pandas(found.to_pandas()).to_pylist()
    else:
        rows = found.to_polars().to_dicts()
    expected = found.to_rows()
    for row in expected:
        row["start_time"] = datetime.fromtimestamp(row["start_time"], UTC)
        row["end_time"] = datetime.fromtimestamp(row["end_time"], UTC)
    assert rows == expected


def test_numbers_with_gaps_are_no_floats() -> None:
    frame = USAGE.to_pandas()
    assert frame["input_cached_tokens"].sum() == 2**62 + 1
    assert str(frame["input_tokens"].dtype) == "int64[pyarrow]"
    assert not [name for name, of in frame.dtypes.items() if str(of) in ("object", "float64")]
    assert COSTS.to_pandas()["amount"].sum() == Decimal("12.5000045")
    assert COSTS.to_polars()["amount"].sum() == Decimal("12.5000045")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_without_rows_the_columns_are_there(kind: type[Any]) -> None:
    table = page(kind=kind).to_arrow()
    assert table.num_rows == 0
    names = [name for name in kind.__struct_fields__ if name not in ("object", "extra")]
    assert [name for name in table.column_names if name != "currency"] == ["start_time", "end_time", *names]
    assert not [field for field in table.schema if str(field.type) in ("null", "double")]
    assert page(kind=kind).to_pandas().shape == page(kind=kind).to_polars().shape == (0, table.num_columns)


@given(
    st.lists(
        st.decimals(min_value=-(10**38) + 1, max_value=10**38 - 1, allow_nan=False, allow_infinity=False, places=38),
        max_size=3,
    )
)
def test_amounts_keep_every_digit(values: list[Decimal]) -> None:
    table = page(*(cost(str(value)) for value in values)).to_arrow()
    assert table["amount"].to_pylist() == values


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("99999999999999999999.999999999999999999", "decimal128(38, 18)"),
        ("100000000000000000000.000000000000000001", "decimal256(76, 18)"),
        ("1e-30", "decimal128(38, 30)"),
        ("0.000004500000000000000000000000000000000000000000000", "decimal128(38, 18)"),
        ("4.5000000000000002e-06", "decimal128(38, 22)"),
    ],
)
def test_the_type_is_as_wide_as_the_digits(value: str, kind: str) -> None:
    table = page(cost(value)).to_arrow()
    assert str(table.schema.field("amount").type) == kind
    assert table["amount"].to_pylist() == [Decimal(value)]


def test_more_digits_than_a_table_can_hold() -> None:
    with pytest.raises(ValueError, match=r"amount: 77 digits are more than Arrow can hold \(76\): take to_rows"):
        page(cost("1e58"), cost("1.1")).to_arrow()
    with pytest.raises(ValueError, match=r"amount: decimal256\(76, 30\) has more digits than polars can hold"):
        page(cost("1e-30"), cost("1e10")).to_polars()
    with localcontext(prec=60):
        assert page(cost("1e-30"), cost("1e10")).to_pandas()["amount"].sum() == Decimal("1e-30") + Decimal("1e10")


def test_what_the_server_sends_beyond_is_there_too() -> None:
    rows = [
        {
            "start_time": 0,
            "end_time": 1,
            **cost("1", extra={"team": "a", "mixed": 1, "share": Decimal("0.5")}).to_row(),
        },
        {"start_time": 0, "end_time": 1, **cost("1", extra={"mixed": {"x": [Decimal("1.5")]}}).to_row()},
    ]
    table = arrow_table(CostsResult, rows)
    assert table.column_names[-3:] == ["team", "mixed", "share"]
    assert table["team"].to_pylist() == ["a", None]
    assert table["share"].to_pylist() == [Decimal("0.5"), None]
    assert table["mixed"].to_pylist() == ["1", '{"x": ["1.5"]}']


@pytest.mark.parametrize(
    ("method", "missing", "command"),
    [
        ("to_arrow", "pyarrow", "pip install pyarrow"),
        ("to_pandas", "pyarrow", "pip install pyarrow"),
        ("to_pandas", "pandas", "pip install 'usageledger[pandas]'"),
        ("to_polars", "polars", "pip install 'usageledger[polars]'"),
    ],
)
def test_what_is_missing_is_told_with_the_command_that_installs_it(method: str, missing: str, command: str) -> None:
    """In an interpreter of its own, as libraries remember which others they found."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT, missing, method], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"This needs {missing}, which is not installed: {command}\n"


def test_the_extras_named_are_those_of_the_package() -> None:
    from importlib.metadata import metadata

    assert {"pandas", "polars"} <= set(metadata("usageledger").get_all("Provides-Extra") or [])
