"""The endpoint of what sources sent, what of it is counted, and why the rest is not."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import anyio.to_thread
from starlette.responses import Response

from usageledger.registry import READ
from usageledger.registry.source_counts import SourceCount
from usageledger.server.endpoint import Answer, Call, Endpoint
from usageledger.server.http.requests import json_response
from usageledger.server.ingest.source_events import COUNTED, SENT_AGAIN
from usageledger.server.json_schema import ref
from usageledger.sources.explanations import NOTES, REASONS
from usageledger.sources.readings import Note, Reason


async def sources(call: Call) -> Response:
    """Lists the emitters, the one that sent last first."""

    def read() -> list[SourceCount]:
        call.services.source_counts.write()
        return list(call.services.registry.source_counts.list())

    counts = await anyio.to_thread.run_sync(read)
    by_emitter = [_source(list(some)) for _, some in groupby(counts, lambda each: (each.emitter, each.version))]
    by_emitter.sort(key=lambda source: -source["last_seen_at"])
    return json_response({"object": "list", "data": by_emitter})


def _source(counts: list[SourceCount]) -> dict[str, Any]:
    numbers = {each.item: each.count for each in counts}
    return {
        "object": "source",
        "emitter": counts[0].emitter,
        "version": counts[0].version or None,
        "first_seen_at": min(each.first_at for each in counts),
        "last_seen_at": max(each.last_at for each in counts),
        "counted": numbers.get(COUNTED, 0),
        "sent_again": numbers.get(SENT_AGAIN, 0),
        "not_counted": _explained(counts, {reason.value: REASONS[reason] for reason in Reason}),
        "notes": _explained(counts, {note.value: NOTES[note] for note in Note}),
    }


def _explained(counts: Iterable[SourceCount], texts: dict[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """Those of the counts that `texts` has something on, with it."""
    return [
        {
            "reason": each.item,
            "count": each.count,
            "example": each.example,
            "last_at": each.last_at,
            "meaning": texts[each.item][0],
            "remedy": texts[each.item][1],
        }
        for each in counts
        if each.item in texts
    ]


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/sources",
        sources,
        name="list-sources",
        tag="Sources",
        summary="List what emitters sent: how much is counted, and how much is not, with the reasons.",
        scopes=(READ,),
        answer=Answer(ref("SourceList")),
    ),
)
