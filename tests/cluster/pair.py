"""Two servers over one ledger on ClickHouse and one registry in PostgreSQL, behind a real nginx."""

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.support.server_process import RunningServer, running
from tests.support.services.nginx import balancing
from tests.support.services.postgresql import new_database
from tests.support.services.processes import answers, free_ports, wait_until

KEY = "sk-admin-of-the-pair-0000"
STARTS = 40  # before a server that does not come up is a failure


@dataclass
class Pair:
    """The two servers, each of which may be killed and started again, and the address that shares requests out.

    Attributes:
        ledgers: the address of the ledger as each server is given it.
    """

    folder: Path
    ledgers: tuple[str, str]
    registry: str
    ports: list[int]
    url: str = ""
    servers: list[RunningServer | None] = field(default_factory=lambda: [None, None])
    stacks: list[ExitStack] = field(default_factory=lambda: [ExitStack(), ExitStack()])

    @property
    def addresses(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {KEY}"}

    def start(self, number: int) -> None:
        """Again and again, as a supervisor does: while a shard is away, a server says so and ends."""
        self.stacks[number] = ExitStack()
        settings: dict[str, Any] = {
            "ledger": self.ledgers[number],
            "registry": self.registry,
            "port": self.ports[number],
        }
        for attempts_left in reversed(range(STARTS)):
            server = running(self.folder / f"server-{number}", KEY, key_cache_seconds=1, **settings)
            try:
                self.servers[number] = self.stacks[number].enter_context(server)
            except AssertionError as error:
                if not attempts_left or "The ledger could not read" not in str(error):
                    raise
                time.sleep(0.5)
            else:
                return

    def kill(self, number: int) -> None:
        """kill -9."""
        self.servers[number] = None
        self.stacks[number].close()

    def client(self, number: int | None = None) -> httpx.Client:
        """Talks to one of the servers, or to whichever nginx chooses."""
        address = self.url if number is None else self.addresses[number]
        return httpx.Client(base_url=f"{address}/v1", headers=self.headers, timeout=60)


@contextmanager
def pair(folder: Path, ledgers: tuple[str, str]) -> Generator[Pair]:
    """Ready to answer; killed at the end."""
    made = Pair(folder, ledgers, new_database(), free_ports(2))
    with ExitStack() as stack:
        for number in (0, 1):
            stack.callback(made.kill, number)
            made.start(number)
        made.url = stack.enter_context(balancing(folder / "nginx", made.ports))
        yield made


def wait_for(address: str, seconds: float = 60) -> None:
    began = time.monotonic()
    wait_until(lambda: answers(f"{address}/readyz"), seconds=seconds)
    assert time.monotonic() - began < seconds
