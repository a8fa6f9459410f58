"""Servers and networks that fail: what is asked again, when, and what the caller is told in the end."""

import logging
import socket
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.client.conftest import Ask
from tests.support.faulty_server import KEY, Faulty, Step, answer, cut, cut_body

from usageledger import UsageAPI
from usageledger.client import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    errors,
)

ERROR = {"error": {"message": "Not now.", "type": "server_error", "param": "limit", "code": "overloaded"}}
START = {"start_time": 1_730_419_200}


@pytest.mark.parametrize("step", [answer(500, ERROR), answer(503), answer(408), answer(409), cut, cut_body])
def test_what_may_pass_is_asked_again(ask: Ask, server: Faulty, waits: list[float], step: Step) -> None:
    server.steps = [step, step]
    assert ask("usage_costs", **START).data == ()
    assert len(server.asked) == 3
    assert len({(asked.path, asked.body, asked.headers["authorization"]) for asked in server.asked}) == 1
    assert [0.25 <= waits[0] <= 0.5, 0.5 <= waits[1] <= 1.0] == [True, True]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 422])
def test_what_will_not_pass_is_not(ask: Ask, server: Faulty, waits: list[float], status: int) -> None:
    server.steps = [answer(status, ERROR)]
    with pytest.raises(APIStatusError):
        ask("usage_costs", **START)
    assert len(server.asked) == 1
    assert waits == []


def test_retry_after_is_obeyed(ask: Ask, server: Faulty, waits: list[float]) -> None:
    server.steps = [answer(429, ERROR, retry_after="7"), answer(503, ERROR, retry_after="0")]
    ask("usage_costs", **START)
    assert waits == [7.0, 0.0]


def test_retry_after_is_really_waited_for(ask: Ask, server: Faulty) -> None:
    server.steps = [answer(429, ERROR, retry_after="1")]
    began = time.monotonic()
    ask("usage_costs", **START)
    assert time.monotonic() - began >= 1


def test_what_would_take_long_is_told_at_once(ask: Ask, server: Faulty, waits: list[float]) -> None:
    server.steps = [answer(429, ERROR, retry_after="3600")]
    with pytest.raises(RateLimitError) as caught:
        ask("usage_costs", **START)
    assert caught.value.retry_after == 3600
    assert waits == []


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_it_gives_up_after_max_retries(ask: Ask, server: Faulty, waits: list[float], retries: int) -> None:
    server.steps = [answer(500, ERROR, x_request_id="req_1")] * 9
    with pytest.raises(InternalServerError) as caught:
        ask("usage_costs", client={"max_retries": retries}, **START)
    assert len(server.asked) == retries + 1
    error = caught.value
    assert (error.status_code, error.code, error.param, error.type) == (500, "overloaded", "limit", "server_error")
    assert (error.message, error.request_id, error.body) == ("Not now.", "req_1", ERROR)
    assert str(error) == "500: Not now. (request req_1)"


def test_waits_grow_to_a_limit(ask: Ask, server: Faulty, waits: list[float]) -> None:
    server.steps = [cut] * 8
    ask("usage_costs", client={"max_retries": 8}, **START)
    most = [0.5, 1, 2, 4, 8, 8, 8, 8]
    assert all(limit / 2 <= wait <= limit for wait, limit in zip(waits, most, strict=True))


def test_a_server_that_is_not_there(ask: Ask, server: Faulty, waits: list[float]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(APIConnectionError, match="cannot be reached"):
            ask("usage_costs", **START)
    assert len(waits) == 2


def slow(pause_s: float) -> Step:
    """Answers with a page, a few bytes at a time."""

    def step(handler: BaseHTTPRequestHandler) -> None:
        body = b'{"object": "page", "data": [], "has_more": false}'
        handler.send_response(200)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        for place in range(0, len(body), 10):
            time.sleep(pause_s)
            handler.wfile.write(body[place : place + 10])

    return step


def test_a_slow_answer_is_waited_for_while_it_comes(ask: Ask, server: Faulty) -> None:
    server.steps = [slow(0.1)]
    assert ask("usage_costs", client={"timeout": 0.4}, **START).data == ()
    assert len(server.asked) == 1


def test_an_answer_that_stalls_is_a_timeout(ask: Ask, server: Faulty, waits: list[float]) -> None:
    release: list[bool] = []
    server.steps = [lambda handler: slow_until(handler, release)] * 2
    with pytest.raises(APITimeoutError, match="in time"):
        ask("usage_costs", client={"timeout": 0.2, "max_retries": 1}, **START)
    release.append(True)
    assert len(server.asked) == 2


def slow_until(handler: BaseHTTPRequestHandler, release: list[bool]) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "100")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.wfile.flush()
    while not release:
        time.sleep(0.01)
    handler.close_connection = True


# --- what errors say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "cls"), [*errors.CLASS_OF_STATUS.items(), (502, InternalServerError)])
def test_each_status_has_its_class(ask: Ask, server: Faulty, status: int, cls: type[APIStatusError]) -> None:
    server.steps = [answer(status, ERROR)]
    with pytest.raises(APIStatusError) as caught:
        ask("usage_images", client={"max_retries": 0}, **START)
    assert type(caught.value) is cls
    assert caught.value.status_code == status


def test_an_error_that_is_a_bare_string(ask: Ask, server: Faulty) -> None:
    text = "You have insufficient permissions for this operation. Missing scopes: api.usage.read."
    server.steps = [answer(403, {"error": text})]
    with pytest.raises(PermissionDeniedError) as caught:
        ask("usage_costs", **START)
    error = caught.value
    assert (error.message, error.code, error.param, error.type) == (text, None, None, None)


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"", b"\xff\xfe", b"[1]", b'{"error": 3}', b'"text"'])
def test_an_error_of_something_before_the_server(ask: Ask, server: Faulty, body: bytes) -> None:
    server.steps = [answer(502, body)]
    with pytest.raises(InternalServerError) as caught:
        ask("usage_costs", client={"max_retries": 0}, **START)
    assert caught.value.message == "Bad Gateway"


def test_an_address_that_has_moved(ask: Ask, server: Faulty) -> None:
    server.steps = [answer(301, b"", location="https://ledger.example.com/v1")]
    with pytest.raises(APIStatusError, match="moved to https://ledger"):
        ask("usage_costs", **START)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Log in</html>",
        b"",
        b"[]",
        b'{"object": "page"}',
        b'{"data": [{"start_time": 1, "end_time": 2}]}',
        b'{"data": [{"start_time": "1", "end_time": 2, "results": []}]}',
        b'{"data": [{"start_time": 1, "end_time": 2, "results": [{"amount": {"value": "much", "currency": "usd"}}]}]}',
        b'{"data": [{"start_time": 1, "end_time": 2, "results": [{"amount": {"value": "NaN", "currency": "usd"}}]}]}',
        b'{"data": [], "has_more": true, "next_page": null}',
        b'{"data": [], "has_more": true}',
    ],
)
def test_an_answer_without_numbers_to_trust(ask: Ask, server: Faulty, body: bytes) -> None:
    server.steps = [answer(200, body)]
    with pytest.raises(APIResponseValidationError):
        ask("usage_costs", **START)


def test_a_page_that_leads_to_itself(ask: Ask, server: Faulty) -> None:
    again = {"object": "page", "data": [], "has_more": True, "next_page": "page_1"}
    server.steps = [answer(200, again)] * 9
    with pytest.raises(APIResponseValidationError, match="page_1"):
        ask("usage_costs", **START)
    assert len(server.asked) == 2


# --- the key -----------------------------------------------------------------------------------------------------


def test_the_key_is_in_no_error_log_or_repr(
    ask: Ask, server: Faulty, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {"error": {"message": f"Incorrect API key provided: {KEY}.", "code": KEY, "param": KEY, "type": KEY}}
    steps = [answer(401, echo), answer(401, f"<html>{KEY}".encode()), answer(500, {"error": KEY}), answer(200, KEY)]
    for step in steps:
        server.steps = [step] * 3
        with pytest.raises(errors.APIError) as caught:
            ask("usage_costs", **START)
        everything = [repr(caught.value), str(caught.value), repr(vars(caught.value)), caught.value.__cause__]
        assert KEY not in repr(everything)
        assert caught.value.__context__ is None or KEY not in repr(vars(caught.value.__context__))
        server.steps = []
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in caplog.text
    assert "trying again" in caplog.text
    assert KEY not in repr(UsageAPI(KEY, server.url))


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY} ", f"Bearer {KEY}", f"{KEY}é", 5])
def test_a_key_that_cannot_be_sent_is_refused_unseen(key: Any) -> None:
    with pytest.raises(errors.SettingsError, match="visible ASCII") as caught:
        UsageAPI(key)
    assert KEY not in str(caught.value)


def test_both_servers_words_for_a_wrong_key(ask: Ask, server: Faulty) -> None:
    server.steps = [answer(401, {"error": {"message": "Incorrect API key provided.", "code": "invalid_api_key"}})]
    with pytest.raises(AuthenticationError) as caught:
        ask("usage_costs", **START)
    assert caught.value.code == "invalid_api_key"


def test_an_address_without_the_api(ask: Ask, server: Faulty) -> None:
    server.steps = [answer(404, b"not here")]
    with pytest.raises(NotFoundError, match="404: Not Found"):
        ask("usage_costs", **START)
