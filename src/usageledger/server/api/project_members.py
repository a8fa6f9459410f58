"""The endpoints of the keys, service accounts and users of a project, as its events name them.

Source: OpenAI's Administration API. Events do not say whose a key is, so each is a service account of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from starlette.responses import Response

from usageledger.ledger.lookups import Member, members
from usageledger.registry import MANAGE, READ, AdminKey, Listing
from usageledger.server.api.listing import PAGE_PARAMETERS, found, list_response, take_id, take_page, take_project
from usageledger.server.endpoint import Answer, Call, Endpoint
from usageledger.server.http.parameters import Parameter, one_of
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import ref
from usageledger.server.services import in_slot

ACCESS = ("active", "inactive", "any")


@dataclass(frozen=True, slots=True)
class _Named:
    """A key or user of a project, with what the registry knows of it."""

    member: Member
    name: str | None
    key: AdminKey | None


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of members: where they are found, and how they are called and shown."""

    path: str
    id_name: str
    operation: str
    noun: str
    schema: str
    dimension: Literal["api_key_id", "user_id"]
    show: Callable[[_Named], dict[str, Any]]
    parameters: tuple[Parameter, ...] = ()

    @property
    def endpoints(self) -> tuple[Endpoint, Endpoint]:
        """The endpoints of one and of all."""
        one = Endpoint(
            "GET",
            f"{PATH}/{self.path}/{{{self.id_name}}}",
            partial(_get, kind=self),
            name=f"retrieve-project-{self.operation}",
            tag="Projects",
            summary=f"Get {self.noun} of a project, as its events name it.",
            scopes=(MANAGE, READ),
            answer=Answer(ref(self.schema)),
        )
        every = Endpoint(
            "GET",
            f"{PATH}/{self.path}",
            partial(_list, kind=self),
            name=f"list-project-{self.operation}s",
            tag="Projects",
            summary=f"List {self.noun.removeprefix('a ')}s of a project, by id, as its events name them.",
            scopes=(MANAGE, READ),
            answer=Answer(ref(f"{self.schema}List")),
            parameters=(*PAGE_PARAMETERS, *self.parameters),
        )
        return one, every


async def _list(call: Call, kind: _Kind) -> Response:
    """Lists what is in the project, by id."""
    given = call.given()
    page = take_page(given)
    access = one_of("owner_project_access", given.get("owner_project_access", ["any"])[0], ACCESS)
    project = await take_project(call)

    def find() -> Listing[_Named]:
        if access == "inactive":  # whoever sent usage has access
            return Listing((), has_more=False)
        rows = _members(call, project.id, kind, **page | {"limit": page["limit"] + 1})
        return Listing.of(rows, page["limit"], at_end=page["before"] is not None and page["after"] is None)

    listing = await in_slot(call.services, find)
    return await list_response(lambda: listing, kind.show)


async def _get(call: Call, kind: _Kind) -> Response:
    """Finds one in the project."""
    project = await take_project(call)
    rows = await in_slot(call.services, partial(_members, call, project.id, kind, only=take_id(call), limit=1))
    return json_response(kind.show(found(rows[0] if rows else None, call)))


def _members(call: Call, project_id: str, kind: _Kind, **page: Any) -> list[_Named]:
    """Reads members with their names; it asks ledger and registry, so it blocks."""
    ledger, registry = call.services.ledger, call.services.registry
    with ledger.snapshot(call.services.settings.max_query_seconds) as snapshot:
        rows = members(snapshot, project_id, kind.dimension, **page)
    names = registry.names.of(kind.dimension, [row.id for row in rows])
    keys = {id_: registry.get_key(id_) for id_ in names} if kind.dimension == "api_key_id" else {}
    return [_Named(row, names.get(row.id), keys.get(row.id)) for row in rows]


def _account(named: _Named) -> dict[str, Any]:
    return {
        "id": named.member.id,
        "name": named.name or named.member.id,
        "created_at": named.member.first_at,
        "role": "member",
    }


def _service_account(named: _Named) -> dict[str, Any]:
    return {"object": "organization.project.service_account", **_account(named)}


def _key(named: _Named) -> dict[str, Any]:
    """Shows a key; of one that is not made here the value is not known, not even a part of it."""
    return {
        "object": "organization.project.api_key",
        "id": named.member.id,
        "name": named.name or named.member.id,
        "redacted_value": named.key.redacted_value if named.key else "",
        "created_at": named.member.first_at,
        "last_used_at": named.member.last_at,
        "expires_at": named.key.expires_at if named.key else None,
        "owner": {"type": "service_account", "service_account": _account(named)},
        "owner_project_access": "active",
    }


def _user(named: _Named) -> dict[str, Any]:
    return {
        "object": "organization.project.user",
        "id": named.member.id,
        "name": named.name,
        "email": None,
        "role": "member",
        "added_at": named.member.first_at,
    }


PATH = "/v1/organization/projects/{project_id}"
OWNER_ACCESS = Parameter(
    "owner_project_access",
    {"type": "string", "enum": list(ACCESS), "default": "any"},
    "Only keys whose owner has access to the project, as all have that sent usage of it, or has none.",
)
KINDS = (
    _Kind("api_keys", "api_key_id", "api-key", "a key", "ProjectApiKey", "api_key_id", _key, (OWNER_ACCESS,)),
    _Kind(
        "service_accounts",
        "service_account_id",
        "service-account",
        "a service account",
        "ProjectServiceAccount",
        "api_key_id",
        _service_account,
    ),
    _Kind("users", "user_id", "user", "a user", "ProjectUser", "user_id", _user),
)
ENDPOINTS = tuple(endpoint for kind in KINDS for endpoint in kind.endpoints)
