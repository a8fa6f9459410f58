"""Options → the query that a server is asked; in the words of the command line where that cannot be."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.support.faulty_server import Faulty, answer, faulty

from usageledger.cli import run
from usageledger.meter import Dimension, Meter
from usageledger.meters import COSTS, METERS

NOW = 1_795_602_030  # 2026-11-25T10:20:30Z
KEY = "sk-of-the-command-line-0123456789"
KINDS = [*METERS, COSTS]

Ask = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def server() -> Iterator[Faulty]:
    with faulty() as state:
        yield state


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the developer's own, and a clock that stands still."""
    for name in ("URL", "API_KEY", "ADMIN_KEY", "PROFILE"):
        monkeypatch.delenv(f"USAGELEDGER_{name}", raising=False)
    for name in ("OPENAI_BASE_URL", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(time, "time", lambda: NOW + 0.5)


@pytest.fixture
def ask(server: Faulty) -> Ask:
    """`ask("costs", "--start", "7d")`: the parameters of the first request."""

    def asked(*arguments: str) -> list[tuple[str, str]]:
        assert run([*arguments, "--url", server.url, "--key", KEY]) == 0
        return parse_qsl(urlsplit(server.asked[0].path).query, keep_blank_values=True)

    return asked


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`refused("costs", …)`: the one line of an error about the command line."""

    def say(*arguments: str) -> str:
        assert run([*arguments, "--url", "http://127.0.0.1:9", "--key", KEY]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        (line,) = told.err.splitlines()
        return line.removeprefix("Error: ")

    return say


def command(meter: Meter) -> list[str]:
    return ["costs"] if meter is COSTS else ["usage", meter.kind]


def ids(value: Any) -> str:
    return getattr(value, "kind", None) or getattr(value, "name", None) or str(value)


@pytest.mark.parametrize("meter", KINDS, ids=ids)
def test_what_is_asked_without_options(ask: Ask, server: Faulty, meter: Meter) -> None:
    midnight = NOW - NOW % 86400
    assert dict(ask(*command(meter))) == {
        "start_time": str(midnight - 7 * 86400),
        "end_time": str(NOW),
        "bucket_width": "1d",
        "limit": str(meter.width("1d").max_limit),
    }
    (asked,) = server.asked
    assert urlsplit(asked.path).path == f"/v1{meter.path}"
    assert asked.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(("meter", "dimension"), [(meter, each) for meter in KINDS for each in meter.filters], ids=ids)
def test_every_filter_is_an_option(ask: Ask, meter: Meter, dimension: Dimension) -> None:
    option = f"--{dimension.name.replace('_', '-')}"
    if dimension.flag:
        assert (dimension.filter, "true") in ask(*command(meter), option)
        return
    values = ["one, and the same", "two,three"]
    found = ask(*command(meter), option, values[0], option, values[1])
    assert [value for name, value in found if name == f"{dimension.filter}[]"] == values


def test_a_flag_may_be_denied(ask: Ask) -> None:
    assert ("batch", "false") in ask("usage", "completions", "--no-batch")


@pytest.mark.parametrize("meter", KINDS, ids=ids)
def test_every_grouping_may_be_asked_for(ask: Ask, meter: Meter) -> None:
    names = [dimension.name for dimension in meter.groupings]
    found = ask(*command(meter), "--group-by", ",".join(names), "--group-by", names[0])
    assert [value for name, value in found if name == "group_by[]"] == names


@pytest.mark.parametrize(("meter", "width"), [(m, w) for m in KINDS for w in m.widths], ids=ids)
def test_pages_are_as_large_as_they_may_be(ask: Ask, meter: Meter, width: Any) -> None:
    found = dict(ask(*command(meter), "--bucket", width.name))
    assert (found["bucket_width"], found["limit"]) == (width.name, str(width.max_limit))


def test_a_small_limit_is_a_small_page(ask: Ask) -> None:
    assert dict(ask("usage", "images", "--limit", "3"))["limit"] == "3"


def test_times_and_zones(ask: Ask) -> None:
    found = dict(
        ask(
            "costs", "--start", "2026-11-01", "--end", "2026-11-08", "--as-of", "2026-11-02", "--timezone", "Asia/Tokyo"
        )
    )
    assert found["timezone"] == "Asia/Tokyo"
    assert (int(found["start_time"]), int(found["end_time"])) == (1793458800, 1793458800 + 7 * 86400)
    assert int(found["as_of"]) == 1793458800 + 86400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--group-by", "modell"),
            "--group-by: expected project_id, user_id, line_item, api_key_id, api_source, model or",
        ),
        (("--group-by", "modell"), "got 'modell'. Did you mean model?"),
        (("--group-by", "model,"), "got ''."),
        (("--bucket", "1m"), "--bucket: expected 1h, 1d or all, got '1m'."),
        (("--start", "soon"), "--start: expected a time such as 7d"),
        (("--end", "soon"), "--end: expected a time such as 7d"),
        (("--as-of", "soon"), "--as-of: expected a time such as 7d"),
        (("--start", "2026-12-01"), "--end: now (2026-11-25T10:20:30Z) is not after the start (2026-12-01T00:00:00Z)."),
        (("--start", "1d", "--end", "1d"), "--end: 1d (2026-11-24T00:00:00Z) is not after the start"),
        (("--timezone", "Europe/Berln"), "got 'Europe/Berln'. Did you mean Europe/Berlin?"),
        (("--timezone", "../etc/passwd"), "--timezone: expected an IANA name such as Europe/Berlin"),
        (("--timezone", ""), "--timezone: expected an IANA name such as Europe/Berlin, got ''."),
        (("--json", "--csv"), "--json and --csv exclude each other."),
        (("--csv", "--parquet", "x"), "--csv and --parquet exclude each other."),
        (("--parquet", "/no/such/folder/x"), "--parquet: there is no folder /no/such/folder."),
        (("--limit", "0"), "--limit: expected at least 1. See 'usageledger costs --help'."),
        (("--size", "auto"), "No such option: --size"),
    ],
)
def test_misuse_is_one_line(refused: Callable[..., str], arguments: tuple[str, ...], message: str) -> None:
    assert message in refused("costs", *arguments)


def test_an_unknown_kind(refused: Callable[..., str]) -> None:
    assert "No such command 'completion'. Did you mean 'completions'?" in refused("usage", "completion")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            400,
            {"error": {"message": "Bad sizes.", "param": "sizes", "code": "x", "type": "y"}},
            "answered 400: Bad sizes.",
        ),
        (401, {"error": "Who are you?"}, "answered 401: Who are you? (request req_1)"),
        (404, b"<html>", "answered 404: Not Found"),
        (200, b"<html>", "The answer is no JSON object"),
        (200, {"object": "list", "data": [{}]}, "The answer is no page of organization.usage.images.result"),
    ],
)
def test_what_a_server_says_is_one_line(
    server: Faulty, capsys: pytest.CaptureFixture[str], status: int, body: Any, said: str
) -> None:
    server.steps.append(answer(status, body, x_request_id="req_1"))
    assert run(["usage", "images", "--url", server.url, "--key", KEY]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert said in line
    assert KEY not in line


def test_a_server_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with faulty() as gone:
        url = gone.url
    assert run(["costs", "--url", url, "--key", KEY]) == 1
    assert f"{url} cannot be reached" in capsys.readouterr().err
