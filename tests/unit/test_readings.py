"""The form that sources are read into: ids of bounded length, batches of what is right, refusals of what is not."""

import pytest

from usageledger.events.typed_events import ID_CHARACTERS_MAX
from usageledger.sources.batches import to_batch
from usageledger.sources.readings import Emitter, Note, Readings, Reason, Tally, response_event_id, short_id

USE = {"kind": "embeddings", "id": "a", "timestamp": 1_794_970_000, "model": "m", "input_tokens": 7}


def test_readings_are_kept_by_emitter_with_the_first_example_of_each_reason() -> None:
    readings = Readings()
    readings.of(Emitter("ai", "7")).leave(Reason.AGGREGATE, "first")
    readings.of(Emitter("ai", "7")).leave(Reason.AGGREGATE, "second")
    readings.of(Emitter("ai", "7")).note(Note.ESTIMATED, "third")
    reading = readings.pop(Emitter("ai", "7"))
    assert reading.not_counted == {Reason.AGGREGATE: Tally(2, "first")}
    assert reading.notes == {Note.ESTIMATED: Tally(1, "third")}
    assert not readings


def test_a_long_id_is_replaced_by_its_digest_and_a_short_one_is_kept() -> None:
    assert response_event_id("msg_1") == "response:msg_1"
    assert short_id("otlp:", "a", "b") == "otlp:a:b"
    long = response_event_id("r" * 200)
    assert len(long) == len("response:") + 64 <= ID_CHARACTERS_MAX
    assert long == response_event_id("r" * 200) != response_event_id("r" * 201)
    assert short_id("x", "a" * 130, "b") != short_id("x", "a" * 129, "ab")
    assert "\0" not in response_event_id("a\0b")


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"input_tokens": -1}, "input_tokens"),
        ({"input_tokens": 1.5}, "input_tokens"),
        ({"model": "m" * 257}, "model"),
        ({"model": "a\0b"}, "model"),
        ({"id": ""}, "id"),
        ({"kind": "nothing"}, "kind"),
        ({"unheard": 1}, "unheard"),
    ],
)
def test_a_value_that_is_not_allowed_refuses_its_event_alone(wrong: dict[str, object], param: str) -> None:
    batch = to_batch([USE, {**USE, **wrong}, {**USE, "id": "b"}])
    assert [event.id for event in batch.typed] == ["a", "b"]
    assert list(batch.typed_indexes) == [0, 2]
    assert batch.refused.events == 1
    assert [(each.index, each.param) for each in batch.refused.listed] == [(1, param)]
