"""The Python client of OpenAI's Organization Usage & Costs API, for UsageLedger and for OpenAI itself.

    from datetime import date
    from usageledger import UsageAPI

    with UsageAPI() as client:
        page = client.usage_completions(start_time=date(2026, 11, 1), group_by=["model"])
        for bucket in page.auto_paging_iter():
            for result in bucket.results:
                print(bucket.start_time, result.model, result.input_tokens)

It needs nothing of the server: no engine, no registry.
"""

from usageledger.client import api, errors, results
from usageledger.client.api import *  # noqa: F403 - what each of them has in its own __all__
from usageledger.client.arguments import Listing, Time
from usageledger.client.errors import *  # noqa: F403
from usageledger.client.events import EventError, EventReport
from usageledger.client.outbox import SenderCounts
from usageledger.client.pages import Amount, AsyncUsagePage, Result, UsageBucket, UsagePage
from usageledger.client.reservations import AsyncHold, Balance, Hold, Reservation
from usageledger.client.results import *  # noqa: F403
from usageledger.client.sender import AsyncEventSender, Drop, DropReason, EventSender
from usageledger.client.sources import Source, SourceTally
from usageledger.client.spend import (
    Accuracy,
    Enforcement,
    Forecast,
    Money,
    NotificationChannel,
    Spend,
    SpendAlert,
    SpendLimit,
)

__all__ = ["Amount", "AsyncUsagePage", "Listing", "Result", "Source", "SourceTally", "Time", "UsageBucket"]
__all__ += ["Accuracy", "AsyncHold", "Balance", "Forecast", "Hold", "Money", "Reservation", "Spend"]
__all__ += ["Enforcement", "NotificationChannel", "SpendAlert", "SpendLimit", "UsagePage"]
__all__ += ["AsyncEventSender", "Drop", "DropReason", "EventError", "EventReport", "EventSender", "SenderCounts"]
__all__ += api.__all__
__all__ += errors.__all__
__all__ += results.__all__
