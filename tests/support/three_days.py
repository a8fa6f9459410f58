"""Three days of usage of every kind, and the model of the answers."""

from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

from tests.support.model import Model, Usage
from tests.support.samples import FORMS, counted, wire

from usageledger.meter import Dimension, Meter
from usageledger.meters import DIMENSIONS, METERS

DAY = 86_400
START = 1_736_553_600  # 2025-01-11T00:00:00Z
END = START + 3 * DAY
EVENTS_OF_EACH_KIND = 80


def values(dimension: Dimension) -> list[Any]:
    """What the events carry in a dimension, None for those that do not."""
    if dimension.flag:
        return [None, True, False]
    if dimension.values:
        return [None, *dimension.values]
    return [None, f"{dimension.name}-1", f"{dimension.name}-2", "a,b", "ü €/+&="]


def usages(meter: Meter) -> Iterator[Usage]:
    """Events at the edges of buckets and anywhere between, by every dimension."""
    random = Random(meter.kind)
    edges = [START, START + 59, START + 60, START + 3599, START + 3600, START + DAY - 1, START + DAY, END - 1]
    for number in range(EVENTS_OF_EACH_KIND):
        yield Usage(
            kind=meter.kind,
            id=f"{meter.kind}-{number}",
            timestamp=edges[number] if number < len(edges) else random.randrange(START, END),
            dimensions={d.name: random.choice(values(DIMENSIONS[d.name])) for d in meter.dimensions},
            counts={name: random.choice([0, 1, random.randrange(10**6), 2**45]) for name in counted(meter.kind)},
        )


@cache
def model() -> Model:
    """All of the usage, in memory."""
    made = Model()
    for meter in METERS:
        for usage in usages(meter):
            made.add(usage)
    return made


@cache
def wire_events() -> tuple[dict[str, Any], ...]:
    """The same as events, in every form that token numbers may have."""
    return tuple(wire(usage, FORMS[number % len(FORMS)]) for number, usage in enumerate(model().kept.values()))
