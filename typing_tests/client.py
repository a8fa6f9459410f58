"""What a type checker says of the client. Checked by mypy and pyright, never run.

Every line that must be refused ends in an ignore, and both checkers report an ignore that is not needed.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, assert_type

import httpx
import pandas as pd
import polars as pl
import pyarrow as pa

from usageledger import AsyncUsageAPI, UsageAPI
from usageledger.client import (
    Amount,
    AsyncEventSender,
    AsyncUsagePage,
    CompletionsGrouping,
    CompletionsResult,
    CostsResult,
    DropReason,
    EventError,
    EventReport,
    EventSender,
    RateLimitError,
    SenderCounts,
    Source,
    SourceTally,
    UsageBucket,
    UsagePage,
    VectorStoresResult,
)


def pages_are_of_their_kind(client: UsageAPI) -> None:
    page = client.usage_completions(start_time=0)
    assert_type(page, UsagePage[CompletionsResult])
    assert_type(page.has_more, bool)
    assert_type(page.next_page, str | None)
    assert_type(page.data, tuple[UsageBucket[CompletionsResult], ...])
    assert_type(page.auto_paging_iter(), Iterator[UsageBucket[CompletionsResult]])
    assert_type(page.collect(), UsagePage[CompletionsResult])
    assert_type(page.to_rows(), list[dict[str, Any]])
    assert_type(page.to_arrow(), pa.Table)
    assert_type(page.to_pandas(), pd.DataFrame)
    assert_type(page.to_polars(), pl.DataFrame)
    result = page.data[0].results[0]
    assert_type(result.input_tokens, int)
    assert_type(result.input_cached_tokens, int | None)
    assert_type(result.model, str | None)
    assert_type(result.batch, bool | None)
    assert_type(client.usage_vector_stores(start_time=0), UsagePage[VectorStoresResult])
    cost = client.usage_costs(start_time=0).data[0].results[0]
    assert_type(cost, CostsResult)
    assert_type(cost.amount, Amount | None)
    if cost.amount:
        assert_type(cost.amount.value, Decimal | None)
        assert_type(cost.amount.currency, str | None)
    assert_type(cost.quantity, Decimal | None)


def sources(client: UsageAPI) -> None:
    (source, *_) = client.list_sources()
    assert_type(source, Source)
    assert_type(source.version, str | None)
    assert_type(source.not_counted, tuple[SourceTally, ...])
    source.counted = 1  # type: ignore[misc]  # frozen


async def the_asynchronous_client_has_the_same(client: AsyncUsageAPI) -> None:
    page = await client.usage_completions(start_time=0)
    assert_type(page, AsyncUsagePage[CompletionsResult])
    assert_type(page.auto_paging_iter(), AsyncIterator[UsageBucket[CompletionsResult]])
    assert_type(await page.collect(), AsyncUsagePage[CompletionsResult])
    assert_type(await client.list_sources(), tuple[Source, ...])
    async with AsyncUsageAPI() as other:
        assert_type(other, AsyncUsageAPI)


def arguments(client: UsageAPI, groups: list[CompletionsGrouping], names: tuple[str, ...]) -> None:
    client.usage_completions(start_time=1, end_time=datetime.now(UTC), models=["a"], group_by=["model", "batch"])
    client.usage_completions(start_time=date(2026, 1, 1), models=names, group_by=("model",), batch=False)
    client.usage_completions(start_time=1, group_by=groups, bucket_width="1h", timezone="Europe/Berlin")
    client.usage_costs(start_time=1, group_by=["line_item", "kind"], as_of=date(2026, 1, 1))
    client.usage_images(start_time=1, sizes=["1536x1024"], sources=["image.edit"])


def a_text_is_no_list(client: UsageAPI) -> None:
    client.usage_completions(start_time=1, models="gpt-4o")  # type: ignore[arg-type]  # a text is no list
    client.usage_completions(start_time=1, group_by="model")  # type: ignore[arg-type]  # a text is no list


def only_what_is_allowed(client: UsageAPI) -> None:
    client.usage_completions(start_time=1, group_by=["modell"])  # type: ignore[list-item]  # no such grouping
    client.usage_embeddings(start_time=1, group_by=["batch"])  # type: ignore[list-item]  # not of embeddings
    client.usage_completions(start_time=1, bucket_width="1w")  # type: ignore[arg-type]  # no such width
    client.usage_images(start_time=1, sources=["image.dream"])  # type: ignore[list-item]  # no such source
    client.usage_completions(start_time="2026-11-01")  # type: ignore[arg-type]  # a text is no time
    client.usage_completions()  # type: ignore[call-arg]  # start_time is missing
    client.usage_completions(1)  # type: ignore[call-arg]  # arguments are named
    client.usage_embeddings(start_time=1, batch=True)  # type: ignore[call-arg]  # not of embeddings


def results_are_frozen(client: UsageAPI) -> None:
    page = client.usage_completions(start_time=1)
    page.has_more = False  # type: ignore[misc]  # frozen
    page.data[0].results[0].input_tokens = 1  # type: ignore[misc]  # frozen


def reports(client: UsageAPI, sender: EventSender) -> None:
    report = client.send_events({"kind": "images", "images": n} for n in range(3))
    assert_type(report, EventReport)
    assert_type(report.errors, tuple[EventError, ...])
    client.send_events([["kind"]])  # type: ignore[list-item]  # an event is a dict
    assert_type(sender.send({"kind": "images"}), bool)
    assert_type(sender.flush(1.5), bool)
    assert_type(sender.counts, SenderCounts)
    EventSender(on_drop=lambda drop: assert_type(drop.reason, DropReason))


async def reports_too(client: AsyncUsageAPI, sender: AsyncEventSender, events: AsyncIterator[dict[str, int]]) -> None:
    assert_type(await client.send_events(events), EventReport)
    assert_type(sender.send({"kind": "images"}), bool)
    assert_type(await sender.flush(), bool)
    async with AsyncEventSender() as other:
        assert_type(other, AsyncEventSender)


def clients(error: RateLimitError) -> None:
    UsageAPI("key", "http://127.0.0.1/v1", timeout=httpx.Timeout(5), max_retries=0, http_client=httpx.Client())
    AsyncUsageAPI(timeout=5, http_client=httpx.AsyncClient())
    UsageAPI(http_client=httpx.AsyncClient())  # type: ignore[arg-type]  # of the other client
    assert_type(error.retry_after, float | None)
    assert_type(error.status_code, int)
    assert_type(error.request_id, str | None)
