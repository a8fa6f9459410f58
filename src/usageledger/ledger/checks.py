"""SQL that looks for what must not be: the engine's half of `usageledger verify`. No rows means that all is well."""

from usageledger.buckets import LATEST_TIME
from usageledger.events import LARGEST_COUNT, LONGEST_ID
from usageledger.ledger.schema import DELTAS, ROLLUP_DIMENSIONS, Rollup
from usageledger.meters import GAUGES, MEASURE_COLUMNS, METERS


def malformed(limit: int) -> str:
    """Events with an unknown kind, a time or count out of range, an id too long, or counts of another kind."""
    kinds = ", ".join(f"'{meter.kind}'" for meter in METERS)
    wrong = [
        f"kind NOT IN ({kinds})",
        f"ts NOT BETWEEN 0 AND {LATEST_TIME}",
        f"length(event_id) NOT BETWEEN 1 AND {LONGEST_ID}",
        *(f"{column} NOT BETWEEN 0 AND {LARGEST_COUNT}" for column in MEASURE_COLUMNS),
        *(
            f"(kind = '{meter.kind}' AND ({' OR '.join(f'{c} <> 0' for c in foreign)}))"
            for meter in METERS
            if (foreign := [column for column in MEASURE_COLUMNS if column not in meter.columns])
        ),
    ]
    return f"SELECT event_id, ts, kind FROM events WHERE {' OR '.join(wrong)} LIMIT {limit}"


def doubled(limit: int) -> str:
    """Identities that are stored more than once."""
    return (
        "SELECT event_id, ts, COUNT(*) AS times FROM events GROUP BY event_id, ts HAVING COUNT(*) > 1 "
        f"ORDER BY ts, event_id LIMIT {limit}"
    )


def rollup_differences(rollup: Rollup, limit: int) -> str:
    """Groups whose sums differ between a rollup (with the deltas still to come) and the events, either way round."""
    keys = ", ".join(("kind", *ROLLUP_DIMENSIONS))
    span = f"ts - ts % {rollup.seconds} AS span"
    columns = ", ".join((span, keys, *MEASURE_COLUMNS))
    both = f"SELECT {columns} FROM {rollup.table} UNION ALL SELECT {columns} FROM {DELTAS.table}"
    # Not cast to 64 bits: what is too large to be answered can still be compared.
    sums = ", ".join(f"{'MAX' if c in GAUGES else 'SUM'}({c}) AS sum_{c}" for c in MEASURE_COLUMNS)
    raw = f"SELECT {span}, {keys}, {sums} FROM events GROUP BY ALL"
    kept = f"SELECT span, {keys}, {sums} FROM ({both}) AS rolled GROUP BY ALL"
    return (
        f"SELECT '{rollup.table}' AS rollup, span, {keys} FROM "
        f"((({raw}) EXCEPT ({kept})) UNION (({kept}) EXCEPT ({raw}))) AS different ORDER BY ALL LIMIT {limit}"
    )
