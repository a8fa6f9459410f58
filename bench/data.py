"""Usage of a believable size: 50 projects, 2,000 users, 5,000 keys, 30 models, all kinds, Zipf-skewed.

Each API key belongs to one user and one project. The same for the same seed.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from usageledger.events.columns import SCHEMA
from usageledger.meters import DIMENSIONS, MEASURE_COLUMNS, METER_BY_KIND, METERS

Array = np.ndarray[Any, Any]

PROJECTS, USERS, KEYS = 50, 2_000, 5_000
# Known to the price book, so that most of the usage is priced.
MODELS = (
    *("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-5", "gpt-5-mini"),
    *("gpt-5-nano", "gpt-5.1", "gpt-5.2", "gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano", "gpt-5.5", "o1", "o1-mini", "o3"),
    *("o3-mini", "o4-mini", "gpt-4-turbo", "gpt-4", "gpt-3.5-turbo", "gpt-audio", "gpt-realtime", "gpt-image-1"),
    *("text-embedding-3-small", "text-embedding-3-large", "gpt-5-pro", "gpt-5.3-codex", "gpt-4o-search-preview"),
)
DAY = 86_400
# What share of the events is of each kind; of those not named a hundredth, and completions are the rest.
_SHARES = {"embeddings": 0.08, "moderations": 0.03, "web_search_calls": 0.02}
_OTHERS = {meter.kind: _SHARES.get(meter.kind, 0.01) for meter in METERS if meter.kind != "completions"}
KINDS = {"completions": round(1 - sum(_OTHERS.values()), 2), **_OTHERS}
# Dimensions that events leave out, as most senders do.
LEFT_OUT = {"api_source", "context_level", "memory_gb", "quality", "region", "session_minutes", "source", "tool"}

# The values that a number stands for, by dimension; and by column, whether each kind has it.
NAMES = {
    "kind": pa.array(KINDS),
    "project_id": pa.array([f"proj_{number:04d}" for number in range(PROJECTS)]),
    "user_id": pa.array([f"user_{number:06d}" for number in range(USERS)]),
    "api_key_id": pa.array([f"key_{number:06d}" for number in range(KEYS)]),
    "model": pa.array(MODELS),
    "service_tier": pa.array(["default", "flex", "priority"]),
    "vector_store_id": pa.array([f"vs_{number:04d}" for number in range(500)]),
    "size": pa.array(["1024x1024"]),
}
# Dimensions that nothing above says anything of have ten values, or those that they may have.
OTHERS = {
    name: pa.array(dimension.values or [f"{name}_{number}" for number in range(10)])
    for name, dimension in DIMENSIONS.items()
    if name not in NAMES and name not in LEFT_OUT and not dimension.flag
}
FLAGS = [name for name, dimension in DIMENSIONS.items() if dimension.flag]
HAS = {
    name: np.array([name in (*METER_BY_KIND[k].columns, *(d.name for d in METER_BY_KIND[k].dimensions)) for k in KINDS])
    for name in (*MEASURE_COLUMNS, *DIMENSIONS)
}


class Generator:
    """Makes tables of stored events, in order of time."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._key_user = self._random.integers(0, USERS, KEYS)
        self._key_project = self._zipf(PROJECTS, KEYS)
        self._made = 0

    def _zipf(self, size: int, count: int) -> Array:
        weights = 1 / np.arange(1, size + 1)
        return self._random.choice(size, count, p=weights / weights.sum())

    def table(self, timestamps: Array) -> pa.Table:
        """One event at each of `timestamps` (Unix seconds)."""
        count = len(timestamps)
        kind = self._random.choice(len(KINDS), count, p=list(KINDS.values()))
        keys = self._zipf(KEYS, count)
        numbers = {
            "project_id": self._key_project[keys],
            "user_id": self._key_user[keys],
            "api_key_id": keys,
            "model": self._zipf(len(MODELS), count),
            "service_tier": self._random.choice(3, count, p=[0.9, 0.05, 0.05]),
            "vector_store_id": self._zipf(500, count),
            "size": np.zeros(count, np.int64),
        }
        columns: dict[str, Any] = {
            name: NAMES[name].take(pa.array(values, mask=~HAS[name][kind])) for name, values in numbers.items()
        }
        columns |= {
            name: values.take(pa.array(self._zipf(len(values), count), pa.int64(), mask=~HAS[name][kind]))
            for name, values in OTHERS.items()
        }
        ids = [f"evt_{number:012x}" for number in range(self._made, self._made + count)]
        self._made += count
        columns |= {"event_id": ids, "ts": timestamps, "kind": NAMES["kind"].take(pa.array(kind, pa.int64()))}
        columns |= {
            "provider": ["openai"] * count,
            "rate_id": np.zeros(count, np.int64),
            **{name: pa.array(self._random.random(count) < 0.1, mask=~HAS[name][kind]) for name in FLAGS},
        }
        multimodal, writes_cache = self._random.random(count) < 0.05, self._random.random(count) < 0.1
        for name in MEASURE_COLUMNS:
            used = HAS[name][kind]
            largest = 1 if name.startswith("num_") else 2_000
            if "audio_" in name or "image_" in name:
                used &= multimodal
            elif "cache_write" in name:
                used &= writes_cache
            columns[name] = self._random.integers(1, largest + 1, count) * used
        return pa.Table.from_arrays(
            [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(count, f.type) for f in SCHEMA],
            schema=SCHEMA,
        )

    def tables(self, events: int, start: int, end: int, rows: int) -> Iterator[pa.Table]:
        """`events` events spread evenly from `start` to `end` (Unix seconds), `rows` to a table."""
        for first in range(0, events, rows):
            numbers = np.arange(first, min(first + rows, events))
            yield self.table(start + numbers * (end - start) // events)


def wire_table(table: pa.Table) -> pa.Table:
    """The events of a table as a client would send them in columns: as `wire_events`, row by row."""
    kinds = table["kind"].to_numpy()
    names = dict.fromkeys(measure.name for meter in METERS for measure in meter.measures)
    counts = {name: np.zeros(len(kinds), np.int64) for name in names if name != "num_model_requests"}
    stored = {name: table[name].to_numpy() for name in MEASURE_COLUMNS}
    for meter in METERS:
        at = np.nonzero(kinds == meter.kind)[0]
        for measure in meter.measures:
            if measure.name in counts:
                counts[measure.name][at] = sum(stored[column][at] for column in measure.columns)
    columns: dict[str, Any] = {"id": table["event_id"], "kind": table["kind"], "timestamp": table["ts"]}
    columns |= {name: table[name] for name in DIMENSIONS}
    for name, values in counts.items():
        needed = np.isin(kinds, [m.kind for m in METERS if any(x.name == name and x.required for x in m.measures)])
        columns[name] = pa.array(values, mask=(values == 0) & ~needed)
    return pa.table(columns)


def wire_events(table: pa.Table) -> list[dict[str, Any]]:
    """The events of a table as a client would send them."""
    return [_wire(row) for row in table.to_pylist()]


def _wire(row: dict[str, Any]) -> dict[str, Any]:
    meter = METER_BY_KIND[row["kind"]]
    dimensions = {d.name: row[d.name] for d in meter.dimensions if row[d.name] is not None}
    measures = {m.name: sum(row[c] for c in m.columns) for m in meter.measures if m.name != "num_model_requests"}
    measures = {name: value for name, value in measures.items() if value or name in ("input_tokens", "output_tokens")}
    return {"id": row["event_id"], "kind": row["kind"], "timestamp": row["ts"], **dimensions, **measures}
