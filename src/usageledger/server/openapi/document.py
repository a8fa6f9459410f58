"""The server's own description: OpenAPI 3.1, made from the table of endpoints and from METERS.

Operation ids, parameters and answers are those of OpenAI's API document where it has them.
"""

from collections.abc import Iterable
from typing import Any

import usageledger
from usageledger.errors import ConflictError, NotFoundError, SpendLimitError
from usageledger.server.endpoint import Endpoint
from usageledger.server.openapi.audit_schemas import audit_components
from usageledger.server.openapi.operations import BODY_ERRORS, ERRORS, answer_headers, error_answer, paths
from usageledger.server.openapi.price_schemas import price_components
from usageledger.server.openapi.reservation_schemas import reservation_components
from usageledger.server.openapi.schemas import components
from usageledger.server.openapi.source_schemas import source_components
from usageledger.server.openapi.spend_schemas import spend_components
from usageledger.server.openapi.webhook_schemas import webhook_components
from usageledger.settings import Settings

TAGS = {
    "Usage": "How much was used, by buckets of time. The same as OpenAI's Organization Usage API.",
    "Prices": "What usage costs and why.",
    "Events": "Usage on its way in.",
    "Sources": "Usage as gateways, agents and instrumentations send it, and what of it is not counted.",
    "Projects": "Projects, made here or first seen in an event.",
    "Users": "Users, first seen in events.",
    "Admin API keys": "The keys of this API.",
    "Spend": "Limits of spend and alerts on it, what a month has cost, and money that is held for requests under way.",
    "Audit": "Who changed keys and prices.",
    "Server": "The server itself.",
}

FURTHER_ERRORS = (NotFoundError, ConflictError, SpendLimitError)  # which single endpoints answer with


def document(settings: Settings, endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Makes the OpenAPI document of a server with these settings and endpoints."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "UsageLedger",
            "version": usageledger.__version__,
            "summary": "A self-hosted usage ledger for LLM traffic.",
            "description": "Takes usage events in and answers OpenAI's Organization Usage API.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths(settings, endpoints),
        "components": {
            "schemas": components()
            | price_components()
            | audit_components()
            | source_components()
            | spend_components()
            | reservation_components()
            | webhook_components(),
            "headers": answer_headers(),
            "responses": {error.__name__: error_answer(error) for error in (*ERRORS, *BODY_ERRORS, *FURTHER_ERRORS)},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key: `Authorization: Bearer sk-…`."}
            },
        },
    }
