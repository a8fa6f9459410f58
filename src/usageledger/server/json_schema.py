"""Small JSON Schemas that endpoints and the OpenAPI document are described with."""

from collections.abc import Iterable, Mapping
from typing import Any

from usageledger.meter import Meter

Schema = dict[str, Any]

NO_NUL = r"^[^\u0000]*$"
# A comma ends a value, so that one item may stand for several; none of them is empty.
VALUES = r"^[^,\u0000]+(,[^,\u0000]+)*$"
# The same where values have commas with a space behind.
SPACED_VALUES = r"^([^,\u0000]|, )+(,(?! )([^,\u0000]|, )+)*$"
TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
FLAG: Schema = {"type": "boolean"}
# Counts are up to 2^53: without the format, clients in Java have 32 bits for them.
INTEGER: Schema = {"type": "integer", "format": "int64"}
COUNT: Schema = {**INTEGER, "minimum": 0}
COUNT_OR_NULL: Schema = {**COUNT, "type": ["integer", "null"]}
SECONDS: Schema = {**COUNT, "description": "Unix seconds."}
SECONDS_OR_NULL: Schema = {**COUNT_OR_NULL, "description": "Unix seconds."}
NUMBER: Schema = {"type": "number", "minimum": 0}
# What is always null has the type of what it would be: generators of clients know none that has null alone.
NULL: Schema = {"type": ["string", "null"], "const": None}


def ref(name: str) -> Schema:
    """Refers to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def answer(properties: Mapping[str, Schema], description: str = "", optional: Iterable[str] = ()) -> Schema:
    """Describes an object of an answer: all of its fields are there, but for those in `optional`."""
    required = [name for name in properties if name not in set(optional)]
    schema: Schema = {"type": "object", "properties": dict(properties), "required": required}
    return {"description": description, **schema} if description else schema


def const(value: str) -> Schema:
    """Describes the name of an object, which is always the same."""
    return {"type": "string", "const": value}


def described(schema: Schema, description: str) -> Schema:
    """Gives `schema` its `description`."""
    return {**schema, "description": description}


def title(meter: Meter) -> str:
    """Makes the meter's name in names of schemas, such as `AudioSpeeches`."""
    return meter.kind.title().replace("_", "")
