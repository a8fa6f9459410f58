"""`request`: any other address of the API, by either client."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from tests.support.faulty_server import EMPTY_PAGE, KEY, Faulty, Step, answer, cut, cut_body

from usageledger import AsyncUsageAPI, UsageAPI
from usageledger.client import APIError, APIResponseValidationError, NotFoundError


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest, server: Faulty) -> Any:
    def with_sync(*given: Any) -> dict[str, Any]:
        with UsageAPI(KEY, server.url, max_retries=1) as api:
            return api.request(*given)

    def with_async(*given: Any) -> dict[str, Any]:
        async def run() -> dict[str, Any]:
            async with AsyncUsageAPI(KEY, server.url, max_retries=1) as api:
                return await api.request(*given)

        return asyncio.run(run())

    return with_sync if request.param == "sync" else with_async


def test_a_question_with_parameters(send: Any, server: Faulty) -> None:
    server.steps = [answer(200, b'{"data": [0.000000000000000001, 1]}')]
    assert send("GET", "/rate_cards", {"start_time": 5, "models": ["a,b"], "as_of": None}) == {
        "data": [Decimal("1E-18"), 1]
    }
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body) == ("GET", "/v1/rate_cards?start_time=5&models%5B%5D=a%2Cb", b"")
    assert "content-type" not in asked.headers


def test_a_body_is_json_and_the_same_on_every_try(send: Any, server: Faulty, waits: list[float]) -> None:
    server.steps = [answer(503), answer(200, {"applied": False})]
    assert send("POST", "/reprice", None, {"model": "é"}) == {"applied": False}
    assert [json.loads(asked.body) for asked in server.asked] == [{"model": "é"}] * 2
    assert {asked.headers["content-type"] for asked in server.asked} == {"application/json"}
    assert len(waits) == 1


@pytest.mark.parametrize("step", [cut, cut_body, answer(500), answer(502), answer(504), answer(409)])
def test_what_may_have_had_its_effect_is_not_done_twice(
    send: Any, server: Faulty, waits: list[float], step: Step
) -> None:
    server.steps = [step]
    with pytest.raises(APIError):
        send("POST", "/reprice", None, {"model": "a"})
    assert len(server.asked) == 1
    server.steps = [step]
    assert send("GET", "/rate_cards") == EMPTY_PAGE
    assert len(server.asked) == 3


def test_a_list_of_any_name(send: Any, server: Faulty) -> None:
    send("GET", "/organization/users", {"emails": ["a@x", "b@x"], "limit": 5})
    assert server.asked[0].path == "/v1/organization/users?emails%5B%5D=a%40x&emails%5B%5D=b%40x&limit=5"


def test_errors_are_those_of_every_method(send: Any, server: Faulty) -> None:
    server.steps = [answer(404, {"error": {"message": "No event.", "code": "not_found"}}), answer(200, b"[]")]
    with pytest.raises(NotFoundError, match="No event"):
        send("GET", "/explain", {"id": "x"})
    with pytest.raises(APIResponseValidationError, match="no JSON object"):
        send("GET", "/explain")
