"""The endpoints of users, whom events named. Source: OpenAI's Administration API."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from starlette.responses import Response

from usageledger.events.typed_events import Name
from usageledger.fields import NAME_CHARACTERS_MAX, Field
from usageledger.registry import MANAGE, READ, User
from usageledger.server.api.listing import PAGE_PARAMETERS, found, list_response, nothing, take_id, take_page
from usageledger.server.endpoint import Answer, Call, Endpoint, object_body
from usageledger.server.http.parameters import Parameter, refused
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import VALUES, ref

EMAILS_MAX = 1000
NO_ROLES = "null: users are whom events named, and have no roles here"


async def list_users(call: Call) -> Response:
    """Lists users."""
    given = call.given()
    find = partial(call.services.registry.list_users, **take_page(given), emails=_emails(given))
    return await list_response(find, _user)


async def get_user(call: Call) -> Response:
    """Finds a user."""
    return json_response(_user(found(await run_sync(call.services.registry.get_user, take_id(call)), call)))


async def change_user(call: Call) -> Response:
    """Gives a user a name; without one nothing changes."""
    registry, user_id = call.services.registry, take_id(call)
    name = (await call.read())["name"]
    change = partial(registry.get_user, user_id) if name is None else partial(registry.rename_user, user_id, name)
    return json_response(_user(found(await run_sync(change), call)))


def _emails(given: Mapping[str, list[str]]) -> list[str]:
    emails = given.get("emails", [])
    if len(emails) > EMAILS_MAX:
        raise refused("emails", f"Too many values for 'emails': {len(emails)}. At most {EMAILS_MAX} are allowed.")
    if "" in emails:
        raise refused("emails", "Invalid 'emails': expected text of at least one character, got ''.")
    return emails


def _user(user: User) -> dict[str, Any]:
    """Shows a user; what this server cannot know is null."""
    nested = {"object": "user", "id": user.id, "name": user.name, "email": user.email}
    unknown = ("api_key_last_used_at", "is_scale_tier_authorized_purchaser", "technical_level", "developer_persona")
    return {
        "object": "organization.user",
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "added_at": user.added_at,
        "created": user.added_at,
        "is_default": False,
        "is_service_account": False,
        "is_scim_managed": False,
        **dict.fromkeys(unknown),
        "projects": None,
        "user": {**nested, **dict.fromkeys(("picture", "enabled", "banned", "banned_at"))},
    }


USER_CHANGE = (
    Field("name", Name | None, (str,), "a string", f"1 to {NAME_CHARACTERS_MAX} characters", None),
    *(nothing(name, NO_ROLES) for name in ("role", "role_id", "technical_level", "developer_persona")),
)
EMAILS = Parameter(
    "emails",
    {"type": "string", "minLength": 1, "pattern": VALUES},
    "Only users with these addresses.",
    listed=True,
    values_max=EMAILS_MAX,
)
ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/organization/users",
        list_users,
        name="list-users",
        tag="Users",
        summary="List users.",
        scopes=(MANAGE, READ),
        answer=Answer(ref("UserList")),
        parameters=(*PAGE_PARAMETERS, EMAILS),
    ),
    Endpoint(
        "GET",
        "/v1/organization/users/{user_id}",
        get_user,
        name="retrieve-user",
        tag="Users",
        summary="Get a user.",
        scopes=(MANAGE, READ),
        answer=Answer(ref("User")),
    ),
    Endpoint(
        "POST",
        "/v1/organization/users/{user_id}",
        change_user,
        name="modify-user",
        tag="Users",
        summary="Give a user a name.",
        scopes=(MANAGE,),
        answer=Answer(ref("User")),
        body=object_body("UserUpdate", USER_CHANGE, {"name": "Ann"}),
    ),
)
