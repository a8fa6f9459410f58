"""A real receiver of webhooks on loopback: what it answers stands in the path."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HUGE = 100 * 1024**2


class Receiver:
    """Keeps what came: path, headers by their lower-case names, body."""

    def __init__(self) -> None:
        self.came: list[tuple[str, dict[str, str], bytes]] = []
        self.sent = 0  # bytes of the huge answer
        self.go_on = threading.Event()  # for what waits
        self.url = ""

    def clear(self) -> None:
        """Forgets all that came."""
        self.came.clear()
        self.go_on.clear()

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.came]


class Handler(BaseHTTPRequestHandler):
    """Answers as the path says."""

    kept: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.kept.came.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        try:
            self._answer(self.path.strip("/").partition("?")[0])
        except OSError:  # the sender has gone
            return

    def _answer(self, path: str) -> None:
        if path == "slow":
            self.kept.go_on.wait(60)
        while path == "drip":
            self.wfile.write(b"H")
            if self.kept.go_on.wait(0.02):
                return
        self.send_response(int(path) if path.isdecimal() else 200)
        headers = {"302": ("location", f"{self.kept.url}/200")} | dict.fromkeys(("429", "503"), ("retry-after", "9000"))
        if path in headers:
            self.send_header(*headers[path])
        self.end_headers()
        self.wfile.write(b"said \x00 here")
        while path == "huge" and self.kept.sent < HUGE:
            self.kept.sent += self.wfile.write(b"x" * 2**16)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Runs a receiver: `/204` and the like answer with a status; `/slow`, `/drip` and `/huge` are as called."""
    made = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Kept", (Handler,), {"kept": made}))
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        made.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
