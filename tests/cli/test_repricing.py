"""`prices unpriced`, `diff`, `reprice` and `explain` on a running server: from no price to one that is explained."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cli.support import Run, Server, Start, one_error

DAY = 86_400
KEY = "a-key-of-the-tests-0123456789"
TODAY = int(datetime.now(UTC).timestamp()) // DAY * DAY


def day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


EVENTS = [
    {"kind": "completions", "id": "known", "timestamp": TODAY, "model": "gpt-4o-2024-08-06", "project_id": "p"}
    | {"input_tokens": 3_000_000, "input_cached_tokens": 1_000_000, "output_tokens": 7},
    {"kind": "completions", "id": "own", "timestamp": TODAY - DAY, "model": "in-house", "input_tokens": 5_000_000}
    | {"output_tokens": 1_000_000},
    {"kind": "vector_stores", "id": "size", "timestamp": TODAY, "vector_store_id": "v", "usage_bytes": 2**31},
]


@pytest.fixture
def server(start: Start, call: Run, tmp_path: Path) -> Server:
    running = start("serve", "--data", tmp_path / "data", "--port", 0, USAGELEDGER_ADMIN_KEY=KEY)
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join(map(json.dumps, EVENTS)))
    sent = call("ingest", file, "--url", running.address, "--key", KEY)
    assert sent.stdout == "3 accepted, 0 duplicates, 0 refused\n"
    return running


def test_from_unpriced_to_explained(call: Run, server: Server) -> None:
    asked = ("--url", server.address, "--key", KEY)

    def said(*command: object) -> Any:
        done = call(*command, *asked, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    table = call("prices", "unpriced", *asked).stdout.split()
    assert [word for word in ("in-house,", "5,000,000", "1,000,000", day(TODAY - DAY)) if word not in table] == []
    assert [entry["model"] for entry in said("prices", "unpriced")] == ["in-house"]
    assert said("prices", "unpriced", "--from", day(TODAY)) == []
    assert "has today's prices already" in call("prices", "reprice", *asked).stderr
    assert said("prices", "diff") == []

    prices = ("prices", "set", "--data", server.data, "--from", day(TODAY - DAY))
    call(*prices, "input=0.20", "output=0.60", "--model", "in-house")
    call(*prices, "input=1", "--model", "gpt-4o-2024-08-06")
    shown = call("prices", "diff", *asked)
    rows = {line.split("  ")[0]: line.split() for line in shown.stdout.splitlines()}
    assert rows["in-house, input"][-5:] == [day(TODAY - DAY), "none", "0.20", "1M", "tokens"]
    assert rows["gpt-4o-2024-08-06, input"][-5:] == [day(TODAY), "2.50", "1.00", "1M", "tokens"]
    assert "2 rate cards would change." in shown.stderr

    shown = call("prices", "reprice", *asked)
    rows = {line.split("  ")[0]: line.split() for line in shown.stdout.splitlines()}
    assert rows["in-house"][-5:] == ["own", "price", "unpriced", "1.60", "1.60"]
    assert rows["gpt-4o-2024-08-06"][-5:] == ["own", "price", "5.00", "2.00", "-3.00"]
    assert rows["in-house, input"][-3:] == ["unpriced", "1.00", "1.00"]
    assert rows["in-house, output"][-3:] == ["unpriced", "0.60", "0.60"]
    assert rows["gpt-4o-2024-08-06, input"][-3:] == ["5.00", "2.00", "-3.00"]
    assert "a difference of -1.40 USD" in shown.stderr
    assert "Nothing has changed yet" in shown.stderr
    one = said("prices", "reprice", "--model", "in-house", "--from", day(TODAY - DAY), "--to", day(TODAY))
    assert [line["line_item"] for line in one["lines"]] == ["in-house, input", "in-house, output"]
    assert one["applied"] is False

    done = call("prices", "reprice", "--apply", "--reason", "contract 4711", *asked)
    assert "Revision 1: these prices hold now." in done.stderr
    assert call("prices", "unpriced", *asked).stderr == "All usage has a price.\n"
    assert "contract 4711" in call("prices", "revisions", "--data", server.data).stdout

    done = call("explain", "known", "--at", TODAY, *asked)
    rows = {line.split("  ")[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["gpt-4o-2024-08-06, input"][-4:] == ["2,000,000", "tokens", "0.000001", "2"]
    assert rows["gpt-4o-2024-08-06, cached input"][-4:] == ["1,000,000", "tokens", "0.00000125", "1.25"]
    assert rows["Sum"][-1] == "3.25007"
    assert "project_id p" in done.stderr
    assert f"input: operator; since {day(TODAY - DAY)}\n" in done.stderr
    assert "6.25007 USD at first\n" in done.stderr
    assert "3.25007 USD since " in done.stderr


def test_a_default_of_a_project_prices_what_its_events_leave_out(call: Run, server: Server, tmp_path: Path) -> None:
    asked = ("--url", server.address, "--key", KEY)
    done = call(
        "prices", "set", "tool=web_search", "--kind", "web_search_calls", "--project", "proj_a", "--data", server.data
    )
    assert f"openai: tool web_search from {day(TODAY)} where events do not say it." in done.stderr
    search = {"kind": "web_search_calls", "timestamp": TODAY, "model": "gpt-4o", "num_requests": 1000}
    events = [search | {"id": project, "project_id": project} for project in ("proj_a", "proj_b")]
    events.append(search | {"id": "said", "project_id": "proj_a", "tool": "web_search_preview"})
    file = tmp_path / "searches.ndjson"
    file.write_text("\n".join(map(json.dumps, events)))
    assert call("ingest", file, *asked).stdout == "3 accepted, 0 duplicates, 0 refused\n"

    about = ("--start", day(TODAY), "--model", "gpt-4o", "--group-by", "project_id", "--json")
    costs = json.loads(call("costs", *about, *asked).stdout)
    assert [(each["project_id"], each["amount"]) for each in costs] == [("proj_a", 10 + 25)]
    explain = ("explain", "--at", TODAY, *asked, "--json")
    told = {name: json.loads(call(*explain, name).stdout) for name in ("said", "proj_a", "proj_b")}
    assert [line["assumed"] for name in ("proj_a", "said") for line in told[name]["lines"]] == ["tool web_search", None]
    assert [part["reason"] for part in told["proj_b"]["unpriced"]] == ["ambiguous:tool"]


def test_a_size_is_explained_by_its_hour(call: Run, server: Server) -> None:
    done = call("explain", "size", "--at", f"{day(TODAY)}T00:00:00Z", "--url", server.address, "--key", KEY)
    assert "2  gibibyte_hours" in done.stdout
    assert "the largest of its store in that UTC hour" in done.stderr
    told = call("explain", "size", "--at", TODAY, "--url", server.address, "--key", KEY, "--json").stdout
    assert '"unit_price":{"value":0.004166666666666667,"currency":"usd"}' in told
    assert '"amount":{"value":0.008333333333333333,"currency":"usd"}' in told


REFUSED = [
    (["prices", "reprice", "--apply"], 2, "--apply needs --reason: why past costs change."),
    (["prices", "reprice", "--from", "soon"], 2, "--from: expected a day such as 2026-11-01, got 'soon'."),
    (["prices", "diff", "--from", "2026-01-02", "--to", "2026-01-01"], 1, "is not after 'start_time'"),
    (["explain", "nobody", "--at", "1730419200"], 1, "No event has the id 'nobody' and the timestamp 1730419200."),
    (["explain", "known", "--at", "noon"], 2, "--at: expected a time"),
]


def test_what_they_refuse(call: Run, server: Server) -> None:
    for command, code, words in REFUSED:
        assert words in one_error(call(*command, "--url", server.address, "--key", KEY), code)
    key = call("keys", "create", "--scope", "api.usage.read", "--data", server.data).stdout.strip()
    message = one_error(call("prices", "reprice", "--url", server.address, "--key", key), 1)
    assert "Missing scopes: api.management" in message
