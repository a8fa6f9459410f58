"""Questions have limits: how many at once, how long, and how large their answers."""

import asyncio
import gc
import threading
import tracemalloc
import urllib.parse
from typing import Any

import pytest
from tests.server.support import NOW, Serve, event
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem

from usageledger.events.typed_events import COUNT_MAX
from usageledger.ledger import Ledger
from usageledger.meters import COSTS, METERS
from usageledger.questions.aggregate import Aggregate
from usageledger.server.http.compressed_pages import PIECE_BYTES

pytestmark = pytest.mark.anyio

URL = "/v1/organization/usage/embeddings"
WINDOW = {"start_time": NOW - 3600, "end_time": NOW}


class SlowLedger(LedgerDouble):
    """Answers questions when it is let to; counts how many it works on."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)
        self.answer = threading.Event()
        self.at_work = self.most_at_work = 0

    def aggregate(self, query: Any, *, max_seconds: float, max_results: int) -> Aggregate:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        self.asked.release()
        self.answer.wait()
        self.at_work -= 1
        return super().aggregate(query, max_seconds=max_seconds, max_results=max_results)


async def test_no_more_questions_at_once_than_allowed(serve: Serve) -> None:
    ledger = SlowLedger()
    async with serve(ledger, max_queries=2) as server:
        tasks = [asyncio.create_task(server.get(URL, params=WINDOW)) for _ in range(6)]
        for _ in range(2):
            await asyncio.to_thread(ledger.asked.acquire)
        # Whatever asks no question is answered meanwhile, and events are kept.
        assert (await server.get("/v1/meters")).status_code == 200
        assert (await server.post("/v1/events", json=event())).json()["accepted"] == 1
        ledger.answer.set()
        answers = await asyncio.gather(*tasks)
    assert {answer.status_code for answer in answers} == {200}
    assert ledger.most_at_work == 2


async def test_a_long_question_leaves_nothing_as_long_behind(serve: Serve, ledger: Ledger) -> None:
    """All filters together are as long as a URL may be; neither what is answered nor what has no price keeps them."""

    async def ask(number: int) -> None:
        window: dict[str, Any] = {"start_time": NOW - 86_400, "end_time": NOW, "limit": 1}
        filters: dict[str, Any] = {"project_ids": [f"{number}-{place}-{'x' * 240}" for place in range(200)]}
        for url in (URL, "/v1/organization/costs"):
            assert (await server.get(url, params=window | filters)).status_code == 200

    async with serve(ledger) as server:
        await ask(0)
        tracemalloc.start()
        for number in range(1, 40):
            await ask(number)
        urllib.parse.clear_cache()  # type: ignore[attr-defined]  # of the test's client; typeshed lacks it
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert kept < 10**6


async def test_503_when_a_question_waits_too_long_for_its_turn(serve: Serve) -> None:
    ledger = SlowLedger()
    async with serve(ledger, max_queries=1, max_query_seconds=1) as server:
        first = asyncio.create_task(server.get(URL, params=WINDOW))
        await asyncio.to_thread(ledger.asked.acquire)
        refused = await server.get(URL, params=WINDOW)
        ledger.answer.set()
        assert (await first).status_code == 200
        assert (await server.get(URL, params=WINDOW)).status_code == 200
    problem(refused, 503, type="server_error", param=None, code="overloaded")
    assert refused.headers["retry-after"] == "1"


@pytest.mark.parametrize(("most", "status"), [(3, 200), (2, 400)])
async def test_400_for_an_answer_that_is_too_large(serve: Serve, ledger: Ledger, most: int, status: int) -> None:
    async with serve(ledger, max_results=most) as server:
        await server.post("/v1/events", json=[event(n, model=f"m{n}") for n in range(3)])
        response = await server.get(URL, params=WINDOW | {"group_by": "model"})
        alone = await server.get(URL, params=WINDOW)
    assert alone.status_code == 200
    if status == 200:
        assert len(response.json()["data"][0]["results"]) == 3
    else:
        assert str(most) in problem(response, 400, param="limit", code="too_many_results")["message"]


async def test_an_answer_has_what_was_kept_just_before(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        for number in range(5):
            await server.post("/v1/events", json=event(number))
            page = (await server.get(URL, params=WINDOW)).json()
            assert page["data"][0]["results"][0]["num_model_requests"] == number + 1


async def test_sums_beyond_64_bits_come_with_all_their_digits(serve: Serve, ledger: Ledger) -> None:
    """A count may be a sum of parts, each of which is beyond 64 bits by itself."""
    counts = {"kind": "completions", "model": "gpt-5", "input_tokens": COUNT_MAX, "output_tokens": COUNT_MAX}
    tokens = counts | {"input_cached_tokens": COUNT_MAX // 2}
    async with serve(ledger) as server:
        for first in (0, 1500):
            body = [event(n, **tokens) for n in range(first, first + 1500)]
            assert (await server.post("/v1/events", json=body)).json()["accepted"] == 1500
        given = {"start_time": NOW - 3600, "end_time": NOW}
        usage = await server.get("/v1/organization/usage/completions", params=given)
        costs = await server.get("/v1/organization/costs", params=given | {"group_by": "line_item"})
    for page in (usage, costs):
        assert page.status_code == 200, page.text
    assert f'"input_tokens":{3000 * COUNT_MAX},'.encode() in usage.content
    assert f'"input_cached_tokens":{3000 * (COUNT_MAX // 2)},'.encode() in usage.content
    quantities = {r["line_item"]: r["quantity"] for b in costs.json()["data"] for r in b["results"]}
    assert quantities["gpt-5, output"] == 3000 * COUNT_MAX


async def test_a_window_that_has_not_begun_has_no_buckets(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        page = (await server.get(URL, params={"start_time": NOW + 100})).json()
    assert page == {"object": "page", "data": [], "has_more": False, "next_page": None}


async def test_the_meters_are_the_table(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        answer = (await server.get("/v1/meters")).json()
    assert answer["object"] == "list"
    by_kind = {meter["kind"]: meter for meter in answer["data"]}
    assert list(by_kind) == [meter.kind for meter in (*METERS, COSTS)]
    assert [kind for kind, meter in by_kind.items() if meter["priced"]] == ["costs"]
    assert by_kind["costs"]["measures"][1]["unit_field"] == "quantity_unit"
    assert [m["name"] for m in by_kind["images"]["measures"] if m["required"]] == ["images"]
    calls = by_kind["web_search_calls"]
    assert calls["path"] == "/v1/organization/usage/web_search_calls"
    assert calls["result_object"] == "organization.usage.web_searches.result"
    assert [measure["name"] for measure in calls["measures"]] == ["num_requests", "num_model_requests"]
    level = next(dimension for dimension in calls["dimensions"] if dimension["name"] == "context_level")
    assert (level["filter"], level["values"], level["flag"]) == ("context_levels", ["low", "medium", "high"], False)
    assert calls["bucket_widths"][0] == {"name": "1m", "seconds": 60, "default_limit": 60, "max_limit": 1440}
    # What is stored but is no part of the official API is not offered.
    assert [d["name"] for d in by_kind["vector_stores"]["dimensions"]] == ["project_id"]


async def test_a_large_list_counts_with_other_answers(
    serve: Serve, double: LedgerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not pages alone: what a client does not take in counts until it does, or is gone."""
    values = [f"{number:0250}" for number in range(1000)]
    monkeypatch.setattr(double, "facets", lambda *_, **__: values)
    url = "/v1/facets?dimension=model&limit=1000"
    async with serve(double, max_answers_bytes=600_000) as server:
        blocked, messages, go_on = asyncio.Event(), [], asyncio.Event()

        async def send(message: Any) -> None:
            messages.append(message)
            if len(messages) == 2:
                blocked.set()
                await go_on.wait()

        async def receive() -> Any:
            await asyncio.Event().wait()

        headers = [(b"authorization", server.client.headers["authorization"].encode())]
        path, _, query = url.partition("?")
        scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": headers}
        given = {"scheme": "http", "client": ("127.0.0.1", 1), "root_path": "", "http_version": "1.1"}
        task = asyncio.create_task(server.app(scope | given, receive, send))
        await blocked.wait()
        assert (len(messages[1]["body"]), messages[1]["more_body"]) == (PIECE_BYTES, True)
        assert "larger than 600000 bytes" in problem(await server.get(url), 503, code="overloaded")["message"]
        assert (await server.get("/v1/meters")).status_code == 200
        go_on.set()
        await task
        assert len((await server.get(url)).json()["data"]) == 1000
