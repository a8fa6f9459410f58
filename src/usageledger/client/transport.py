"""Requests and their retries: the part that both clients share, and the loop of each."""

import asyncio
import logging
import os
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpx

from usageledger.client.answers import status_error
from usageledger.client.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    SettingsError,
)
from usageledger.version import __version__

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
DEFAULT_MAX_RETRIES = 2
RETRIED = (408, 409, 429)
FIRST_OF_SERVER = 500  # from here on it is the server that failed, which may pass
UNTOUCHED = (429, 503)  # the request was turned away before it had any effect
FIRST_WAIT_S = 0.5

logger = logging.getLogger("usageledger.client")

# Of a parent process: not closed, since one of their locks may have been held at the fork, and is for ever.
_inherited: list[object] = []

H = TypeVar("H", bound=httpx.Client | httpx.AsyncClient)


def may_pass(error: APIError) -> bool:
    """Tell whether the same request may be answered another time: after 408, 409, 429, 5xx or a broken connection."""
    if isinstance(error, APIStatusError):
        return error.status_code in RETRIED or error.status_code >= FIRST_OF_SERVER
    return isinstance(error, APIConnectionError)


def was_turned_away(error: APIError) -> bool:
    """Tell whether the request had no effect, so that it may be sent again even where two of them would have two."""
    return isinstance(error, APIStatusError) and error.status_code in UNTOUCHED


@dataclass(frozen=True, slots=True)
class Retries:
    """A rule for sending the same request again.

    Attributes:
        count_max: how often; None for as long as it takes.
        backoff_s_max: the longest wait where the server asks for none.
        asked_s_max: a server that asks for a longer wait ends the retries, as the caller is to know at once.
        worth: tells the errors after which the request is sent again.
    """

    count_max: int | None = DEFAULT_MAX_RETRIES
    backoff_s_max: float = 8.0
    asked_s_max: float = 60.0
    worth: Callable[[APIError], bool] = may_pass

    def wait_s(self, attempt: int, error: APIError) -> float | None:
        """Return the seconds to wait after the tries up to `attempt`, from 0; None where that was the last one.

        Never less than the server asked for. Waits of our own differ by chance, so that many clients do not come back
        at one moment.
        """
        is_final = isinstance(error, APIStatusError) and error.is_final
        if is_final or not self.worth(error) or (self.count_max is not None and attempt >= self.count_max):
            return None
        asked = error.retry_after if isinstance(error, APIStatusError) else None
        if asked is not None:
            return asked if asked <= self.asked_s_max else None
        longest = min(self.backoff_s_max, FIRST_WAIT_S * 2.0 ** min(attempt, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True)
class Request:
    """A request, the same bytes on every try.

    Attributes:
        content_encoding: how `body` is compressed.
        repeatable: whether it may arrive twice and have its effect once.
    """

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    repeatable: bool = True


class Transport(Generic[H]):
    """The base of both transports: the address, the key, and the retries.

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
        self._retries = Retries(_checked_retries(max_retries))
        self._timeout = timeout
        self._given_http = http_client
        self._own_http: tuple[int, H] | None = None
        self._http()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"

    def _http(self) -> H:
        """The client below; after a fork another one, since two processes cannot share a connection."""
        if self._given_http is not None:
            return self._given_http
        if self._own_http is None or self._own_http[0] != os.getpid():
            if self._own_http is not None:
                _inherited.append(self._own_http)
            self._own_http = os.getpid(), self._new_http()
        return self._own_http[1]

    def _new_http(self) -> H:
        raise NotImplementedError

    def _arguments(self, request: Request) -> dict[str, Any]:
        """Returns the arguments for httpx."""
        headers = {
            "authorization": f"Bearer {self._api_key}",
            "accept": "application/json",
            "user-agent": f"usageledger-python/{__version__}",
        }
        about_body = {"content-type": request.content_type, "content-encoding": request.content_encoding}
        arguments: dict[str, Any] = {
            "method": request.method,
            "url": self.base_url + request.path,
            "params": request.query or None,
            "content": request.body,
            "headers": headers | {name: value for name, value in about_body.items() if value},
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
        arrived = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        if isinstance(error, httpx.TimeoutException):
            words = f"{self.base_url} did not answer in time ({type(error).__name__})."
            return APITimeoutError(words, may_have_arrived=arrived)
        return APIConnectionError(f"{self.base_url} cannot be reached: {reason}", may_have_arrived=arrived)

    def _wait_s(self, request: Request, attempt: int, error: APIError) -> float | None:
        """Return the seconds to wait before the same request is sent again; None where that is given up."""
        retries = self._retries if request.repeatable else replace(self._retries, worth=was_turned_away)
        seconds = retries.wait_s(attempt, error)
        if seconds is not None:
            self._note_retry(request, attempt, seconds, error)
        return seconds

    def _note_retry(self, request: Request, attempt: int, seconds: float, error: APIError) -> None:
        """Log that a request is sent again."""
        logger.info(
            "%s %s: %s; trying again in %.1f s (%d of %s)",
            request.method,
            request.path,
            error.status_code if isinstance(error, APIStatusError) else "no answer",
            seconds,
            attempt + 1,
            self._retries.count_max,
        )


class SyncTransport(Transport[httpx.Client]):
    """Requests that wait for their answers."""

    def _new_http(self) -> httpx.Client:
        return httpx.Client(timeout=DEFAULT_TIMEOUT, verify=tls(self.base_url))

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


class AsyncTransport(Transport[httpx.AsyncClient]):
    """Requests whose answers are awaited."""

    def _new_http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=DEFAULT_TIMEOUT, verify=tls(self.base_url))

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


def tls(base_url: str) -> ssl.SSLContext:
    """The context for an address; for plain HTTP one that trusts nobody, as certificates take longer than a request."""
    return _no_tls() if base_url.startswith("http:") else _tls()


@cache
def _tls() -> ssl.SSLContext:
    """The context that httpx makes, read once."""
    return httpx.create_ssl_context()


@cache
def _no_tls() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


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
