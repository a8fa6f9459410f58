"""Schemas of what requests carry, made from the fields by which it is read."""

from collections.abc import Iterable, Mapping

import msgspec

from usageledger.events.typed_events import NOT_GIVEN
from usageledger.fields import Field
from usageledger.server.json_schema import INTEGER, NO_NUL, NULL, Schema, described


def body(fields: Iterable[Field], docs: Mapping[str, str]) -> Schema:
    """An object of a request whose fields are `fields`, each with the rule that it is validated by."""
    fields = list(fields)
    return {
        "type": "object",
        "properties": {field.name: _property(field, docs.get(field.name, "")) for field in fields},
        "required": [field.name for field in fields if field.default is msgspec.NODEFAULT],
        "additionalProperties": False,
    }


def _property(field: Field, doc: str) -> Schema:
    schema = completed(msgspec.json.schema(field.rule_type))
    if field.default not in (msgspec.NODEFAULT, NOT_GIVEN, None):
        schema["default"] = field.default
    if schema == {"type": "null"}:
        schema, doc = NULL, f"Known to the official clients, and always {field.noun}."
    return described(schema, doc) if doc else schema


def completed(schema: Schema) -> Schema:
    """Adds what rules leave out: free text has no NUL, as `Field.problem` sees to, and integers have 64 bits."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [completed(one) for one in schema["anyOf"]]}
    if schema.get("type") == "integer":
        return {**schema, **INTEGER}
    free = schema.get("type") == "string" and not schema.keys() & {"format", "pattern"}
    return {**schema, "pattern": NO_NUL} if free else schema
