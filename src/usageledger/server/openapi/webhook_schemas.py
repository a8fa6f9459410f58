"""The OpenAPI document's part about endpoints of webhooks."""

from typing import get_args

from usageledger.registry import WebhookFormat
from usageledger.server.api.webhook_endpoints import NEW_ENDPOINT
from usageledger.server.json_schema import (
    FLAG,
    SECONDS,
    SECONDS_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    Schema,
    answer,
    const,
    described,
)
from usageledger.server.openapi.bodies import body
from usageledger.server.openapi.schemas import list_of

DOCS = {"url": "The URL to post to.", "format": "The form of messages: that of Standard Webhooks, signed, or Slack's."}


def webhook_components() -> dict[str, Schema]:
    """Makes the named schemas of endpoints."""
    endpoint = {
        "object": const("webhook_endpoint"),
        "id": TEXT,
        "url": described(TEXT, "Without the secret part of Slack's."),
        "format": {"type": "string", "enum": list(get_args(WebhookFormat))},
        "created_at": SECONDS,
        "disabled_at": described(SECONDS_OR_NULL, "When it answered 410; it is told nothing more."),
    }
    secret = described(TEXT_OR_NULL, "Signs messages; null for Slack. Shown here only.")
    return {
        "WebhookEndpointCreate": body(NEW_ENDPOINT, DOCS),
        "WebhookEndpoint": answer(endpoint, "An endpoint that is told when alerts fire."),
        "WebhookEndpointWithSecret": answer({**endpoint, "secret": secret}),
        "WebhookEndpointList": list_of("WebhookEndpoint"),
        "WebhookEndpointDeleted": answer({"object": const("webhook_endpoint.deleted"), "id": TEXT, "deleted": FLAG}),
    }
