"""Limits of processes: the memory of a server, which is measured, and the size of files, which the system keeps."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.server_process import RunningServer


@contextmanager
def files_limited(size: int) -> Iterator[None]:
    """In the block no file of this process grows beyond so many bytes, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def resident_bytes(server: RunningServer, most: bool = False) -> int:
    """The memory of its process: now, or the most that it was."""
    name = "VmHWM:" if most else "VmRSS:"
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name}")


@contextmanager
def memory_bounded(server: RunningServer, most: int) -> Iterator[None]:
    """In the block the memory of its process grows by at most so many bytes, even for a moment."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # the most that it was is what it is now
    before = resident_bytes(server)
    yield
    grown = resident_bytes(server, most=True) - before
    assert grown < most, f"{grown:,} bytes"
