"""Server processes of the tests: on free ports of the loopback, waited for, and never left behind."""

import ctypes
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, closing
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

PR_SET_PDEATHSIG = 1
PATIENCE_S = 300  # of a test, on a busy machine


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def end_with_parent() -> None:
    """Run in a child before its program starts: when its parent is killed, so is it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def answers(url: str) -> bool:
    """Whether a server answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == HTTPStatus.OK)
    except (OSError, urllib.error.URLError):
        return False


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def wait_until(
    condition: Callable[[], bool], process: "subprocess.Popen[str] | None" = None, seconds: float = PATIENCE_S
) -> None:
    """Waits until `condition` holds; fails where `process` ends before, or it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"{process.args!r} ended with {process.returncode}")
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.02)
