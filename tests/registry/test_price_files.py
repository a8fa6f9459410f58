"""The file of public prices in the registry: the newest one, and who took it."""

import getpass
import hashlib

import pytest
from msgspec import structs
from tests.support.price_rows import price_file, row

from usageledger.errors import RegistryError
from usageledger.pricing.price_file import written
from usageledger.registry import Registry, StoredPrices, open_registry

NOW = 1_750_000_000
SECOND = structs.replace(price_file(row("input_text_tokens", "1")), serial=2)
THIRD = structs.replace(SECOND, serial=3)


def test_the_newest_file_is_there_for_everybody_with_who_took_it(url: str, registry: Registry) -> None:
    assert (registry.price_files.serial(), registry.price_files.newest()) == (0, None)
    registry.price_files.take(SECOND, written(SECOND), actor="key_a", now=NOW)
    registry.price_files.take(THIRD, written(THIRD), now=NOW + 1)
    text = written(THIRD)
    with open_registry(url) as other:
        assert other.price_files.serial() == 3
        here = f"local:{getpass.getuser()}"
        digest = hashlib.sha256(text).hexdigest()
        assert other.price_files.newest() == StoredPrices(3, digest, text, NOW + 1, here)
        entry, before = other.audit_log.list().data
    assert (entry.type, entry.actor, before.actor) == ("price.updated", here, "key_a")
    day = "2030-01-01"
    assert entry.details == {"serial": 3, "sha256": digest, "made": day, "confirmed_through": day}


def test_a_file_that_came_second_does_not_take_the_place_of_a_newer_one(registry: Registry) -> None:
    registry.price_files.take(THIRD, written(THIRD), now=NOW)
    for older in (SECOND, THIRD):
        with pytest.raises(RegistryError, match="Prices 3 were taken meanwhile"):
            registry.price_files.take(older, written(older), now=NOW)
    assert registry.price_files.serial() == 3
    assert len(registry.audit_log.list().data) == 1
