"""Bodies of sources → readings → the ledger, as every endpoint of sources has it."""

from collections.abc import Callable

from usageledger.server.endpoint import Call
from usageledger.server.ingest.source_events import Kept, keep
from usageledger.sources.readings import Readings

READ_AT_ONCE_BYTES_MAX = 64 * 1024  # of a body read on the event loop, which takes some milliseconds


async def keep_body(call: Call, read: Callable[[bytes], Readings], largest: int | None = None) -> Kept:
    """Keeps what a body tells of; on disk when it returns.

    Args:
        call: whose body it is.
        read: reads it; off the event loop where it is long.
        largest: bytes that it may have, where that is not what the settings say.
    """
    services = call.services
    async with services.bodies.read(call.request, largest) as body:
        quick = len(body) <= READ_AT_ONCE_BYTES_MAX
        readings = read(body) if quick else await services.bodies.work(read, body)
    events_max = services.settings.max_batch_events
    return await keep(readings, services.ingest, services.source_counts, services.counter_points, events_max=events_max)
