"""What the server says on stderr, whatever comes in: no key, no body, nobody's id."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
from tests.faults.support import PATIENCE_S, settle

KEY = "sk-admin-a-real-key-of-this-test-0123456789"
SECRET = "secret-of-a-sender"
MODEL = "a-model"  # models without a price are named in the log on purpose
EVENT = {"kind": "embeddings", "id": SECRET, "timestamp": 1_790_000_000, "model": MODEL, "input_tokens": 1}
EVENT |= {"project_id": f"project {SECRET}", "user_id": f"user {SECRET}", "api_key_id": f"key {SECRET}"}


def test_no_key_and_no_body_is_logged(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "usageledger", "serve", "--data", str(tmp_path), "--port", "0"]
    environment = {**os.environ, "USAGELEDGER_ADMIN_KEY": KEY, "PYTHONASYNCIODEBUG": "1"}
    said = tmp_path / "said.txt"
    with said.open("w") as stderr, subprocess.Popen(command, env=environment, stderr=stderr) as process:
        try:
            settle(lambda: "is ready at" in said.read_text())
            address = said.read_text().partition("is ready at ")[2].split()[0]
            ask_in_every_way(address)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
    text = said.read_text()
    assert MODEL in text
    assert "Stopped." in text
    assert SECRET not in text
    assert KEY not in text


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
        client.post("/v1/events", json=EVENT, headers={"authorization": f"Bearer {SECRET}"})
        client.get(f"/v1/organization/usage/embeddings?start_time=0&project_ids={SECRET}&{SECRET}=1", headers=right)
        client.get(f"/v1/organization/usage/embeddings?page=page_{SECRET}", headers=right)
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
