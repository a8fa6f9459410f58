"""`usageledger migrate` and `usageledger copy`: to ClickHouse and PostgreSQL, and what cannot be."""

import json
import time
from pathlib import Path

import httpx
import pytest
from tests.cli.support import Run, Start, one_error
from tests.support.engines import ONE_NODE
from tests.support.server_process import running
from tests.support.services.postgresql import new_database

EVENTS = [
    {
        "kind": "completions",
        "id": f"e{n}",
        "timestamp": 1_792_108_800 + n * 9000,
        "model": "gpt-5",
        "input_tokens": n,
        "output_tokens": 1,
    }
    for n in range(1, 30)
]


@pytest.mark.external
def test_migrate_shows_then_makes_then_has_nothing_to_do(call: Run, tmp_path: Path) -> None:
    url = ONE_NODE.url(tmp_path)
    shown = call("migrate", "--dry-run", USAGELEDGER_LEDGER=url)
    assert (shown.returncode, shown.stdout.count("CREATE ")) == (0, 2)
    assert "Nothing was changed." in shown.stderr
    made = call("migrate", "--ledger", url, "--json")
    assert json.loads(made.stdout)["applied"]
    again = call("migrate", "--ledger", url)
    assert (again.returncode, again.stdout) == (0, "")
    assert "Nothing to do" in again.stderr
    assert "Give the address" in one_error(call("migrate"), 2)
    assert "Give the address" in one_error(call("migrate", "--ledger", "duckdb:///x"), 2)


@pytest.mark.external
def test_a_server_says_what_its_ledger_lacks(run: Run, tmp_path: Path) -> None:
    url = ONE_NODE.url(tmp_path / "other")
    said = one_error(run("serve", "--data", tmp_path / "data", "--ledger", url, "--port", 0), 1)
    assert "make them with 'usageledger migrate'" in said


@pytest.mark.external
def test_moving_up(call: Run, start: Start, tmp_path: Path) -> None:
    """A ledger and its registry are copied, a second time only what came since; answers and verify are as before."""
    data, ledger, registry = tmp_path / "data", ONE_NODE.url(tmp_path), new_database()
    costs = f"/v1/organization/costs?start_time={EVENTS[0]['timestamp']}&limit=31&group_by=line_item"
    answers = []
    for part in (EVENTS[:20], EVENTS):
        with running(data, key="sk-admin-that-moves-up-1") as server:
            assert httpx.post(f"{server.url}/v1/events", json=part, headers=server.headers).json()["rejected"] == 0
            answers.append(httpx.get(f"{server.url}{costs}", headers=server.headers).json()["data"])
            server.stop()
        assert call("migrate", "--ledger", ledger).returncode == 0
        copied = call("copy", "--from", f"duckdb:///{data}/ledger.duckdb", "--to", ledger)
        assert (copied.returncode, f"{len(part)} events of " in copied.stderr) == (0, True), copied.stderr
    assert "9 of them added now." in copied.stderr
    source = f"sqlite:///{data}/registry.sqlite"
    for _ in range(2):
        assert call("copy", "--from", source, "--to", registry).returncode == 0
    places = ["--ledger", ledger, "--registry", registry]
    found = call("verify", *places)
    assert (found.returncode, "FAILED" in found.stdout) == (0, False), found.stdout + found.stderr
    moved = start("serve", "--data", tmp_path / "none", "--port", 0, *places)
    headers = {"authorization": "Bearer sk-admin-that-moves-up-1"}
    assert httpx.get(f"{moved.address}{costs}", headers=headers).json()["data"] == answers[-1]
    new = {**EVENTS[0], "id": "new", "timestamp": int(time.time()), "model": "gpt-5-mini"}
    assert httpx.post(f"{moved.address}/v1/events", json=new, headers=headers).json()["accepted"] == 1
    assert not (tmp_path / "none").exists()
    assert "is not empty" in one_error(call("copy", "--from", source, "--to", registry), 1)


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("duckdb:////nowhere/x.duckdb", "sqlite:////nowhere/x.sqlite", "a ledger to a ledger, or a registry"),
        ("duckdb:////nowhere/x.duckdb", "clickhouse://h/d", "nothing at duckdb:////nowhere/x.duckdb"),
    ],
)
def test_what_cannot_be_copied(call: Run, source: str, target: str, said: str) -> None:
    assert said in one_error(call("copy", "--from", source, "--to", target), 2)
