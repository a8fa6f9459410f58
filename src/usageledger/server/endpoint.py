"""The row that an endpoint is: its route, its checks, the OpenAPI document, the reference and tests come from it."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from usageledger.errors import InvalidRequestError, NotFoundError, RequestError, UnsupportedMediaTypeError
from usageledger.events.decoders import JSON_TYPES
from usageledger.fields import Field
from usageledger.registry import AdminKey, Scope
from usageledger.server.http.parameters import Parameter, check_names, collect
from usageledger.server.http.requests import parameters, read_object
from usageledger.server.http.routes import RequestHandler, is_below, route_of, unknown_url
from usageledger.server.json_schema import Schema, ref
from usageledger.server.services import Services
from usageledger.settings import Settings
from usageledger.sources.rules import Rules

PUBLIC: tuple[Scope, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of an endpoint.

    Attributes:
        schema: of its body: its own, or `ref` of one that the document names.
        media_type: of its body.
        other_forms: further media types of its body, each with its schema.
        headers: those that it has beside the ones of every answer.
        example: a body.
        others: other statuses with the same body, and when they come.
    """

    schema: Schema
    media_type: str = "application/json"
    other_forms: Mapping[str, Schema] = field(default_factory=dict[str, Schema])
    headers: tuple[str, ...] = ()
    example: Any = None
    others: Mapping[int, str] = field(default_factory=dict[int, str])


@dataclass(frozen=True, slots=True)
class Body:
    """The body that an endpoint reads.

    Attributes:
        content: the document's part, by media type, under these settings.
        fields: those of the JSON object that `Call.read` reads.
        required: false where an empty one is a body as well.
    """

    content: Callable[[Settings], Schema]
    fields: tuple[Field, ...] = ()
    required: bool = True


def object_body(name: str, fields: tuple[Field, ...], example: Any) -> Body:
    """Describes a JSON object with these fields, called `name` in the document."""
    content = {media_type: {"schema": ref(name), "example": example} for media_type in JSON_TYPES}
    return Body(lambda _: content, fields)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method at a path.

    Attributes:
        method: of HTTP.
        path: ids in it are `{project_id}` and may hold any characters.
        handler: answers a call, once its key and its parameters are checked.
        name: its operation id, which no other has.
        tag: the section of the document that it stands in.
        summary: one sentence.
        scopes: those of which a key must have one, or `PUBLIC`.
        answer: what it answers with.
        parameters: of the query string; others are refused.
        checks_parameters: false where its handler parses the query string by itself, or ignores it.
        body: what it reads.
        path_values: the values that a part of its path may have, by name; ids, which are not here, may be any.
        errors: those that it answers with beside what every endpoint of its form does.
        notes: more sentences for the document, under these settings.
        answer_error: answers a call that failed, where the API's own form of errors is not the one its clients read.
        error_forms: media types of those answers, each with its schema.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: "Handler"
    _: KW_ONLY
    name: str
    tag: str
    summary: str
    scopes: tuple[Scope, ...]
    answer: Answer
    parameters: tuple[Parameter, ...] = ()
    checks_parameters: bool = True
    body: Body | None = None
    path_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    errors: tuple[type[RequestError], ...] = ()
    notes: Callable[[Settings], str] | None = None
    answer_error: Callable[[Request, Exception], Response] | None = None
    error_forms: Mapping[str, Schema] = field(default_factory=dict[str, Schema])

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the ids in its path."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))


@dataclass(frozen=True, slots=True)
class Call:
    """A request to an endpoint; its key, where the endpoint needs one, has the scope."""

    services: Services
    request: Request
    endpoint: Endpoint
    key: AdminKey | None

    @property
    def actor(self) -> str:
        """The id of the key."""
        if self.key is None:
            raise AssertionError(f"{self.endpoint.name} is public: nobody is known to call it")
        return self.key.id

    async def rules(self) -> Rules:
        """Gives the operator's rules on sources for what this call brings."""
        return await self.services.source_rules.of(self.actor, self.request.headers)

    def given(self) -> dict[str, list[str]]:
        """Reads the parameters: name → values. Raises InvalidRequestError."""
        return collect(parameters(self.request), self.endpoint.parameters)

    async def read(self) -> dict[str, Any]:
        """Reads the body, as `read_object` does."""
        if self.endpoint.body is None:
            raise AssertionError(f"{self.endpoint.name} has no body to read")
        return await read_object(self.request, self.endpoint.body.fields)


Handler = Callable[[Call], Awaitable[Response]]


def routes_of(endpoints: Iterable[Endpoint], services: Services) -> list[Route]:
    """Makes the routes, in the order of the table: they are tried one after the other."""
    paths: dict[str, dict[str, RequestHandler]] = {}
    for endpoint in endpoints:
        path = re.sub(r"\{(\w+)\}", r"{\1:whole_id}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method] = _checked(endpoint, services)
    return [route_of(path, handlers) for path, handlers in paths.items()]


def _checked(endpoint: Endpoint, services: Services) -> RequestHandler:
    """Puts what every endpoint checks before its handler: first who asks, so that nobody else learns anything."""

    async def check_and_handle(request: Request) -> Response:
        key = await services.authenticator.require(request, *endpoint.scopes) if endpoint.scopes else None
        try:
            if endpoint.checks_parameters:
                check_names(parameters(request), endpoint.parameters)
            return await endpoint.handler(Call(services, request, endpoint, key))
        except (InvalidRequestError, NotFoundError, UnsupportedMediaTypeError):
            if is_below(request):  # it was meant for something else than what has this id
                raise unknown_url(request) from None
            raise

    if endpoint.answer_error is None:
        return check_and_handle
    answer_error = endpoint.answer_error

    async def handle(request: Request) -> Response:
        try:
            return await check_and_handle(request)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the client reads nothing but this form
            return answer_error(request, error)

    return handle
