"""The endpoints of projects.

Source: OpenAI's Administration API. Objects have every field that the official SDK types. Ids may hold any characters,
slashes too: most come from events.
"""

from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from starlette.responses import Response

from usageledger.events.typed_events import Name
from usageledger.fields import NAME_CHARACTERS_MAX, Field
from usageledger.registry import MANAGE, READ, Project
from usageledger.server.api.listing import PAGE_PARAMETERS, found, list_response, nothing, take_id, take_page
from usageledger.server.endpoint import Answer, Call, Endpoint, object_body
from usageledger.server.http.parameters import Parameter, one_of
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import ref

NAME_RULE = f"1 to {NAME_CHARACTERS_MAX} characters"
NO_RESIDENCY = "null: where data is kept is up to whoever runs this server"
NO_EXTERNAL_KEY = "null: this server encrypts nothing with external keys"


NEW_PROJECT = (
    Field("name", Name, (str,), "a string", NAME_RULE),
    nothing("residency", NO_RESIDENCY),
    nothing("geography", NO_RESIDENCY),
    nothing("external_key_id", NO_EXTERNAL_KEY),
)
PROJECT_CHANGE = (
    Field("name", Name | None, (str,), "a string", NAME_RULE, None),
    nothing("geography", NO_RESIDENCY),
    nothing("external_key_id", NO_EXTERNAL_KEY),
)


async def list_projects(call: Call) -> Response:
    """Lists projects; archived ones are left out unless they are asked for."""
    given = call.given()
    archived = one_of("include_archived", given.get("include_archived", ["false"])[0].lower(), ("true", "false"))
    find = partial(call.services.registry.list_projects, **take_page(given), include_archived=archived == "true")
    return await list_response(find, _project)


async def create_project(call: Call) -> Response:
    """Makes a project."""
    body = await call.read()
    now = int(call.services.clock())
    return json_response(
        _project(await run_sync(partial(call.services.registry.create_project, body["name"], now=now)))
    )


async def get_project(call: Call) -> Response:
    """Finds a project."""
    return json_response(_project(found(await run_sync(call.services.registry.get_project, take_id(call)), call)))


async def change_project(call: Call) -> Response:
    """Gives a project another name; without one nothing changes."""
    registry, project_id = call.services.registry, take_id(call)
    name = (await call.read())["name"]
    if name is None:
        changed = await run_sync(registry.get_project, project_id)
    else:
        changed = await run_sync(registry.rename_project, project_id, name)
    return json_response(_project(found(changed, call)))


async def archive_project(call: Call) -> Response:
    """Archives a project; one that is archived stays as it is. Whatever the body is, nothing is read of it."""
    archive = partial(call.services.registry.archive_project, take_id(call), now=int(call.services.clock()))
    return json_response(_project(found(await run_sync(archive), call)))


def _project(project: Project) -> dict[str, Any]:
    """Shows a project, without `residency`: the official document has it optional, but never null."""
    return {
        "object": "organization.project",
        "id": project.id,
        "name": project.name,
        "created_at": project.created_at,
        "archived_at": project.archived_at,
        "status": project.status,
        "external_key_id": None,
    }


TAG = "Projects"
PATH = "/v1/organization/projects"
ARCHIVED = Parameter("include_archived", {"type": "boolean", "default": False}, "List archived projects too.")
EXAMPLE = {"name": "Search team"}
ENDPOINTS = (
    Endpoint(
        "GET",
        PATH,
        list_projects,
        name="list-projects",
        tag=TAG,
        summary="List projects.",
        scopes=(MANAGE, READ),
        answer=Answer(ref("ProjectList")),
        parameters=(*PAGE_PARAMETERS, ARCHIVED),
    ),
    Endpoint(
        "POST",
        PATH,
        create_project,
        name="create-project",
        tag=TAG,
        summary="Make a project.",
        scopes=(MANAGE,),
        answer=Answer(ref("Project")),
        body=object_body("ProjectCreate", NEW_PROJECT, EXAMPLE),
    ),
    Endpoint(
        "POST",
        f"{PATH}/{{project_id}}/archive",
        archive_project,
        name="archive-project",
        tag=TAG,
        summary="Archive a project: lists leave it out unless they are asked for it; its usage stays and goes on.",
        scopes=(MANAGE,),
        answer=Answer(ref("Project")),
    ),
    Endpoint(
        "GET",
        f"{PATH}/{{project_id}}",
        get_project,
        name="retrieve-project",
        tag=TAG,
        summary="Get a project.",
        scopes=(MANAGE, READ),
        answer=Answer(ref("Project")),
    ),
    Endpoint(
        "POST",
        f"{PATH}/{{project_id}}",
        change_project,
        name="modify-project",
        tag=TAG,
        summary="Rename a project.",
        scopes=(MANAGE,),
        answer=Answer(ref("Project")),
        body=object_body("ProjectUpdate", PROJECT_CHANGE, EXAMPLE),
    ),
)
