"""Requests and their retries: what both clients share, and the loop that each of them runs."""

import asyncio
import logging
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpx
import msgspec

from usageledger.client.answers import json_object, page_parts, status_error
from usageledger.client.arguments import parameters
from usageledger.client.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    SettingsError,
)
from usageledger.client.pages import AsyncUsagePage, R, UsagePage
from usageledger.version import __version__

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
DEFAULT_MAX_RETRIES = 2
RETRIED = (408, 409, 429)  # and every status from 500 on
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0
LONGEST_ASKED_WAIT_S = 60.0

logger = logging.getLogger("usageledger.client")

H = TypeVar("H", bound=httpx.Client | httpx.AsyncClient)


@dataclass(frozen=True, slots=True)
class Request:
    """A request, the same bytes on every try."""

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    content_type: str | None = None


class Transport(Generic[H]):
    """What both clients share: where they ask, with which key, and when they ask again.

    Args:
        api_key: `OPENAI_ADMIN_KEY` where it is not given.
        base_url: `OPENAI_BASE_URL` where it is not given, then OpenAI's.
        timeout: seconds, or httpx's own; by default 10 s to connect and 60 s for each wait, or what `http_client` has.
        max_retries: how often a request is sent again after 408, 409, 429, 5xx or a broken connection.
        http_client: one of your own, for proxies or certificates; it stays open when this client is closed.

    Raises:
        SettingsError: no key, or an argument that cannot be used.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | httpx.URL | None = None,
        *,
        timeout: float | httpx.Timeout | None = None,
        max_retries: int = DEFAULT_MAX_RETRIES,
        http_client: H | None = None,
    ) -> None:
        self._api_key = _checked_key(os.environ.get("OPENAI_ADMIN_KEY") if api_key is None else api_key)
        self.base_url = _checked_address(os.environ.get("OPENAI_BASE_URL", "") if base_url is None else base_url)
        self.max_retries = _checked_retries(max_retries)
        self._timeout = timeout
        self._given_http = http_client
        self._own_http: tuple[int, H] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"

    def _http(self) -> H:
        """The client below; after a fork another one, since two processes cannot share a connection."""
        if self._given_http is not None:
            return self._given_http
        if self._own_http is None or self._own_http[0] != os.getpid():
            self._own_http = os.getpid(), self._new_http()
        return self._own_http[1]

    def _new_http(self) -> H:
        raise NotImplementedError

    def _arguments(self, request: Request) -> dict[str, Any]:
        """What httpx is called with."""
        headers = {
            "authorization": f"Bearer {self._api_key}",
            "accept": "application/json",
            "user-agent": f"usageledger-python/{__version__}",
        }
        arguments: dict[str, Any] = {
            "method": request.method,
            "url": self.base_url + request.path,
            "params": request.query or None,
            "content": request.body,
            "headers": headers | ({"content-type": request.content_type} if request.content_type else {}),
        }
        return arguments if self._timeout is None else arguments | {"timeout": self._timeout}

    def _content(self, response: httpx.Response) -> bytes:
        """The body of an answer, without the key, should a server repeat it.

        Raises:
            APIStatusError: the answer is an error.
        """
        content = response.content.replace(self._api_key.encode(), b"[API key]")
        if response.is_success:
            return content
        raise status_error(response.status_code, response.headers, content)

    def _unanswered(self, error: httpx.RequestError) -> APIConnectionError:
        reason = str(error).replace(self._api_key, "[API key]") or type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            return APITimeoutError(f"{self.base_url} did not answer in time ({type(error).__name__}).")
        return APIConnectionError(f"{self.base_url} cannot be reached: {reason}")

    def _wait_s(self, request: Request, attempt: int, error: APIError) -> float | None:
        """How long to wait before the same request is sent again; None where that is given up.

        Never less than the server asked for: where that is more than a minute, the caller is told at once.
        """
        status = error.status_code if isinstance(error, APIStatusError) else None
        if attempt >= self.max_retries or not worth_a_retry(error):
            return None
        asked = error.retry_after if isinstance(error, APIStatusError) else None
        if asked is not None and asked > LONGEST_ASKED_WAIT_S:
            return None
        seconds = backoff_s(attempt) if asked is None else asked
        logger.info(
            "%s %s: %s; trying again in %.1f s (%d of %d)",
            request.method,
            request.path,
            "no answer" if status is None else status,
            seconds,
            attempt + 1,
            self.max_retries,
        )
        return seconds


def json_request(method: str, path: str, query: Mapping[str, Any] | None, body: Mapping[str, Any] | None) -> Request:
    """A request whose body, where it has one, is JSON."""
    content = None if body is None else msgspec.json.encode(body)
    return Request(method, path, parameters(query or {}), content, None if body is None else "application/json")


def backoff_s(attempt: int) -> float:
    """How long to wait after the tries up to `attempt`, so that many clients do not come back at one moment."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def worth_a_retry(error: APIError) -> bool:
    """Whether the same request may be answered another time."""
    if isinstance(error, APIStatusError):
        return error.status_code in RETRIED or error.status_code >= 500  # noqa: PLR2004 - where server errors begin
    return isinstance(error, APIConnectionError)


class SyncTransport(Transport[httpx.Client]):
    """The part of `UsageAPI` that is not generated."""

    def _new_http(self) -> httpx.Client:
        return httpx.Client(timeout=DEFAULT_TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; the next request opens new ones."""
        if self._own_http is not None and self._own_http[0] == os.getpid():
            self._own_http[1].close()
        self._own_http = None

    def _send(self, request: Request) -> bytes:
        """The body of the answer, asked for again where that may help.

        Raises:
            APIError: there is none.
        """
        for attempt in count():
            try:
                response = self._http().request(**self._arguments(request))
                return self._content(response)
            except httpx.RequestError as failure:
                error: APIError = self._unanswered(failure)
            except APIStatusError as failure:
                error = failure
            wait = self._wait_s(request, attempt, error)
            if wait is None:
                raise error
            time.sleep(wait)
        raise AssertionError("unreachable")

    def request(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What any other address of the API answers, as the JSON object that it is; UsageLedger has some of its own.

        Args:
            method: `GET`, `POST`, …
            path: below the base URL, such as `/rate_cards`.
            query: parameters; a list is sent as such.
            body: sent as JSON.

        Raises:
            APIError: there is no answer, or it is an error.
        """
        return json_object(self._send(json_request(method, path, query, body)))

    def _page(self, path: str, kind: type[R], given: Mapping[str, Any]) -> UsagePage[R]:
        content = self._send(Request("GET", path, parameters(given)))
        return UsagePage(*page_parts(content, kind), kind, partial(self._next, path, kind, given))

    def _next(self, path: str, kind: type[R], given: Mapping[str, Any], page: str) -> UsagePage[R]:
        return self._page(path, kind, {**given, "page": page})


class AsyncTransport(Transport[httpx.AsyncClient]):
    """The part of `AsyncUsageAPI` that is not generated."""

    def _new_http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=DEFAULT_TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections; the next request opens new ones."""
        if self._own_http is not None and self._own_http[0] == os.getpid():
            await self._own_http[1].aclose()
        self._own_http = None

    async def _send(self, request: Request) -> bytes:
        """The body of the answer, asked for again where that may help.

        Raises:
            APIError: there is none.
        """
        for attempt in count():
            try:
                response = await self._http().request(**self._arguments(request))
                return self._content(response)
            except httpx.RequestError as failure:
                error: APIError = self._unanswered(failure)
            except APIStatusError as failure:
                error = failure
            wait = self._wait_s(request, attempt, error)
            if wait is None:
                raise error
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def request(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What any other address of the API answers, as the JSON object that it is; UsageLedger has some of its own.

        Args:
            method: `GET`, `POST`, …
            path: below the base URL, such as `/rate_cards`.
            query: parameters; a list is sent as such.
            body: sent as JSON.

        Raises:
            APIError: there is no answer, or it is an error.
        """
        return json_object(await self._send(json_request(method, path, query, body)))

    async def _page(self, path: str, kind: type[R], given: Mapping[str, Any]) -> AsyncUsagePage[R]:
        content = await self._send(Request("GET", path, parameters(given)))
        return AsyncUsagePage(*page_parts(content, kind), kind, partial(self._next, path, kind, given))

    async def _next(self, path: str, kind: type[R], given: Mapping[str, Any], page: str) -> AsyncUsagePage[R]:
        return await self._page(path, kind, {**given, "page": page})


def _checked_retries(retries: Any) -> int:
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise SettingsError(f"max_retries: expected an integer of 0 or more, got {retries!r}.")
    return retries


def _checked_key(key: Any) -> str:
    """The key; it never stands in a message, as it may be misplaced rather than wrong."""
    if not key:
        raise SettingsError("There is no API key: give api_key, or set OPENAI_ADMIN_KEY.")
    if not isinstance(key, str) or not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError("api_key: an API key is visible ASCII characters without spaces or line ends.")
    return key


def _checked_address(address: str | httpx.URL) -> str:
    """The address without a slash at its end."""
    text = str(address) or DEFAULT_BASE_URL
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        shown = "an address with a user or a password in it" if url.userinfo else repr(text)
        raise SettingsError(f"base_url: expected https://HOST/v1 or http://HOST:PORT/v1, got {shown}.")
    return text.rstrip("/")
