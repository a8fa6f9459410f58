"""The endpoints of admin API keys. Source: OpenAI's Administration API."""

from functools import partial
from typing import Annotated, Any

from anyio.to_thread import run_sync
from msgspec import Meta
from starlette.responses import Response

from usageledger.events.typed_events import Name
from usageledger.fields import NAME_CHARACTERS_MAX, Field
from usageledger.registry import MANAGE, SCOPES, AdminKey, Scope
from usageledger.server.api.listing import (
    ORDER,
    PAGE_PARAMETERS,
    found,
    list_response,
    take_id,
    take_order,
    take_page,
)
from usageledger.server.endpoint import Answer, Call, Endpoint, object_body
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import ref

EXPIRY_SECONDS_MAX = 365 * 86400
NEW_KEY = (
    Field("name", Name, (str,), "a string", f"1 to {NAME_CHARACTERS_MAX} characters"),
    Field(
        "expires_in_seconds",
        Annotated[int, Meta(ge=1, le=EXPIRY_SECONDS_MAX)],
        (int,),
        "an integer",
        f"an integer from 1 to {EXPIRY_SECONDS_MAX}",
        None,
    ),
    Field(
        "scopes",
        Annotated[list[Scope], Meta(min_length=1)],
        (list,),
        "an array",
        "an array of at least one of " + ", ".join(f"'{scope}'" for scope in SCOPES),
        list(SCOPES),
    ),
)

# There are no people behind admin keys here: the organization itself owns them all.
OWNER: dict[str, Any] = {
    "type": "user",
    "object": "organization.user",
    "id": "user-organization",
    "name": "Organization",
    "created_at": 0,
    "role": "owner",
}


async def list_keys(call: Call) -> Response:
    """Lists keys, without their values."""
    given = call.given()
    find = partial(call.services.registry.list_keys, **take_page(given), order=take_order(given))
    return await list_response(find, _key)


async def create_key(call: Call) -> Response:
    """Makes a key; this is the only answer that shows its value."""
    body = await call.read()
    now = int(call.services.clock())
    lifetime = body["expires_in_seconds"]
    expires_at = None if lifetime is None else now + lifetime
    create = partial(call.services.registry.create_key, expires_at=expires_at, actor=call.actor, now=now)
    made, value = await run_sync(create, body["name"], body["scopes"])
    return json_response({**_key(made), "value": value})


async def get_key(call: Call) -> Response:
    """Finds a key."""
    return json_response(_key(found(await run_sync(call.services.registry.get_key, take_id(call)), call)))


async def delete_key(call: Call) -> Response:
    """Revokes a key; when it is answered, the key no longer works."""
    key_id, now = take_id(call), int(call.services.clock())
    revoked = await run_sync(partial(call.services.registry.revoke_key, key_id, actor=call.actor, now=now))
    found(revoked or None, call)
    call.services.authenticator.forget(key_id)
    return json_response({"object": "organization.admin_api_key.deleted", "id": key_id, "deleted": True})


def _key(key: AdminKey) -> dict[str, Any]:
    return {
        "object": "organization.admin_api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.redacted_value,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "owner": OWNER,
        "scopes": key.scopes,
    }


TAG = "Admin API keys"
PATH = "/v1/organization/admin_api_keys"
ENDPOINTS = (
    Endpoint(
        "GET",
        PATH,
        list_keys,
        name="admin-api-keys-list",
        tag=TAG,
        summary="List keys.",
        scopes=(MANAGE,),
        answer=Answer(ref("AdminApiKeyList")),
        parameters=(*PAGE_PARAMETERS, ORDER),
    ),
    Endpoint(
        "POST",
        PATH,
        create_key,
        name="admin-api-keys-create",
        tag=TAG,
        summary="Make a key.",
        scopes=(MANAGE,),
        answer=Answer(ref("AdminApiKeyCreated")),
        body=object_body("AdminApiKeyCreate", NEW_KEY, {"name": "Search team"}),
    ),
    Endpoint(
        "GET",
        f"{PATH}/{{key_id}}",
        get_key,
        name="admin-api-keys-get",
        tag=TAG,
        summary="Get a key.",
        scopes=(MANAGE,),
        answer=Answer(ref("AdminApiKey")),
    ),
    Endpoint(
        "DELETE",
        f"{PATH}/{{key_id}}",
        delete_key,
        name="admin-api-keys-delete",
        tag=TAG,
        summary="Revoke a key.",
        scopes=(MANAGE,),
        answer=Answer(ref("AdminApiKeyDeleted")),
    ),
)
