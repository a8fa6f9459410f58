"""Webhooks to a real receiver: signed, without redirects, to allowed addresses, whatever is answered."""

import ipaddress
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing
from typing import Any

import pytest
from standardwebhooks import Webhook
from tests.spending.conftest import MONTH, NOW, Ledger
from tests.spending.test_mails import HOSTILE, deliver, deliveries
from tests.support.webhook_receiver import HUGE, Receiver, receiver

from usageledger.registry import WebhookEndpoint
from usageledger.registry.deliveries import HOLD_SECONDS
from usageledger.registry.webhook_endpoints import ROTATION_SECONDS
from usageledger.spending.delivering import DELAYS, Deliverer
from usageledger.spending.webhooks import is_forbidden, post, signed


@pytest.fixture(scope="module")
def running() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def receiving(running: Receiver) -> Receiver:
    running.clear()
    return running


def endpoint(ledger: Ledger, url: str, form: Any = "standard") -> WebhookEndpoint:
    return ledger.registry.webhook_endpoints.create(url, form, now=NOW)


def states(ledger: Ledger) -> list[tuple[str, str | None]]:
    return [(each.state, each.last_status) for each in deliveries(ledger) if each.kind == "webhook"]


def test_an_endpoint_is_told_of_a_firing(ledger: Ledger, receiving: Receiver) -> None:
    made = endpoint(ledger, f"{receiving.url}/204?x=1")
    alert = ledger.alert(80, "a")
    ledger.spend(81, "a")
    deliver(ledger, None)
    ((path, headers, body),) = receiving.came
    (firing,) = ledger.registry.alert_firings.list().data
    (told,) = [each for each in deliveries(ledger) if each.kind == "webhook"]
    assert (path, headers["content-type"], headers["webhook-id"]) == ("/204?x=1", "application/json", told.id)
    assert headers | signed([made.secret], told.id, body, int(ledger.now)) == headers
    assert json.loads(body) == {
        "type": "spend_alert.triggered",
        "timestamp": "2026-12-11T14:40:00Z",
        "data": {
            "id": firing.id,
            "alert_id": alert.id,
            "project_id": "a",
            "project_name": "a",
            "start_time": MONTH.start,
            "end_time": MONTH.end,
            "threshold_amount": 80,
            "spend": {"value": "0.81", "currency": "usd"},
            "limit_amount": None,
            "unpriced_requests": 0,
            "fired_at": NOW,
            "cause": "crossed",
        },
    }


def test_another_library_verifies_signatures(ledger: Ledger, receiving: Receiver) -> None:
    made = endpoint(ledger, f"{receiving.url}/200")
    changed = ledger.registry.webhook_endpoints.rotate(made.id, now=NOW)
    assert changed is not None
    assert changed.secret != made.secret
    secrets = changed.secrets_at(NOW + ROTATION_SECONDS - 1)
    assert secrets == (changed.secret, made.secret)
    body = '{"type": "a.b", "data": "ü"}'.encode()
    assert post(made.url, signed(secrets, "msg_1", body, int(time.time())), body).delivered
    ((_, headers, came),) = receiving.came
    for secret in secrets:
        assert Webhook(secret).verify(came, headers) == {"type": "a.b", "data": "ü"}
    assert changed.secrets_at(NOW + ROTATION_SECONDS) == (changed.secret,)


def test_the_same_message_again_after_a_failure(ledger: Ledger, receiving: Receiver) -> None:
    endpoint(ledger, f"{receiving.url}/500")
    ledger.alert(10)
    ledger.spend(10)
    deliver(ledger, None)
    ledger.spend(10)
    ledger.again()
    deliver(ledger, None, DELAYS[0] * 2)
    (_, first, body), (_, second, again) = receiving.came
    assert body == again
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-timestamp"] != second["webhook-timestamp"]
    assert states(ledger) == [("pending", "HTTP 500: said   here")]


@pytest.mark.parametrize(("path", "waits"), [("302", DELAYS[0]), ("429", 9_000), ("503", 9_000)])
def test_answers_that_are_no_success(ledger: Ledger, receiving: Receiver, path: str, waits: int) -> None:
    endpoint(ledger, f"{receiving.url}/{path}")
    ledger.alert(10)
    ledger.spend(10)
    deliver(ledger, None)
    assert receiving.paths == [f"/{path}"]  # no redirect is followed
    (told,) = [each for each in deliveries(ledger) if each.kind == "webhook"]
    assert told.state == "pending"
    assert 0 <= told.next_at - ledger.now - waits <= 1


def test_an_endpoint_that_is_gone_is_told_nothing_more(ledger: Ledger, receiving: Receiver) -> None:
    made = endpoint(ledger, f"{receiving.url}/410")
    for cents in (10, 20):
        ledger.alert(cents)
        ledger.spend(10)
        deliver(ledger, None)
    assert receiving.paths == ["/410"]
    assert states(ledger) == [("failed", "HTTP 410: said   here")]
    found = ledger.registry.webhook_endpoints.get(made.id)
    assert found is not None
    assert found.disabled_at == NOW + HOLD_SECONDS


def test_a_slow_endpoint_delays_no_other(ledger: Ledger, receiving: Receiver) -> None:
    for path in ("slow", "200"):
        endpoint(ledger, f"{receiving.url}/{path}")
    ledger.alert(10)
    ledger.spend(10)
    ledger.now += HOLD_SECONDS
    priced = ledger.priced
    with closing(Deliverer(ledger.registry, priced.ledger, priced.tables, None, lambda: ledger.now)) as deliverer:
        mail, slow, quick = deliverer.send_due()
        wait([mail, quick], 30)
        assert [state for state, _ in states(ledger)] == ["pending", "delivered"]
        assert deliverer.send_due() == []  # an attempt is under way
        receiving.go_on.set()
        wait([slow], 30)
    assert [state for state, _ in states(ledger)] == ["delivered", "delivered"]


@pytest.mark.parametrize("path", ["slow", "drip"])
def test_an_attempt_has_an_end(receiving: Receiver, path: str) -> None:
    began = time.monotonic()
    attempt = post(f"{receiving.url}/{path}", {}, b"{}", 0.2)
    receiving.go_on.set()
    assert (attempt.delivered, attempt.final) == (False, False)
    assert time.monotonic() - began < 10


def test_of_a_huge_answer_a_little_is_read(receiving: Receiver) -> None:
    attempt = post(f"{receiving.url}/huge", {}, b"{}")
    assert attempt.delivered
    assert len(attempt.status) <= 1_000
    assert receiving.sent < HUGE


def test_an_answer_that_is_no_http_and_nobody_at_all(receiving: Receiver) -> None:
    assert "SSL" in post(receiving.url.replace("http:", "https:"), {}, b"{}").status
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        attempt = post(url, {}, b"{}", 0.2)
        assert (attempt.delivered, attempt.final) == (False, False)
    assert "refused" in post(url, {}, b"{}").status
    assert "Name or service not known" in post("https://nobody.invalid/", {}, b"{}").status


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "100.100.100.200",
        "0.0.0.0",
        "224.0.0.1",
        "fe80::1",
        "fd00:ec2::254",
        "::",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
    ],
)
def test_addresses_to_which_nothing_is_sent(address: str, receiving: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_forbidden(ipaddress.ip_address(address))
    port = int(receiving.url.rpartition(":")[2])
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("127.0.0.1", address)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    attempt = post(f"http://rebound.test:{port}/200", {}, b"{}")
    assert "nothing is sent" in attempt.status
    assert receiving.came == []


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "127.0.0.1", "8.8.8.8", "::1", "fd12::1", "2606:4700::1"]
)
def test_addresses_to_which_messages_are_sent(address: str) -> None:
    assert not is_forbidden(ipaddress.ip_address(address))


def test_slack_pings_nobody(ledger: Ledger, receiving: Receiver) -> None:
    made = endpoint(ledger, f"{receiving.url}/200/T0/SECRET", "slack")
    assert made.shown_url == f"{receiving.url}/…"
    assert (made.secret, ledger.registry.webhook_endpoints.rotate(made.id, now=NOW)) == ("", None)
    ledger.registry.note_seen(["a"], [], now=NOW)
    ledger.registry.rename_project("a", f"R&D {HOSTILE}")
    ledger.alert(10, "a")
    ledger.spend(10, "a")
    deliver(ledger, None)
    ((_, headers, body),) = receiving.came
    text = json.loads(body)["text"]
    assert text.startswith("R&amp;D a&lt;!channel&gt;\ufffd\ufffdb (a) passed 0.10 USD of spend in December 2026 (UTC)")
    assert "webhook-signature" not in headers


def test_messages_to_an_endpoint_that_is_removed_are_dropped(ledger: Ledger, receiving: Receiver) -> None:
    made = endpoint(ledger, f"{receiving.url}/200")
    ledger.alert(10)
    ledger.spend(10)
    assert ledger.registry.webhook_endpoints.delete(made.id, now=NOW)
    deliver(ledger, None)
    assert receiving.came == []
    assert [state for state, _ in states(ledger)] == ["dropped"]
