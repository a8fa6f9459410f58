"""What the server says on stderr, whatever comes in: no key, no body, nobody's id."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pyarrow as pa
import zstandard
from tests.support.server_process import without_pandas
from tests.support.services.processes import PATIENCE_S, wait_until

from usageledger.events.decoders import ARROW_TYPES, PARQUET_TYPES
from usageledger.server.http.auth import PAGE_HEADER, SESSION_COOKIE

KEY = "sk-admin-a-real-key-of-this-test-0123456789"
SECRET = "secret-of-a-sender"
MODEL = "a-model"  # models without a price are named in the log on purpose
EVENT = {"kind": "embeddings", "id": SECRET, "timestamp": 1_790_000_000, "model": MODEL, "input_tokens": 1}
PAGE = {PAGE_HEADER: "1", "sec-fetch-site": "same-origin"}
EVENT |= {"project_id": f"project {SECRET}", "user_id": f"user {SECRET}", "api_key_id": f"key {SECRET}"}


def said_while(tmp_path: Path, ask: Callable[[str], None]) -> str:
    """All that a server says on stderr while `ask` is called with its address, up to its end."""
    command = [sys.executable, "-m", "usageledger", "serve", "--data", str(tmp_path), "--port", "0"]
    environment = without_pandas({**os.environ, "USAGELEDGER_ADMIN_KEY": KEY, "PYTHONASYNCIODEBUG": "1"})
    said = tmp_path / "said.txt"
    with said.open("w") as stderr, subprocess.Popen(command, env=environment, stderr=stderr) as process:
        try:
            wait_until(lambda: "is ready at" in said.read_text())
            address = said.read_text().partition("is ready at ")[2].split()[0]
            ask(address)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
    return said.read_text()


def test_no_key_and_no_body_is_logged(tmp_path: Path) -> None:
    text = said_while(tmp_path, ask_in_every_way)
    assert MODEL in text
    assert "Stopped." in text
    assert SECRET not in text
    assert KEY not in text


def test_what_a_sender_repeats_is_logged_once_a_minute(tmp_path: Path) -> None:
    def ask(address: str) -> None:
        url, right = httpx.URL(address), {"authorization": f"Bearer {KEY}"}
        head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 100\r\n\r\n"
        with httpx.Client(base_url=address, timeout=PATIENCE_S) as client:
            for number in range(20):
                event = EVENT | {"id": f"{number}", "model": f"{MODEL}-{number}"}
                assert client.post("/v1/events", json=event, headers=right).json()["accepted"] == 1
                with socket.create_connection((url.host, url.port or 0), timeout=PATIENCE_S) as connection:
                    connection.sendall(f"{head}[".encode())

    lines = re.findall(r"^\S+Z (?:INFO|WARNING|ERROR) (.*)$", said_while(tmp_path, ask), re.MULTILINE)
    assert len([line for line in lines if "no price" in line]) == 1
    assert len([line for line in lines if "ended before its body did" in line]) == 1
    assert len(lines) <= 4


def send_packed(client: httpx.Client, right: dict[str, str]) -> None:
    """Bodies that are compressed, or tables: right ones, cut short ones, and others than they say."""
    table, sink = pa.table({"id": [SECRET], SECRET: [SECRET], "timestamp": [-1]}), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream = sink.getvalue().to_pybytes()
    packed = zstandard.compress(json.dumps({SECRET: SECRET}).encode())
    for body in (stream, stream[:-100], packed, packed[:-5], SECRET.encode()):
        for kind in (*ARROW_TYPES, *PARQUET_TYPES, "application/x-ndjson", SECRET):
            client.post("/v1/events", content=body, headers=right | {"content-type": kind})
        for encoding in ("zstd", "gzip", SECRET):
            client.post("/v1/events", content=body, headers=right | {"content-encoding": encoding})


def ask_in_every_way(address: str) -> None:
    """Right and wrong requests, each with the secret somewhere."""
    right = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=address, timeout=PATIENCE_S) as client:
        assert client.post("/v1/events", json=EVENT, headers=right).json()["accepted"] == 1
        assert client.post("/v1/events", json=EVENT | {"input_tokens": 2}, headers=right).json()["rejected"] == 1
        for body in (
            f'[{{"id": "{SECRET}"',
            f'{{"{SECRET}": 1}}',
            f'"{SECRET}\ud800"'.encode("utf-8", "surrogatepass"),
        ):
            client.post("/v1/events", content=body, headers=right)
            client.post("/v1/organization/projects", content=body, headers=right)
        client.post("/v1/organization/projects", json={"name": SECRET}, headers=right)
        client.post("/v1/organization/admin_api_keys", json={"name": SECRET, "scopes": [SECRET]}, headers=right)
        client.post("/v1/reprice", json={"model": SECRET, "apply": True, "reason": SECRET}, headers=right)
        client.post("/dashboard/session", json={"key": SECRET}, headers=PAGE)
        client.get("/v1/meters", headers=PAGE | {"cookie": f"{SESSION_COOKIE}={SECRET}"})
        send_packed(client, right)
        client.post("/v1/events", json=EVENT, headers={"authorization": f"Bearer {SECRET}"})
        client.get(f"/v1/organization/usage/embeddings?start_time=0&project_ids={SECRET}&{SECRET}=1", headers=right)
        client.get(f"/v1/organization/usage/embeddings?page=page_{SECRET}", headers=right)
        for question in ("explain?timestamp=1790000000&id=", "facets?dimension=model&search=", "organization/costs?x="):
            client.get(f"/v1/{question}{SECRET}", headers=right)
        client.get(f"/v1/{SECRET}")
        client.request("DELETE", f"/v1/organization/admin_api_keys/{SECRET}", headers=right)
    url = httpx.URL(address)
    for raw in (
        f"junk {SECRET}\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: {SECRET}\r\n\r\n",
        f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 100\r\n\r\n{SECRET}",
        f"GET /healthz HTTP/1.1\r\n{SECRET}: \x01{SECRET}\r\n\r\n",
    ):
        with socket.create_connection((url.host, url.port or 0), timeout=PATIENCE_S) as connection:
            connection.sendall(raw.encode())
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                connection.recv(65_536)
