"""Connections to a server that a test writes to byte by byte."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from tests.support.server_process import RunningServer
from tests.support.services.processes import PATIENCE_S


@contextmanager
def connected(server: RunningServer) -> Iterator[socket.socket]:
    """A connection to it."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 0), timeout=PATIENCE_S) as connection:
        yield connection


def head(server: RunningServer, length: int) -> bytes:
    """Of a request that posts events."""
    return (
        f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()
