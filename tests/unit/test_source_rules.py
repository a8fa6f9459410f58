"""Rules of the operator on sources: what they find, and which prevails."""

import pytest

from usageledger.sources.otlp.signals import Signal
from usageledger.sources.rules import Origin, Rule, Rules, origin_of, signal_of, text_of

SIGNALS = (("value:metrics", "gate*", "key_1"), ("traces", "gateway", None))


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("team.id", Origin("attribute", "team.id")),
        ("attribute:header:x", Origin("attribute", "header:x")),
        ("header:X-Team", Origin("header", "x-team")),
        ("value:a,b: c", Origin("value", "a,b: c")),
        ("k8s.pod:name", Origin("attribute", "k8s.pod:name")),
    ],
)
def test_an_origin_is_read_as_it_is_written(text: str, origin: Origin) -> None:
    assert origin_of(text) == origin
    assert origin_of(text_of(origin)) == origin


@pytest.mark.parametrize("text", ["", "header:", "value: ", "a" * 257])
def test_an_origin_that_names_nothing_or_too_much_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="1 to 256 characters"):
        origin_of(text)


def test_the_first_origin_that_gives_something_counts_and_rules_of_a_key_prevail() -> None:
    of_all = Rule("project_id", (Origin("attribute", "none"), Origin("header", "x-team"), Origin("value", "v")))
    of_key = Rule("project_id", (Origin("attribute", "team"),), key_id="key_1")
    other = Rule("user_id", (Origin("value", "u"),), emitter="claude*")
    rules = Rules([of_key, of_all, other], "key_1", {"x-team": "from header"})
    assert rules.attributes == {"none", "team"}
    attributes = {"team": 7}
    assert rules.of("litellm").who(attributes.get) == {"project_id": "7"}
    assert rules.of("scope", "claude-code").who(attributes.get) == {"project_id": "7", "user_id": "u"}
    assert rules.of("litellm").who(lambda _: None) == {"project_id": "from header"}
    of_others = Rules([of_key, of_all, other], "key_2")
    assert of_others.of("litellm").who(attributes.get) == {"project_id": "v"}
    assert of_others.attributes == {"none"}


def test_the_rule_on_the_signal_that_counts_is_no_field_of_an_event() -> None:
    given = [Rule("signal", (signal_of(name),), emitter, key) for name, emitter, key in SIGNALS]
    rules = Rules(given, "key_1")
    assert rules.attributes == frozenset()
    assert rules.of("gateway").signal == Signal.METRICS
    assert rules.of("other").signal is None
    assert Rules(given, "key_2").of("gateway").signal == Signal.TRACES
    assert rules.of("gateway").who(lambda _: "x") == {}
    with pytest.raises(ValueError, match="expected one of traces, logs, metrics, got 'spans'"):
        signal_of("spans")
