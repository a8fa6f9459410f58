"""The server's own description: valid, complete, and true where a schema can say so."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema
import openapi_spec_validator
import pytest
from tests.server.support import NOW, MakeKey, Serve, event, is_of_the_dashboard
from tests.support.ledger_double import LedgerDouble

from usageledger.events.typed_events import FIELDS
from usageledger.ledger import Ledger
from usageledger.meter import Meter
from usageledger.meters import METERS
from usageledger.pricing import UNITS_PER_USD, Override
from usageledger.registry import SCOPES, AlertTerms, Registry
from usageledger.server.api.event_examples import event_example
from usageledger.server.endpoints import ENDPOINTS
from usageledger.server.openapi.document import document
from usageledger.settings import Settings

pytestmark = pytest.mark.anyio

METHODS = ("get", "post", "put", "delete")
DOCUMENT = document(Settings(), ENDPOINTS)
SCHEMAS = DOCUMENT["components"]["schemas"]


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, item[method]) for path, item in DOCUMENT["paths"].items() for method in METHODS if method in item
    ]


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def test_it_is_valid() -> None:
    openapi_spec_validator.validate(DOCUMENT)


async def test_it_is_served_to_everyone(serve: Serve, double: LedgerDouble, settings: Settings) -> None:
    async with serve(double, max_batch_events=77) as server:
        response = await server.get("/openapi.json", headers={"authorization": ""})
    assert response.headers["content-type"] == "application/json"
    assert response.json() == document(replace(settings, max_batch_events=77), ENDPOINTS)


async def test_it_has_every_route_and_method_of_the_application(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        routes = {
            (method.lower(), re.sub(r":\w+\}", "}", route.path))
            for route in server.routes
            for method in route.methods or ()
            if method != "HEAD" and not is_of_the_dashboard(route)
        }
    assert {(method, path) for method, path, _ in operations()} == routes


async def test_what_it_says_of_keys_is_so(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    keys = {scope: key(scope) for scope in SCOPES}
    async with serve(double) as server:
        for method, path, operation in operations():
            allowed = {scope for need in operation["security"] for scope in need["bearer"]}
            url = re.sub(r"\{\w+\}", "x", path)
            for scope, value in keys.items():
                response = await server.request(method.upper(), url, headers={"authorization": f"Bearer {value}"})
                assert (response.status_code == 403) == bool(allowed and scope not in allowed), (path, scope)
                assert str(response.status_code) in operation["responses"], (path, response.status_code)


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    assert {tag for _, _, operation in operations() for tag in operation["tags"]} == {
        tag["name"] for tag in DOCUMENT["tags"]
    }


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object within a part of the document."""
    if isinstance(schema, dict):
        yield schema
    for one in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from parts(one)


def test_generators_of_clients_know_its_schemas() -> None:
    """Null alone, bodies that are one of several, values that differ by signs only: from these come broken clients."""
    for name, schema in SCHEMAS.items():
        for part in parts(schema.get("properties", {})):
            alone = [each for each in part.values() if isinstance(each, dict) and each.get("type") == "null"]
            assert not alone, (name, part)
        for values in [part["enum"] for part in parts(schema) if isinstance(part.get("enum"), list)]:
            assert len({re.sub(r"\W", "", str(value)) for value in values}) == len(values), (name, values)
    for method, path, operation in operations():
        for media in operation.get("requestBody", {}).get("content", {}).values():
            assert not media["schema"].keys() & {"oneOf", "anyOf"}, (method, path)


def test_integers_of_answers_and_bodies_say_how_many_bits_they_have() -> None:
    integers = [part for part in parts(SCHEMAS) if "integer" in part.get("type", ())]
    assert len(integers) > 100
    assert {part.get("format") for part in integers} == {"int32", "int64"}


def test_its_address_is_wherever_it_is_served() -> None:
    assert DOCUMENT["servers"] == [{"url": "/"}]


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.kind)
def test_a_meter_has_its_parameters_and_limits(meter: Meter) -> None:
    operation = DOCUMENT["paths"][f"/v1{meter.path}"]["get"]
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    filters = {dimension.filter for dimension in meter.filters}
    common = {"start_time", "end_time", "bucket_width", "timezone", "group_by", "limit", "page"}
    assert set(parameters) == common | filters
    assert parameters["timezone"]["schema"] == {"$ref": "#/components/schemas/TimeZone"}
    assert [name for name, parameter in parameters.items() if parameter["required"]] == ["start_time"]
    assert parameters["bucket_width"]["schema"]["enum"] == ["1m", "1h", "1d", "all"]
    assert parameters["limit"]["schema"]["maximum"] == 1440
    assert parameters["group_by"]["schema"]["items"]["enum"] == [d.name for d in meter.groupings]
    for limit in (7, 31, 24, 168, 60, 1440):
        assert str(limit) in parameters["limit"]["description"]


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.kind)
def test_an_event_has_the_fields_that_are_read(meter: Meter) -> None:
    (schema,) = [
        s for s in SCHEMAS.values() if s.get("properties", {}).get("kind") == {"type": "string", "const": meter.kind}
    ]
    fields = FIELDS[meter.kind]
    assert set(schema["properties"]) == {"kind", *fields}
    assert schema["additionalProperties"] is False
    assert all(schema["properties"][name].get("description") for name in fields)


def test_the_kinds_of_events_are_told_apart() -> None:
    union = SCHEMAS["Event"]
    assert union["discriminator"]["propertyName"] == "kind"
    mapping = union["discriminator"]["mapping"]
    assert list(mapping) == [meter.kind for meter in METERS]
    assert [{"$ref": target} for target in mapping.values()] == union["oneOf"]
    for kind, target in mapping.items():
        assert SCHEMAS[target.rpartition("/")[2]]["properties"]["kind"]["const"] == kind


GOOD = event()
TEXT_LIMITS = [("id", 128), ("provider", 256), ("project_id", 256), ("model", 256)]


@pytest.mark.parametrize(
    ("fields", "good"),
    [
        ({}, True),
        *(({name: "x" * most}, True) for name, most in TEXT_LIMITS),
        *(({name: "x" * (most + 1)}, False) for name, most in TEXT_LIMITS),
        *(({name: ""}, False) for name, _ in TEXT_LIMITS),
        *(({name: "a\0b"}, False) for name, _ in TEXT_LIMITS),
        *(({name: 7}, False) for name, _ in TEXT_LIMITS),
        ({"id": None}, False),
        ({"provider": None}, False),
        ({"model": None}, True),
        ({"input_tokens": 0}, True),
        ({"input_tokens": 2**53 - 1}, True),
        ({"input_tokens": 2**53}, False),
        ({"input_tokens": -1}, False),
        ({"input_tokens": 1.5}, False),
        ({"input_tokens": "1"}, False),
        ({"input_tokens": True}, False),
        ({"input_tokens": None}, False),
        ({"timestamp": 0}, True),
        ({"timestamp": -1}, False),
        ({"timestamp": 253_402_300_800}, False),
        ({"timestamp": "2025-01-11T17:31:00Z"}, True),
        ({"timestamp": "2025-01-11T17:31:00.25+02:00"}, True),
        ({"timestamp": 1.5}, False),
        ({"timestamp": None}, False),
        ({"kind": "embedding"}, False),
        ({"kind": None}, False),
        ({"prompt": "never"}, False),
        ({"kind": "images", "images": 1}, False),
    ],
    ids=str,
)
async def test_the_schema_of_an_event_and_the_server_agree(
    serve: Serve, double: LedgerDouble, fields: dict[str, Any], good: bool
) -> None:
    one = GOOD | fields
    assert validator("Event").is_valid(one) == good
    async with serve(double) as server:
        answer = (await server.post("/v1/events", content=json.dumps(one))).json()
    assert answer["accepted"] == good
    validator("EventBatch").validate(answer)


@pytest.mark.parametrize(
    ("size", "good"), [("256x256", True), ("1536x1024", True), ("auto", True), ("01x1", False), ("auto\n", False)]
)
async def test_a_pattern_says_the_same_to_every_reader(
    serve: Serve, double: LedgerDouble, size: str, good: bool
) -> None:
    one = {"kind": "images", "id": "i", "timestamp": NOW, "images": 1, "size": size}
    assert validator("Event").is_valid(one) == good
    async with serve(double) as server:
        assert (await server.post("/v1/events", json=one)).json()["accepted"] == good


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.kind)
async def test_examples_are_valid_and_accepted(serve: Serve, double: LedgerDouble, meter: Meter) -> None:
    example = event_example(meter)
    validator("Event").validate(example)
    async with serve(double) as server:
        assert (await server.post("/v1/events", json=example)).json()["accepted"] == 1


def test_examples_of_answers_and_bodies_are_valid() -> None:
    checked = 0
    for _, _, operation in operations():
        contents = [response.get("content", {}) for response in operation["responses"].values()]
        contents.append(operation.get("requestBody", {}).get("content", {}))
        for content in [media for one in contents for media in one.values() if "example" in media]:
            validator(content["schema"]["$ref"].rpartition("/")[2]).validate(content["example"])
            checked += 1
    for response in DOCUMENT["components"]["responses"].values():
        validator("Error").validate(response["content"]["application/json"]["example"])
    assert checked >= len(METERS) + 4


def test_errors_are_described_by_their_status() -> None:
    responses = DOCUMENT["components"]["responses"]
    assert responses["RateLimitError"]["description"] == "429: the key has used up its requests for now."
    assert "Retry-After" in responses["RateLimitError"]["headers"]
    assert "Retry-After" in responses["OverloadedError"]["headers"]
    assert all({"x-request-id", "openai-processing-ms"} <= set(response["headers"]) for response in responses.values())


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/meters", "MeterList"),
        ("GET", "/v1/organization/projects", "ProjectList"),
        ("GET", "/v1/organization/projects/p", "Project"),
        ("GET", "/v1/organization/projects/p/api_keys", "ProjectApiKeyList"),
        ("GET", "/v1/organization/projects/p/api_keys/k", "ProjectApiKey"),
        ("GET", "/v1/organization/projects/p/service_accounts/k", "ProjectServiceAccount"),
        ("GET", "/v1/organization/projects/p/users", "ProjectUserList"),
        ("GET", "/v1/organization/projects/p/users/u", "ProjectUser"),
        ("POST", "/v1/organization/projects/p/archive", "Project"),
        ("POST", "/v1/organization/spend_limit", "OrganizationSpendLimit"),
        ("POST", "/v1/organization/projects/p/spend_limit", "ProjectSpendLimit"),
        ("POST", "/v1/organization/spend_alerts", "OrganizationSpendAlert"),
        ("GET", "/v1/organization/projects/p/spend_alerts", "ProjectSpendAlertList"),
        ("GET", "/v1/organization/users", "UserList"),
        ("GET", "/v1/organization/users/u", "User"),
        ("GET", "/v1/organization/admin_api_keys", "AdminApiKeyList"),
        ("POST", "/v1/organization/admin_api_keys", "AdminApiKeyCreated"),
        ("GET", "/healthz", "Health"),
        ("GET", "/readyz", "Readiness"),
        ("GET", "/openapi.json", "OpenApi"),
        ("GET", f"/v1/organization/usage/embeddings?start_time={NOW - 60}&group_by=model", "EmbeddingsPage"),
        ("GET", f"/v1/organization/costs?start_time={NOW - 60}&group_by=line_item", "CostsPage"),
        ("GET", "/v1/unpriced", "UnpricedList"),
        ("GET", f"/v1/rate_cards?start_time={NOW - 60}", "RateCardList"),
        ("GET", f"/v1/explain?id=e1&timestamp={NOW - 60}", "Explanation"),
        ("POST", "/v1/reprice", "Repricing"),
        ("GET", "/v1/nowhere", "Error"),
    ],
)
async def test_answers_are_as_described_and_have_nothing_else(
    serve: Serve, ledger: Ledger, registry: Registry, method: str, path: str, name: str
) -> None:
    limit = {"threshold_amount": 1, "currency": "USD", "interval": "month"}
    alert = limit | {"notification_channel": {"type": "email", "recipients": ["a@b"]}}
    bodies = {"admin_api_keys": {"name": "n"}, "spend_limit": limit, "spend_alerts": alert}
    body = bodies.get(path.rpartition("/")[2], {"apply": True, "reason": "new prices"})
    price = Override(
        "embeddings", "openai", "text-embedding-3-small", "input_text_tokens", "standard", 0, UNITS_PER_USD // 10**6
    )
    async with serve(ledger) as server:
        known = event(model="text-embedding-3-small", project_id="p", user_id="u", api_key_id="k")
        await server.post("/v1/events", json=[known, event(2, model="m")])
        registry.rate_cards.set_prices([price], now=NOW)
        registry.spend_settings.create_alert("p", AlertTerms(1, ("a@b",)), now=NOW)
        answer = (await server.request(method, path, json=body if method == "POST" else None)).json()
    validator(name).validate(answer)
    nothing_else(answer, SCHEMAS[name])


def nothing_else(value: Any, schema: dict[str, Any]) -> None:
    """Fails on a field of an answer that its schema does not mention."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        for one in value:
            nothing_else(one, schema["items"])
    elif isinstance(value, dict) and "anyOf" in schema:
        nothing_else(value, schema["anyOf"][0])
    elif isinstance(value, dict) and "properties" in schema:
        assert set(value) <= set(schema["properties"])
        for name, one in value.items():
            nothing_else(one, schema["properties"][name])
