"""Operations of the official document, and answers that have to be as it says."""

import json
from typing import Any
from urllib.parse import quote

import httpx
from jsonschema import Draft202012Validator
from tests.contract.conftest import DATA

OFFICIAL = json.loads((DATA / "admin-operations.json").read_text())


def as_described(operation: dict[str, Any], answer: Any) -> Any:
    """The answer, which is what the official document says of it."""
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": OFFICIAL["components"]}).validate(answer)
    return answer


def asked(raw: httpx.Client, method: str, path: str, ids: dict[str, str], **given: Any) -> Any:
    """What an operation of the official document answers."""
    operation = OFFICIAL["paths"][path][method]
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    answer = raw.request(method, path, **given)
    assert answer.status_code == 200, answer.text
    return as_described(operation, answer.json())
