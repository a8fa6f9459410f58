"""Errors of the API as a client gets them."""

from typing import Any

import httpx

from usageledger.server.http.requests import SECURITY_HEADERS


def problem(response: httpx.Response, status: int, **expected: Any) -> dict[str, Any]:
    """The error of an answer, which has exactly the API's shape and headers."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req_")
    assert int(response.headers["openai-processing-ms"]) >= 0
    for name, value in SECURITY_HEADERS:
        assert response.headers.get_list(name.decode()) == [value.decode()]
    body = response.json()
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert error["message"]
    assert {name: error[name] for name in expected} == expected
    return error
