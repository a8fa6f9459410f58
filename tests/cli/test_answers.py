"""What a server answers, as a table, JSON, CSV and Parquet: the same numbers, to the last digit."""

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from tests.cli.support import COMMAND, DEADLINE_S, NOW, Run, lines, wire_events
from tests.support.faulty_server import Faulty, answer, faulty
from tests.support.server_process import RunningServer, running

from usageledger.cli.terminal.output import iso_time
from usageledger.meter import Meter
from usageledger.meters import COSTS, METERS

KEY = "sk-of-the-answers-0123456789"
DAY = 86400
START, END = NOW - NOW % DAY - 7 * DAY, NOW - NOW % DAY + DAY
KINDS = [*METERS, COSTS]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with a week of usage of all kinds."""
    with running(tmp_path_factory.mktemp("answers"), KEY) as started:
        body = b"".join(lines(wire_events(2000)))
        headers = started.headers | {"content-type": "application/x-ndjson"}
        sent = httpx.post(f"{started.url}/v1/events", content=body, headers=headers, timeout=60).json()
        assert (sent["accepted"], sent["rejected"]) == (2000, 0)
        yield started


@pytest.fixture
def other() -> Iterator[Faulty]:
    """A server of somebody else's."""
    with faulty() as state:
        yield state


def command(meter: Meter) -> list[str]:
    return ["costs"] if meter is COSTS else ["usage", meter.kind]


def at(server: RunningServer) -> dict[str, str]:
    return {"USAGELEDGER_URL": server.url, "USAGELEDGER_API_KEY": KEY}


def rows_of(server: RunningServer, meter: Meter, *group_by: str) -> list[dict[str, Any]]:
    """The results of the raw answer, flat; numbers with a fraction are Decimal."""
    params: dict[str, Any] = {"start_time": START, "end_time": END, "limit": 31, "group_by[]": group_by}
    response = httpx.get(f"{server.url}/v1{meter.path}", params=params, headers=server.headers, timeout=60)
    rows = []
    for bucket in json.loads(response.raise_for_status().text, parse_float=Decimal)["data"]:
        for result in bucket["results"]:
            flat = {name: value for name, value in result.items() if name not in {"object", "amount"}}
            if meter is COSTS:
                flat |= {"amount": result["amount"]["value"], "currency": result["amount"]["currency"]}
            rows.append({name: bucket[name] for name in bucket if name not in {"object", "results"}} | flat)
    assert rows
    return rows


@pytest.mark.parametrize("meter", KINDS, ids=lambda meter: meter.kind)
def test_every_form_has_the_numbers_of_the_answer(
    call: Run, server: RunningServer, tmp_path: Any, meter: Meter
) -> None:
    group_by = [dimension.name for dimension in meter.groupings]
    expected = rows_of(server, meter, *group_by)
    asked = [*command(meter), "--start", START, "--end", END, "--group-by", ",".join(group_by)]

    done = call(*asked, "--json", **at(server))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout, parse_float=Decimal)
    assert found == expected
    assert [type(row[measure.name]) for row in found for measure in meter.reported] == [
        type(row[measure.name]) for row in expected for measure in meter.reported
    ]

    done = call(*asked, "--csv", **at(server))
    assert "\r" not in done.stdout
    read = list(csv.DictReader(io.StringIO(done.stdout)))
    assert read == [{name: cell(value) for name, value in row.items()} for row in expected]

    file = tmp_path / "rows.parquet"
    done = call(*asked, "--parquet", file, **at(server))
    assert (done.returncode, done.stdout) == (0, "")
    assert f"Wrote {len(expected):,} row" in done.stderr
    table = pq.read_table(file)
    seconds = [
        {**row, **{name: int(row[name].timestamp()) for name in ("start_time", "end_time")}}
        for row in table.to_pylist()
    ]
    assert seconds == [{name: row[name] for name in table.column_names} for row in expected]


def cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("meter", KINDS, ids=lambda meter: meter.kind)
def test_the_table_adds_up(call: Run, server: RunningServer, meter: Meter) -> None:
    asked = [*command(meter), "--start", START, "--end", END]
    by_time = call(*asked, COLUMNS="200", **at(server))
    by_group = call(*asked, "--group-by", meter.groupings[0].name, COLUMNS="200", **at(server))
    first = meter.measures[0]
    per_bucket = [row[first.name] for row in rows_of(server, meter)]
    whole = max(per_bucket) if first.adds == "gauge" else sum(per_bucket)
    label = "Peak" if first.adds == "gauge" else "Total"
    for done in (by_time, by_group):
        assert done.returncode == 0
        (total,) = [line.split() for line in done.stdout.splitlines() if line.startswith(label)]
        assert Decimal(total[1].replace(",", "")) == whole
    shown = [line.split() for line in by_time.stdout.splitlines() if line.startswith("2026-")]
    numbers = [Decimal(line[2].replace(",", "")) for line in shown if len(line) > 2]
    assert [number for number in numbers if number] == [number for number in per_bucket if number]


def test_pages_are_walked_over(call: Run, server: RunningServer) -> None:
    asked = ["usage", "completions", "--bucket", "1h", "--start", START, "--end", START + 200 * 3600]
    whole = json.loads(call(*asked, "--json", **at(server)).stdout)
    assert len({row["start_time"] for row in whole}) > 168  # the most that a page has
    done = call(*asked, "--limit", 170, "--json", **at(server))
    until = START + 170 * 3600
    assert json.loads(done.stdout) == [row for row in whole if row["start_time"] < until]
    assert done.stderr == f"Stopped at 170 buckets (--limit); the window goes on from {iso_time(until)}.\n"
    done = call(*asked, "--limit", 200, "--json", **at(server))
    assert (json.loads(done.stdout), done.stderr) == (whole, "")


def test_a_model_that_is_not_there(call: Run, server: RunningServer) -> None:
    models = sorted({row["model"] for row in rows_of(server, METERS[0], "model")})
    family = models[0].partition("-")[0]
    begun = [name for name in models if name.startswith(family)][:3]
    asked = ["usage", "completions", "--start", START, "--end", END]
    for wrong, meant in ((family, begun), (f"{models[0]}x", [models[0]])):
        done = call(*asked, "--model", wrong, **at(server))
        assert (done.returncode, done.stdout) == (0, "")
        said, _, hint = done.stderr.partition(" Did you mean --model ")
        assert said.startswith("There are no completions between")
        assert [name for name in meant if name in hint] == meant
    assert "Did you mean" not in call(*asked, "--model", "zzz", **at(server)).stderr


def test_nothing_was_used(call: Run, server: RunningServer, tmp_path: Any) -> None:
    done = call("usage", "images", "--start", "000000000", "--end", "000086400", **at(server))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "There are no images between 1970-01-01T00:00:00Z and 1970-01-02T00:00:00Z.\n"
    asked = ["usage", "images", "--start", "1970-01-01", "--end", "1970-01-02"]
    assert call(*asked, "--json", **at(server)).stdout == "[]\n"
    titles = call(*asked, "--csv", **at(server)).stdout.splitlines()
    names = titles[0].split(",")
    assert titles == [",".join(names)]
    assert names[4:] == ["images", "num_model_requests"] + [d.name for d in METERS[3].groupings]
    call(*asked, "--parquet", tmp_path / "none.parquet", **at(server))
    table = pq.read_table(tmp_path / "none.parquet")
    assert (table.num_rows, table.column_names) == (0, [n for n in names if not n.endswith("_iso")])


def test_days_of_a_zone(call: Run, server: RunningServer) -> None:
    asked = ["usage", "completions", "--start", "2026-11-12", "--end", "2026-11-14", "--timezone", "asia/tokyo"]
    rows = json.loads(call(*asked, "--json", **at(server)).stdout)
    assert [(row["start_time_iso"], row["end_time_iso"]) for row in rows] == [
        ("2026-11-12T00:00:00+09:00", "2026-11-13T00:00:00+09:00"),
        ("2026-11-13T00:00:00+09:00", "2026-11-14T00:00:00+09:00"),
    ]
    hours = ["usage", "completions", "--start", rows[0]["start_time"], "--end", rows[1]["end_time"], "--bucket", "1h"]
    by_hour = json.loads(call(*hours, "--json", **at(server)).stdout)
    for day in rows:
        within = [row for row in by_hour if day["start_time"] <= row["start_time"] < day["end_time"]]
        assert day["input_tokens"] == sum(row["input_tokens"] for row in within)
    assert "\n2026-11-13 Fri " in call(*asked, **at(server)).stdout


def test_what_has_no_price_is_told(call: Run, server: RunningServer) -> None:
    done = call("costs", "--start", START, "--end", END, **at(server))
    assert "without a known price: their usage is in no amount, see 'usageledger prices unpriced'." in done.stderr
    assert "without a known price" not in call("usage", "images", "--start", START, "--end", END, **at(server)).stderr


def test_a_real_process_in_its_own_words(run: Run, server: RunningServer) -> None:
    done = run("usage", "images", "--start", START, "--end", END, COLUMNS="80", **at(server))
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].rstrip() == "Images, 2026-11-11 to 2026-11-19 UTC"
    assert "\x1b" not in done.stdout
    coloured = run(
        "usage", "images", "--start", START, "--end", END, FORCE_COLOR="1", TERM="xterm", NO_COLOR="", **at(server)
    )
    assert "\x1b[36m" in coloured.stdout
    plain = run("usage", "images", "--start", START, "--end", END, PYTHONIOENCODING="ascii", **at(server))
    assert plain.returncode == 0
    assert plain.stdout.isascii()
    assert "###" in plain.stdout


# --- servers of somebody else's ----------------------------------------------------------------------------------


def page(*results: Any, object: str = "organization.costs.result") -> dict[str, Any]:  # noqa: A002 - the API's name
    bucket = {"object": "bucket", "start_time": START, "end_time": START + DAY}
    return {"data": [bucket | {"results": [{"object": object, **result} for result in results]}], "has_more": False}


def cost(value: Any, **fields: Any) -> dict[str, Any]:
    return {"amount": {"value": value, "currency": "usd"}, **fields}


def test_amounts_that_come_as_text_keep_their_digits(call: Run, other: Faulty) -> None:
    amounts = ["0.0600000000000000000000000000000000000012", "0E-6176", "12.5"]
    asked = ["costs", "--url", other.url, "--key", KEY, "--group-by", "line_item"]
    for form in ("--json", "--csv", None):
        other.steps.append(answer(200, page(*(cost(value, line_item=f"item {n}") for n, value in enumerate(amounts)))))
        out = call(*asked, *([form] if form else [])).stdout
        assert "12.5600000000000000000000000000000000000012" in out or form
        assert "0.0600000000000000000000000000000000000012" in out
        assert "E" not in out.replace("Share", "")
        if form == "--json":
            assert [row["amount"] for row in json.loads(out, parse_float=Decimal)] == [Decimal(a) for a in amounts]


def test_currencies_are_not_added_up(call: Run, other: Faulty) -> None:
    two = [cost(1), {"amount": {"value": 2, "currency": "eur"}}]
    other.steps += [answer(200, page(*two)), answer(200, page(*two))]
    done = call("costs", "--url", other.url, "--key", KEY)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: The amounts are in eur and usd, which have no sum: use --json or --csv.\n"
    assert len(json.loads(call("costs", "--url", other.url, "--key", KEY, "--json").stdout)) == 2


def test_an_amount_that_is_not_there_is_nothing_and_said(call: Run, other: Faulty) -> None:
    lacking = [{"line_item": "a"}, {"line_item": "b", "amount": {"value": None, "currency": "usd"}}]
    asked = ["costs", "--url", other.url, "--key", KEY, "--group-by", "line_item"]
    for form in ("--json", "--csv", None):
        other.steps.append(answer(200, page(*lacking, cost(1.25, line_item="c"))))
        done = call(*asked, *([form] if form else []))
        assert "Warning: 2 results without an amount: they are in no sum." in done.stderr
        if form == "--json":
            assert [row["amount"] for row in json.loads(done.stdout)] == [None, None, 1.25]
        elif form == "--csv":
            assert [row["amount"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["", "", "1.25"]
        else:
            rows = [line.split() for line in done.stdout.splitlines()]
            assert ["a"] in rows
            assert ["b"] in rows
            assert any(row[:1] == ["Total"] and "1.25" in row for row in rows)
    other.steps.append(answer(200, page(*lacking)))
    assert call(*asked).returncode == 0


def test_amounts_in_no_currency_are_not_added_to_others(call: Run, other: Faulty) -> None:
    asked = ["costs", "--url", other.url, "--key", KEY]
    other.steps.append(answer(200, page({"amount": {"value": 1}}, {"amount": {"value": 2}})))
    assert "3.00" in call(*asked).stdout
    other.steps.append(answer(200, page({"amount": {"value": 1}}, cost(2))))
    said = "Error: The amounts are in no known currency and usd, which have no sum: use --json or --csv.\n"
    assert call(*asked).stderr == said


def test_what_is_not_known_is_told_or_kept(call: Run, other: Faulty) -> None:
    asked = ["costs", "--url", other.url, "--key", KEY, "--csv"]
    other.steps.append(answer(200, page(cost(1, colour="blue"), cost(2))))
    read = list(csv.DictReader(io.StringIO(call(*asked).stdout)))
    assert [row["colour"] for row in read] == ["blue", ""]
    other.steps.append(answer(200, page(cost(1), object="organization.costs.v2.result")))
    done = call(*asked)
    assert "Warning: 1 result of an unknown sort left out" in done.stderr


def test_a_value_cannot_steer_the_terminal(call: Run, other: Faulty) -> None:
    other.steps.append(answer(200, page(cost(1, line_item="a\x1b[2Jb\n[red]c[/]"))))
    out = call("costs", "--url", other.url, "--key", KEY, "--group-by", "line_item").stdout
    assert r"a\x1b[2Jb\n[red]c[/]" in out


def test_too_many_digits_for_parquet(call: Run, other: Faulty, tmp_path: Any) -> None:
    other.steps.append(answer(200, page(cost("1" * 60 + "." + "1" * 60))))
    file = tmp_path / "x.parquet"
    file.write_text("as before")
    done = call("costs", "--url", other.url, "--key", KEY, "--parquet", file)
    assert done.returncode == 1
    assert "Parquet cannot hold this; --csv and --json can." in done.stderr
    assert file.read_text() == "as before"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".parquet" or path.name.startswith(".x")] == [
        "x.parquet"
    ]


def test_a_reader_that_goes_away_is_no_error(environment: dict[str, str], server: RunningServer) -> None:
    asked = ["usage", "completions", "--bucket", "1m", "--start", str(START), "--end", str(END), "--csv"]
    with subprocess.Popen(
        [*COMMAND, *asked], env=environment | at(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(DEADLINE_S) == 1
