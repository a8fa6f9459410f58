"""OTLP/HTTP: `POST /v1/traces`, `/v1/logs` and `/v1/metrics`, as the specification of OTLP 1.11 has them.

Exporters send again only after 429, 502, 503 and 504, and give a request up after some ten seconds. So everything that
may succeed another time is answered with 503, soon to be tried again.
"""

import logging
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from usageledger.errors import OverloadedError, RequestError, UsageLedgerError
from usageledger.registry import WRITE
from usageledger.server.api.kept_readings import keep_body
from usageledger.server.endpoint import Answer, Body, Call, Endpoint
from usageledger.server.http.otlp_answers import JSON, PROTOBUF, failure, success
from usageledger.server.http.requests import as_request_error, media_type
from usageledger.server.ingest.source_events import Kept
from usageledger.server.json_schema import Schema, ref
from usageledger.settings import Settings
from usageledger.sources.otlp.reading import read_otlp
from usageledger.sources.otlp.signals import Signal

BODY_BYTES_MAX = 64 * 1024**2  # decompressed, as OTLP recommends it
REASONS_TOLD_MAX = 10
RETRY_AFTER_SECONDS = 1

logger = logging.getLogger("usageledger")


async def export(call: Call, signal: Signal) -> Response:
    """Keeps the usage that a body tells of; answers when it is on disk."""
    now = int(call.services.clock())
    is_json = media_type(call.request, (PROTOBUF, JSON)) == JSON
    rules = await call.rules()
    read = partial(read_otlp, signal, is_json=is_json, now=now, rules=rules)
    kept = await keep_body(call, read, max(BODY_BYTES_MAX, call.services.settings.max_body_bytes))
    return success(call.request, signal, kept.refused, _message(kept))


def _message(kept: Kept) -> str:
    """Says why usage was refused; nothing where it was not."""
    if not kept.refused:
        return ""
    told = "; ".join(f"{example}: {why}" for example, why in kept.errors[:REASONS_TOLD_MAX])
    return f"{kept.refused} were refused: {told}"[:4000]


def otlp_error(request: Request, error: Exception) -> Response:
    """Answers a failed request in OTLP's form, and so that an exporter sends it again where that may help."""
    if not isinstance(error, UsageLedgerError):
        logger.error(
            "a request to %s failed", request.scope["path"], exc_info=error, extra={"cause": repr(error)[:500]}
        )
        error = OverloadedError("The server had an error while reading this.", retry_after=RETRY_AFTER_SECONDS)
    refusal: RequestError = as_request_error(request, error)
    if refusal.status >= 500:  # noqa: PLR2004 - statuses of servers
        refusal = OverloadedError(refusal.message, retry_after=refusal.retry_after or RETRY_AFTER_SECONDS)
    return failure(request, refusal)


_BINARY: Schema = {"type": "string", "format": "binary"}


def _content(_: Settings) -> Schema:
    return {PROTOBUF: {"schema": _BINARY}, JSON: {"schema": {"type": "object"}}}


def _notes(_: Settings) -> str:
    return (
        "The body is an OTLP export request; the answer has its type. Prompts, answers and arguments of tools are "
        "never kept. What does not tell of usage is taken and left out; `GET /v1/sources` says what was not counted, "
        "and why."
    )


_EXPORTS = tuple(
    Endpoint(
        "POST",
        f"/v1/{signal}",
        partial(export, signal=signal),
        name=f"export-{signal}",
        tag="Sources",
        summary=f"Keep the usage that {signal} of OpenTelemetry tell of.",
        scopes=(WRITE,),
        answer=Answer(ref("ExportResponse"), other_forms={PROTOBUF: _BINARY}, example={}),
        checks_parameters=False,
        body=Body(_content, required=False),
        notes=_notes,
        answer_error=otlp_error,
        error_forms={JSON: ref("Status"), PROTOBUF: _BINARY},
    )
    for signal in Signal
)
# OpenRouter's webhook may be set to PUT.
_PUTS = tuple(replace(each, method="PUT", name="put-traces") for each in _EXPORTS if each.path == "/v1/traces")
ENDPOINTS = (*_EXPORTS, *_PUTS)
OTLP_PATHS = frozenset(endpoint.path for endpoint in ENDPOINTS)
