import hashlib
import re
from pathlib import Path

import pytest

from usageledger.errors import RegistryError
from usageledger.registry import SCOPES, AdminKey, Registry

NOW = 1_750_000_000
GIVEN = "bootstrap-0123456789-abcd"


def walk(registry: Registry, *, limit: int, order: str) -> list[AdminKey]:
    keys: list[AdminKey] = []
    after = None
    while True:
        page = registry.list_keys(after=after, limit=limit, order=order)  # type: ignore[arg-type]
        assert len(page.data) == limit or not page.has_more
        assert page.data, "has_more is only said when there is more"
        keys.extend(page.data)
        if not page.has_more:
            return keys
        after = page.data[-1].id


def test_a_made_key_has_the_documented_shape(registry: Registry) -> None:
    key, value = registry.create_key("ci", now=NOW)
    assert re.fullmatch(r"key_[A-Za-z0-9_-]{24}", key.id)
    assert re.fullmatch(r"sk-admin-[A-Za-z0-9_-]{43}", value)
    assert key == AdminKey(
        id=key.id,
        name="ci",
        redacted_value=f"sk-admin-...{value[-4:]}",
        scopes=SCOPES,
        created_at=NOW,
        expires_at=None,
        last_used_at=None,
        revoked_at=None,
    )


def test_keys_and_their_values_differ(registry: Registry) -> None:
    made = [registry.create_key("same", now=NOW) for _ in range(20)]
    assert len({key.id for key, _ in made}) == 20
    assert len({value for _, value in made}) == 20


def test_a_key_is_found_by_its_value_only(registry: Registry) -> None:
    key, value = registry.create_key("a", ["api.usage.read"], now=NOW)
    registry.create_key("b", now=NOW)
    assert registry.find_key(value, now=NOW) == key
    for wrong in (value[:-1], value + "A", value.swapcase(), "", key.id, key.redacted_value, "\udcff", "ü" * 60):
        assert registry.find_key(wrong, now=NOW) is None


def test_a_key_is_got_by_its_id(registry: Registry) -> None:
    key, value = registry.create_key("a", now=NOW)
    assert registry.get_key(key.id) == key
    assert registry.get_key(value) is None
    assert registry.get_key("key_unknown") is None


def test_no_file_holds_a_value(registry: Registry, path: Path) -> None:
    _, made = registry.create_key("made", now=NOW)
    registry.create_key("given", value=GIVEN, now=NOW)
    registry.find_key(made, now=NOW)
    files = [file.read_bytes() for file in path.parent.iterdir()]
    assert any(b"given" in data for data in files)
    assert not any(value.encode() in data for value in (made, GIVEN) for data in files)


def test_neither_value_nor_digest_is_shown(registry: Registry) -> None:
    key, value = registry.create_key("a", now=NOW)
    digest = hashlib.sha256(value.encode())
    shown = f"{key!r} {key} {registry!r} {registry.list_keys()!r}"
    assert value not in shown
    assert digest.hexdigest() not in shown
    assert repr(digest.digest()) not in shown


def test_expiry_is_exact_to_the_second(registry: Registry) -> None:
    key, value = registry.create_key("short", expires_at=NOW + 10, now=NOW)
    assert key.expires_at == NOW + 10
    assert registry.find_key(value, now=NOW + 9) == key
    assert registry.find_key(value, now=NOW + 10) is None
    assert registry.find_key(value, now=NOW + 11) is None
    assert registry.get_key(key.id) == key, "an expired key is still there to be seen"


def test_a_revoked_key_is_gone(registry: Registry) -> None:
    key, value = registry.create_key("a", ["api.management"], now=NOW)
    other, other_value = registry.create_key("b", ["api.usage.read"], now=NOW + 1)
    assert registry.revoke_key(key.id, now=NOW + 5) is True
    assert registry.find_key(value, now=NOW + 5) is None
    assert registry.get_key(key.id) is None
    assert registry.list_keys().data == (other,)
    assert registry.find_key(other_value, now=NOW + 5) == other
    assert registry.revoke_key(key.id, now=NOW + 6) is False
    assert registry.revoke_key("key_unknown", now=NOW + 6) is False


def test_has_keys_counts_what_was_not_revoked(registry: Registry) -> None:
    assert registry.has_keys() is False
    first, _ = registry.create_key("a", now=NOW)
    second, _ = registry.create_key("b", now=NOW)
    registry.revoke_key(first.id, now=NOW)
    assert registry.has_keys() is True
    registry.revoke_key(second.id, now=NOW)
    assert registry.has_keys() is False


def test_scopes_are_kept_once_in_their_order(registry: Registry) -> None:
    key, value = registry.create_key("a", iter(["api.management", "api.usage.read", "api.management"]), now=NOW)
    assert key.scopes == ("api.usage.read", "api.management")
    found = registry.find_key(value, now=NOW)
    assert found is not None
    assert found.scopes == ("api.usage.read", "api.management")


def test_an_unknown_scope_is_refused_by_name(registry: Registry) -> None:
    with pytest.raises(RegistryError) as raised:
        registry.create_key("a", ["api.usage.read", "api.usage.delete"], now=NOW)
    message = str(raised.value)
    assert "'api.usage.delete'" in message
    assert "'api.usage.read'" not in message, "only what is wrong is quoted"
    assert all(scope in message for scope in SCOPES)
    with pytest.raises(RegistryError, match="needs a scope"):
        registry.create_key("a", [], now=NOW)
    assert registry.has_keys() is False


def test_a_name_has_1_to_256_characters(registry: Registry) -> None:
    for good in ("x", "ü" * 256):
        assert registry.create_key(good, now=NOW)[0].name == good
    for bad, said in (("", "not 0"), ("x" * 257, "not 257"), ("a\ud800", "UTF-8")):
        with pytest.raises(RegistryError, match=said):
            registry.create_key(bad, now=NOW)
    assert len(registry.list_keys().data) == 2


def test_a_given_value_is_checked_and_not_shown(registry: Registry) -> None:
    for good in ("a" * 20, "b" * 512):
        key, value = registry.create_key("given", value=good, now=NOW)
        assert value == good
        assert registry.find_key(good, now=NOW) == key
    for bad in (
        "s3cret-" * 2 + "12345",
        "c" * 513,
        "s3cret-0123456789-abcd\n",
        "s3cret 0123456789-abcd",
        "s3cret" * 4 + "ü",
    ):
        with pytest.raises(RegistryError) as raised:
            registry.create_key("given", value=bad, now=NOW)
        assert bad not in str(raised.value)
        assert "s3cret" not in str(raised.value)
        assert "ccc" not in str(raised.value)
    assert len(registry.list_keys().data) == 2


@pytest.mark.parametrize(
    ("value", "redacted"),
    [("sk-admin-0123456789abcdWXYZ", "sk-admin-...WXYZ"), ("another-0123456789abcdWXYZ", "...WXYZ")],
)
def test_a_given_value_is_redacted(registry: Registry, value: str, redacted: str) -> None:
    assert registry.create_key("given", value=value, now=NOW)[0].redacted_value == redacted


def test_the_bootstrap_key_is_made_once(registry: Registry) -> None:
    first, value = registry.create_key("first", ["api.management"], expires_at=NOW + 5, value=GIVEN, now=NOW)
    again = registry.create_key("renamed", SCOPES, value=GIVEN, now=NOW + 100)
    assert again == (first, value) == (first, GIVEN)
    assert registry.list_keys().data == (first,)


def test_a_revoked_value_does_not_come_back(registry: Registry) -> None:
    key, _ = registry.create_key("first", value=GIVEN, now=NOW)
    registry.revoke_key(key.id, now=NOW)
    with pytest.raises(RegistryError, match="was revoked") as raised:
        registry.create_key("first", value=GIVEN, now=NOW)
    assert key.id in str(raised.value)
    assert GIVEN not in str(raised.value)
    assert registry.find_key(GIVEN, now=NOW) is None


def test_use_is_noted_once_in_60_seconds(registry: Registry) -> None:
    key, value = registry.create_key("a", now=NOW)
    other, _ = registry.create_key("b", now=NOW)

    def last_used_at() -> int | None:
        found = registry.find_key(value, now=NOW)
        assert found is not None
        return found.last_used_at

    noted = []
    for moment in (NOW, NOW + 59, NOW + 60, NOW + 1, NOW + 119, NOW + 200):
        registry.touch_key(key.id, now=moment)
        noted.append(last_used_at())
    assert noted == [NOW, NOW, NOW + 60, NOW + 60, NOW + 60, NOW + 200]
    registry.touch_key("key_unknown", now=NOW)
    assert registry.get_key(other.id) == other


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 5, 11, 12, 13])
def test_paging_walks_every_key_once(registry: Registry, order: str, limit: int) -> None:
    # Seconds out of order and shared, so that neither the time nor the id alone is the order.
    made = [registry.create_key(f"key {n}", now=NOW + (n * 7) % 3)[0] for n in range(12)]
    expected = sorted(made, key=lambda key: (key.created_at, key.id), reverse=order == "desc")
    assert walk(registry, limit=limit, order=order) == expected


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_order_is_not_only_that_of_the_index(registry: Registry, order: str) -> None:
    made = [registry.create_key(f"key {n}", now=NOW)[0] for n in range(12)]
    with registry._database.write() as connection:
        connection.exec_driver_sql("DROP INDEX ix_admin_keys_created_at_id")
    assert walk(registry, limit=5, order=order) == sorted(made, key=lambda key: key.id, reverse=order == "desc")


def test_paging_goes_on_after_a_key_that_was_revoked_meanwhile(registry: Registry) -> None:
    keys = [registry.create_key(str(n), now=NOW + n)[0] for n in range(4)]
    page = registry.list_keys(limit=2)
    assert page.data == tuple(keys[:2])
    registry.revoke_key(keys[1].id, now=NOW)
    assert registry.list_keys(after=keys[1].id).data == tuple(keys[2:])


def test_a_list_is_asked_for_properly(registry: Registry) -> None:
    registry.create_key("a", now=NOW)
    with pytest.raises(RegistryError, match=r"after .*'key_unknown'"):
        registry.list_keys(after="key_unknown")
    with pytest.raises(RegistryError, match=r"limit .*not 0"):
        registry.list_keys(limit=0)
    with pytest.raises(RegistryError, match=r"order .*'up'"):
        registry.list_keys(order="up")  # type: ignore[arg-type]
    assert len(registry.list_keys(limit=1).data) == 1
