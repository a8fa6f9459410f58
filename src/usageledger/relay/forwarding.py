"""Requests → the upstream, and its answers back, byte for byte; usage is read on the way."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

import anyio
import httpx

from usageledger.capturing.answer_reader import readable_encodings
from usageledger.capturing.calls import named
from usageledger.capturing.recorder import Exchange, Recorder
from usageledger.errors import RequestError

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

# Between two machines and no further. What `connection` names belongs to them.
HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
OWN = {
    b"x-usageledger-project": "project_id",
    b"x-usageledger-user": "user_id",
    b"x-usageledger-api-key": "api_key_id",
}
READ_BYTES_MAX = 1024**2  # of a request's body that are looked at
CONNECT_S = 10.0

logger = logging.getLogger("usageledger.relay")


class UpstreamError(RequestError):
    """502: the upstream cannot be reached, or broke the connection before it answered."""

    status = 502
    type = "server_error"
    default_code = "upstream_unavailable"


class Relay:
    """The application, an ASGI one.

    Args:
        upstream: the address in front of every path.
        recorder: takes calls and answers.
        fields: for whom calls are whose headers do not say it.
    """

    def __init__(self, upstream: httpx.URL, recorder: Recorder, fields: dict[str, str]) -> None:
        self._url = upstream
        self._host = upstream.host if upstream.port is None else f"{upstream.host}:{upstream.port}"
        self._base_path = upstream.raw_path.rstrip(b"/")
        self._recorder = recorder
        self._fields = fields
        self._transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=100))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Forwards one request. Where its client hangs up, the upstream's answer is cut off."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        async with anyio.create_task_group() as group:
            upload = _Upload(receive, lambda: group.start_soon(hung_up, receive, group.cancel_scope))
            await self._forward(scope, upload, send)
            group.cancel_scope.cancel()

    async def _live(self, receive: Receive, send: Send) -> None:
        """Closes the connections to the upstream when the server ends."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._transport.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _forward(self, scope: Message, upload: "_Upload", send: Send) -> None:
        target = self._base_path + scope["raw_path"]
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        request = httpx.Request(
            scope["method"],
            self._url,
            headers=self._request_headers(scope["headers"]),
            stream=upload,
            extensions={"target": target + query, "timeout": {"connect": CONNECT_S}},
        )
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.RequestError as error:
            logger.warning("%s %s: %r", scope["method"], self._host, error)
            await _answer(send, UpstreamError(f"{self._host} cannot be reached: {error or type(error).__name__}"))
            return
        upload.watch()
        exchange = self._exchange(scope, target, upload.head, response)
        try:
            await self._answer(response, exchange, send)
        finally:
            if exchange:
                exchange.end()
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _answer(self, response: httpx.Response, exchange: Exchange | None, send: Send) -> None:
        """Passes an answer on. Where the upstream breaks off, so does it: the server then ends the connection."""
        headers = list(_end_to_end(response.headers.raw))
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        try:
            async for chunk in response.stream:  # type: ignore[union-attr]  # the transport is an asynchronous one
                if exchange:
                    exchange.feed(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except httpx.RequestError as error:
            logger.warning("%s broke off an answer: %r", self._host, error)
            return
        await send({"type": "http.response.body", "body": b""})

    def _exchange(self, scope: Message, target: bytes, body: bytes, response: httpx.Response) -> Exchange | None:
        """Begins to read an answer; None for one that uses no model. Never raises."""
        try:
            given = {OWN[name]: value.decode("latin-1") for name, value in scope["headers"] if name in OWN}
            fields = {**self._fields, **named(**{name: given.get(name) for name in OWN.values()})}
            call = self._recorder.call(scope["method"], self._host, target.decode("latin-1"), body, fields)
            if call is None:
                return None
            media_type = response.headers.get("content-type", "")
            encoding = response.headers.get("content-encoding", "")
            return self._recorder.exchange(call, response.status_code, media_type, encoding)
        except Exception as error:  # noqa: BLE001 - logged
            self._recorder.log_defect(error)
            return None

    def _request_headers(self, given: Headers) -> list[tuple[bytes, bytes]]:
        """Gives the headers as they came, but for hop-by-hop ones, ours, the host, and encodings that are not read."""
        given = list(given)
        headers = [(b"host", self._host.encode())]
        for name, value in _end_to_end(given):
            if name == b"accept-encoding":
                headers.append((name, _readable(value)))
            elif name not in OWN and name != b"host":
                headers.append((name, value))
        if any(name == b"transfer-encoding" for name, _ in given):
            headers.append((b"transfer-encoding", b"chunked"))
        return headers


class _Upload(httpx.AsyncByteStream):
    """The body of a request, as it comes.

    Attributes:
        head: its beginning, of at most `READ_BYTES_MAX`.
    """

    def __init__(self, receive: Receive, watch: Callable[[], object]) -> None:
        self._receive = receive
        self._watch: Callable[[], object] | None = watch
        self.head = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more, size = True, 0
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.watch()
                await asyncio.Event().wait()  # until the watch ends the task
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(chunk)
            self.head = self.head + chunk if size <= READ_BYTES_MAX else self.head
            if not more:
                self.watch()
            if chunk:
                yield chunk

    def watch(self) -> None:
        """Begins to wait for the client to hang up."""
        watch, self._watch = self._watch, None
        if watch:
            watch()


async def hung_up(receive: Receive, scope: anyio.CancelScope) -> None:
    """Cancels the scope when the client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _answer(send: Send, error: RequestError) -> None:
    body = json.dumps(error.body()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _end_to_end(headers: Headers) -> Iterable[tuple[bytes, bytes]]:
    headers = [(name.lower(), value) for name, value in headers]
    named_ones = {
        each.strip().lower() for name, value in headers if name == b"connection" for each in value.split(b",")
    }
    return (each for each in headers if each[0] not in HOP_BY_HOP and each[0] not in named_ones)


def _readable(accepted: bytes) -> bytes:
    """Gives those of the encodings that a client accepts of which the usage can be read."""
    known = {name.encode() for name in (*readable_encodings(), "identity")}
    read = [each.strip() for each in accepted.split(b",") if each.partition(b";")[0].strip().lower() in known]
    return b", ".join(read) or b"identity"
