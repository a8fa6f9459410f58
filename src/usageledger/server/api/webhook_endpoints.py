"""The endpoints of webhooks' endpoints: where messages of alerts are posted to. An extension."""

import ipaddress
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from msgspec import Meta
from starlette.responses import Response

from usageledger.fields import Field
from usageledger.registry import MANAGE, WebhookEndpoint, WebhookFormat
from usageledger.registry.paging import Page
from usageledger.server.api.listing import ORDER, PAGE_PARAMETERS, found, list_response, take_id, take_order, take_page
from usageledger.server.endpoint import Answer, Call, Endpoint, object_body
from usageledger.server.http.parameters import refused
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import ref
from usageledger.spending.webhooks import is_forbidden

URL_CHARACTERS_MAX = 2_000
_PORT = "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}))?"
URL = rf"^(https://[a-z0-9]([a-z0-9.-]{{0,250}}[a-z0-9])?|http://(127\.0\.0\.1|localhost)){_PORT}([/?][!\x22$-~]*)?(?![\s\S])"
NEW_ENDPOINT = (
    Field(
        "url",
        Annotated[str, Meta(max_length=URL_CHARACTERS_MAX, pattern=URL)],
        (str,),
        "a string",
        "an https:// URL, or an http:// one of this machine, without a user and a fragment",
    ),
    Field("format", WebhookFormat, (str,), "a string", "'standard' or 'slack'", "standard"),
)


async def list_endpoints(call: Call) -> Response:
    """Lists endpoints, without their secrets."""
    given = call.given()
    page = Page(**take_page(given), order=take_order(given))
    return await list_response(partial(call.services.registry.webhook_endpoints.list, page), _endpoint)


async def create_endpoint(call: Call) -> Response:
    """Makes an endpoint; no later answer shows its secret."""
    body, now = await call.read(), int(call.services.clock())
    _check_host(body["url"])
    create = partial(call.services.registry.webhook_endpoints.create, actor=call.actor, now=now)
    return _with_secret(await run_sync(create, body["url"], body["format"]))


async def get_endpoint(call: Call) -> Response:
    """Finds an endpoint."""
    find = call.services.registry.webhook_endpoints.get
    return json_response(_endpoint(found(await run_sync(find, take_id(call)), call)))


async def rotate_secret(call: Call) -> Response:
    """Gives an endpoint another secret."""
    now = int(call.services.clock())
    rotate = partial(call.services.registry.webhook_endpoints.rotate, take_id(call), actor=call.actor, now=now)
    return _with_secret(found(await run_sync(rotate), call))


async def delete_endpoint(call: Call) -> Response:
    """Removes an endpoint."""
    endpoint_id, now = take_id(call), int(call.services.clock())
    delete = partial(call.services.registry.webhook_endpoints.delete, endpoint_id, actor=call.actor, now=now)
    deleted = await run_sync(delete)
    found(deleted or None, call)
    return json_response({"object": "webhook_endpoint.deleted", "id": endpoint_id, "deleted": True})


def _check_host(url: str) -> None:
    """Refuses addresses to which nothing is sent; of names that is found out when they are connected to."""
    try:
        address = ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return
    if is_forbidden(address):
        raise refused("url", f"Invalid 'url': nothing is ever sent to {address}.")


def _endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "object": "webhook_endpoint",
        "id": endpoint.id,
        "url": endpoint.shown_url,
        "format": endpoint.format,
        "created_at": endpoint.created_at,
        "disabled_at": endpoint.disabled_at,
    }


def _with_secret(endpoint: WebhookEndpoint) -> Response:
    return json_response({**_endpoint(endpoint), "secret": endpoint.secret or None})


PATH = "/v1/webhook_endpoints"
ONE = f"{PATH}/{{endpoint_id}}"
EXAMPLE = {"url": "https://hooks.example.com/usageledger"}
ENDPOINTS = (
    Endpoint(
        "POST",
        f"{ONE}/rotate_secret",
        rotate_secret,
        name="rotate-webhook-endpoint-secret",
        tag="Spend",
        summary="Give an endpoint of webhooks another secret; for a day the one before signs as well.",
        scopes=(MANAGE,),
        answer=Answer(ref("WebhookEndpointWithSecret")),
    ),
    Endpoint(
        "GET",
        PATH,
        list_endpoints,
        name="list-webhook-endpoints",
        tag="Spend",
        summary="List the endpoints that are told when alerts fire.",
        scopes=(MANAGE,),
        answer=Answer(ref("WebhookEndpointList")),
        parameters=(*PAGE_PARAMETERS, ORDER),
    ),
    Endpoint(
        "POST",
        PATH,
        create_endpoint,
        name="create-webhook-endpoint",
        tag="Spend",
        summary="Make an endpoint that is told when alerts fire.",
        scopes=(MANAGE,),
        answer=Answer(ref("WebhookEndpointWithSecret")),
        body=object_body("WebhookEndpointCreate", NEW_ENDPOINT, EXAMPLE),
    ),
    Endpoint(
        "GET",
        ONE,
        get_endpoint,
        name="retrieve-webhook-endpoint",
        tag="Spend",
        summary="Get an endpoint of webhooks.",
        scopes=(MANAGE,),
        answer=Answer(ref("WebhookEndpoint")),
    ),
    Endpoint(
        "DELETE",
        ONE,
        delete_endpoint,
        name="delete-webhook-endpoint",
        tag="Spend",
        summary="Remove an endpoint of webhooks.",
        scopes=(MANAGE,),
        answer=Answer(ref("WebhookEndpointDeleted")),
    ),
)
