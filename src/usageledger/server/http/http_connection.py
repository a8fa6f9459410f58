"""uvicorn's HTTP/1.1 protocol with size and time limits per connection, and the API's error body."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import ClassVar, cast

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from usageledger.errors import (
    HeadersTooLargeError,
    InvalidRequestError,
    MethodNotAllowedError,
    OverloadedError,
    RequestError,
    RequestTimeoutError,
)
from usageledger.server.http.requests import SECURITY_HEADERS, error_response, new_request_id
from usageledger.server.http.upgrades import UpgradesIgnored
from usageledger.settings import Settings

URL_BYTES_MAX = 65_535  # as the parser has it
HEADERS_MAX = 100
HEAD_BYTES_MAX = 128 * 1024  # the request line and all headers; the parser itself has no limit


def protocol_of(
    settings: Settings, connections_max: int, sent_again_paths: frozenset[str] = frozenset()
) -> type["Protocol"]:
    """The protocol with these limits: uvicorn makes one for each connection by itself.

    Args:
        settings: of the server.
        connections_max: that it has at once.
        sent_again_paths: those whose clients send a request again after 503, and not after 408.
    """
    given = {"settings": settings, "connections_max": connections_max, "sent_again_paths": sent_again_paths}
    return type("Protocol", (Protocol,), given)


class Protocol(UpgradesIgnored):
    """A connection. It ends when nothing is asked for too long, or a request or its answer takes too long."""

    settings: ClassVar[Settings]
    sent_again_paths: ClassVar[frozenset[str]]
    connections_max: ClassVar[int]

    _head_bytes = 0
    _in_head = False
    _receiving = False  # a request has begun and is not whole
    _refusal: RequestError | None = None
    _timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuses a connection beyond the limit."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.transport.set_write_buffer_limits(HIGH_WATER_LIMIT)  # TLS has one of its own, eight times as large
        if len(self.connections) > self.connections_max:
            self._refuse(OverloadedError("The server has too many connections: try again.", retry_after=1))
            return
        self._end_after(self.settings.idle_seconds, self._end_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clocks."""
        for timer in (self._timer, self._write_timer):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def _end_after(self, seconds: float, end: Callable[[], None] | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, end) if end else None

    # --- a request, from its first byte to its last --------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parses the data, and counts the bytes of a head that has no end yet."""
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse_request(HeadersTooLargeError(f"The headers are larger than {HEAD_BYTES_MAX} bytes."))

    def on_message_begin(self) -> None:
        """The first byte of a request, or of its head that is read once more."""
        super().on_message_begin()
        if not self._receiving:
            self._end_after(self.settings.max_request_seconds, self._end_slow)
        self._in_head = self._receiving = True
        self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; raises, through the parser, when there are too many."""
        super().on_header(name, value)
        if len(self.headers) > HEADERS_MAX:
            self._refusal = HeadersTooLargeError(f"The request has more than {HEADERS_MAX} headers.")
            raise self._refusal

    def on_headers_complete(self) -> None:
        """The end of the head; raises, through the parser, where it asks for a tunnel."""
        if self.parser.get_method() == b"CONNECT":
            self._refusal = MethodNotAllowedError("CONNECT is for proxies, and this is none.")
            raise self._refusal
        if not self.parser.should_upgrade():
            if self.parser.get_http_version() == "1.0":
                self.expect_100_continue = False  # it knows no interim answers (RFC 9110, 10.1.1)
            super().on_headers_complete()
        self._in_head = False  # only now: what raises is wrong with this request, and not with the one before it

    def on_message_complete(self) -> None:
        """The last byte of a request: from here on time is the server's."""
        if self.parser.should_upgrade():
            return  # its head is read once more
        self._receiving = False
        self._end_after(0, None)
        super().on_message_complete()
        if self.cycle and self.cycle.response_complete:
            self._end_after(self.settings.idle_seconds, self._end_idle)

    def on_response_complete(self) -> None:
        """The end of an answer."""
        super().on_response_complete()
        if not self._receiving and not self.pipeline:
            self._end_after(self.settings.idle_seconds, self._end_idle)

    # --- ends ----------------------------------------------------------------------------------------------------

    def _end_idle(self) -> None:
        self.transport.close()

    def _end_slow(self) -> None:
        message = f"The request was not complete after {self.settings.max_request_seconds} seconds."
        again = bool(self.cycle) and self.cycle.scope["path"] in self.sent_again_paths
        self._refuse_request(OverloadedError(message, retry_after=1) if again else RequestTimeoutError(message))

    def _refuse_request(self, error: RequestError) -> None:
        """Rejects an incomplete request, after the answers to earlier requests on the connection were sent."""
        answering = bool(self.cycle and not self.cycle.response_complete)
        if not answering:
            self._refuse(error)
        elif self._in_head or not self._receiving:  # what is under way are answers to whole requests
            self.cycle.keep_alive = False  # the connection ends after the last of them
            self.flow.pause_reading()
        elif self.cycle.response_started or self.pipeline:
            self.transport.close()
        else:
            self.cycle.disconnected = True  # what reads the body learns that no more will come
            self.cycle.message_event.set()
            self._refuse(error)

    def pause_writing(self) -> None:
        """Starts a timer: the client has stopped reading, and is cut off if it does not read again."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.settings.max_request_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Cancels the timer: the client reads again."""
        super().resume_writing()
        if self._write_timer:
            self._write_timer.cancel()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own text says less
        """Answers a request that the parser refused."""
        self._refuse_request(
            self._refusal
            or InvalidRequestError(f"This is no HTTP request, or its URL is longer than {URL_BYTES_MAX} bytes.")
        )

    def _refuse(self, error: RequestError) -> None:
        """Answers a request that never reaches the application, and ends the connection."""
        response = error_response(error)
        headers = [
            *self.server_state.default_headers,
            *response.raw_headers,
            *SECURITY_HEADERS,
            (b"connection", b"close"),
            (b"x-request-id", new_request_id().encode()),
            (b"openai-processing-ms", b"0"),
        ]
        status = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}".encode()
        lines = [status, *(b"%s: %s" % header for header in headers)]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.close()
