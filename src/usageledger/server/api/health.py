"""`GET /healthz` and `GET /readyz`."""

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from usageledger.registry import Registry
from usageledger.server.http.requests import json_response
from usageledger.server.services import Handler, Services


async def healthz(_: Request) -> Response:
    """`GET /healthz`: the process answers."""
    return json_response({"status": "ok"})


def readyz(services: Services, registry: Registry) -> Handler:
    """`GET /readyz`: 200 when events can be written, else 503 with the reasons."""

    async def handle(_: Request) -> Response:
        stores = {"ledger": services.ledger.ready(), "registry": await anyio.to_thread.run_sync(registry.ready)}
        reasons = [f"The {store} cannot be written." for store, ready in stores.items() if not ready]
        if services.ingest.failure:
            reasons.append(f"{services.ingest.failure}.")
        state = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return json_response(state | {"queued_events": services.ingest.queued_events}, 503 if reasons else 200)

    return handle
