"""The time that the relay adds to a call: `python -m bench.relay`, beside the same call without it, in turns.

The upstream answers at once, on this machine, so that nothing else is in the figures.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.figures import Figure, show
from bench.measure import figure, p

CALLS, ROUNDS = 200, 10
TARGET_MS = 2.0
CHAT = {
    "object": "chat.completion",
    "created": 1_794_960_000,
    "model": "gpt-5-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * 200}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
}
REQUEST = json.dumps({"model": "gpt-5-mini", "messages": [{"role": "user", "content": "word " * 700}]}).encode()
# An upstream that takes as little time as can be: it looks for nothing but the end of a request of a known length.
UPSTREAM = """
import asyncio, json, sys
answer, length = json.loads(sys.argv[1]), int(sys.argv[2])
async def serve(reader, writer):
    number = 0
    try:
        while True:
            await reader.readuntil(b"\\r\\n\\r\\n")
            await reader.readexactly(length)
            number += 1
            body = json.dumps({"id": f"chatcmpl-{id(writer)}-{number}"} | answer).encode()
            head = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: %d\\r\\n\\r\\n"
            writer.write(head % len(body) + body)
    except asyncio.IncompleteReadError:
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(json.dumps({"address": "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def relay() -> Iterator[Figure]:
    """The time that the relay adds to a call, p50 and p99, beside the call itself."""
    with (
        tempfile.TemporaryDirectory() as spool,
        _process("-c", UPSTREAM, json.dumps(CHAT), str(len(REQUEST))) as direct,
    ):
        options = ("--vendor", "openai", "--listen", "127.0.0.1:0", "--spool", spool, "--json")
        command = ("-m", "usageledger", "relay", "--upstream", f"http://127.0.0.1:{direct}", *options)
        with _process(*command) as relayed, _connected(direct) as one, _connected(relayed) as other:
            alone: list[float] = []
            through: list[float] = []
            for _ in range(ROUNDS):
                alone += _times(one)
                through += _times(other)
    for percent, target in ((50, TARGET_MS), (99, None)):
        added = p(through, percent) - p(alone, percent)
        yield figure(f"time that the relay adds to a call, p{percent}", added, "ms", target, p(alone, percent))


def _times(connected: socket.socket) -> list[float]:
    """Seconds of each call, one after the other."""
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(REQUEST) + REQUEST
    found = []
    for _ in range(CALLS):
        began = time.perf_counter()
        connected.sendall(request)
        data = b""
        while not data.endswith(b"}}"):
            data += connected.recv(65536)
        found.append(time.perf_counter() - began)
    return found


@contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as connected:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _times(connected)  # not counted
        yield connected


@contextmanager
def _process(*command: str) -> Iterator[int]:
    """A process that says its address; its port. Usage goes to a ledger that is away: the relay keeps it on disk."""
    environment = {**os.environ, "USAGELEDGER_URL": "http://127.0.0.1:9", "USAGELEDGER_API_KEY": "sk-bench"}
    with subprocess.Popen(
        [sys.executable, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield int(json.loads(process.stdout.readline())["address"].rpartition(":")[2])
        finally:
            process.terminate()


if __name__ == "__main__":
    show(relay(), floor="the call alone")
