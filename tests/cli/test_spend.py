"""`usageledger limits` and `usageledger alerts`."""

import json
import time
from pathlib import Path

import httpx
import pytest
from tests.cli.support import Run, Start, one_error
from tests.support.mail_server import mail_server
from tests.support.webhook_receiver import receiver

from usageledger.pricing.money import UNITS, UNITS_PER_USD
from usageledger.registry import AlertTerms, Crossing, open_registry


@pytest.fixture
def data(call: Run, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    call("keys", "create", "--data", folder)
    with open_registry(f"sqlite:///{folder}/registry.sqlite") as registry:
        registry.note_seen(["p", "a/b %"], [], now=1_760_000_000)
    return folder


def test_limits_are_set_shown_and_removed(call: Run, data: Path) -> None:
    done = call("limits", "show", "--data", data)
    assert (done.returncode, done.stdout) == (0, "")
    assert "There are no limits" in done.stderr
    assert call("limits", "set", "2000", "--data", data).stderr == (
        "The limit of the organization is 2,000.00 USD a month.\n"
    )
    done = call("limits", "set", "0.5", "--project", "a/b %", "--data", data)
    assert done.stderr == "The limit of the project a/b % is 0.50 USD a month.\n"
    limits = json.loads(call("limits", "show", "--data", data, "--json").stdout)
    assert [(each["project_id"], each["threshold_cents"]) for each in limits] == [(None, 200_000), ("a/b %", 50)]
    table = call("limits", "show", "--data", data).stdout
    assert "the organization" in table
    assert "2,000.00" in table
    assert call("limits", "remove", "--data", data).stderr == "Removed the limit of the organization.\n"
    assert "no limit of the organization" in one_error(call("limits", "remove", "--data", data), 1)


def test_alerts_are_made_listed_and_deleted(call: Run, data: Path) -> None:
    assert "There are no alerts" in call("alerts", "list", "--data", data).stderr
    made = call("alerts", "create", "0", "--to", "a@example.com", "--to", "b@example.com", "--data", data)
    assert made.stderr == "An alert at 0.00 USD a month of the organization:\n"
    of_project = json.loads(
        call(
            "alerts", "create", "12.34", "--to", "a@b", "--project", "p", "--prefix", "[x]", "--json", "--data", data
        ).stdout
    )
    alerts = json.loads(call("alerts", "list", "--data", data, "--json").stdout)
    assert [each["id"] for each in alerts] == [made.stdout.strip(), of_project["id"]]
    assert alerts[0]["recipients"] == ["a@example.com", "b@example.com"]
    assert of_project == alerts[1]
    assert [of_project[name] for name in ("project_id", "threshold_cents", "subject_prefix")] == ["p", 1234, "[x]"]
    assert of_project["id"] in call("alerts", "list", "--data", data, COLUMNS="200").stdout
    assert call("alerts", "delete", of_project["id"], "--data", data).stderr == f"Deleted {of_project['id']}.\n"
    assert "There is no alert" in one_error(call("alerts", "delete", of_project["id"], "--data", data), 1)


def test_three_alerts_are_suggested(call: Run, data: Path) -> None:
    made = call("alerts", "suggest", "--limit", "0.99", "--to", "a@b", "--project", "p", "--data", data)
    assert made.stderr == "Alerts at 0.49, 0.79, 0.99 USD a month of the project p:\n"
    alerts = json.loads(call("alerts", "list", "--data", data, "--json").stdout)
    assert [each["id"] for each in alerts] == made.stdout.split()
    assert {each["project_id"] for each in alerts} == {"p"}


def test_firings_are_listed(call: Run, data: Path) -> None:
    assert call("alerts", "firings", "--data", data).stderr == "No alert has fired.\n"
    with open_registry(f"sqlite:///{data}/registry.sqlite") as registry:
        alert = registry.spend_settings.create_alert("p", AlertTerms(100, ("a@b", "c@d")), now=1)
        crossing = Crossing(alert, 1_793_491_200, UNITS_PER_USD + UNITS, "crossed")
        (fired,) = registry.alert_firings.fire([crossing], now=1_795_737_600)
    table = call("alerts", "firings", "--data", data, COLUMNS="200").stdout
    for told in (alert.id, "November 2026", "1.00", "2 pending", "2026-11-27"):
        assert told in table
    (firing,) = json.loads(call("alerts", "firings", "--data", data, "--json").stdout)
    assert (firing["id"], firing["spend"], firing["cause"]) == (fired.id, "1.000000000000000001", "crossed")
    assert [each["target"] for each in firing["deliveries"]] == ["a@b", "c@d"]


def test_an_alert_is_tested(call: Run, data: Path) -> None:
    made = call("alerts", "create", "5", "--to", "a@b", "--project", "p", "--prefix", "[x]", "--data", data)
    alert_id = made.stdout.strip()
    assert "1 of 1 messages" in one_error(call("alerts", "test", alert_id, "--data", data), 1)
    with mail_server() as mailbox, receiver() as receiving:
        with open_registry(f"sqlite:///{data}/registry.sqlite") as registry:
            registry.webhook_endpoints.create(f"{receiving.url}/200", "standard", now=1)
        smtp = {"USAGELEDGER_SMTP_URL": f"smtp://127.0.0.1:{mailbox.port}", "USAGELEDGER_SMTP_FROM": "l@example.org"}
        done = call("alerts", "test", alert_id, "--data", data, "--json", **smtp)
    assert [each["delivered"] for each in json.loads(done.stdout)] == [True, True]
    assert mailbox.mails[0]["subject"].startswith("[test] [x] p passed 5.00 USD")
    assert mailbox.mails[0].get_content().startswith("This is a test of an alert: nothing has happened.")
    assert json.loads(receiving.came[0][2])["type"] == "spend_alert.test"
    assert call("alerts", "firings", "--data", data).stderr == "No alert has fired.\n"


@pytest.mark.parametrize(
    ("command", "told", "code"),
    [
        (("limits", "set", "1.234"), "such as 500 or 0.50, got '1.234'", 2),
        (("limits", "set", "1e3"), "got '1e3'", 2),
        (("limits", "set", "0"), "1 to", 1),
        (("limits", "set", "5", "--project", "none"), "There is no project 'none'", 1),
        (("limits", "remove", "--project", "none"), "There is no project 'none'", 1),
        (("alerts", "create", "5", "--to", "nobody"), "e-mail address, not 'nobody'", 1),
        (("alerts", "create", "5", "--to", "a@b", "--prefix", "x\ny"), "without control characters", 1),
        (("alerts", "create", "5"), "--to", 2),
        (("alerts", "suggest", "--limit", "0", "--to", "nobody"), "e-mail address, not 'nobody'", 1),
        (("alerts", "test", "nobody"), "There is no alert 'nobody'", 1),
    ],
)
def test_what_is_refused(call: Run, data: Path, command: tuple[str, ...], told: str, code: int) -> None:
    assert told in one_error(call(*command, "--data", data), code)
    assert json.loads(call("limits", "show", "--data", data, "--json").stdout) == []


def test_spend_against_limits(start: Start, environment: dict[str, str], call: Run, tmp_path: Path) -> None:
    server = start("serve", "--data", tmp_path / "data", "--port", 0)
    assert server.key
    environment |= {"USAGELEDGER_URL": server.address, "USAGELEDGER_API_KEY": server.key}
    table = call("spend").stdout
    assert "the organization" in table
    assert "limit reached" not in table
    used = {"kind": "completions", "provider": "openai", "model": "gpt-4o", "timestamp": int(time.time())}
    counts = {"input_tokens": 0, "output_tokens": 123_456}
    events = [used | counts | {"id": "1", "project_id": "p"}, used | counts | {"id": "2", "model": "of-nobody"}]
    headers = {"authorization": f"Bearer {server.key}"}
    assert httpx.post(f"{server.address}/v1/events", json=events, headers=headers).json()["accepted"] == 2
    call("limits", "set", "0.01", "--project", "p", "--data", server.data)
    done = call("spend")
    (row,) = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("p ")]
    assert row.split()[:5] == ["p", "1.23", "0.01", "0.00", "-1.22"]
    assert row.endswith("limit reached")
    assert done.stderr.startswith("Requests without a price, which are in no amount: 1;")
    (whole, project) = json.loads(call("spend", "--json").stdout)
    assert (whole["project_id"], project["spent"]["value"]) == (None, 1.23456)
