"""Usage of a believable size: 50 projects, 2,000 users, 5,000 keys, 30 models, all kinds, Zipf-skewed.

Each API key belongs to one user and one project. The same for the same seed.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from usageledger.columns import SCHEMA
from usageledger.meters import DIMENSIONS, METER_BY_KIND

PROJECTS, USERS, KEYS = 50, 2_000, 5_000
# Known to the price book, so that most of the usage is priced.
MODELS = (
    *("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-5", "gpt-5-mini"),
    *("gpt-5-nano", "gpt-5.1", "gpt-5.2", "gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano", "gpt-5.5", "o1", "o1-mini", "o3"),
    *("o3-mini", "o4-mini", "gpt-4-turbo", "gpt-4", "gpt-3.5-turbo", "gpt-audio", "gpt-realtime", "gpt-image-1"),
    *("text-embedding-3-small", "text-embedding-3-large", "gpt-5-pro", "gpt-5.3-codex", "gpt-4o-search-preview"),
)
DAY = 86_400
# What share of the events is of each kind.
KINDS = {
    "completions": 0.80,
    "embeddings": 0.08,
    "moderations": 0.03,
    "images": 0.01,
    "audio_speeches": 0.01,
    "audio_transcriptions": 0.01,
    "vector_stores": 0.01,
    "code_interpreter_sessions": 0.01,
    "file_search_calls": 0.01,
    "web_search_calls": 0.02,
    "decisions": 0.01,
}


class Generator:
    """Makes tables of stored events, in order of time."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._key_user = self._random.integers(0, USERS, KEYS)
        self._key_project = self._zipf(PROJECTS, KEYS)
        self._made = 0

    def _zipf(self, size: int, count: int) -> np.ndarray[Any, Any]:
        weights = 1 / np.arange(1, size + 1)
        return self._random.choice(size, count, p=weights / weights.sum())

    def table(self, timestamps: np.ndarray[Any, Any]) -> pa.Table:
        """One event at each of `timestamps` (Unix seconds)."""
        count = len(timestamps)
        kind = self._random.choice(list(KINDS), count, p=list(KINDS.values()))
        keys = self._zipf(KEYS, count)
        dimensions = {
            "project_id": _names("proj_{:04d}", self._key_project[keys]),
            "user_id": _names("user_{:06d}", self._key_user[keys]),
            "api_key_id": _names("key_{:06d}", keys),
            "model": np.array(MODELS, object)[self._zipf(len(MODELS), count)],
            "batch": self._random.random(count) < 0.1,
            "service_tier": self._random.choice(["default", "flex", "priority"], count, p=[0.9, 0.05, 0.05]),
            "vector_store_id": _names("vs_{:04d}", self._zipf(500, count)),
            "size": np.full(count, "1024x1024"),
        }
        columns = {
            name: values if name not in DIMENSIONS else _only(values, kind, name) for name, values in dimensions.items()
        }
        ids = [f"evt_{number:012x}" for number in range(self._made, self._made + count)]
        self._made += count
        columns |= {"event_id": ids, "ts": timestamps, "kind": kind, "provider": ["openai"] * count}
        multimodal, writes_cache = self._random.random(count) < 0.05, self._random.random(count) < 0.1
        for name in SCHEMA.names:
            if name not in columns and SCHEMA.field(name).type == pa.int64():
                used = np.isin(kind, [k for k in KINDS if name in METER_BY_KIND[k].columns])
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


def wire_events(table: pa.Table) -> list[dict[str, Any]]:
    """The events of a table as a client would send them."""
    return [_wire(row) for row in table.to_pylist()]


def _wire(row: dict[str, Any]) -> dict[str, Any]:
    meter = METER_BY_KIND[row["kind"]]
    dimensions = {d.name: row[d.name] for d in meter.dimensions if row[d.name] is not None}
    measures = {m.name: sum(row[c] for c in m.columns) for m in meter.measures if m.name != "num_model_requests"}
    measures = {name: value for name, value in measures.items() if value or name in ("input_tokens", "output_tokens")}
    return {"id": row["event_id"], "kind": row["kind"], "timestamp": row["ts"], **dimensions, **measures}


def _names(pattern: str, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    names = np.array([pattern.format(number) for number in range(int(numbers.max()) + 1)], dtype=object)
    return names[numbers]


def _only(values: np.ndarray[Any, Any], kind: np.ndarray[Any, Any], dimension: str) -> pa.Array:
    """`values` where the kind has the dimension, else none."""
    has = [k for k in KINDS if dimension in {d.name for d in METER_BY_KIND[k].dimensions}]
    return pa.array(values, SCHEMA.field(dimension).type, mask=~np.isin(kind, has))
