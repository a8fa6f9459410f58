"""Rate cards: given once, revised, never changed."""

import threading
from contextlib import ExitStack
from hashlib import sha256
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import insert

from usageledger.errors import RegistryError
from usageledger.pricing import Override, Prices, Source, Subject
from usageledger.registry import Registry, open_registry, prices
from usageledger.registry.schema import rate_cards

ONE, TWO = (Subject(0, "completions", "openai", model) for model in ("one", "two"))
CHEAP = Prices({"input_text_tokens": 1}, {"input_text_tokens": Source("a list", "curated", start="2026-01-01")})
DEAR = Prices({"input_text_tokens": 10**24})


def said(registry: Registry) -> list[tuple[int, int, Subject, Prices]]:
    """What every card said, in the order in which it was written."""
    histories = (registry.rate_cards.history(card.card_id) for card in registry.rate_cards.between(0, 2**40))
    found = sorted((card for history in histories for card in history), key=lambda card: card.number)
    return [(card.card_id, card.revision, card.subject, card.prices) for card in found]


def test_a_card_is_given_once_and_for_good(registry: Registry) -> None:
    (one,) = registry.rate_cards.give([(ONE, CHEAP)])
    assert registry.rate_cards.give([(TWO, DEAR), (ONE, DEAR)])[1] == one
    assert [(revision, subject, prices) for _, revision, subject, prices in said(registry)] == [
        (0, ONE, CHEAP),
        (0, TWO, DEAR),
    ]
    assert registry.rate_cards.newest() == 2


def test_a_card_of_an_earlier_version_is_found(registry: Registry) -> None:
    """What a subject says beyond the fields of the first version is not in the text that its card is found by."""
    text = (
        '{"band":0,"batch":false,"context_level":null,"day":0,"kind":"completions","model":"one","provider":"openai",'
        '"quality":null,"second":0,"service_tier":null,"size":null}'
    )
    with registry.rate_cards._database.write() as connection:
        connection.execute(insert(rate_cards).values(id=77, digest=sha256(text.encode()).digest(), subject=text))
    assert registry.rate_cards.give([(ONE, DEAR)]) == [77]
    (bound,) = registry.rate_cards.give([(structs.replace(ONE, region="us"), CHEAP)])
    assert registry.rate_cards.at([bound])[bound].subject == structs.replace(ONE, region="us")


def test_servers_that_give_the_same_cards_at_once_agree(url: str) -> None:
    subjects = [(Subject(day * 86_400, "images", "openai", "m"), CHEAP) for day in range(50)]
    found: list[list[int]] = []
    with ExitStack() as stack:
        registries = [stack.enter_context(open_registry(url)) for _ in range(4)]
        threads = [threading.Thread(target=lambda r=r: found.append(r.rate_cards.give(subjects))) for r in registries]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(said(registries[0])) == len(subjects)
    assert len(found) == 4
    assert all(each == found[0] for each in found)
    assert len(set(found[0])) == len(subjects)


def test_reading_on_misses_nothing_of_a_slower_writer(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that began before may not commit a smaller number after a larger one was read."""
    said_something, go_on = threading.Event(), threading.Event()
    write = prices._say

    def slowly(*arguments: Any) -> None:
        write(*arguments)
        if threading.current_thread() is slow:
            said_something.set()
            assert go_on.wait(30)

    monkeypatch.setattr(prices, "_say", slowly)
    with open_registry(url) as registry, open_registry(url) as other:
        slow = threading.Thread(target=registry.rate_cards.give, args=([(ONE, CHEAP)],))
        fast = threading.Thread(target=other.rate_cards.give, args=([(TWO, DEAR)],))
        slow.start()
        assert said_something.wait(30)
        fast.start()
        fast.join(0.5)
        before = other.rate_cards.newest()
        seen = list(other.rate_cards.priced([0], after=0, upto=before, revision=0))
        go_on.set()
        slow.join()
        fast.join()
        seen += other.rate_cards.priced([0], after=before, upto=other.rate_cards.newest(), revision=0)
        assert [card.subject for card in seen] == [ONE, TWO]


def test_cards_of_earlier_versions_are_found(registry: Registry) -> None:
    """A card is found by the digest of its subject's text, which fields that came later must not change."""
    subject = Subject(86_400, "images", "openai", "m", "flex", True, quality="hd", second=5)
    text = (
        '{"band":0,"batch":true,"context_level":null,"day":86400,"kind":"images","model":"m","provider":"openai",'
        '"quality":"hd","second":5,"service_tier":"flex","size":null}'
    )
    assert prices._encode(subject) == text
    (card,) = registry.rate_cards.give([(subject, CHEAP)])
    own = structs.replace(subject, project='"project":null,')
    assert prices._encode(own) == text.replace('"provider"', r'"project":"\"project\":null,","provider"')
    assert registry.rate_cards.give([(own, DEAR), (subject, DEAR)])[1] == card
    assert set(registry.rate_cards.of([own, subject])) == {subject, own}
    assert registry.rate_cards.at([card])[card].subject == subject


def test_a_revision_is_appended(registry: Registry) -> None:
    one, two = registry.rate_cards.give([(ONE, CHEAP), (TWO, CHEAP)])
    revision = registry.rate_cards.revise([(one, DEAR)], "a wrong price", now=100)
    assert said(registry) == [(one, 0, ONE, CHEAP), (two, 0, TWO, CHEAP), (one, revision.id, ONE, DEAR)]
    assert registry.rate_cards.revisions() == [revision]
    assert [registry.rate_cards.revision_at(at) for at in (99, 100, 101)] == [0, revision.id, revision.id]


def test_a_revision_needs_a_reason_and_a_change(registry: Registry) -> None:
    cards = registry.rate_cards.give([(ONE, CHEAP)])
    with pytest.raises(RegistryError, match="reason"):
        registry.rate_cards.revise([(cards[0], DEAR)], "  ", now=1)
    with pytest.raises(RegistryError, match="at least one card"):
        registry.rate_cards.revise([], "nothing", now=1)
    assert registry.rate_cards.revisions() == []
    assert len(said(registry)) == 1


def test_the_operators_prices_stay_in_their_order(registry: Registry) -> None:
    own = [
        Override("images", "openai", "m", "images", "standard", 0, rate, size="auto", note="ü")
        for rate in (10**24, 0, None, 5)
    ]
    own.append(Override("*", "azure", "*", "*", "*", 0, None, percent="-12.5", like="openai", project="p"))
    own.append(Override("*", "openai", "*", "quality", "*", 0, None, default="hd"))
    registry.rate_cards.set_prices(own[:1], now=1)
    registry.rate_cards.set_prices(own[1:], now=1)
    assert registry.rate_cards.overrides() == own


def test_what_cards_say_today(registry: Registry) -> None:
    one, two = registry.rate_cards.give([(ONE, CHEAP), (TWO, CHEAP)])
    registry.rate_cards.revise([(two, DEAR)], "a wrong price", now=100)
    other = Subject(86_400, "completions", "openai", "one")
    found = registry.rate_cards.of([ONE, TWO, other])
    assert {subject: (card.card_id, card.prices) for subject, card in found.items()} == {
        ONE: (one, CHEAP),
        TWO: (two, DEAR),
    }
