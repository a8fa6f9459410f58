"""Results → tables of pyarrow, pandas and polars, with the types that keep every digit."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal, Inexact
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from usageledger.client.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

INSTALLED_BY = {
    "pyarrow": "pip install pyarrow",
    "pandas": "pip install 'usageledger[pandas]'",
    "polars": "pip install 'usageledger[polars]'",
}
SCALE_MIN = 18  # decimals of an amount of UsageLedger's
NARROW_DIGITS, WIDE_DIGITS = 38, 76  # of Arrow's two decimal types
_EXACT = Context(prec=2 * WIDE_DIGITS, traps=[Inexact])

Row = Mapping[str, Any]


def arrow_table(kind: type[msgspec.Struct], rows: Sequence[Row]) -> "pa.Table":
    """The rows of results of `kind` as an Arrow table; without rows, its columns.

    Raises:
        MissingExtraError: pyarrow is not installed.
        ValueError: a number has more digits than Arrow can hold.
    """
    arrow: Any = _library("pyarrow")
    types = {bool: arrow.bool_(), str: arrow.string()}
    time = arrow.timestamp("s", "UTC")
    columns: dict[str, Any] = {}
    for name, of in (("start_time", time), ("end_time", time), *_columns(kind)):
        values = [row[name] for row in rows]
        if of is Decimal:
            columns[name] = _decimals(arrow, name, values)
        else:
            columns[name] = _counts(arrow, name, values) if of is int else arrow.array(values, types.get(of, of))
    for name in dict.fromkeys(name for row in rows for name in row if name not in columns):
        columns[name] = _unknown(arrow, [row.get(name) for row in rows])
    table: pa.Table = arrow.table(columns)
    return table


def pandas_frame(table: "pa.Table") -> "pd.DataFrame":
    """An Arrow table for pandas, on Arrow's types: neither counts with gaps nor amounts become floats.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    pandas: Any = _library("pandas")
    frame: pd.DataFrame = table.to_pandas(types_mapper=pandas.ArrowDtype)
    return frame


def polars_frame(table: "pa.Table") -> "pl.DataFrame":
    """An Arrow table for polars.

    Raises:
        MissingExtraError: polars is not installed.
        ValueError: a number has more digits than polars can hold.
    """
    polars: Any = _library("polars")
    for field in table.schema:
        if str(field.type).startswith("decimal256"):
            raise ValueError(
                f"{field.name}: {field.type} has more digits than polars can hold ({NARROW_DIGITS}): "
                "take to_arrow() or to_rows()."
            )
    frame: pl.DataFrame = polars.from_arrow(table)
    return frame


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(f"This needs {name}, which is not installed: {INSTALLED_BY[name]}") from error


def _columns(kind: type[msgspec.Struct]) -> Iterator[tuple[str, type]]:
    """Name and Python type of each column that a result of `kind` gives."""
    for field in msgspec.structs.fields(kind):
        of = next((each for each in get_args(field.type) if each is not type(None)), field.type)
        if field.name == "amount":
            yield from (("amount", Decimal), ("currency", str))
        elif field.name not in ("object", "extra"):
            yield field.name, of


def _counts(arrow: Any, name: str, values: Sequence[int | None]) -> Any:
    """A column of 64 bits, or of Decimal where a count is larger."""
    try:
        return arrow.array(values, arrow.int64())
    except OverflowError:
        return _decimals(arrow, name, [None if value is None else Decimal(value) for value in values], least_scale=0)


def _decimals(arrow: Any, name: str, values: Sequence[Decimal | None], *, least_scale: int = SCALE_MIN) -> Any:
    """A column of Decimal, as narrow as keeps every digit."""
    sizes = [_digits(value) for value in values if value is not None]
    scale = max([least_scale, *(fraction for _, fraction in sizes)])
    digits = scale + max([0, *(whole for whole, _ in sizes)])
    if digits > WIDE_DIGITS:
        raise ValueError(f"{name}: {digits} digits are more than Arrow can hold ({WIDE_DIGITS}): take to_rows().")
    of = arrow.decimal128(NARROW_DIGITS, scale) if digits <= NARROW_DIGITS else arrow.decimal256(WIDE_DIGITS, scale)
    step = Decimal(1).scaleb(-scale)
    return arrow.array([None if value is None else value.quantize(step, context=_EXACT) for value in values], of)


def _digits(value: Decimal) -> tuple[int, int]:
    """Counts the digits before and after the point, without zeros at either end."""
    _, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits))
    kept = text.rstrip("0")
    if not kept or not isinstance(exponent, int):
        return 0, 0
    exponent += len(text) - len(kept)
    return max(0, len(kept) + exponent), max(0, -exponent)


def _unknown(arrow: Any, values: list[Any]) -> Any:
    """Makes a column of a field that the client does not know: by its type, or as JSON if it has several."""
    try:
        return arrow.array(values)
    except (arrow.ArrowInvalid, arrow.ArrowTypeError, OverflowError):
        return arrow.array(
            [None if value is None else json.dumps(value, default=str) for value in values], arrow.string()
        )
