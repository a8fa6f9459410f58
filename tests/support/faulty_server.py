"""A real HTTP server that does as a test says, one step for each request."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import zstandard

KEY = "sk-admin-of-the-client-tests-0123456789"
EMPTY_PAGE = {"object": "page", "data": [], "has_more": False, "next_page": None}


class Handler(BaseHTTPRequestHandler):
    """A request that is to be answered, and how many lines its body has."""

    protocol_version = "HTTP/1.1"
    lines = 0


Step = Callable[[Handler], object]


@dataclass
class Asked:
    """A request as it arrived; `body` is decompressed, `sent` is not."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    sent: bytes


@dataclass
class Faulty:
    """Where it listens, what it does next, and what it was asked.

    Attributes:
        steps: one for each request to come; without one, events are accepted and questions get an empty page.
    """

    url: str = ""
    steps: list[Step] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every event that arrived, as often as it did."""
        return [json.loads(line) for asked in self.asked for line in asked.body.splitlines()]


def answer(status: int, body: Any = EMPTY_PAGE, **headers: str) -> Step:
    """Answers, bytes as they are and anything else as JSON; `retry_after=1` is the header `retry-after: 1`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def step(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return step


def streamed(*chunks: bytes, media_type: str = "text/event-stream", whole: bool = True, **headers: str) -> Step:
    """Answers chunk by chunk; where it is not `whole`, the connection ends without the end of the body."""

    def step(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in {"content-type": media_type, "transfer-encoding": "chunked", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        for chunk in (*chunks, *([b""] if whole else [])):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            handler.wfile.flush()
        handler.close_connection = not whole

    return step


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Ends the connection without an answer."""
    handler.close_connection = True


def cut_body(handler: BaseHTTPRequestHandler) -> None:
    """Ends the connection in the middle of an answer."""
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"object": "page", "data": [')
    handler.close_connection = True


def batch(lines: int, rejected: int = 0, errors: Sequence[dict[str, Any]] = (), **more: Any) -> dict[str, Any]:
    """A UsageLedger's answer to so many events."""
    accepted = lines - rejected
    counts = {"accepted": accepted, "duplicates": 0, "rejected": rejected, "errors": list(errors)}
    return {"object": "event.batch", **counts, **more}


@contextmanager
def faulty() -> Iterator[Faulty]:
    """A server on a free port of this machine."""
    state = Faulty()

    class Stepwise(Handler):
        def do(self) -> None:
            body = sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if headers.get("content-encoding") == "zstd":
                body = zstandard.ZstdDecompressor().decompressobj().decompress(sent)
            state.asked.append(Asked(self.command, self.path, headers, body, sent))
            self.lines = len(body.splitlines())
            usual = answer(200, batch(self.lines) if body else EMPTY_PAGE)
            (state.steps.pop(0) if state.steps else usual)(self)

        do_GET = do_POST = do  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Stepwise) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
