"""Methods and parameters as a published Swift client documents them, which openapi-generator made, are in our document.

Source: the client's UsageAPI.md. The generator makes `usageAudioSpeeches(apiKeyIds:)` of `usage-audio-speeches` with
`api_key_ids`; every type and value that the client documents has to be allowed here too.
"""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.contract.conftest import DATA

from usageledger.server.endpoints import ENDPOINTS
from usageledger.server.openapi.document import document
from usageledger.settings import Settings

METHODS: dict[str, Any] = json.loads((DATA / "swift-methods.json").read_text())
DOCUMENT = document(Settings(), ENDPOINTS)
TYPES = {"integer": "Int", "string": "String", "boolean": "Bool"}


def camel(name: str) -> str:
    return re.sub(r"[-_](\w)", lambda letter: letter[1].upper(), name)


def swift_type(schema: dict[str, Any]) -> str:
    """The type that the generator gives a parameter; integers of 64 bits would be `Int64`."""
    if schema["type"] == "array":
        return f"[{swift_type(schema['items'])}]"
    assert "format" not in schema
    return TYPES[schema["type"]]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_in_our_document(method: str) -> None:
    operation = DOCUMENT["paths"]["/v1" + METHODS[method]["path"]]["get"]
    assert camel(operation["operationId"]) == method
    ours = {camel(parameter["name"]): parameter for parameter in operation["parameters"]}
    for name, theirs in METHODS[method]["parameters"].items():
        schema = ours[name]["schema"]
        assert (swift_type(schema), ours[name]["required"]) == (theirs["type"], theirs["required"]), name
        for value in theirs.get("values", ()):
            Draft202012Validator(schema.get("items", schema)).validate(value)
    assert operation["responses"]["200"]["content"].keys() == {"application/json"}
