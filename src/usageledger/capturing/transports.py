"""Transports around those of an httpx client, which pass everything on and read answers on the way.

httpx and httpx2 have the same shape. Neither is imported: what is captured may be of either.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from inspect import iscoroutinefunction
from typing import Any, Self

from usageledger.capturing.calls import Call, asking_for_usage, current_attributes
from usageledger.capturing.recorder import Exchange, Recorder
from usageledger.client.errors import SettingsError

# Where SDKs keep their httpx clients: OpenAI, Anthropic and Groq; Google; Mistral; Cohere.
PLACES = (
    (),
    ("_client",),
    ("_api_client", "_httpx_client"),
    ("_api_client", "_async_httpx_client"),
    ("sdk_configuration", "client"),
    ("sdk_configuration", "async_client"),
    ("_client_wrapper", "httpx_client", "httpx_client"),
)


def tap(client: Any, make: Callable[[Any], Any]) -> None:
    """Puts our transports in the stead of those of an httpx client.

    Args:
        client: the httpx client.
        make: our transport around another one.
    """
    _wrap(client, make)
    if inner := getattr(client, "_inner_client_cls", None):  # Google's: a client for each event loop inside of it
        for each in client._loop_clients.values():  # noqa: SLF001 - there is no other way
            _wrap(each, make)

        def wrapped(**given: Any) -> Any:
            return _wrap(inner(**given), make)

        client._inner_client_cls = wrapped  # noqa: SLF001


def untap(client: Any) -> None:
    """Puts an httpx client's own transports back."""
    _unwrap(client)
    if hasattr(client, "_inner_client_cls"):
        del client._inner_client_cls  # noqa: SLF001
        for each in client._loop_clients.values():  # noqa: SLF001
            _unwrap(each)


def is_tapped(client: Any) -> bool:
    """Returns true for an httpx client that has our transports."""
    return isinstance(client._transport, Reading)  # noqa: SLF001


def _wrap(client: Any, make: Callable[[Any], Any]) -> Any:
    client._transport = make(client._transport)  # noqa: SLF001
    client._mounts = {pattern: each and make(each) for pattern, each in client._mounts.items()}  # noqa: SLF001
    return client


def _unwrap(client: Any) -> None:
    client._transport = client._transport.inner  # noqa: SLF001
    client._mounts = {pattern: each and each.inner for pattern, each in client._mounts.items()}  # noqa: SLF001


def http_clients(client: Any) -> list[Any]:
    """Finds the httpx clients in a client of a vendor, or the one that it is itself.

    Raises:
        SettingsError: there are none.
    """
    found = [each for place in PLACES if (each := _at(client, place)) is not None and _is_http_client(each)]
    if not found:
        raise SettingsError(f"{type(client).__name__} has no httpx client that could be captured.")
    return list({id(each): each for each in found}.values())


def is_async(http_client: Any) -> bool:
    """Returns true for a client whose answers are awaited."""
    return iscoroutinefunction(http_client.send)


def _at(client: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        client = getattr(client, name, None)
    return client


def _is_http_client(client: Any) -> bool:
    return all(hasattr(client, name) for name in ("_transport", "_mounts", "send"))


class Reading:
    """The base of both transports.

    Attributes:
        inner: the transport that carries the requests.

    Args:
        recorder: takes what is read.
        fields: for whom calls are that no block of `attributes` is around.
        ask_for_usage: ask for the usage of streams that would not say it.
    """

    def __init__(self, inner: Any, recorder: Recorder, fields: dict[str, str], *, ask_for_usage: bool) -> None:
        self.inner = inner
        self._recorder = recorder
        self._fields = fields
        self._ask_for_usage = ask_for_usage

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _begin(self, request: Any) -> tuple[Any, Call | None]:
        """Gives the request to send, and the call that it is; never raises."""
        try:
            body, url = _body(request), request.url
            host = url.host if url.port is None else f"{url.host}:{url.port}"
            path = url.raw_path.partition(b"?")[0].decode("ascii")
            fields = {**self._fields, **current_attributes()}
            call = self._recorder.call(request.method, host, path, body, fields)
            if call is None or not call.lacks_usage or not self._ask_for_usage:
                return request, call
            return _asking(request, asking_for_usage(body)), call
        except Exception as error:  # noqa: BLE001 - logged
            self._recorder.log_defect(error)
            return request, None

    def _watch(self, response: Any, call: Call | None, stream: Any, base_name: str) -> None:
        """Lets the body of an answer pass through a reader; never raises."""
        if call is None:
            return
        try:
            headers = response.headers
            media_type, encoding = headers.get("content-type", ""), headers.get("content-encoding", "")
            if response.is_stream_consumed:  # a transport that is no network, such as one for tests
                if exchange := self._recorder.exchange(call, response.status_code, media_type, ""):
                    exchange.feed(response.content)
                    exchange.end()
            elif exchange := self._recorder.exchange(call, response.status_code, media_type, encoding):
                response.stream = _of_base(stream, response.stream.__class__, base_name)(response.stream, exchange)
        except Exception as error:  # noqa: BLE001 - logged
            self._recorder.log_defect(error)


class SyncReading(Reading):
    """A transport for clients that wait."""

    def __enter__(self) -> Self:
        self.inner.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.inner.__exit__(*error)

    def close(self) -> None:
        """Closes the transport below."""
        self.inner.close()

    def handle_request(self, request: Any) -> Any:
        """Sends a request."""
        request, call = self._begin(request)
        response = self.inner.handle_request(request)
        self._watch(response, call, SyncBody, "SyncByteStream")
        return response


class AsyncReading(Reading):
    """A transport for clients that are awaited."""

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.inner.__aexit__(*error)

    async def aclose(self) -> None:
        """Closes the transport below."""
        await self.inner.aclose()

    async def handle_async_request(self, request: Any) -> Any:
        """Sends a request."""
        request, call = self._begin(request)
        response = await self.inner.handle_async_request(request)
        self._watch(response, call, AsyncBody, "AsyncByteStream")
        return response


class SyncBody:
    """The body of an answer, which an exchange reads along."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._inner:
                self._exchange.feed(chunk)
                yield chunk
        finally:
            self._exchange.end()

    def close(self) -> None:
        """Ends the answer, whole or not."""
        try:
            self._inner.close()
        finally:
            self._exchange.end()


class AsyncBody:
    """The same for clients that are awaited."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._inner:
                self._exchange.feed(chunk)
                yield chunk
        finally:
            self._exchange.end()

    async def aclose(self) -> None:
        """Ends the answer, whole or not."""
        try:
            await self._inner.aclose()
        finally:
            self._exchange.end()


@cache
def _of_base(stream: Any, other: Any, base_name: str) -> Any:
    """Makes the class of streams that is also one of the library that `other` is of: it looks for that."""
    base = next(each for each in other.__mro__ if each.__name__ == base_name)
    return type(stream.__name__, (stream, base), {})


def _body(request: Any) -> bytes:
    """Gives the body of a request as far as it is in memory: of a form the field that names the model."""
    try:
        content: bytes = request.content
    except RuntimeError:  # httpx's RequestNotRead
        models = [each.value for each in getattr(request.stream, "fields", ()) if each.name == "model"]
        return b'name="model"\r\n\r\n%s\r\n' % str(models[0]).encode() if models else b""
    return content


def _asking(request: Any, body: bytes) -> Any:
    headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"content-length"]
    return type(request)(request.method, request.url, headers=headers, content=body, extensions=request.extensions)
