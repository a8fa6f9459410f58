"""Reservations by either client, against a real server, around requests that end in many ways."""

import asyncio
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from tests.support.faulty_server import KEY, Faulty, answer
from tests.support.server_process import RunningServer, running

from usageledger import AsyncUsageAPI, UsageAPI
from usageledger.client import APIConnectionError, AsyncHold, ConflictError, Money, RateLimitError
from usageledger.client.reservations import ran_nothing

MODEL: dict[str, Any] = {"model": "gpt-4o", "input_tokens": 1_000, "output_tokens": 1_000}
MOST = Decimal("0.0125")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("reservations")) as server:
        with UsageAPI(server.key, f"{server.url}/v1") as api:
            api.set_spend_limit(1_000)
        yield server


@pytest.fixture
def api(real: RunningServer) -> Iterator[UsageAPI]:
    with UsageAPI(real.key, f"{real.url}/v1") as api:
        yield api


def status_of(api: UsageAPI, hold_id: str) -> str:
    status: str = api.request("GET", f"/reservations/{hold_id}")["status"]
    return status


def test_an_event_settles_it(api: UsageAPI) -> None:
    with api.reserve("done", **MODEL) as hold:
        assert (hold.reservation.status, hold.reservation.amount.value) == ("active", MOST)
        assert hold.reservation.limits[0].limit.value == 10
        hold.extend(3_600)
        event = {"kind": "completions", "id": "done", "timestamp": int(time.time()), **MODEL, "output_tokens": 5}
        assert api.send_events([event]).accepted == 1
    assert status_of(api, "done") == "settled"
    with pytest.raises(ConflictError, match="is settled"):
        hold.release()


class RefusedError(Exception):
    """An error as OpenAI's clients have it."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


ENDS = [
    (httpx.ConnectError("refused"), "released"),
    (caused(RuntimeError("wrapped"), httpx.ConnectTimeout("no answer")), "released"),
    (RefusedError(401), "released"),
    (RefusedError(429), "released"),
    (RefusedError(500), "active"),
    (httpx.ReadTimeout("it may have run"), "active"),
    (KeyError("a defect of the program"), "active"),
]


@pytest.mark.parametrize(("error", "status"), ENDS)
def test_a_block_that_ends_by_an_error(api: UsageAPI, error: Exception, status: str) -> None:
    name = f"a/{ENDS.index((error, status))} %"
    with pytest.raises(type(error)), api.reserve(name, **MODEL) as hold:
        raise error
    assert ran_nothing(error) == (status == "released")
    assert api.request("GET", hold.reservation.address)["status"] == status
    if status == "active":
        hold.release()


def test_a_limit_that_would_be_passed_is_said_once(api: UsageAPI) -> None:
    began = time.monotonic()
    with pytest.raises(RateLimitError) as refused:
        api.reserve("large", amount="10.01")
    assert (refused.value.code, refused.value.is_final) == ("organization_spend_limit_exceeded", True)
    assert time.monotonic() - began < 30  # and not after further tries, which wait for seconds
    hold = api.reserve("again", amount=Decimal("0.000000000000000001"))
    assert api.reserve("again", amount=Decimal("0.000000000000000001")).reservation == hold.reservation
    hold.release()


def test_spend_is_listed(real: RunningServer, api: UsageAPI) -> None:
    (whole,) = api.list_spend()
    assert (whole.project_id, whole.limit, whole.status) == (None, Money(Decimal(10)), "inactive")
    assert whole.accuracy
    assert whole.available == Money(10 - whole.spent.value - whole.held.value)

    async def asked() -> int:
        async with AsyncUsageAPI(real.key, f"{real.url}/v1") as other:
            return len(await other.list_spend())

    assert asyncio.run(asked()) == 1


def test_a_request_that_was_not_answered_is_sent_again(server: Faulty) -> None:
    made = {
        "id": "x",
        "status": "active",
        "project_id": None,
        "amount": {"value": 0.05, "currency": "usd"},
        "created_at": 1,
        "expires_at": 2,
    }
    server.steps = [answer(503, {}, retry_after="0"), answer(200, made)]
    with UsageAPI(KEY, server.url) as api, api.reserve("x", **MODEL) as hold:
        assert hold.reservation.amount.value == Decimal("0.05")
    assert len(server.asked) == 2


def test_nothing_is_held_without_a_limit(server: Faulty) -> None:
    made = {
        "id": "x",
        "status": "active",
        "project_id": None,
        "amount": {"value": 1.5},
        "created_at": 1,
        "expires_at": 2,
    }
    server.steps = [answer(200, made)]
    with UsageAPI(KEY, server.url) as api:
        api.reserve("x", amount=1).release()
    assert len(server.asked) == 1


def test_a_ledger_that_cannot_be_reached() -> None:
    with UsageAPI(KEY, "http://127.0.0.1:9", max_retries=0) as api, pytest.raises(APIConnectionError):
        api.reserve("x", amount=1)


def test_the_asynchronous_client_does_the_same(real: RunningServer) -> None:
    async def fail_in(hold: AsyncHold) -> None:
        async with hold:
            await hold.extend(60)
            raise httpx.ConnectError("refused")

    async def work() -> list[str]:
        async with AsyncUsageAPI(real.key, f"{real.url}/v1") as api:
            hold = await api.reserve("async", **MODEL)
            with pytest.raises(httpx.ConnectError):
                await fail_in(hold)
            async with await api.reserve("async 2", **MODEL) as other:
                pass
            found = [await api.request("GET", each.reservation.address) for each in (hold, other)]
            await other.release()
            return [each["status"] for each in found]

    assert asyncio.run(work()) == ["released", "active"]
