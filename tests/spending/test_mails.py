"""Mails of alerts to a real SMTP server: one to each recipient, until it is taken or refused for good."""

import logging
import ssl
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing
from email.message import EmailMessage
from typing import Any

import pytest
from tests.spending.conftest import MONTH, NOW, Ledger
from tests.support.mail_server import PASSWORD, USER, Mailbox, mail_server
from tests.support.tls import CERT, KEY

from usageledger.errors import SettingsError
from usageledger.registry import Delivery
from usageledger.registry.deliveries import HOLD_SECONDS
from usageledger.spending.channels import STATUS_CHARACTERS_MAX, Mail, Smtp
from usageledger.spending.delivering import ATTEMPTS_MAX, DELAYS, Deliverer

SENDER = "ledger@example.org"
HOSTILE = "a<!channel>\u202e\u2066b"


@pytest.fixture(scope="module")
def server() -> Iterator[Mailbox]:
    with mail_server() as made:
        yield made


@pytest.fixture
def mailbox(server: Mailbox) -> Mailbox:
    server.clear()
    return server


def deliver(ledger: Ledger, smtp: Smtp | None, later: float = HOLD_SECONDS) -> None:
    """Lets time pass, and all that is due then happen once."""
    ledger.now += later
    priced = ledger.priced
    with closing(Deliverer(ledger.registry, priced.ledger, priced.tables, smtp, lambda: ledger.now)) as deliverer:
        wait(deliverer.send_due())


def smtp_of(mailbox: Mailbox) -> Smtp:
    return Smtp(f"smtp://127.0.0.1:{mailbox.port}", SENDER)


def deliveries(ledger: Ledger) -> list[Delivery]:
    firings = ledger.registry.alert_firings.list().data
    found = ledger.registry.deliveries.of(firing.id for firing in firings)
    return [delivery for firing in firings for delivery in found.get(firing.id, ())]


def states(ledger: Ledger) -> list[str]:
    return [each.state for each in deliveries(ledger)]


def text_of(mail: EmailMessage) -> str:
    text: str = mail.get_content()
    return text.replace("\r\n", "\n")


def test_each_recipient_gets_a_mail_of_its_own(ledger: Ledger, mailbox: Mailbox) -> None:
    ledger.registry.note_seen(["a"], [], now=NOW)
    ledger.registry.rename_project("a", "search-api")
    ledger.registry.spend_settings.set_limit("a", 100_000, now=NOW)
    alert = ledger.alert(80_000, "a", recipients=("ann@example.com", "bob@example.com"), subject_prefix="[spend]")
    ledger.spend(81_240, "a")
    deliver(ledger, smtp_of(mailbox), HOLD_SECONDS - 1)
    assert mailbox.mails == []
    deliver(ledger, smtp_of(mailbox), 1)
    assert states(ledger) == ["delivered", "delivered"]
    assert mailbox.envelopes == [(SENDER, ["ann@example.com"]), (SENDER, ["bob@example.com"])]
    said = "[spend] search-api (a) passed 800.00 USD of spend in December 2026 (UTC)"
    for mail, delivery in zip(mailbox.mails, deliveries(ledger), strict=True):
        assert (mail["to"], mail["from"], mail["subject"]) == (delivery.target, SENDER, said)
        assert (mail["message-id"], mail["auto-submitted"]) == (f"<{delivery.id}@example.org>", "auto-generated")
        assert text_of(mail) == (
            f"{said}: 812.40 USD at 2026-12-11 14:40 UTC.\n"
            "The limit is 1,000.00 USD a month: 81 % of it is spent.\n"
            "What the month has cost is at GET /v1/spend of UsageLedger.\n"
            f"To end these messages: usageledger alerts delete {alert.id}\n"
        )
    deliver(ledger, smtp_of(mailbox), 10**6)
    assert len(mailbox.mails) == 2


def test_several_thresholds_are_one_mail_of_the_highest(ledger: Ledger, mailbox: Mailbox) -> None:
    for cents in (100, 50, 80):
        ledger.alert(cents)
    ledger.spend(60)
    ledger.spend(30)  # moments later
    deliver(ledger, smtp_of(mailbox))
    assert [mail["subject"] for mail in mailbox.mails] == [
        "The organization passed 0.80 USD of spend in December 2026 (UTC)"
    ]
    assert states(ledger) == ["merged", "delivered"]
    ledger.spend(100)
    deliver(ledger, smtp_of(mailbox))
    assert len(mailbox.mails) == 2


def test_a_mail_that_is_not_taken_is_sent_again_under_the_same_id(ledger: Ledger, mailbox: Mailbox) -> None:
    ledger.alert(10, recipients=("busy@example.com", "no@example.com", "ann@example.com"))
    ledger.spend(10)
    mailbox.answers |= {"busy@example.com": "451 Later", "no@example.com": "550 Unknown \u202e" + "x" * 400}
    deliver(ledger, smtp_of(mailbox))
    assert states(ledger) == ["pending", "failed", "delivered"]
    busy, refused, _ = deliveries(ledger)
    assert (busy.attempts, busy.last_status) == (1, "SMTP 451: Later")
    assert refused.last_status is not None
    assert refused.last_status.startswith("SMTP 550: Unknown")
    mailbox.answers.clear()
    mailbox.after_data = "451 Not now"
    deliver(ledger, smtp_of(mailbox), DELAYS[0] * 2)
    ledger.again()  # the row is the truth
    mailbox.after_data = "250 OK"
    deliver(ledger, smtp_of(mailbox), DELAYS[1] * 2)
    assert states(ledger) == ["delivered", "failed", "delivered"]
    told = [mail["message-id"] for mail in mailbox.mails if mail["to"] == "busy@example.com"]
    assert told == [f"<{busy.id}@example.org>"] * 2


def test_a_target_with_many_messages_keeps_no_other_waiting(ledger: Ledger) -> None:
    for project, recipient in (("a", "ann@b"), ("b", "ann@b"), ("c", "ann@b"), ("d", "bob@b")):
        ledger.alert(10, project, recipients=(recipient,))
        ledger.spend(10, project)
    due = ledger.registry.deliveries.due(int(ledger.now) + HOLD_SECONDS, "email", limit=2)
    assert [each.target for each in due] == ["ann@b", "bob@b"]
    due = ledger.registry.deliveries.due(int(ledger.now) + HOLD_SECONDS, "email", ["ann@b"], limit=2)
    assert [each.target for each in due] == ["bob@b"]


def test_attempts_end_some_day(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    ledger.alert(10)
    ledger.spend(10)
    nowhere = Smtp("smtp://127.0.0.1:1", SENDER)
    for number in range(1, ATTEMPTS_MAX + 1):
        assert states(ledger) == ["pending"]
        deliver(ledger, nowhere, 2 * max(DELAYS))
        assert deliveries(ledger)[0].attempts == number
    assert states(ledger) == ["failed"]
    assert "refused" in str(deliveries(ledger)[0].last_status)
    assert "was not delivered" in caplog.text


def test_an_attempt_that_nobody_heard_of_is_made_again(ledger: Ledger, mailbox: Mailbox) -> None:
    ledger.alert(10)
    ledger.spend(10)
    (delivery,) = deliveries(ledger)
    for _ in range(ATTEMPTS_MAX - 1):
        assert ledger.registry.deliveries.begin(delivery.id, int(ledger.now))  # and the server is killed
    deliver(ledger, smtp_of(mailbox))
    assert states(ledger) == ["delivered"]


def test_an_attempt_that_was_the_last_one(ledger: Ledger, mailbox: Mailbox) -> None:
    ledger.alert(10)
    ledger.spend(10)
    for _ in range(ATTEMPTS_MAX):
        assert ledger.registry.deliveries.begin(deliveries(ledger)[0].id, int(ledger.now))
    deliver(ledger, smtp_of(mailbox))
    assert (states(ledger), mailbox.mails) == (["failed"], [])


def test_without_a_server_it_is_said(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    ledger.alert(10)
    ledger.spend(10)
    deliver(ledger, None)
    assert states(ledger) == ["no_channel"]
    assert "There is no smtp_url." in caplog.text
    priced = ledger.priced
    deliverer = Deliverer(ledger.registry, priced.ledger, priced.tables, None, lambda: ledger.now)
    caplog.clear()
    with closing(deliverer), caplog.at_level(logging.WARNING):
        deliverer.start()
    assert "no smtp_url" in caplog.text


def test_messages_of_an_alert_that_is_deleted_are_dropped(ledger: Ledger, mailbox: Mailbox) -> None:
    alert, other = ledger.alert(10), ledger.alert(5, recipients=("bob@example.com",))
    ledger.spend(10)
    assert ledger.registry.spend_settings.delete_alert(None, alert.id, now=NOW)
    deliver(ledger, smtp_of(mailbox))
    assert {each.firing_id: each.state for each in deliveries(ledger)}.keys() == {
        firing.id for firing in ledger.registry.alert_firings.list().data
    }
    assert [mail["to"] for mail in mailbox.mails] == ["bob@example.com"]
    assert [firing.alert_id for firing in ledger.registry.alert_firings.list().data] == [other.id, alert.id]


def test_names_of_others_forge_nothing(ledger: Ledger, mailbox: Mailbox) -> None:
    project, name = f"{HOSTILE}\r\nBcc: eve@example.com", HOSTILE * 15
    ledger.registry.note_seen([project], [], now=NOW)
    ledger.registry.rename_project(project, name)
    ledger.alert(10, project, subject_prefix="\u202e[x]")
    ledger.spend(10, project)
    deliver(ledger, smtp_of(mailbox))
    (mail,) = mailbox.mails
    assert mailbox.envelopes == [(SENDER, ["ann@example.com"])]
    assert "bcc" not in mail
    assert mail["subject"].isprintable()
    assert mail["subject"].startswith("\ufffd[x] a<!channel>\ufffd\ufffdb")
    for line in text_of(mail).split("\n"):
        assert line.isprintable()
        assert not line.startswith("Bcc")


def test_what_has_no_price_is_told(ledger: Ledger, mailbox: Mailbox) -> None:
    ledger.alert(10, "a")
    ledger.spend(10, "a")
    ledger.spend(0, "a", model="another", output_tokens=7)
    deliver(ledger, smtp_of(mailbox))
    assert "\nRequests without a price, which are not in it: 1.\n" in text_of(mailbox.mails[0])
    assert MONTH.start == ledger.registry.alert_firings.list().data[0].period_start


# --- the channel -----------------------------------------------------------------------------------------------------

MAIL = Mail("msg_1", "ann@example.com", "subject", "text")


def test_a_password_is_sent_by_tls_alone(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Smtp(f"smtp://{USER}:secret@127.0.0.1:{mailbox.port}", SENDER).send(MAIL)
    assert (refused.delivered, refused.final) == (False, True)
    assert "secret" not in refused.status
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)
    with mail_server(tls_context=context) as server:
        url = f"smtp://{USER}:p%3Aw%2Fd@localhost:{server.port}"
        untrusted = Smtp(url, SENDER).send(MAIL)
        assert (untrusted.delivered, untrusted.final) == (False, False)
        assert "certificate" in untrusted.status
        monkeypatch.setenv("SSL_CERT_FILE", str(CERT))
        assert Smtp(url, SENDER).send(MAIL).delivered
        assert server.tls == [True]
        wrong = Smtp(url.replace(USER, "eve"), SENDER).send(MAIL)
        assert (wrong.delivered, wrong.final) == (False, True), wrong
        assert PASSWORD not in wrong.status


def test_an_address_that_is_not_ascii() -> None:
    mail = Mail("msg_1", "ü@example.com", "subject", "text")
    with mail_server() as server:
        assert smtp_of(server).send(mail).delivered
    with mail_server(enable_SMTPUTF8=False) as server:
        attempt = smtp_of(server).send(mail)
    assert (attempt.delivered, attempt.final) == (False, True)
    assert len(attempt.status) <= STATUS_CHARACTERS_MAX


@pytest.mark.parametrize(
    ("url", "sender"),
    [("http://a", SENDER), ("smtp://", SENDER), ("smtp://a:x", SENDER), ("smtp://a", None), ("smtp://a", "a@b\nc")],
)
def test_settings_that_cannot_be(url: str, sender: Any) -> None:
    with pytest.raises(SettingsError, match="smtp_"):
        Smtp(url, sender)
