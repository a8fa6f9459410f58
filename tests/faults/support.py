"""Waiting for what a busy server does in the end."""

import time
from collections.abc import Callable

from tests.support.connections import PATIENCE_S


def settle(condition: Callable[[], bool]) -> None:
    """Waits until `condition` holds."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it never came to pass"
        time.sleep(0.02)
