"""Limits of spend and alerts on it, of the organization and of projects with any id."""

import pytest

from usageledger.errors import RegistryError, UnknownCursorError
from usageledger.registry import AlertTerms, Order, Registry, SpendAlert, SpendLimit, open_registry
from usageledger.registry.spend_settings import RECIPIENTS_MAX, THRESHOLD_CENTS_MAX

NOW = 1_750_000_000
SCOPES = [None, "p", "a b/c?d%e", "ü" * 256]
TERMS = AlertTerms(800, ("ann@example.com", "bob@example.com"), "[spend]")


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_has_one_limit(registry: Registry, scope: str | None) -> None:
    settings = registry.spend_settings
    assert settings.limit(scope) is None
    assert settings.set_limit(scope, 1, now=NOW) == SpendLimit(scope, 1, NOW)
    changed = settings.set_limit(scope, THRESHOLD_CENTS_MAX, now=NOW + 1)
    assert settings.limit(scope) == changed == SpendLimit(scope, THRESHOLD_CENTS_MAX, NOW + 1)
    assert settings.limit("another") is None
    assert settings.delete_limit(scope, now=NOW)
    assert not settings.delete_limit(scope, now=NOW)
    assert settings.limits() == []


def test_what_one_server_sets_another_has(registry: Registry, url: str) -> None:
    for number, scope in enumerate(SCOPES, 1):
        registry.spend_settings.set_limit(scope, number, now=NOW)
        registry.spend_settings.create_alert(scope, TERMS, now=NOW)
    with open_registry(url) as other:
        limits = other.spend_settings.limits()
        assert limits[0] == SpendLimit(None, 1, NOW)
        assert {(limit.project_id, limit.threshold_cents) for limit in limits} == {
            *zip(SCOPES, range(1, 5), strict=True)
        }
        assert [(alert.project_id, alert.terms) for alert in other.spend_settings.alerts()] == [
            (scope, TERMS) for scope in SCOPES
        ]


@pytest.mark.parametrize("scope", SCOPES)
def test_an_alert_is_of_its_scope_alone(registry: Registry, scope: str | None) -> None:
    settings = registry.spend_settings
    made = settings.create_alert(scope, TERMS, now=NOW)
    assert made == SpendAlert(made.number, made.id, scope, TERMS, NOW)
    assert settings.alert(scope, made.id) == made
    other = "another" if scope is None else None
    assert settings.alert(other, made.id) is None
    assert settings.replace_alert(other, made.id, TERMS, now=NOW) is None
    assert not settings.delete_alert(other, made.id, now=NOW)
    changed = settings.replace_alert(scope, made.id, AlertTerms(0, ("c@d",)), now=NOW + 1)
    assert changed == SpendAlert(made.number, made.id, scope, AlertTerms(0, ("c@d",), None), NOW + 1)
    assert settings.alert(scope, made.id) == changed
    assert settings.delete_alert(scope, made.id, now=NOW)
    assert not settings.delete_alert(scope, made.id, now=NOW)
    assert settings.replace_alert(scope, made.id, TERMS, now=NOW) is None
    assert settings.alerts() == []


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_go_both_ways_in_the_order_of_making(registry: Registry, order: Order) -> None:
    settings = registry.spend_settings
    made = [settings.create_alert("p", TERMS, now=NOW - number).id for number in range(7)]
    settings.create_alert(None, TERMS, now=NOW)
    expected = made if order == "asc" else made[::-1]

    def ids(*, after: str | None = None, before: str | None = None, limit: int = 3) -> tuple[list[str], bool]:
        page = settings.list_alerts("p", after=after, before=before, limit=limit, order=order)
        return [alert.id for alert in page.data], page.has_more

    assert ids() == (expected[:3], True)
    assert ids(after=expected[2]) == (expected[3:6], True)
    assert ids(after=expected[5]) == (expected[6:], False)
    assert ids(before=expected[6]) == (expected[3:6], True)
    assert ids(before=expected[3]) == (expected[:3], False)
    assert ids(before=expected[2]) == (expected[:2], False)
    assert ids(after=expected[0], before=expected[6]) == (expected[1:4], True)
    assert ids(after=expected[3], before=expected[6]) == (expected[4:6], False)
    assert ids(limit=0) == ([], True)
    assert ids(after=expected[6], limit=0) == ([], False)
    for after, before in (("nobody", None), (None, "nobody")):
        with pytest.raises(UnknownCursorError, match="'nobody' is unknown") as raised:
            ids(after=after, before=before)
        assert raised.value.cursor == ("after" if after else "before")


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        (AlertTerms(-1, ("a@b",)), "0 to"),
        (AlertTerms(THRESHOLD_CENTS_MAX + 1, ("a@b",)), "0 to"),
        (AlertTerms(1, ()), f"1 to {RECIPIENTS_MAX} recipients, not 0"),
        (AlertTerms(1, ("a@b",) * (RECIPIENTS_MAX + 1)), "recipients"),
        *(
            (AlertTerms(1, ("good@example.com", bad)), "recipient")
            for bad in (
                "",
                "x",
                "a@b\r\nBcc: c@d",
                "a@b\n",
                "a@\x00b",
                "a@b,c@d",
                "a@b\x85",
                "a@" + "b" * 256,
                "a@\ud800",
            )
        ),
        *((AlertTerms(1, ("a@b",), bad), "prefix") for bad in ("x\r\nBcc: c@d", "x\n", "\x7f", "x" * 257, "\u2028")),
    ],
)
def test_terms_that_are_not_allowed(registry: Registry, terms: AlertTerms, told: str) -> None:
    settings = registry.spend_settings
    with pytest.raises(RegistryError, match=told):
        settings.create_alert(None, terms, now=NOW)
    made = settings.create_alert(None, TERMS, now=NOW)
    with pytest.raises(RegistryError, match=told):
        settings.replace_alert(None, made.id, terms, now=NOW)
    assert [alert.terms for alert in settings.alerts()] == [TERMS]


@pytest.mark.parametrize("cents", [0, -1, THRESHOLD_CENTS_MAX + 1])
def test_a_limit_is_a_cent_at_least(registry: Registry, cents: int) -> None:
    with pytest.raises(RegistryError, match=f"1 to {THRESHOLD_CENTS_MAX} cents, not {cents}"):
        registry.spend_settings.set_limit(None, cents, now=NOW)
    for scope in ("", "x" * 257):
        with pytest.raises(RegistryError, match="id of a project"):
            registry.spend_settings.set_limit(scope, 1, now=NOW)
    assert registry.spend_settings.limits() == []
