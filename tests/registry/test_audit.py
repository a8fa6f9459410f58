"""The trail of changes: with each change, in its transaction, and nothing that a key could be made of."""

import getpass
from dataclasses import replace

import msgspec
import pytest
from sqlalchemy import select
from tests.support.price_rows import price_file

from usageledger.errors import RegistryError, UnknownCursorError
from usageledger.pricing import Override, Prices, Subject
from usageledger.pricing.money import UNITS
from usageledger.pricing.price_file import written
from usageledger.registry import AUDIT_TYPES, AlertTerms, AuditEntry, Registry, Wanted
from usageledger.registry.audit import note
from usageledger.registry.schema import admin_keys, audit_log, price_overrides, price_revisions
from usageledger.sources.rules import Origin, Rule

NOW = 1_750_000_000
SUBJECT = Subject(day=NOW - NOW % 86_400, kind="embeddings", provider="openai", model="m")


def entries(registry: Registry) -> list[AuditEntry]:
    """All of them, oldest first."""
    return list(reversed(registry.audit_log.list(limit=1000).data))


def card(registry: Registry) -> int:
    return registry.rate_cards.give([(SUBJECT, Prices({}, {}))])[0]


def test_each_change_is_noted_with_who_and_what(registry: Registry) -> None:
    made, value = registry.create_key("ci", ["api.usage.read"], expires_at=NOW + 9, actor="key_a", now=NOW)
    assert registry.revoke_key(made.id, now=NOW + 1)
    price = Override("embeddings", "openai", "m", "input_text_tokens", "standard", NOW - NOW % 86_400, 5 * UNITS)
    registry.rate_cards.set_prices([price, price], now=NOW + 2)
    revision = registry.rate_cards.revise([(card(registry), Prices({}, {}))], "why", actor="key_b", now=NOW + 3)
    file = price_file()
    registry.price_files.take(file, written(file), now=NOW + 4)
    registry.source_rules.set([Rule("project_id", (Origin("header", "x-team"),))], actor="key_c", now=NOW + 5)
    assert registry.source_rules.remove(registry.source_rules.list()[0].number, now=NOW + 6)
    scope, settings = "p", registry.spend_settings
    settings.set_limit(scope, 500, actor="key_d", now=NOW + 7)
    assert settings.delete_limit(scope, now=NOW + 8)
    alert = settings.create_alert(None, AlertTerms(80, ("a@b",)), actor="key_e", now=NOW + 9)
    settings.replace_alert(None, alert.id, AlertTerms(90, ("c@d",), "[x]"), now=NOW + 10)
    assert settings.delete_alert(None, alert.id, now=NOW + 11)
    endpoint = registry.webhook_endpoints.create("https://a.test/secret", "slack", actor="key_f", now=NOW + 12)
    registry.webhook_endpoints.disable(endpoint.id, now=NOW + 13)
    assert registry.webhook_endpoints.delete(endpoint.id, now=NOW + 14)
    here = f"local:{getpass.getuser()}"
    found = entries(registry)
    assert [(e.effective_at, e.type, e.actor) for e in found] == [
        (NOW, "api_key.created", "key_a"),
        (NOW + 1, "api_key.deleted", here),
        (NOW + 2, "price.set", here),
        (NOW + 3, "price.revised", "key_b"),
        (NOW + 4, "price.updated", here),
        (NOW + 5, "source.mapped", "key_c"),
        (NOW + 6, "source.unmapped", here),
        (NOW + 7, "spend_limit.updated", "key_d"),
        (NOW + 8, "spend_limit.deleted", here),
        (NOW + 9, "spend_alert.created", "key_e"),
        (NOW + 10, "spend_alert.updated", here),
        (NOW + 11, "spend_alert.deleted", here),
        (NOW + 12, "webhook_endpoint.created", "key_f"),
        (NOW + 13, "webhook_endpoint.updated", here),
        (NOW + 14, "webhook_endpoint.deleted", here),
    ]
    assert {e.type for e in found} == set(AUDIT_TYPES)
    shown = {"scopes": ["api.usage.read"], "name": "ci", "expires_at": NOW + 9}
    assert found[0].details == {"id": made.id, "data": shown}
    assert found[1].details == {"id": made.id}
    assert [each["rate"] for each in found[2].details["prices"]] == ["5", "5"]
    assert found[3].details == {"id": revision.id, "reason": "why", "rate_cards": 1}
    assert [found[4].details[name] for name in ("serial", "made")] == [1, file.made]
    assert (found[5].details["emitter"], found[5].details["origins"]) == ("*", ["header:x-team"])
    assert found[7].details == {"project_id": "p", "threshold_cents": 500, "threshold_cents_before": None}
    assert found[8].details == {"project_id": "p"}
    named = {"id": alert.id, "project_id": None}
    assert found[9].details == {**named, "threshold_cents": 80, "recipients": ["a@b"], "subject_prefix": None}
    assert found[10].details == {**named, "threshold_cents": 90, "recipients": ["c@d"], "subject_prefix": "[x]"}
    assert found[11].details == named
    assert found[12].details == {"id": endpoint.id, "format": "slack", "host": "a.test"}
    assert found[13].details == {"id": endpoint.id, "change": "disabled"}
    assert value not in str(found)


def test_what_changes_nothing_is_not_noted(registry: Registry) -> None:
    made, value = registry.create_key("ci", now=NOW)
    registry.create_key("again", value=value, now=NOW)
    registry.find_key(value, now=NOW)
    registry.touch_key(made.id, now=NOW)
    registry.revoke_key("key_of_nobody", now=NOW)
    registry.revoke_key(made.id, now=NOW)
    registry.revoke_key(made.id, now=NOW)
    with pytest.raises(RegistryError):
        registry.create_key("again", value=value, now=NOW)
    card(registry)
    assert [entry.type for entry in entries(registry)] == ["api_key.created", "api_key.deleted"]


def test_a_change_that_cannot_be_noted_does_not_happen(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = registry.create_key("kept", now=NOW)
    number = card(registry)

    def fail(*_: object, **__: object) -> None:
        raise RegistryError("no space")

    monkeypatch.setattr("usageledger.registry.audit.note", fail)
    monkeypatch.setattr("usageledger.registry.prices.note", fail)
    price = Override("embeddings", "openai", "m", "input_text_tokens", "standard", NOW - NOW % 86_400, 5 * UNITS)
    for change in (
        lambda: registry.create_key("lost", now=NOW),
        lambda: registry.revoke_key(made.id, now=NOW),
        lambda: registry.rate_cards.set_prices([price], now=NOW),
        lambda: registry.rate_cards.revise([(number, Prices({}, {}))], "why", now=NOW),
    ):
        with pytest.raises(RegistryError, match="no space"):
            change()
    with registry._database.read() as connection:
        assert [row.revoked_at for row in connection.execute(select(admin_keys))] == [None]
        for table in (price_overrides, price_revisions):
            assert connection.execute(select(table)).all() == []


def test_pages_have_each_entry_once(registry: Registry) -> None:
    for number in range(7):
        made, _ = registry.create_key(str(number), now=NOW)
        if number % 2:
            registry.revoke_key(made.id, now=NOW)
    for types, count in (((), 10), (("api_key.deleted",), 3), (("price.set",), 0)):
        found: list[AuditEntry] = []
        while True:
            page = registry.audit_log.list(
                after=found[-1].number if found else None, limit=3, wanted=Wanted(types=types)
            )
            found += page.data
            if not page.has_more:
                break
            assert len(page.data) == 3
        assert len(found) == count
        assert [entry.number for entry in found] == sorted((entry.number for entry in found), reverse=True)
        assert not types or {entry.type for entry in found} <= set(types)
    with pytest.raises(UnknownCursorError):
        registry.audit_log.list(after=999)
    with pytest.raises(RegistryError, match="limit must be 1 or more"):
        registry.audit_log.list(limit=0)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), [1, 2, 3, 4, 5]),
        (Wanted(since=NOW + 2), [2, 3, 4, 5]),
        (Wanted(until=NOW + 2), [1]),
        (Wanted(since=NOW + 2, until=NOW + 5, types=["spend_limit.updated"]), [2, 4]),
        (Wanted(actors=["key_a"]), [1, 4]),
        (Wanted(actors=[]), []),
        (Wanted(projects=["p"]), [2, 3]),
        (Wanted(projects=["p", 'q"'], actors=["key_a"]), [4]),
        (Wanted(resources=["p"]), [2, 3]),
        (Wanted(resources=["alert"]), [3, 5]),
        (Wanted(resources=["1"]), []),
        (Wanted(resources=["None"]), []),
        (Wanted(projects=["P"]), []),
    ],
    ids=repr,
)
def test_entries_are_found_by_what_they_are_about(registry: Registry, wanted: Wanted, found: list[int]) -> None:
    settings = registry.spend_settings
    settings.set_limit(None, 1, actor="key_a", now=NOW + 1)
    settings.set_limit("p", 1, actor="key_b", now=NOW + 2)
    alert = settings.create_alert("p", AlertTerms(1, ("a@b",)), actor="key_b", now=NOW + 3)
    settings.set_limit('q"', 1, actor="key_a", now=NOW + 4)
    registry.revoke_key(registry.create_key("n", now=NOW - 1)[0].id, now=NOW - 1)
    with registry._database.write() as connection:
        note(connection, "api_key.deleted", "key_c", {"id": alert.id}, now=NOW + 5)
    asked = replace(wanted, since=wanted.since or NOW)
    if wanted.resources == ["alert"]:
        asked = replace(asked, resources=[alert.id])
    for limit in (1, 2, 100):
        numbers: list[AuditEntry] = []
        while True:
            page = registry.audit_log.list(after=numbers[-1].number if numbers else None, limit=limit, wanted=asked)
            numbers += page.data
            if not page.has_more:
                break
        assert [entry.effective_at - NOW for entry in reversed(numbers)] == found


def test_details_are_kept_as_json(registry: Registry) -> None:
    registry.create_key("ü", now=NOW)
    with registry._database.read() as connection:
        (row,) = connection.execute(select(audit_log)).all()
    assert msgspec.json.decode(row.details)["data"]["name"] == "ü"
