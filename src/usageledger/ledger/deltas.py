"""The sums of a few events by rollup key: their share of every rollup."""

import numpy as np
import pyarrow as pa

from usageledger.ledger.schema import DELTAS, ROLLUP_COLUMNS, ROLLUP_KEYS
from usageledger.meters import GAUGES, MEASURE_COLUMNS

LARGEST_SUM = 2**63 - 1


def sums_of(rows: pa.Table) -> pa.Table:
    """The sums of `rows` (`columns.SCHEMA`) by rollup key, as the columns of `deltas`; `ts` is the span's start.

    Arrow's sums wrap at 2^63 without a word, so rows whose counts could get there are summed a few at a time.
    """
    largest = max(int(rows[column].to_numpy().max()) for column in MEASURE_COLUMNS)
    at_once = max(1, min(rows.num_rows, LARGEST_SUM // max(largest, 1)))
    timestamps = rows["ts"].to_numpy()
    spans = pa.array(timestamps - np.mod(timestamps, DELTAS.seconds))
    keyed = rows.select(ROLLUP_COLUMNS).set_column(0, "ts", spans)
    parts = [_sums(keyed.slice(start, at_once)) for start in range(0, rows.num_rows, at_once)]
    return pa.concat_tables(parts)


def _sums(keyed: pa.Table) -> pa.Table:
    grouped = keyed.group_by(list(ROLLUP_KEYS), use_threads=False).aggregate(
        [(column, "max" if column in GAUGES else "sum") for column in MEASURE_COLUMNS]
    )
    return grouped.rename_columns(
        [
            name.removesuffix("_sum").removesuffix("_max") if name not in ROLLUP_KEYS else name
            for name in grouped.column_names
        ]
    ).select(ROLLUP_COLUMNS)
