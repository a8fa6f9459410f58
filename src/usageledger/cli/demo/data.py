"""Believable usage, made fast and the same again for the same seed: tables of `columns.SCHEMA` in the order of time.

First a plan says how many events each kind, project and hour has; then the hours are filled, some ten thousand events
at a time. Every value is one that an event of the wire could have had.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from usageledger.cli.demo.catalog import (
    CONTEXT_LEVELS,
    MEMORY,
    MODELS,
    MODELS_OF_KIND,
    MODELS_OF_OTHERS,
    PROJECTS,
    QUALITIES,
    SEARCH_TOOLS,
    SESSION_MINUTES,
    SIZES,
    SOURCES,
    Shares,
)
from usageledger.cli.demo.plan import HOUR, STORES, Floats, Ints, Organization, Plan, make_plan, spans, zipf
from usageledger.events.columns import SCHEMA
from usageledger.meter import Dimension
from usageledger.meters import METER_BY_KIND
from usageledger.parts import TOKEN_PARTS

Flags = np.ndarray[Any, np.dtype[np.bool_]]

CACHE_STEP = 128  # vendors cache the beginning of a request in steps of so many tokens
CACHE_LEAST = 1024


@dataclass(frozen=True, slots=True)
class Text:
    """A column of text: each row's place in `words`, -1 for none."""

    words: Sequence[str]
    codes: Ints


def demo_tables(days: int, events: int, seed: int, now: int) -> Iterator[pa.Table]:
    """`events` events of the `days` days before `now` (Unix seconds), in tables of `columns.SCHEMA`, ascending by time.

    All kinds are there when there is an event for each. The same arguments give the same tables.
    """
    plan = make_plan(days, events, seed, now)
    for number, (first, last) in enumerate(spans(plan.per_hour)):
        yield _fill(plan, first, last, np.random.default_rng([seed, 2, number]))


# --- filling in --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Rows:
    """The events of one kind in one span: who caused them and when; `columns` is filled in."""

    organization: Organization
    rng: np.random.Generator
    project: Ints
    ts: Ints
    columns: dict[str, Any]

    def __len__(self) -> int:
        return len(self.ts)

    def of_project(self, value: Callable[[Any], float]) -> Floats:
        """For each row, a property of its project."""
        return np.array([value(project) for project in PROJECTS], np.float64)[self.project]

    def chance(self, probability: Any) -> Flags:
        """True with the given probability, or probabilities."""
        return np.asarray(self.rng.random(len(self)) < probability)

    def pick(self, shares: Shares) -> Text:
        """Words drawn by their shares."""
        weights = np.array(list(shares.values()))
        return Text(tuple(shares), self.rng.choice(len(shares), len(self), p=weights / weights.sum()))

    def around(self, middle: Any, spread: float) -> Ints:
        """Counts of at least 1, log-normal, half of them below `middle`."""
        return np.maximum(1, np.asarray(middle) * self.rng.lognormal(0.0, spread, len(self))).astype(np.int64)


def _fill(plan: Plan, first: int, last: int, rng: np.random.Generator) -> pa.Table:
    """The events of the hours from `first` to before `last`."""
    tables = []
    for kind, counts in plan.counts.items():
        span = counts[:, first:last]
        place = np.repeat(np.arange(span.size), span.ravel())
        ts = plan.starts[first + place % (last - first)] + rng.integers(0, HOUR, len(place))
        rows = Rows(plan.organization, rng, place // (last - first), ts, {})
        if kind in FILLERS:
            FILLERS[kind](rows)
        tables.append(_table(kind, rows))
    tables.append(_sizes(plan, int(plan.starts[first]), int(plan.starts[last - 1]) + HOUR, rng))
    table = pa.concat_tables(tables)
    return table.take(np.argsort(table["ts"].to_numpy(), kind="stable"))


def _sizes(plan: Plan, start: int, end: int, rng: np.random.Generator) -> pa.Table:
    """The vector stores' reports in a span; a store grows with every upload, some hours apart."""
    moments, stores = plan.snapshots
    inside = (moments >= start) & (moments < end)
    ts, store = moments[inside], stores[inside]
    owners = [place for place, owned in enumerate(plan.organization.project_stores) for _ in owned]
    base, grown = plan.sizes
    window = int(plan.starts[-1]) + HOUR - int(plan.starts[0])
    uploads = (ts - plan.starts[0]) // (5 * HOUR) * (5 * HOUR) / window
    columns = {
        "vector_store_id": Text(plan.organization.stores, store),
        "usage_bytes": (base[store] + (grown - base)[store] * uploads).astype(np.int64),
    }
    return _table(STORES, Rows(plan.organization, rng, np.array(owners, np.int64)[store], ts, columns))


def _add_caller(rows: Rows) -> None:
    """The API key of each event, and the user that it belongs to."""
    key = np.zeros(len(rows), np.int64)
    for project, (places, shares) in enumerate(rows.organization.project_keys):
        mine = np.nonzero(rows.project == project)[0]
        key[mine] = rows.rng.choice(places, len(mine), p=shares)
    rows.columns["api_key_id"] = Text(rows.organization.keys, key)
    rows.columns["user_id"] = Text([user for user, _ in rows.organization.users], rows.organization.key_users[key])


def _add_model(rows: Rows, model: Text) -> None:
    rows.columns["model"] = model
    rows.columns["provider"] = Text([MODELS[name].provider for name in model.words], model.codes)


def _add_source(rows: Rows) -> None:
    agents = rows.of_project(lambda project: project.agents)
    rows.columns["api_source"] = Text(("unlabeled", "agents_api"), agents.astype(np.int64))


def _add_no_batch(rows: Rows) -> None:
    rows.columns["batch"] = np.zeros(len(rows), np.bool_)


def _add_region(rows: Rows) -> None:
    """Some requests are bound to a region, of vendors that charge for it."""
    bound = _has(rows.columns["model"], lambda entry: entry.regional) & rows.chance(0.2)
    rows.columns["region"] = Text(("us",), np.where(bound, 0, -1))


def _fill_completions(rows: Rows) -> None:
    _add_caller(rows)
    words = list(MODELS)
    code = np.zeros(len(rows), np.int64)
    for place, project in enumerate(PROJECTS):
        mine = np.nonzero(rows.project == place)[0]
        shares = np.array([project.models.get(name, 0.0) for name in words])
        code[mine] = rows.rng.choice(len(words), len(mine), p=shares / shares.sum())
    model = Text(words, code)
    _add_model(rows, model)
    _add_source(rows)
    batch = rows.chance(rows.of_project(lambda project: project.batch))
    rows.columns["batch"] = batch
    rows.columns["service_tier"] = _tiers(rows, model, batch)
    # A batch job reports a part of its requests at a time.
    requests = np.where(batch, rows.rng.integers(4, 20, len(rows)), 1)
    rows.columns["num_model_requests"] = requests
    _add_text(rows, model, requests)
    _add_audio(rows, model)
    _add_images(rows, model, requests)


def _tiers(rows: Rows, model: Text, batch: Flags) -> Text:
    tiers = sorted({tier for entry in MODELS.values() for tier in entry.tiers})
    code = np.full(len(rows), -1)
    for place, name in enumerate(model.words):
        shares = MODELS[name].tiers
        mine = np.nonzero((model.codes == place) & ~batch)[0]
        if shares and len(mine):
            places = [tiers.index(tier) for tier in shares]
            code[mine] = rows.rng.choice(places, len(mine), p=list(shares.values()))
    return Text(tiers, code)


def _add_text(rows: Rows, model: Text, requests: Ints) -> None:
    """Text tokens: the beginning of a long request comes from the cache, or is written to it."""
    each = rows.around(rows.of_project(lambda project: project.input_tokens), 0.8)
    long = each >= CACHE_LEAST
    hit = long & rows.chance(rows.of_project(lambda project: project.cached))
    steps = (each * rows.rng.uniform(0.5, 0.96, len(rows))).astype(np.int64) // CACHE_STEP * CACHE_STEP
    written = long & ~hit & rows.chance(0.55)
    short = np.where(written & _has(model, lambda entry: entry.cache_write == "5m"), steps, 0)
    long_lived = np.where(written & _has(model, lambda entry: entry.cache_write == "30m"), steps, 0)
    cached = np.where(hit, steps, 0)
    rows.columns["input_cache_write_5m_tokens"] = short * requests
    rows.columns["input_cache_write_30m_tokens"] = long_lived * requests
    rows.columns["input_cached_text_tokens"] = cached * requests
    rows.columns["input_text_tokens"] = (each - cached - short - long_lived) * requests
    rows.columns["output_text_tokens"] = (
        rows.around(rows.of_project(lambda project: project.output_tokens), 0.7) * requests
    )


def _add_audio(rows: Rows, model: Text) -> None:
    talks = _has(model, lambda entry: entry.talks)
    heard, spoken = rows.around(620, 0.7), rows.around(480, 0.7)
    cached = np.where(rows.chance(0.4), heard // 2, 0)
    rows.columns["input_cached_audio_tokens"] = np.where(talks, cached, 0)
    rows.columns["input_audio_tokens"] = np.where(talks, heard - cached, 0)
    rows.columns["output_audio_tokens"] = np.where(talks, spoken, 0)


def _add_images(rows: Rows, model: Text, requests: Ints) -> None:
    images = rows.rng.choice([258, 765, 1105, 1445], len(rows)) * rows.rng.integers(1, 4, len(rows)) * requests
    seen = rows.chance(rows.of_project(lambda project: project.images)) & _has(model, lambda entry: entry.sees)
    cached = seen & rows.chance(0.15)
    rows.columns["input_cached_image_tokens"] = np.where(cached, images, 0)
    rows.columns["input_image_tokens"] = np.where(seen & ~cached, images, 0)
    drawn = _has(model, lambda entry: entry.draws)
    rows.columns["output_image_tokens"] = np.where(drawn, 1120 * rows.rng.integers(1, 3, len(rows)), 0)


def _fill_decisions(rows: Rows) -> None:
    _add_caller(rows)
    _add_model(rows, rows.pick(MODELS_OF_KIND["decisions"]))
    _add_source(rows)
    rows.columns["service_tier"] = rows.pick({"default": 0.7, "priority": 0.3})
    rows.columns["input_text_tokens"] = rows.around(1400, 0.5)
    rows.columns["output_text_tokens"] = rows.around(36, 0.4)
    rows.columns["num_model_requests"] = np.ones(len(rows), np.int64)


def _fill_model_kind(kind: str, measure: str, middle: int, spread: float) -> Callable[[Rows], None]:
    """Returns a function that fills a kind with a caller, a model, one measure and one request."""

    def fill(rows: Rows) -> None:
        _add_caller(rows)
        _add_model(rows, rows.pick(MODELS_OF_KIND[kind]))
        rows.columns[measure] = rows.around(middle, spread)
        rows.columns["num_model_requests"] = np.ones(len(rows), np.int64)

    return fill


def _fill_images(rows: Rows) -> None:
    _fill_model_kind("images", "images", 1, 0.5)(rows)
    rows.columns |= {"size": rows.pick(SIZES), "quality": rows.pick(QUALITIES), "source": rows.pick(SOURCES)}


def _fill_code_interpreter(rows: Rows) -> None:
    rows.columns["num_sessions"] = rows.around(1, 0.5)
    rows.columns |= {"memory_gb": rows.pick(MEMORY), "session_minutes": rows.pick(SESSION_MINUTES)}


def _fill_file_searches(rows: Rows) -> None:
    _add_caller(rows)
    _add_store(rows)
    rows.columns["num_requests"] = rows.around(1, 0.5)


def _add_store(rows: Rows) -> None:
    store = np.full(len(rows), -1)
    for project, places in enumerate(rows.organization.project_stores):
        mine = np.nonzero(rows.project == project)[0]
        if len(places) and len(mine):
            store[mine] = rows.rng.choice(places, len(mine), p=zipf(len(places), 0.8))
    rows.columns["vector_store_id"] = Text(rows.organization.stores, store)


def _fill_web_searches(rows: Rows) -> None:
    _fill_model_kind("web_search_calls", "num_requests", 2, 0.6)(rows)
    _add_source(rows)
    rows.columns |= {"context_level": rows.pick(CONTEXT_LEVELS), "tool": rows.pick(SEARCH_TOOLS)}


FILLERS: Mapping[str, Callable[[Rows], None]] = {
    "completions": _fill_completions,
    "embeddings": _fill_model_kind("embeddings", "input_text_tokens", 640, 1.1),
    "moderations": _fill_model_kind("moderations", "input_text_tokens", 170, 0.8),
    "images": _fill_images,
    "audio_speeches": _fill_model_kind("audio_speeches", "characters", 420, 0.8),
    "audio_transcriptions": _fill_model_kind("audio_transcriptions", "seconds", 95, 0.9),
    "code_interpreter_sessions": _fill_code_interpreter,
    "file_search_calls": _fill_file_searches,
    "web_search_calls": _fill_web_searches,
    "decisions": _fill_decisions,
}


def _fill_rest(kind: str, rows: Rows) -> None:
    """Fills, by its row of METERS, what a kind has and nothing above fills; token parts beside those stay 0."""
    meter = METER_BY_KIND[kind]
    for dimension in meter.dimensions:
        if dimension.name not in ("project_id", *rows.columns):
            _add_dimension(kind, dimension, rows)
    for measure in meter.measures:
        if not any(column in rows.columns for column in measure.columns):
            for column in measure.columns:
                if column not in TOKEN_PARTS or measure.required:
                    rows.columns[column] = rows.around(measure.default or 12, 0.7)


def _add_dimension(kind: str, dimension: Dimension, rows: Rows) -> None:
    adders: dict[str, Callable[[Rows], None]] = {
        "user_id": _add_caller,
        "api_key_id": _add_caller,
        "model": lambda rows: _add_model(rows, rows.pick(MODELS_OF_KIND.get(kind, MODELS_OF_OTHERS))),
        "api_source": _add_source,
        "batch": _add_no_batch,
        "region": _add_region,
        "vector_store_id": _add_store,
    }
    if dimension.name in adders:
        adders[dimension.name](rows)
    elif dimension.flag:
        rows.columns[dimension.name] = rows.chance(0.2)
    else:
        words = dimension.values or [f"{dimension.name}_{number}" for number in range(1, 6)]
        rows.columns[dimension.name] = rows.pick(dict.fromkeys(words, 1.0))


# --- columns -----------------------------------------------------------------------------------------------------


def _has(model: Text, has: Callable[[Any], bool]) -> Flags:
    """For each row, a property of its model."""
    return np.array([has(MODELS[name]) for name in model.words], np.bool_)[model.codes]


def _table(kind: str, rows: Rows) -> pa.Table:
    _fill_rest(kind, rows)
    meter = METER_BY_KIND[kind]
    has = {"provider", *meter.columns, *(dimension.name for dimension in meter.dimensions)}
    given: dict[str, Any] = {
        "event_id": _ids(rows.rng, len(rows)),
        "ts": rows.ts,
        "kind": Text((kind,), np.zeros(len(rows), np.int64)),
        "provider": Text(("openai",), np.zeros(len(rows), np.int64)),
        "project_id": Text([project for project, _ in rows.organization.projects], rows.project),
        **{name: values for name, values in rows.columns.items() if name in has},
    }
    return pa.Table.from_arrays(
        [_array(given.get(field.name), field.type, len(rows)) for field in SCHEMA], schema=SCHEMA
    )


def _array(values: Any, kind: Any, rows: int) -> Any:
    if isinstance(values, Text):
        words = pa.array(values.words, pa.string())
        return words.take(pa.array(values.codes, pa.int64(), mask=values.codes < 0))
    if values is None:
        return pa.array(np.zeros(rows, np.int64)) if pa.types.is_integer(kind) else pa.nulls(rows, kind)
    return pa.array(values, kind)


def _ids(rng: np.random.Generator, count: int) -> list[str]:
    """Event ids: 96 random bits each, in hexadecimal."""
    digits = rng.bytes(12 * count).hex()
    return [f"evt_{digits[at : at + 24]}" for at in range(0, 24 * count, 24)]
