"""`list_sources`: the emitters of a UsageLedger, by either client."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.faulty_server import KEY, Faulty, answer

from usageledger import AsyncUsageAPI, UsageAPI
from usageledger.client import APIResponseValidationError, NotFoundError, Source, SourceTally

TALLY = {"reason": "no_usage", "count": 3, "example": "chatcmpl-1", "last_at": 7, "meaning": "It …", "remedy": "Ask."}
SOURCE = {
    "object": "source",
    "emitter": "litellm",
    "version": None,
    "first_seen_at": 5,
    "last_seen_at": 9,
    "counted": 2,
    "sent_again": 1,
    "not_counted": [TALLY],
    "notes": [],
}


@pytest.fixture(params=["sync", "async"])
def listed(request: pytest.FixtureRequest, server: Faulty) -> Callable[[], tuple[Source, ...]]:
    def with_sync() -> tuple[Source, ...]:
        with UsageAPI(KEY, server.url) as api:
            return api.list_sources()

    async def with_async() -> tuple[Source, ...]:
        async with AsyncUsageAPI(KEY, server.url) as api:
            return await api.list_sources()

    return with_sync if request.param == "sync" else lambda: asyncio.run(with_async())


def test_sources_are_values(listed: Any, server: Faulty) -> None:
    other = SOURCE | {"emitter": "claude-code", "version": "2.0.31", "not_counted": [], "notes": [TALLY], "news": 1}
    server.steps = [answer(200, {"object": "list", "data": [other, SOURCE]})]
    first, second = listed()
    assert (server.asked[0].method, server.asked[0].path) == ("GET", "/v1/sources")
    assert (first.emitter, first.version, first.notes) == ("claude-code", "2.0.31", (SourceTally(**TALLY),))  # type: ignore[arg-type]  # of JSON
    assert (second.version, second.counted, second.sent_again) == (None, 2, 1)
    assert (second.first_seen_at, second.last_seen_at) == (5, 9)
    assert (second.not_counted[0].reason, second.not_counted[0].count) == ("no_usage", 3)
    with pytest.raises(AttributeError):
        second.counted = 3


@pytest.mark.parametrize(
    "body", [{"data": [{"emitter": "a"}]}, {"data": [SOURCE | {"counted": "2"}]}, {"object": "list"}]
)
def test_what_is_no_list_of_sources(listed: Any, server: Faulty, body: dict[str, Any]) -> None:
    server.steps = [answer(200, body)]
    with pytest.raises(
        APIResponseValidationError, match=r"no list of sources: .* Is the address that of a UsageLedger\?"
    ):
        listed()


def test_a_server_that_has_none(listed: Any, server: Faulty) -> None:
    server.steps = [answer(404, {"error": {"message": "Unknown request URL", "code": "unknown_url"}})]
    with pytest.raises(NotFoundError, match="Unknown request URL"):
        listed()
