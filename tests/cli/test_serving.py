"""From an empty folder to checked numbers, with real processes."""

import gzip
import json
import signal
import stat
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import httpx
import pytest
from msgspec.structs import replace
from tests.cli.support import COMMAND, DEADLINE_S, KEY, NOW, Run, Server, Start, lines, one_error, wire_events
from tests.support.ledger_contents import count, doubled

from usageledger.buckets import iso_day
from usageledger.ledger import open_ledger
from usageledger.pricing.price_file import shipped, written
from usageledger.registry import open_registry
from usageledger.settings import Settings

DAY = 86_400


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def completions(server: Server, key: str) -> httpx.Response:
    return httpx.get(
        f"{server.address}/v1/organization/usage/completions",
        params={"start_time": NOW - 7 * 86400, "end_time": NOW, "limit": 31},
        headers={"authorization": f"Bearer {key}"},
    )


def test_from_an_empty_folder_to_checked_numbers(run: Run, call: Run, start: Start, data: Path, tmp_path: Path) -> None:
    server = start("serve", "--data", data, "--port", 0)
    assert server.key
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert server.data == data
    file = tmp_path / "events.ndjson.gz"
    events = lines(wire_events(3000, days=2))
    file.write_bytes(gzip.compress(b"".join(events)))
    here = {"USAGELEDGER_URL": server.address, "USAGELEDGER_API_KEY": server.key}

    done = run("ingest", file, **here)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3,000 accepted, 0 duplicates, 0 refused\n", "")
    done = call("ingest", "-", stdin=b"".join(events[:10]), **here)
    assert (done.returncode, done.stdout) == (0, "0 accepted, 10 duplicates, 0 refused\n")

    requests = sum(
        event.get("num_model_requests", 0) for event in wire_events(3000, days=2) if event["kind"] == "completions"
    )
    page = completions(server, server.key).raise_for_status().json()
    assert sum(result["num_model_requests"] for bucket in page["data"] for result in bucket["results"]) == requests

    assert "Another process holds the ledger" in one_error(call("verify", "--data", data), 1)
    code, errors = server.stop()
    assert (code, errors) == (0, "")
    done = run("verify", "--data", data)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()
    assert all(line.startswith("ok ") for line in done.stdout.splitlines())
    assert "3,000 events" in done.stderr
    told = json.loads(call("verify", "--data", data, "--json").stdout)
    assert told["ok"]
    assert told["events"] == 3000
    assert len(told["findings"]) == len(done.stdout.splitlines())


def test_refused_events_are_named_by_file_and_line(call: Run, start: Start, data: Path, tmp_path: Path) -> None:
    server = start("serve", "--data", data, "--port", 0, USAGELEDGER_ADMIN_KEY=KEY)
    good = lines(wire_events(100))
    changed = json.loads(good[1]) | {"provider": "another"}
    bad = [
        good[0],
        b"\n",
        b'{"id": "no_kind"}\n',
        b"{broken\n",
        json.dumps(changed).encode() + b"\n",
        good[1],
        b'{"id": "\xff"}\n',
    ]
    file = tmp_path / "bad.ndjson"
    file.write_bytes(b"".join(bad))
    here = {"USAGELEDGER_URL": server.address, "USAGELEDGER_API_KEY": KEY}
    done = call("ingest", file, **here)
    assert (done.returncode, done.stdout) == (1, "2 accepted, 0 duplicates, 4 refused\n")
    named = [line.removeprefix(f"{file}:") for line in done.stderr.splitlines()]
    assert [int(line.partition(":")[0]) for line in named] == [3, 4, 6, 7]
    assert "no_kind: Missing required field: 'kind'" in named[0]
    # One broken line that is a batch by itself is refused like any other.
    done = call("ingest", file, "--batch", 1, **here)
    assert (done.returncode, done.stdout) == (1, "0 accepted, 2 duplicates, 4 refused\n")
    assert [int(line.removeprefix(f"{file}:").partition(":")[0]) for line in done.stderr.splitlines()] == [3, 4, 6, 7]


def test_sigterm_answers_what_is_under_way(start: Start, data: Path) -> None:
    server = start("serve", "--data", data, "--port", 0, USAGELEDGER_ADMIN_KEY=KEY)
    bodies = [b"".join(lines(wire_events(200, seed))) for seed in range(40)]
    under_way = threading.Event()

    def send(body: bytes) -> int:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/x-ndjson"}
        try:
            response = httpx.post(f"{server.address}/v1/events", content=body, headers=headers)
        except httpx.TransportError:
            return 0
        under_way.set()
        return int(response.json()["accepted"]) if response.status_code == 200 else 0

    with ThreadPoolExecutor(4) as pool:
        sent = pool.map(send, bodies)
        assert under_way.wait(30)
        code, errors = server.stop()
        acknowledged = sum(sent)
    assert (code, errors) == (0, "")
    ledger = open_ledger(Settings(data=data).ledger_url)
    try:
        assert 200 <= acknowledged <= count(ledger)
        assert doubled(ledger, 1) == []
    finally:
        ledger.close()


def test_ctrl_c_is_how_a_server_is_ended(start: Start, data: Path) -> None:
    assert start("serve", "--data", data, "--port", 0).stop(signal.SIGINT) == (0, "")


def test_the_first_key_is_shown_once(call: Run, start: Start, data: Path) -> None:
    server = start("serve", "--data", data, "--port", 0)
    assert server.key
    assert completions(server, server.key).status_code == 200
    listed = call("keys", "list", "--data", data).stdout + call("keys", "list", "--data", data, "--json").stdout
    assert server.key not in listed
    assert server.key[-4:] in listed
    _, errors = server.stop()
    assert server.key not in errors
    again = start("serve", "--data", data, "--port", 0)
    assert again.key is None
    assert completions(again, server.key).status_code == 200


def test_a_start_that_fails_uses_up_no_key(run: Run, call: Run, start: Start, data: Path, tmp_path: Path) -> None:
    other = start("serve", "--data", tmp_path / "other", "--port", 0)
    port = other.address.rpartition(":")[2]
    for command in (["serve", "--data", data], ["demo"]):
        said = one_error(run(*command, "--port", port), 2)
        assert f"Cannot listen on 127.0.0.1:{port}: Address already in use. Give another --port, or --port 0" in said
    assert call("keys", "list", "--data", data, "--json").stdout == "[]\n"
    assert start("serve", "--data", data, "--port", 0).key


def test_a_given_key_is_accepted_and_never_shown(call: Run, start: Start, data: Path) -> None:
    for _ in range(2):
        server = start("serve", "--data", data, "--port", 0, USAGELEDGER_ADMIN_KEY=KEY)
        assert server.key is None
        assert completions(server, KEY).status_code == 200
        assert completions(server, KEY + "x").status_code == 401
        _, errors = server.stop()
        assert KEY not in errors
    assert len(json.loads(call("keys", "list", "--data", data, "--json").stdout)) == 1


def test_another_address_needs_tls_or_a_flag(run: Run, data: Path) -> None:
    error = one_error(run("serve", "--data", data, "--port", 0, "--host", "0.0.0.0"), 2)
    assert "host: 0.0.0.0 can be reached from other machines" in error
    assert "--tls-cert" in error
    assert "--allow-plain-http" in error
    assert not list(data.iterdir())


def test_a_person_is_told_where_and_what_to_try(call: Run, environment: dict[str, str], data: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "serve", "--data", str(data), "--port", "0", "--host", "0.0.0.0", "--allow-plain-http"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr
        told: list[str] = []
        while len([line for line in told if line.startswith("  curl ")]) < 2:
            told.append(process.stderr.readline())
            assert told[-1], told
        process.send_signal(signal.SIGTERM)
        output, rest = process.communicate(timeout=DEADLINE_S)
    assert told[0].startswith("Warning: 0.0.0.0 can be reached from other machines, and this server has no TLS")
    assert "is ready at http://0.0.0.0:" in told[1]
    assert str(data) in told[2]
    key = next(line.rpartition(" ")[2].strip() for line in told if "shown only now" in line)
    assert all(key in line for line in told if line.startswith("  curl "))
    assert output == ""
    assert rest.strip() == "Stopped. Every acknowledged event is on disk."


def test_verify_finds_what_is_wrong(call: Run, start: Start, data: Path) -> None:
    server = start("serve", "--data", data, "--port", 0, USAGELEDGER_ADMIN_KEY=KEY)
    here = {"USAGELEDGER_URL": server.address, "USAGELEDGER_API_KEY": KEY}
    assert call("ingest", "-", stdin=b"".join(lines(wire_events(100, days=2))), **here).returncode == 0
    server.stop()
    with duckdb.connect(str(data / "ledger.duckdb")) as connection:
        connection.execute("INSERT INTO events SELECT * FROM events WHERE kind = 'completions' LIMIT 1")
    done = call("verify", "--data", data)
    assert done.returncode == 1
    assert any(line.startswith("FAILED") for line in done.stdout.splitlines())
    assert any(line.startswith("ok") for line in done.stdout.splitlines())
    done = call("verify", "--data", data, "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert not told["ok"]
    assert [finding for finding in told["findings"] if not finding["ok"]]


def test_a_file_that_is_no_ledger(run: Run, call: Run, data: Path) -> None:
    data.mkdir()
    (data / "ledger.duckdb").write_bytes(b"no ledger" * 1000)
    assert "cannot be opened" in one_error(call("verify", "--data", data), 1)
    assert "cannot be opened" in one_error(run("serve", "--data", data, "--port", 0), 1)


def test_a_database_of_something_else_is_left_as_it_is(run: Run, data: Path) -> None:
    data.mkdir()
    file = data / "ledger.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE events AS SELECT 42 AS answer")
    (data / "registry.sqlite").touch()
    before = file.read_bytes()
    for command in (("verify",), ("serve", "--port", 0)):
        assert "of something else" in one_error(run(*command, "--data", data), 1)
        assert file.read_bytes() == before
    assert sorted(path.name for path in data.iterdir() if path.suffix != ".sqlite") == ["ledger.duckdb"]


def test_verify_makes_no_registry(call: Run, start: Start, data: Path) -> None:
    start("serve", "--data", data, "--port", 0).stop()
    (data / "registry.sqlite").unlink()
    assert "There is no registry in" in one_error(call("verify", "--data", data), 2)
    assert not (data / "registry.sqlite").exists()


def test_verify_of_an_empty_and_of_no_ledger(call: Run, start: Start, data: Path) -> None:
    assert one_error(call("verify", "--data", data), 2) == f"Error: There is no ledger in {data}: check --data."
    assert not data.exists()
    start("serve", "--data", data, "--port", 0).stop()
    done = call("verify", "--data", data)
    assert (done.returncode, done.stderr) == (0, "The ledger is empty.\n")


def test_rollups_are_made_anew(call: Run, start: Start, data: Path) -> None:
    assert (
        one_error(call("rebuild-rollups", "--data", data), 2) == f"Error: There is no ledger in {data}: check --data."
    )
    server = start("serve", "--data", data, "--port", 0, USAGELEDGER_ADMIN_KEY=KEY)
    here = {"USAGELEDGER_URL": server.address, "USAGELEDGER_API_KEY": KEY}
    assert call("ingest", "-", stdin=b"".join(lines(wire_events(300, days=2))), **here).returncode == 0
    server.stop()
    with duckdb.connect(str(data / "ledger.duckdb")) as connection:
        (days,) = connection.execute("SELECT COUNT(DISTINCT ts // 86400) FROM events").fetchall()[0]
        connection.execute("UPDATE rollup_state SET covered = 1000")  # of rollups that hold nothing
    assert call("verify", "--data", data).returncode == 1
    done = call("rebuild-rollups", "--data", data)
    assert (done.returncode, done.stdout) == (0, f"{2 * days} days of sums made anew.\n")
    assert done.stderr.count(" is done\n") == 2 * days
    assert call("verify", "--data", data).returncode == 0
    told = json.loads(call("rebuild-rollups", "--data", data, "--json").stdout)
    assert (told["days"], set(told)) == (2 * days, {"days", "seconds"})


def test_strict_days_leave_unpriced_what_a_provisional_price_would_charge(
    start: Start, call: Run, tmp_path: Path
) -> None:
    """A real server, of prices that were compared with lists 46 days ago."""
    day = int(time.time()) // DAY * DAY
    rows = tuple(each for each in shipped().rows if each.model == "gpt-4o-2024-08-06")
    file = replace(shipped(), serial=shipped().serial + 1, confirmed_through=iso_day(day - 46 * DAY), rows=rows)
    event = {"kind": "completions", "id": "e", "timestamp": day, "model": "gpt-4o-2024-08-06"}
    event |= {"input_tokens": 10**6, "output_tokens": 0}
    told: list[tuple[str | None, str | None]] = []
    for options in (["--strict-days"], []):
        data = tmp_path / f"{len(options)}"
        with open_registry(f"sqlite:///{data}/registry.sqlite") as registry:
            registry.price_files.take(file, written(file), now=day)
        server = start("serve", "--data", data, "--port", 0, *options, USAGELEDGER_ADMIN_KEY=KEY)
        sent = call("ingest", "-", "--url", server.address, "--key", KEY, stdin=json.dumps(event).encode())
        assert sent.stdout == "1 accepted, 0 duplicates, 0 refused\n"
        costs = f"{server.address}/v1/organization/costs?start_time={day}&end_time={day + DAY}"
        headers = httpx.get(costs, headers={"authorization": f"Bearer {KEY}"}).headers
        told.append((headers.get("x-usageledger-unpriced"), headers.get("x-usageledger-provisional")))
        server.stop()
    assert told == [("1", None), (None, "1")]
