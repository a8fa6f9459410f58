"""Base classes of the generated clients: they ask for pages, and send events, over a transport."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import msgspec

from usageledger.client.answers import json_object, page_parts
from usageledger.client.arguments import parameters
from usageledger.client.delivery import BATCH_EVENTS, batches, deliver, deliver_async
from usageledger.client.errors import APIError, SettingsError
from usageledger.client.events import Event, EventReport, encode
from usageledger.client.pages import AsyncUsagePage, R, UsagePage
from usageledger.client.reservations import PATH, AsyncHold, Hold, asked, read_reservation
from usageledger.client.sources import Source, read_sources
from usageledger.client.spend import (
    MONTHLY,
    AlertPage,
    Spend,
    SpendAlert,
    SpendLimit,
    address,
    alert_body,
    page_query,
    read,
    read_spend,
)
from usageledger.client.transport import DEFAULT_BASE_URL, AsyncTransport, Request, SyncTransport

OPENAI = httpx.URL(DEFAULT_BASE_URL).host


class SyncClient(SyncTransport):
    """The part of `UsageAPI` that is not generated."""

    def send_events(self, events: Iterable[Event], *, batch_size: int = BATCH_EVENTS) -> EventReport:
        """Sends events to a UsageLedger in batches, each until it is answered, and reports what became of them.

        An event without an `id` gets one before its first try. To be able to call this again after an error, give ids
        of your own: then what was kept counts as a duplicate.

        Args:
            events: dicts as `POST /v1/events` takes them; a generator of any length is sent as it comes.
            batch_size: events in one request; fewer where they are large.

        Raises:
            APIError: a batch was not answered, or with an error that is about no single event; those before are kept.
            SettingsError: the address is OpenAI's, which takes no events.
            TypeError: an event is no dict, or holds what JSON cannot say.
        """
        _check(self.base_url, batch_size)
        report, sent = EventReport(), 0
        for lines in batches(map(encode, events), batch_size, len):
            try:
                report += deliver(self._send, lines, sent)
            except APIError as error:
                error.add_note(f"Of the events given, the first {sent} were answered before.")
                raise
            sent += len(lines)
        return report

    def list_sources(self) -> tuple[Source, ...]:
        """Lists the emitters that a UsageLedger heard from, that which sent last first: `GET /sources`.

        Raises:
            APIError: there is no answer, or it is an error; of a server that is no UsageLedger, `NotFoundError`.
        """
        return read_sources(self.request("GET", "/sources"))

    def list_spend(self) -> tuple[Spend, ...]:
        """Lists what this month has cost: of the organization, and of each project that has a limit or an alert.

        Raises:
            APIError: there is no answer, or it is an error.
        """
        return read_spend(self.request("GET", "/spend"))

    def get_spend_limit(self, project_id: str | None = None) -> SpendLimit:
        """Gets the limit of spend of a project, or of the organization without one.

        Raises:
            APIError: there is no answer, or it is an error: `NotFoundError` where there is no limit.
        """
        return read(self.request("GET", address("spend_limit", project_id)), SpendLimit)

    def set_spend_limit(self, threshold_amount: int, *, project_id: str | None = None) -> SpendLimit:
        """Sets the limit of spend in a month, in place of the one that there is.

        Args:
            threshold_amount: US cents, 1 or more.
            project_id: the project, or None for the organization.

        Raises:
            APIError: there is no answer, or it is an error.
        """
        body = {"threshold_amount": threshold_amount, **MONTHLY}
        return read(self.request("POST", address("spend_limit", project_id), body=body), SpendLimit)

    def delete_spend_limit(self, project_id: str | None = None) -> None:
        """Removes the limit of spend of a project, or of the organization without one.

        Raises:
            APIError: there is no answer, or it is an error: `NotFoundError` where there is no limit.
        """
        self.request("DELETE", address("spend_limit", project_id))

    def list_spend_alerts(self, project_id: str | None = None) -> tuple[SpendAlert, ...]:
        """Lists all alerts on the spend of a project, or of the organization without one, oldest first.

        Raises:
            APIError: there is no answer, or it is an error.
        """
        alerts: list[SpendAlert] = []
        has_more = True
        while has_more:
            page = read(self.request("GET", address("spend_alerts", project_id), page_query(alerts)), AlertPage)
            alerts += page.data
            has_more = page.has_more and bool(page.data)
        return tuple(alerts)

    def create_spend_alert(
        self,
        threshold_amount: int,
        recipients: Sequence[str],
        *,
        subject_prefix: str | None = None,
        project_id: str | None = None,
    ) -> SpendAlert:
        """Makes an alert on spend in a month.

        Args:
            threshold_amount: US cents, 0 or more.
            recipients: e-mail addresses, one or more.
            subject_prefix: stands before the subject of mails.
            project_id: the project, or None for the organization.

        Raises:
            APIError: there is no answer, or it is an error.
        """
        body = alert_body(threshold_amount, recipients, subject_prefix)
        return read(self.request("POST", address("spend_alerts", project_id), body=body), SpendAlert)

    def replace_spend_alert(
        self,
        alert_id: str,
        threshold_amount: int,
        recipients: Sequence[str],
        *,
        subject_prefix: str | None = None,
        project_id: str | None = None,
    ) -> SpendAlert:
        """Gives an alert other terms, all of them: arguments and errors are those of `create_spend_alert`."""
        body = alert_body(threshold_amount, recipients, subject_prefix)
        return read(self.request("POST", address("spend_alerts", project_id, alert_id), body=body), SpendAlert)

    def delete_spend_alert(self, alert_id: str, *, project_id: str | None = None) -> None:
        """Removes an alert.

        Raises:
            APIError: there is no answer, or it is an error: `NotFoundError` where there is no such alert.
        """
        self.request("DELETE", address("spend_alerts", project_id, alert_id))

    def reserve(  # noqa: PLR0913 - a field each
        self,
        hold_id: str,
        *,
        project_id: str | None = None,
        model: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        amount: Decimal | str | int | None = None,
        expires_in_seconds: int | None = None,
        **fields: Any,
    ) -> Hold:
        """Holds the most that a request can cost, so that no limit of spend is passed: `POST /reservations`.

        Asked again with the same arguments it gives the same hold.

        Args:
            hold_id: the id that the event of the request will have.
            project_id: of the event.
            model: the model that is asked.
            input_tokens: that the request has at most.
            output_tokens: that the answer may have at most.
            amount: USD, instead of numbers of tokens.
            expires_in_seconds: for how long, where no event comes; 600 where it is not given.
            fields: others of the request's event, such as `provider`, `service_tier` or `kind`.

        Raises:
            RateLimitError: a limit would be passed; its `code` says which.
            APIError: there is no answer, or it is another error.
        """
        about = {
            "project_id": project_id,
            "model": model,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "amount": amount,
            "expires_in_seconds": expires_in_seconds,
            **fields,
        }
        request = replace(_json_request("POST", PATH, None, asked(hold_id, about)), repeatable=True)
        return Hold(read_reservation(json_object(self._send(request))), self.request)

    def request(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Asks any other address of the API, of which UsageLedger has some of its own; returns its JSON object.

        Other methods than `GET` are sent again only if the server had rejected them, as they might take effect twice.

        Args:
            method: `GET`, `POST`, …
            path: below the base URL, such as `/rate_cards`.
            query: parameters; a list is sent as such.
            body: sent as JSON.

        Raises:
            APIError: there is no answer, or it is an error.
        """
        return json_object(self._send(_json_request(method, path, query, body)))

    def _page(self, path: str, kind: type[R], given: Mapping[str, Any]) -> UsagePage[R]:
        content = self._send(Request("GET", path, parameters(given)))
        return UsagePage(*page_parts(content, kind), kind, partial(self._next, path, kind, given))

    def _next(self, path: str, kind: type[R], given: Mapping[str, Any], page: str) -> UsagePage[R]:
        return self._page(path, kind, {**given, "page": page})


class AsyncClient(AsyncTransport):
    """The part of `AsyncUsageAPI` that is not generated."""

    async def send_events(
        self, events: Iterable[Event] | AsyncIterable[Event], *, batch_size: int = BATCH_EVENTS
    ) -> EventReport:
        """Sends events to a UsageLedger in batches, each until it is answered, and reports what became of them.

        An event without an `id` gets one before its first try. To be able to call this again after an error, give ids
        of your own: then what was kept counts as a duplicate.

        Args:
            events: dicts as `POST /v1/events` takes them; a generator of any length is sent as it comes.
            batch_size: events in one request; fewer where they are large.

        Raises:
            APIError: a batch was not answered, or with an error that is about no single event; those before are kept.
            SettingsError: the address is OpenAI's, which takes no events.
            TypeError: an event is no dict, or holds what JSON cannot say.
        """
        _check(self.base_url, batch_size)
        report, sent = EventReport(), 0
        async for lines in _batches(events, batch_size):
            try:
                report += await deliver_async(self._send, lines, sent)
            except APIError as error:
                error.add_note(f"Of the events given, the first {sent} were answered before.")
                raise
            sent += len(lines)
        return report

    async def list_sources(self) -> tuple[Source, ...]:
        """Lists the emitters that a UsageLedger heard from, that which sent last first: `GET /sources`.

        Raises:
            APIError: there is no answer, or it is an error; of a server that is no UsageLedger, `NotFoundError`.
        """
        return read_sources(await self.request("GET", "/sources"))

    async def list_spend(self) -> tuple[Spend, ...]:
        """Lists what this month has cost: of the organization, and of each project that has a limit or an alert.

        Raises:
            APIError: there is no answer, or it is an error.
        """
        return read_spend(await self.request("GET", "/spend"))

    async def get_spend_limit(self, project_id: str | None = None) -> SpendLimit:
        """Gets the limit of spend of a project, or of the organization without one.

        Raises:
            APIError: there is no answer, or it is an error: `NotFoundError` where there is no limit.
        """
        return read(await self.request("GET", address("spend_limit", project_id)), SpendLimit)

    async def set_spend_limit(self, threshold_amount: int, *, project_id: str | None = None) -> SpendLimit:
        """Sets the limit of spend in a month, in place of the one that there is.

        Args:
            threshold_amount: US cents, 1 or more.
            project_id: the project, or None for the organization.

        Raises:
            APIError: there is no answer, or it is an error.
        """
        body = {"threshold_amount": threshold_amount, **MONTHLY}
        return read(await self.request("POST", address("spend_limit", project_id), body=body), SpendLimit)

    async def delete_spend_limit(self, project_id: str | None = None) -> None:
        """Removes the limit of spend of a project, or of the organization without one.

        Raises:
            APIError: there is no answer, or it is an error: `NotFoundError` where there is no limit.
        """
        await self.request("DELETE", address("spend_limit", project_id))

    async def list_spend_alerts(self, project_id: str | None = None) -> tuple[SpendAlert, ...]:
        """Lists all alerts on the spend of a project, or of the organization without one, oldest first.

        Raises:
            APIError: there is no answer, or it is an error.
        """
        alerts: list[SpendAlert] = []
        has_more = True
        while has_more:
            page = read(await self.request("GET", address("spend_alerts", project_id), page_query(alerts)), AlertPage)
            alerts += page.data
            has_more = page.has_more and bool(page.data)
        return tuple(alerts)

    async def create_spend_alert(
        self,
        threshold_amount: int,
        recipients: Sequence[str],
        *,
        subject_prefix: str | None = None,
        project_id: str | None = None,
    ) -> SpendAlert:
        """Makes an alert on spend in a month.

        Args:
            threshold_amount: US cents, 0 or more.
            recipients: e-mail addresses, one or more.
            subject_prefix: stands before the subject of mails.
            project_id: the project, or None for the organization.

        Raises:
            APIError: there is no answer, or it is an error.
        """
        body = alert_body(threshold_amount, recipients, subject_prefix)
        return read(await self.request("POST", address("spend_alerts", project_id), body=body), SpendAlert)

    async def replace_spend_alert(
        self,
        alert_id: str,
        threshold_amount: int,
        recipients: Sequence[str],
        *,
        subject_prefix: str | None = None,
        project_id: str | None = None,
    ) -> SpendAlert:
        """Gives an alert other terms, all of them: arguments and errors are those of `create_spend_alert`."""
        body = alert_body(threshold_amount, recipients, subject_prefix)
        return read(await self.request("POST", address("spend_alerts", project_id, alert_id), body=body), SpendAlert)

    async def delete_spend_alert(self, alert_id: str, *, project_id: str | None = None) -> None:
        """Removes an alert.

        Raises:
            APIError: there is no answer, or it is an error: `NotFoundError` where there is no such alert.
        """
        await self.request("DELETE", address("spend_alerts", project_id, alert_id))

    async def reserve(  # noqa: PLR0913 - a field each
        self,
        hold_id: str,
        *,
        project_id: str | None = None,
        model: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        amount: Decimal | str | int | None = None,
        expires_in_seconds: int | None = None,
        **fields: Any,
    ) -> AsyncHold:
        """Holds the most that a request can cost, so that no limit of spend is passed: `POST /reservations`.

        Asked again with the same arguments it gives the same hold.

        Args:
            hold_id: the id that the event of the request will have.
            project_id: of the event.
            model: the model that is asked.
            input_tokens: that the request has at most.
            output_tokens: that the answer may have at most.
            amount: USD, instead of numbers of tokens.
            expires_in_seconds: for how long, where no event comes; 600 where it is not given.
            fields: others of the request's event, such as `provider`, `service_tier` or `kind`.

        Raises:
            RateLimitError: a limit would be passed; its `code` says which.
            APIError: there is no answer, or it is another error.
        """
        about = {
            "project_id": project_id,
            "model": model,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "amount": amount,
            "expires_in_seconds": expires_in_seconds,
            **fields,
        }
        request = replace(_json_request("POST", PATH, None, asked(hold_id, about)), repeatable=True)
        return AsyncHold(read_reservation(json_object(await self._send(request))), self.request)

    async def request(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Asks any other address of the API, of which UsageLedger has some of its own; returns its JSON object.

        Other methods than `GET` are sent again only if the server had rejected them, as they might take effect twice.

        Args:
            method: `GET`, `POST`, …
            path: below the base URL, such as `/rate_cards`.
            query: parameters; a list is sent as such.
            body: sent as JSON.

        Raises:
            APIError: there is no answer, or it is an error.
        """
        return json_object(await self._send(_json_request(method, path, query, body)))

    async def _page(self, path: str, kind: type[R], given: Mapping[str, Any]) -> AsyncUsagePage[R]:
        content = await self._send(Request("GET", path, parameters(given)))
        return AsyncUsagePage(*page_parts(content, kind), kind, partial(self._next, path, kind, given))

    async def _next(self, path: str, kind: type[R], given: Mapping[str, Any], page: str) -> AsyncUsagePage[R]:
        return await self._page(path, kind, {**given, "page": page})


def _json_request(method: str, path: str, query: Mapping[str, Any] | None, body: Mapping[str, Any] | None) -> Request:
    content = None if body is None else msgspec.json.encode(body)
    content_type = None if body is None else "application/json"
    return Request(method, path, parameters(query or {}), content, content_type, repeatable=method == "GET")


def _check(base_url: str, batch_size: int) -> None:
    if httpx.URL(base_url).host == OPENAI:
        raise SettingsError(f"base_url: {base_url} takes no events: give the address of a UsageLedger.")
    if batch_size < 1:
        raise ValueError(f"batch_size: expected 1 or more, got {batch_size!r}.")


async def _batches(events: Iterable[Event] | AsyncIterable[Event], size: int) -> AsyncIterator[list[bytes]]:
    if not isinstance(events, AsyncIterable):
        for lines in batches(map(encode, events), size, len):
            yield lines
        return
    held: list[bytes] = []
    async for event in events:
        held.append(encode(event))
        if len(held) == size:
            for lines in batches(held, size, len):
                yield lines
            held = []
    for lines in batches(held, size, len):
        yield lines
