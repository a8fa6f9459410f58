"""Backups: consistent while events arrive, checked before they are called one, and good for a new start."""

import itertools
import json
import os
import signal
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import httpx
import pytest
from tests.cli.support import KEY, Run, Server, Start, one_error
from tests.support.batches import batch, events_told, post, verified


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def here(server: Server, key: str = KEY) -> dict[str, str]:
    return {"USAGELEDGER_URL": server.address, "USAGELEDGER_API_KEY": key}


def client_of(server: Server) -> httpx.Client:
    return httpx.Client(base_url=server.address, headers={"authorization": f"Bearer {KEY}"}, timeout=60)


def test_a_backup_under_load_is_whole_and_can_be_served(run: Run, start: Start, data: Path, tmp_path: Path) -> None:
    server = start("serve", "--data", data, "--port", 0, USAGELEDGER_ADMIN_KEY=KEY)
    copy, restored = tmp_path / "backups" / "today", tmp_path / "restored"
    numbers, ended = itertools.count(), threading.Event()
    acknowledged: set[int] = set()

    def send() -> None:
        with client_of(server) as client:
            for number in numbers:
                size = 1000 if number % 2 else 10
                assert post(client, batch(number, size)).json()["accepted"] == size
                acknowledged.add(number)
                if ended.is_set():
                    return

    with ThreadPoolExecutor(3) as pool:
        sending = [pool.submit(send) for _ in range(3)]
        while len(acknowledged) < 20:
            pass
        before = set(acknowledged)
        done = run("backup", copy, "--json", **here(server))
        ended.set()
        for task in sending:
            task.result()
    assert done.returncode == 0, done.stderr
    note = json.loads(done.stdout)
    assert sum(1000 if number % 2 else 10 for number in before) <= note["events"]
    assert sorted(path.name for path in copy.iterdir()) == ["backup.json", "ledger.duckdb", "registry.sqlite"]
    assert json.loads((copy / "backup.json").read_text()) == note
    assert not list(data.glob(".backup-*"))
    assert [path.name for path in copy.parent.iterdir()] == ["today"]
    server.stop()

    done = run("restore", copy, "--data", restored)
    assert (done.returncode, done.stdout) == (0, "")
    assert stat.S_IMODE(restored.stat().st_mode) == 0o700
    assert verified(restored) == note["events"]
    with duckdb.connect(str(restored / "ledger.duckdb"), read_only=True) as connection:
        kept = {
            int(number)
            for (number,) in connection.execute("SELECT DISTINCT split_part(event_id, '-', 1) FROM events").fetchall()
        }
    assert before <= kept
    again = start("serve", "--data", restored, "--port", 0)
    assert again.key is None  # keys are in it too
    with client_of(again) as client:
        assert events_told(client) == note["events"]
        for number in sorted(acknowledged):  # what came after the backup is sent again
            answer = post(client, batch(number, 1000 if number % 2 else 10)).json()
            assert answer["accepted"] == 0 or number not in before
        assert events_told(client) == sum(1000 if number % 2 else 10 for number in acknowledged)
    again.stop()


def test_a_backup_of_a_stopped_server(call: Run, start: Start, data: Path, tmp_path: Path) -> None:
    server = start("serve", "--data", data, "--port", 0, USAGELEDGER_ADMIN_KEY=KEY)
    with client_of(server) as client:
        post(client, batch(0, 7)).raise_for_status()
    assert "Another process holds the ledger" in one_error(call("backup", "--data", data, tmp_path / "copy"), 1)
    assert not (tmp_path / "copy").exists()
    server.stop()
    (tmp_path / "copy").mkdir()  # an empty one is as good as none
    done = call("backup", "--data", data, tmp_path / "copy")
    assert done.returncode == 0
    assert "holds 7 events" in done.stderr
    assert verified(tmp_path / "copy") == 7
    assert "There is no registry" in one_error(call("backup", "--data", tmp_path / "no", tmp_path / "other"), 2)


def test_nothing_is_overwritten(call: Run, data: Path, tmp_path: Path) -> None:
    call("keys", "create", "--data", data)
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    assert "is there already" in one_error(call("backup", "--data", data, data), 2)
    assert "is no backup" in one_error(call("restore", tmp_path / "no", "--data", data), 2)
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def test_a_damaged_backup_is_not_restored(call: Run, start: Start, data: Path, tmp_path: Path) -> None:
    start("serve", "--data", data, "--port", 0, USAGELEDGER_ADMIN_KEY=KEY).stop()
    copy, restored = tmp_path / "copy", tmp_path / "restored"
    assert call("backup", "--data", data, copy).returncode == 0
    assert "is there already" in one_error(call("restore", copy, "--data", data), 2)
    for name in ("ledger.duckdb", "registry.sqlite"):
        whole = (copy / name).read_bytes()
        (copy / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert f"{name} is missing, or is not what was backed up" in one_error(
            call("restore", copy, "--data", restored), 1
        )
        (copy / name).write_bytes(whole)
    (copy / "backup.json").write_text("{}")
    assert "is no backup" in one_error(call("restore", copy, "--data", restored), 2)
    assert not restored.exists()


def test_who_may_not_and_what_is_no_server(call: Run, start: Start, data: Path, tmp_path: Path) -> None:
    server = start("serve", "--data", data, "--port", 0, USAGELEDGER_ADMIN_KEY=KEY)
    reader = call("keys", "create", "--scope", "api.usage.read", "--data", data).stdout.strip()
    error = one_error(call("backup", tmp_path / "copy", **here(server, reader)), 1)
    assert "The server made no backup: You have insufficient permissions" in error
    server.stop()
    assert "could not be fetched" in one_error(call("backup", tmp_path / "copy", **here(server)), 1)
    assert not (tmp_path / "copy").exists()


def test_a_server_that_was_killed_meanwhile_cleans_up(start: Start, data: Path) -> None:
    start("serve", "--data", data, "--port", 0, USAGELEDGER_ADMIN_KEY=KEY).stop(signal.SIGKILL)
    left = data / ".backup-left"
    left.mkdir()
    (left / "ledger.duckdb").write_bytes(os.urandom(10))
    start("serve", "--data", data, "--port", 0).stop()
    assert not left.exists()
