"""The handlers of the organization's projects, users and admin API keys.

Source: OpenAI's Administration API. Objects have every field that the official SDK types, lists are paged by `after`
and `limit`. Ids may hold any characters, slashes too: most come from events.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from anyio.to_thread import run_sync
from msgspec import Meta
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usageledger.errors import NotFoundError, UnknownCursorError
from usageledger.events.typed_events import Name
from usageledger.fields import LONGEST_NAME, Field
from usageledger.registry import SCOPES, AdminKey, Listing, Order, Project, Registry, Scope, User
from usageledger.server.http.parameters import one_of, refused, take, take_limit
from usageledger.server.http.requests import json_response, read_object
from usageledger.server.services import Handler, Services

MANAGE = "api.management"
READ_NAMES = (MANAGE, "api.usage.read")
DEFAULT_LIMIT, MOST_LISTED = 20, 100
LONGEST_EXPIRY_SECONDS = 365 * 86400
MOST_EMAILS = 1000

T = TypeVar("T")

NAME_RULE = f"1 to {LONGEST_NAME} characters"


def _nothing(name: str, why: str) -> Field:
    """A field of the official API that only null is accepted for."""
    return Field(name, None, (type(None),), why, why, None)


NO_RESIDENCY = "null: where data is kept is up to whoever runs this server"
NO_EXTERNAL_KEY = "null: this server encrypts nothing with external keys"
NEW_PROJECT = (
    Field("name", Name, (str,), "a string", NAME_RULE),
    _nothing("residency", NO_RESIDENCY),
    _nothing("geography", NO_RESIDENCY),
    _nothing("external_key_id", NO_EXTERNAL_KEY),
)
PROJECT_CHANGE = (
    Field("name", Name | None, (str,), "a string", NAME_RULE, None),
    _nothing("geography", NO_RESIDENCY),
    _nothing("external_key_id", NO_EXTERNAL_KEY),
)
NEW_KEY = (
    Field("name", Name, (str,), "a string", NAME_RULE),
    Field(
        "expires_in_seconds",
        Annotated[int, Meta(ge=1, le=LONGEST_EXPIRY_SECONDS)],
        (int,),
        "an integer",
        f"an integer from 1 to {LONGEST_EXPIRY_SECONDS}",
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


def organization_routes(services: Services, registry: Registry) -> list[Route]:
    """Projects, users and admin API keys below `/v1/organization`."""
    do = Organization(services, registry)
    return [
        _route("projects", GET=do.list_projects, POST=do.create_project),
        _route("projects/{project_id:whole_id}", GET=do.get_project, POST=do.change_project),
        _route("users", GET=do.list_users),
        _route("users/{user_id:whole_id}", GET=do.get_user),
        _route("admin_api_keys", GET=do.list_keys, POST=do.create_key),
        _route("admin_api_keys/{key_id:whole_id}", GET=do.get_key, DELETE=do.delete_key),
    ]


class _IdConvertor(Convertor[str]):
    """A rest of the path that is an id: any characters at all, line ends and slashes too."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("whole_id", _IdConvertor())


def _route(path: str, **handlers: Handler) -> Route:
    """One address and what it does by method: a single `Route`, so that 405 names all of its methods."""

    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(f"/v1/organization/{path}", handle, methods=list(handlers))


class Organization:
    """The handlers, over one registry; its calls block, so they run in threads."""

    def __init__(self, services: Services, registry: Registry) -> None:
        self._services = services
        self._registry = registry

    async def list_projects(self, request: Request) -> Response:
        """`GET /v1/organization/projects`."""
        await self._services.authenticator.require(request, *READ_NAMES)
        given = take(request, ("limit", "after", "include_archived"))
        after, limit, archived = (
            _after(given),
            take_limit(given, DEFAULT_LIMIT, MOST_LISTED),
            _flag(given, "include_archived"),
        )
        return await _list(
            lambda: self._registry.list_projects(after=after, limit=limit, include_archived=archived), _project
        )

    async def create_project(self, request: Request) -> Response:
        """`POST /v1/organization/projects`."""
        await self._services.authenticator.require(request, MANAGE)
        take(request)
        body = await read_object(request, NEW_PROJECT)
        now = int(self._services.clock())
        made = await run_sync(lambda: self._registry.create_project(body["name"], now=now))
        return json_response(_project(made))

    async def get_project(self, request: Request) -> Response:
        """`GET /v1/organization/projects/{project_id}`."""
        await self._services.authenticator.require(request, *READ_NAMES)
        take(request)
        found = await run_sync(self._registry.get_project, _id(request, "project_id"))
        return json_response(_project(_found(found, request, "project_id")))

    async def change_project(self, request: Request) -> Response:
        """`POST /v1/organization/projects/{project_id}`: another name; without one nothing changes."""
        await self._services.authenticator.require(request, MANAGE)
        take(request)
        project_id = _id(request, "project_id")
        name = (await read_object(request, PROJECT_CHANGE))["name"]
        if name is None:
            changed = await run_sync(self._registry.get_project, project_id)
        else:
            changed = await run_sync(self._registry.rename_project, project_id, name)
        return json_response(_project(_found(changed, request, "project_id")))

    async def list_users(self, request: Request) -> Response:
        """`GET /v1/organization/users`."""
        await self._services.authenticator.require(request, *READ_NAMES)
        given = take(request, ("limit", "after", "emails"), listed=("emails",))
        after, limit, emails = _after(given), take_limit(given, DEFAULT_LIMIT, MOST_LISTED), _emails(given)
        return await _list(lambda: self._registry.list_users(after=after, limit=limit, emails=emails), _user)

    async def get_user(self, request: Request) -> Response:
        """`GET /v1/organization/users/{user_id}`."""
        await self._services.authenticator.require(request, *READ_NAMES)
        take(request)
        found = await run_sync(self._registry.get_user, _id(request, "user_id"))
        return json_response(_user(_found(found, request, "user_id")))

    async def list_keys(self, request: Request) -> Response:
        """`GET /v1/organization/admin_api_keys`."""
        await self._services.authenticator.require(request, MANAGE)
        given = take(request, ("limit", "after", "order"))
        after, limit, order = _after(given), take_limit(given, DEFAULT_LIMIT, MOST_LISTED), _order(given)
        return await _list(lambda: self._registry.list_keys(after=after, limit=limit, order=order), _key)

    async def create_key(self, request: Request) -> Response:
        """`POST /v1/organization/admin_api_keys`; the only answer that shows the key's value."""
        by = await self._services.authenticator.require(request, MANAGE)
        take(request)
        body = await read_object(request, NEW_KEY)
        now = int(self._services.clock())
        lifetime = body["expires_in_seconds"]
        expires_at = None if lifetime is None else now + lifetime
        made, value = await run_sync(
            lambda: self._registry.create_key(body["name"], body["scopes"], expires_at=expires_at, actor=by.id, now=now)
        )
        return json_response({**_key(made), "value": value})

    async def get_key(self, request: Request) -> Response:
        """`GET /v1/organization/admin_api_keys/{key_id}`."""
        await self._services.authenticator.require(request, MANAGE)
        take(request)
        found = await run_sync(self._registry.get_key, _id(request, "key_id"))
        return json_response(_key(_found(found, request, "key_id")))

    async def delete_key(self, request: Request) -> Response:
        """`DELETE /v1/organization/admin_api_keys/{key_id}`; when it is answered, the key no longer works."""
        by = await self._services.authenticator.require(request, MANAGE)
        take(request)
        key_id, now = _id(request, "key_id"), int(self._services.clock())
        revoked = await run_sync(lambda: self._registry.revoke_key(key_id, actor=by.id, now=now))
        _found(revoked or None, request, "key_id")
        self._services.authenticator.forget(key_id)
        return json_response({"object": "organization.admin_api_key.deleted", "id": key_id, "deleted": True})


# --- what is asked -----------------------------------------------------------------------------------------------


def _after(given: Mapping[str, list[str]]) -> str | None:
    return given["after"][0] if "after" in given else None


def _flag(given: Mapping[str, list[str]], name: str) -> bool:
    return one_of(name, given.get(name, ["false"])[0].lower(), ("true", "false")) == "true"


def _order(given: Mapping[str, list[str]]) -> Order:
    order = one_of("order", given.get("order", ["asc"])[0], ("asc", "desc"))
    return "desc" if order == "desc" else "asc"


def _emails(given: Mapping[str, list[str]]) -> list[str]:
    emails = given.get("emails", [])
    if len(emails) > MOST_EMAILS:
        raise refused("emails", f"Too many values for 'emails': {len(emails)}. At most {MOST_EMAILS} are allowed.")
    if "" in emails:
        raise refused("emails", "Invalid 'emails': expected text of at least one character, got ''.")
    return emails


def _id(request: Request, name: str) -> str:
    value: str = request.path_params[name]
    return _found(None if "\0" in value else value, request, name)


def _found(value: T | None, request: Request, name: str) -> T:
    """`value`, or the 404 that it is not there."""
    if value is None:
        noun = {"project_id": "project", "user_id": "user", "key_id": "admin API key"}[name]
        raise NotFoundError(f"No such {noun}: {request.path_params[name][:256]!r}.", param=name)
    return value


# --- what is answered --------------------------------------------------------------------------------------------


async def _list(find: Callable[[], Listing[T]], show: Callable[[T], dict[str, Any]]) -> Response:
    try:
        listing = await run_sync(find)
    except UnknownCursorError as error:
        raise refused("after", f"Invalid 'after': {error}") from None
    data = [show(record) for record in listing.data]
    return json_response(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": listing.has_more,
        }
    )


def _project(project: Project) -> dict[str, Any]:
    """A project, without `residency`: the official document has it optional, but never null."""
    return {
        "object": "organization.project",
        "id": project.id,
        "name": project.name,
        "created_at": project.created_at,
        "archived_at": project.archived_at,
        "status": project.status,
        "external_key_id": None,
    }


def _user(user: User) -> dict[str, Any]:
    """A user; what this server cannot know is null."""
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
