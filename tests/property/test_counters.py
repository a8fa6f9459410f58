"""Metrics in any order, again and again, with kills in between: what was used counts once, as an obvious model says."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.effort import EFFORT
from tests.support.metric_bodies import CUMULATIVE, DELTA, metric, point
from tests.support.otlp_bodies import as_json, as_protobuf

from usageledger.events.batch import join
from usageledger.ledger import Ledger, open_ledger
from usageledger.ledger.statements.sql import Sql
from usageledger.registry import Registry, open_registry
from usageledger.server.ingest.counter_points import CounterPoints
from usageledger.sources.batches import to_batch
from usageledger.sources.otlp.reading import read_otlp
from usageledger.sources.otlp.signals import Signal
from usageledger.sources.readings import Reading

NOW = 1_794_970_000
FATES = ("kept", "killed before", "killed after", "killed at the end")
# Of each process the start, and what it uses in each step: tokens in, of which cached, and out. All have equal
# attributes, and starts of their own: two at once, and one that began anew.
PROCESSES: dict[str, tuple[int, Sequence[tuple[int, int, int]]]] = {
    "one": (NOW - 500, ((100, 40, 10), (0, 0, 0), (7, 7, 3), (50, 0, 0))),
    "one anew": (NOW - 200, ((30, 10, 5), (1, 0, 1), (0, 0, 2), (9, 9, 0))),
    "other": (NOW - 499, ((1_000, 400, 77), (20, 1, 0), (3, 0, 4), (0, 0, 0))),
}


@dataclass(frozen=True)
class Export:
    """A step of a process as one request tells it."""

    process: str
    step: int
    temporality: int
    is_json: bool
    splits: bool


EXPORTS = st.builds(
    Export,
    st.sampled_from(list(PROCESSES)),
    st.integers(0, 3),
    st.sampled_from([DELTA, CUMULATIVE]),
    st.booleans(),
    st.booleans(),
)


class KilledError(Exception):
    """The end of the server."""


def readings_of(export: Export) -> list[Reading]:
    """Reads the request; in two where input and output travel apart."""
    began, steps = PROCESSES[export.process]
    at = NOW - 100 + 10 * export.step
    done = steps[: export.step + 1]
    start = began
    if export.temporality == DELTA:
        done, start = done[-1:], at - 10
    in_, cached, out = (sum(step[n] for step in done) for n in range(3))
    further = {"user.id": f"temporality {export.temporality}"}
    if export.temporality == DELTA:
        further["process"] = export.process
    points = [point(*given, start, at, len(done), further) for given in (("input", in_), ("cached_input", cached))]
    last = point("output", out, start, at, len(done), further)
    parts = [points, [last]] if export.splits else [[*points, last]]
    found: list[Reading] = []
    for part in parts:
        body = metric(*part, temporality=export.temporality)
        written = as_json(body) if export.is_json else as_protobuf(Signal.METRICS, body)
        found += read_otlp(Signal.METRICS, written, is_json=export.is_json, now=NOW).values()
    return found


async def send(export: Export, fate: str, ledger: Ledger, registry: Registry) -> None:
    """Keeps an export as the server does; or is killed at a moment."""

    async def submit(events: list[dict[str, Any]]) -> None:
        if fate == "killed before":
            raise KilledError
        joined = join([to_batch(events)], NOW + 1000, NOW)
        assert not joined.refused
        if joined.rows.num_rows:
            ledger.append(joined.rows)
        if fate == "killed after":
            raise KilledError

    for reading in readings_of(export):
        if reading.events:
            await submit(reading.events)
        await CounterPoints(registry.counters, lambda: NOW, 60).keep(reading, submit)
        assert not reading.refused
        if fate == "killed at the end":
            raise KilledError


def used(ledger: Ledger) -> tuple[int, int, int]:
    with ledger.snapshot() as snapshot:
        sums = (
            "SUM(input_text_tokens + input_cached_text_tokens), SUM(input_cached_text_tokens), SUM(output_text_tokens)"
        )
        found = snapshot.read(Sql(f"SELECT {sums} FROM events"))
    in_, cached, out = (int(column[0] or 0) for column in found.values())
    return in_, cached, out


def right(exports: Sequence[Export]) -> tuple[int, int, int]:
    """What was used, as far as these exports tell: of totals the latest, of deltas each."""
    total = [0, 0, 0]
    for process, (_, steps) in PROCESSES.items():
        told = {(each.temporality, each.step) for each in exports if each.process == process}
        latest = max((step for temporality, step in told if temporality == CUMULATIVE), default=-1)
        for number, step in enumerate(steps):
            times = (number <= latest) + ((DELTA, number) in told)
            total = [had + times * new for had, new in zip(total, step, strict=True)]
    return total[0], total[1], total[2]


@settings(max_examples=12 * EFFORT, deadline=None)
@given(st.lists(st.tuples(EXPORTS, st.sampled_from(FATES)), max_size=12))
def test_any_interleaving_counts_what_was_used(sent: list[tuple[Export, str]]) -> None:
    with (
        TemporaryDirectory() as folder,
        closing(open_ledger(f"duckdb:///{Path(folder) / 'ledger.duckdb'}")) as ledger,
        open_registry(f"sqlite:///{Path(folder) / 'registry.sqlite'}") as registry,
    ):
        acknowledged: list[Export] = []
        for number, (export, fate) in enumerate(sent):
            try:
                anyio.run(partial(send, export, fate, ledger, registry))
                acknowledged.append(export)
            except KilledError:
                pass
            arrived = [each for each, _ in sent[: number + 1]]
            assert all(
                least <= found <= most
                for least, found, most in zip(right(acknowledged), used(ledger), right(arrived), strict=True)
            ), "what is acknowledged is counted, and nothing twice"
        for export, _ in sent:  # as exporters do that had no answer
            anyio.run(partial(send, export, "kept", ledger, registry))
        assert used(ledger) == right([export for export, _ in sent])
