"""What the clients of the crash run send: the n-th event of a client is a function of both numbers and nothing else.

So a client's own record of what was acknowledged is one number, and what must be in the ledger can be made anew.
"""

from collections import Counter
from typing import Any, Literal, TypeAlias

import msgspec
import pyarrow as pa
from tests.support.samples import DAY, NOW, counted, decode, usage, wire

from usageledger.events.batch import join
from usageledger.events.columns import PAYLOAD_COLUMNS
from usageledger.meters import METERS

KINDS = tuple(meter.kind for meter in METERS)
SUMMED_KINDS = tuple(meter.kind for meter in METERS if meter.measures[-1].adds == "sum")
DAYS = 2  # of which events arrive all the time
OLD_DAYS = 12  # before them, of which events arrive at first and are dropped later
PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43)
MODELS = ("gpt-4o-2024-08-06", "text-embedding-3-small", "a-model-without-a-price", None)


def tally_of(kind: str) -> str:
    """The measure that tells how much arrived."""
    return counted(kind)[-1]


Times: TypeAlias = Literal["in order", "spread", "old"]


def seconds_of(client: int, number: int, times: Times) -> int:
    """When an event is, in seconds after `since`.

    Those in order are after the `DAYS` days, each number later than the one before, as from a gateway; others are
    spread over these days, or over the `OLD_DAYS` before.
    """
    if times == "in order":
        return DAYS * DAY + number // 20
    mixed = number * 7919 + client * 104_729
    return mixed % (DAYS * DAY) if times == "spread" else -1 - mixed % (OLD_DAYS * DAY)


def event(client: int, number: int, since: int, times: Times) -> dict[str, Any]:
    """The event on the wire; `since` is in Unix seconds."""
    kind = KINDS[number % len(KINDS)]
    counts = {name: number * prime % 50 for name, prime in zip(counted(kind), PRIMES, strict=False)}
    counts[tally_of(kind)] = 1 + number % 3
    made = usage(kind, f"{client}-{number}", since + seconds_of(client, number, times), **counts)
    dimensions = {
        "project_id": f"proj_{number % 7}",
        "user_id": f"user_{number % 211}",
        "api_key_id": f"key_{number % 97}",
        "model": MODELS[number // 3 % len(MODELS)],
        "vector_store_id": f"vs_{number % 13}",
    }
    made.dimensions.update({name: value for name, value in dimensions.items() if name in made.dimensions})
    return wire(made)


def tallies(events: list[dict[str, Any]]) -> Counter[str]:
    """Kind → what the API must answer for these events."""
    found: Counter[str] = Counter()
    for each in events:
        found[each["kind"]] += each[tally_of(each["kind"])]
    return found


def stored(events: list[dict[str, Any]]) -> pa.Table:
    """The columns that these events have in the ledger."""
    decoded = decode(msgspec.json.encode(events), lines=False, max_events=len(events))
    assert not decoded.refused.events
    rows = join([decoded], 2**40, NOW).rows
    assert rows.num_rows == len(events)
    return rows.select(PAYLOAD_COLUMNS)
