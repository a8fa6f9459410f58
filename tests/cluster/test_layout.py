"""The reference layout of docs/scale-out.md: its files fit each other, and what is to read them can."""

import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from sqlalchemy import make_url
from tests.support.commands import COMMANDS
from tests.support.documentation import blocks
from tests.support.services.clickhouse import Node
from tests.support.services.processes import free_ports
from tests.support.services.programs import program
from tests.support.tls import CERT, KEY

from usageledger.ledger.clickhouse import Address, parse_address
from usageledger.ledger.clickhouse.client import Connection
from usageledger.ledger.clickhouse.table_ddl import create
from usageledger.settings import Settings, load_settings

TITLE = re.compile(r'title="(.+?)"')
FILES = {found[1]: block.text for block in blocks("docs/scale-out.md") if (found := TITLE.search(block.info))}
COMPOSE: dict[str, Any] = yaml.safe_load(FILES["compose.yaml"])
SERVICES: dict[str, Any] = COMPOSE["services"]
CLUSTER = ET.fromstring(FILES["cluster.xml"])
KEEPER = ET.fromstring(FILES["keeper.xml"])
ENGINES = {name: service for name, service in SERVICES.items() if "clickhouse-server" in service["image"]}


def texts(tree: ET.Element, path: str) -> list[str | None]:
    return [found.text for found in tree.findall(path)]


def settings() -> Settings:
    program_name, command, *words = SERVICES["server"]["command"].split()
    assert (program_name, command) == ("usageledger", "serve")
    return load_settings(COMMANDS[command].make_context(command, words).params, SERVICES["server"]["environment"])


def address() -> Address:
    return parse_address(settings().ledger_url)


def test_what_is_mounted_is_there() -> None:
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    files = {name.removeprefix("./") for name in mounted if name.startswith("./")} - {"tls"}
    volumes = [name for name in mounted if not name.startswith("./")]
    assert files == FILES.keys() - {"compose.yaml"}
    assert sorted(volumes) == sorted(COMPOSE["volumes"]), "each has a volume of its own"


def test_the_server_finds_ledger_and_registry() -> None:
    assert (settings().host, settings().allow_plain_http) == ("0.0.0.0", True), "the balancer has TLS, the servers none"
    where = address()
    for engine in ENGINES.values():
        assert where.host in engine["networks"]["default"]["aliases"]
        assert (where.user, where.password) == (
            engine["environment"]["CLICKHOUSE_USER"],
            engine["environment"]["CLICKHOUSE_PASSWORD"],
        )
    assert (where.port, where.replicated) == (8123, True)
    registry = make_url(settings().registry_url)
    given = SERVICES[str(registry.host)]["environment"]
    assert (registry.username, registry.password, registry.database) == (
        given["POSTGRES_USER"],
        given["POSTGRES_PASSWORD"],
        given["POSTGRES_DB"],
    )


def test_the_cluster_is_what_is_started() -> None:
    shards = [texts(shard, "replica/host") for shard in CLUSTER.findall(f"remote_servers/{address().cluster}/shard")]
    by_shard: dict[str, list[str]] = {}
    for name, engine in ENGINES.items():
        assert engine["hostname"] == name
        by_shard.setdefault(engine["environment"]["SHARD"], []).append(name)
    assert shards == [by_shard[number] for number in sorted(by_shard)]
    members = dict(zip(texts(KEEPER, ".//raft_configuration/server/id"), texts(KEEPER, ".//hostname"), strict=True))
    keepers = {SERVICES[name]["environment"]["SERVER_ID"]: name for name in SERVICES if name.startswith("keeper-")}
    assert members == keepers
    assert texts(CLUSTER, "zookeeper/node/host") == list(keepers.values())
    assert set(texts(CLUSTER, "zookeeper/node/port")) == set(texts(KEEPER, "keeper_server/tcp_port"))


@pytest.mark.external
def test_clickhouse_reads_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a Keeper in its own process, since those of the layout are not there."""
    engine = ENGINES["clickhouse-2-1"]
    monkeypatch.setenv("HOSTNAME", engine["hostname"])
    monkeypatch.setenv("SHARD", engine["environment"]["SHARD"])
    native, http = free_ports(2)
    node = Node(tmp_path, native, http)
    (tmp_path / "data").mkdir()
    local = FILES["cluster.xml"].replace("0.0.0.0", "127.0.0.1")
    own = "<zookeeper><implementation>testkeeper</implementation></zookeeper>"
    (tmp_path / "config.xml").write_text(re.sub(r"(?s)<zookeeper>.*</zookeeper>", own, local))
    node.start()
    try:
        node.wait()
        connection = Connection(parse_address(f"clickhouse://{node.address}/usage"))
        for statement in create(address()):
            connection.command(statement.replace(f" ON CLUSTER `{address().cluster}`", ""))
        found = connection.read(
            "SELECT shard_num, host_name FROM system.clusters WHERE cluster = ?", [address().cluster]
        )
        (path, replica) = (
            connection.read("SELECT zookeeper_path, replica_name FROM system.replicas").to_pylist()[0].values()
        )
        connection.close()
    finally:
        node.kill()
    assert [row["host_name"] for row in found.to_pylist()] == list(ENGINES)
    assert [row["shard_num"] for row in found.to_pylist()] == [1, 1, 2, 2]
    assert (path, replica) == ("/clickhouse/tables/2/usage/events_local", "clickhouse-2-1")


@pytest.mark.external
def test_nginx_reads_its_file(tmp_path: Path) -> None:
    text = FILES["nginx.conf"]
    (upstream,) = re.findall(r"upstream servers { server ([\w-]+):(\d+);", text)
    assert upstream == ("server", str(settings().port))
    (most,) = re.findall(r"client_max_body_size (\d+)m;", text)
    assert int(most) * 1024**2 == settings().max_body_bytes
    for name, path in (("cert", CERT), ("key", KEY)):
        text = text.replace(f"/etc/nginx/tls/{name}.pem", str(path))
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid;\n" + text.replace("server server:", "server 127.0.0.1:"))
    command = [
        str(program("nginx")),
        "-t",
        "-p",
        str(tmp_path),
        "-c",
        str(tmp_path / "nginx.conf"),
        "-e",
        str(tmp_path / "log"),
    ]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
