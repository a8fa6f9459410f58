"""Answers for programs: JSON, CSV and Parquet, a row for each result of each bucket, with every digit."""

import csv
import os
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from usageledger.buckets import iso
from usageledger.cli.terminal.figures import digits
from usageledger.cli.terminal.output import CommandError, print_json_text, visible
from usageledger.client.pages import UsageBucket, UsagePage
from usageledger.meter import Meter

Row = dict[str, Any]

TIMES = ("start_time", "end_time")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def flat_rows(buckets: Sequence[UsageBucket[Any]], timezone: str | None) -> list[Row]:
    """A flat dict for each result: when it was, as Unix seconds and as text, and the fields of the result."""
    return [
        _times(bucket, timezone) | {name: _plain(value) for name, value in result.to_row().items()}
        for bucket in buckets
        for result in bucket.results
    ]


def columns(meter: Meter, rows: Sequence[Row]) -> list[str]:
    """Lists the columns of a file: those of the kind, even without rows, then others that a server sent."""
    names = [name for time in TIMES for name in (time, f"{time}_iso")]
    for measure in meter.reported:
        names += [measure.name, *(["currency"] if measure.unit == "usd" else [])]
        names += [measure.unit_field] if measure.unit_field else []
    names += [dimension.name for dimension in meter.groupings]
    return list(dict.fromkeys([*names, *(name for row in rows for name in row)]))


def print_rows_as_json(rows: Sequence[Row]) -> None:
    """An array on one line of stdout; amounts are JSON numbers with all their digits."""
    print_json_text(msgspec.json.Encoder(decimal_format="number").encode(rows).decode())


def print_as_json(value: Any) -> None:
    """Prints the answer of a server as one line of JSON; numbers have all their digits and no exponent."""
    print_json_text(msgspec.json.encode(_written_out(value)).decode())


def _written_out(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _written_out(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_written_out(each) for each in value]
    return msgspec.Raw(f"{value:f}".encode()) if isinstance(value, Decimal) else value


def print_rows_as_csv(names: Sequence[str], rows: Sequence[Row]) -> None:
    """Prints CSV on stdout: names first, quoted as in RFC 4180, Unix line ends; null is empty.

    Where stdout is a terminal, a text is shown as `visible` has it; in files it is as it was sent.
    """
    shown = visible if sys.stdout.isatty() else str
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([_text_cell(shown(name)) for name in names])
    for row in rows:
        cells = (row.get(name) for name in names)
        writer.writerow([_text_cell(shown(cell)) if isinstance(cell, str) else _cell(cell) for cell in cells])


def write_parquet(path: Path, page: UsagePage[Any]) -> None:
    """Replaces `path` in one step by the page as `UsagePage.to_arrow` has it.

    Raises:
        CommandError: a number has more digits than Arrow can hold; nothing is rounded.
        OSError: the file cannot be written.
    """
    from pyarrow import parquet

    try:
        table = page.to_arrow()
    except ValueError as error:
        raise CommandError(f"Parquet cannot hold this; --csv and --json can. {error}") from None
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        parquet.write_table(table, partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _times(bucket: UsageBucket[Any], timezone: str | None) -> Row:
    times: Row = {}
    for name in TIMES:
        seconds: int = getattr(bucket, name)
        times |= {name: seconds, f"{name}_iso": iso(seconds, timezone)}
    return times


def _plain(value: Any) -> Any:
    """A Decimal without exponent and without zeros at its end, so that 0E-6176 is 0; anything else as it is."""
    return Decimal(digits(value).replace(",", "")) if isinstance(value, Decimal) else value


def _text_cell(text: str) -> str:
    """Puts an apostrophe before a text that a spreadsheet would take for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:f}" if isinstance(value, Decimal) else value
