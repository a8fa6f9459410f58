"""The endpoints about the server itself: whether it answers, whether it keeps events, and its description."""

from anyio.to_thread import run_sync
from starlette.responses import Response

from usageledger.server.endpoint import PUBLIC, Answer, Call, Endpoint
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import ref


async def healthz(_: Call) -> Response:
    """Says that the process answers."""
    return json_response({"status": "ok"})


async def readyz(call: Call) -> Response:
    """Answers with 200 when events can be written, else with 503 and the reasons."""
    services = call.services
    stores = {"ledger": services.ledger.ready(), "registry": await run_sync(services.registry.ready)}
    reasons = [f"The {store} cannot be written." for store, ready in stores.items() if not ready]
    if services.ingest.failure:
        reasons.append(f"{services.ingest.failure}.")
    state = {"status": "not ready" if reasons else "ready", "reasons": reasons}
    return json_response(state | {"queued_events": services.ingest.queued_events}, 503 if reasons else 200)


async def openapi(call: Call) -> Response:
    """Sends the OpenAPI document."""
    return Response(call.services.document(), media_type="application/json")


ENDPOINTS = (
    Endpoint(
        "GET",
        "/healthz",
        healthz,
        name="get-health",
        tag="Server",
        summary="Whether the server answers.",
        scopes=PUBLIC,
        answer=Answer(ref("Health")),
        checks_parameters=False,
    ),
    Endpoint(
        "GET",
        "/readyz",
        readyz,
        name="get-readiness",
        tag="Server",
        summary="Whether events can be kept.",
        scopes=PUBLIC,
        answer=Answer(ref("Readiness"), others={503: "Events cannot be kept at the moment."}),
        checks_parameters=False,
    ),
    Endpoint(
        "GET",
        "/openapi.json",
        openapi,
        name="get-openapi",
        tag="Server",
        summary="This document.",
        scopes=PUBLIC,
        answer=Answer(ref("OpenApi")),
        checks_parameters=False,
    ),
)
