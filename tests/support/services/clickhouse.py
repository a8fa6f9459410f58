"""Real ClickHouse servers: two that are the shards of the cluster `ledger`, each of which is a single node as well."""

import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.services.nginx import sheltering
from tests.support.services.processes import answers, end_with_parent, free_ports, wait_until
from tests.support.services.programs import program

HERE = Path(__file__).parent
MEMORY_BYTES = 900 * 1024**2  # of each of the two
CLUSTER = "ledger"
CONFIG = """<clickhouse>
  <logger><level>warning</level><console>1</console></logger>
  <interserver_http_port>{interserver}</interserver_http_port>
  <interserver_http_host>127.0.0.1</interserver_http_host>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <max_thread_pool_size>200</max_thread_pool_size>
  <remote_servers><{cluster}>{shards}</{cluster}></remote_servers>
  <zookeeper><implementation>testkeeper</implementation></zookeeper>
  <macros><shard>{number}</shard><replica>1</replica></macros>
</clickhouse>
"""
SHARD = (
    "<shard><internal_replication>true</internal_replication>"
    "<replica><host>127.0.0.1</host><port>{native}</port></replica></shard>"
)


@dataclass
class Node:
    """One server; it can be killed and started again over the same data."""

    folder: Path
    native: int
    http: int
    process: "subprocess.Popen[str] | None" = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.http}"

    def start(self) -> None:
        command = [HERE / "clickhouse_server.py", program("clickhouse"), self.folder / "data", self.native, self.http]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, *map(str, command), str(self.folder / "config.xml")],
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - it calls one function of C's library
            )

    def wait(self) -> None:
        wait_until(lambda: answers(f"http://{self.address}/ping"))

    def kill(self) -> None:
        """As a loss of power would, but for what the kernel still writes."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def cluster(folder: Path, shards: int = 2, between: Callable[[int], int] = int) -> Generator[list[Node]]:
    """Running servers that are the shards of one cluster; killed at the end.

    Args:
        between: the native port of a server → the port where the others speak to it.
    """
    ports = free_ports(3 * shards)
    nodes = [Node(folder / f"node-{n}", ports[3 * n], ports[3 * n + 1]) for n in range(shards)]
    others = {node.native: between(node.native) for node in nodes}
    with ExitStack() as stack:
        for number, node in enumerate(nodes):
            reached = (others | {node.native: node.native}).values()
            listed = "".join(SHARD.format(native=port) for port in reached)
            (node.folder / "data").mkdir(parents=True)
            config = CONFIG.format(
                interserver=ports[3 * number + 2], memory=MEMORY_BYTES, cluster=CLUSTER, shards=listed, number=number
            )
            (node.folder / "config.xml").write_text(config)
            node.start()
            stack.callback(node.kill)
        for node in nodes:
            node.wait()
        yield nodes


@contextmanager
def start(folder: Path) -> Generator[dict[str, Any]]:
    """The two that a test run shares: whatever a test does to a connection, they go on."""
    with cluster(folder) as nodes, ExitStack() as stack:
        ports = [stack.enter_context(sheltering(folder / f"shelter-{node.http}", node.http)) for node in nodes]
        yield {"addresses": [f"127.0.0.1:{port}" for port in ports]}
