"""What becomes of an event: it is accepted once, known again, or contradicts what is kept."""

import numpy as np
import pytest
from tests.support.engines import EAGER, OpenLedger, tuned
from tests.support.ledger_contents import count, doubled, malformed, rollup_differences, span
from tests.support.model import Model, Usage
from tests.support.samples import DAY, FORMS, LATEST, TODAY, answer, append, append_wire, ask, keep, usage, wire

from usageledger.errors import LedgerUnavailableError
from usageledger.events.columns import SCHEMA
from usageledger.events.typed_events import COUNT_MAX, ID_CHARACTERS_MAX
from usageledger.ledger import Ledger, Outcome
from usageledger.ledger.duckdb.tuning import MEASURED
from usageledger.meters import METERS

KINDS = [meter.kind for meter in METERS]
EVENT = usage("completions", model="m", input_text_tokens=5, input_cached_text_tokens=3, output_text_tokens=2)


def many(count: int, start: int = 0) -> list[Usage]:
    """Different events, more of them than a small commit has."""
    return [usage("embeddings", f"e{n}", TODAY + n, input_tokens=n, model="m") for n in range(start, start + count)]


def test_outcomes_have_the_numbers_that_others_rely_on() -> None:
    numbers = {"ACCEPTED": 0, "DUPLICATE": 1, "CONFLICT": 2, "TOO_OLD": 3, "SAME_RESPONSE": 4}
    assert {outcome.name: int(outcome) for outcome in Outcome} == numbers


def test_an_empty_batch(ledger: Ledger) -> None:
    outcomes = ledger.append(SCHEMA.empty_table()).outcomes
    assert (outcomes.tolist(), outcomes.dtype) == ([], np.dtype(np.uint8))
    assert (count(ledger), span(ledger)) == (0, None)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_accepted_once(ledger: Ledger, kind: str) -> None:
    event = usage(kind)
    assert append(ledger, [event]) == ["accepted"]
    assert append(ledger, [event]) == ["duplicate"]
    assert append(ledger, [event, event]) == ["duplicate", "duplicate"]
    assert (count(ledger), span(ledger)) == (1, (TODAY, TODAY))


@pytest.mark.parametrize("number", [1, 2, 3, 600])
def test_the_same_twice_in_one_batch(ledger: Ledger, number: int) -> None:
    events = many(number)
    assert append(ledger, [*events, *reversed(events)]) == ["accepted"] * number + ["duplicate"] * number
    assert append(ledger, events) == ["duplicate"] * number
    assert count(ledger) == number


CHANGES = [
    EVENT.but(counts={**EVENT.counts, "input_text_tokens": 6}),
    EVENT.but(counts={**EVENT.counts, "num_model_requests": 2}),
    EVENT.but(counts={**EVENT.counts, "input_text_tokens": 4, "input_audio_tokens": 1}),
    EVENT.but(dimensions={**EVENT.dimensions, "model": "n"}),
    EVENT.but(dimensions={**EVENT.dimensions, "model": None}),
    EVENT.but(dimensions={**EVENT.dimensions, "user_id": "u"}),
    EVENT.but(dimensions={**EVENT.dimensions, "batch": False}),
    EVENT.but(provider="other"),
    EVENT.but(kind="decisions"),
]


@pytest.mark.parametrize("changed", CHANGES)
@pytest.mark.parametrize("padding", [0, 600])
def test_another_payload_is_a_conflict_and_changes_nothing(ledger: Ledger, changed: Usage, padding: int) -> None:
    others = many(padding)
    model = Model()
    assert append(ledger, [EVENT, *others]) == keep(model, [EVENT, *others])
    assert append(ledger, [*others, changed]) == ["duplicate"] * padding + ["conflict"]
    assert append(ledger, [changed, EVENT]) == ["conflict", "duplicate"]
    for kind in ("completions", "decisions"):
        expected = model.buckets(kind, (TODAY, TODAY + DAY), "1d", group_by=["user_id", "model", "batch"])
        assert answer(ledger, ask(kind, TODAY, TODAY + DAY, group_by=["user_id", "model", "batch"])) == expected


@pytest.mark.parametrize("changed", CHANGES)
def test_of_a_contradiction_within_a_batch_the_first_is_kept(ledger: Ledger, changed: Usage) -> None:
    assert append(ledger, [changed, EVENT, changed]) == ["accepted", "conflict", "duplicate"]
    assert append(ledger, [EVENT, changed]) == ["conflict", "duplicate"]
    assert count(ledger) == 1


@pytest.mark.parametrize("first", FORMS)
@pytest.mark.parametrize("second", FORMS)
@pytest.mark.parametrize("kind", ["completions", "images"])
def test_the_same_in_another_form_is_a_duplicate(ledger: Ledger, kind: str, first: str, second: str) -> None:
    event = EVENT if kind == "completions" else usage("images", images=3, size="auto")
    assert append(ledger, [event], first) == ["accepted"]
    assert append(ledger, [event], second) == ["duplicate"]


def test_the_same_moment_written_in_another_way_is_a_duplicate(ledger: Ledger) -> None:
    event = wire(usage("embeddings", timestamp=TODAY), "short")
    moments = [TODAY, "2026-06-15T00:00:00Z", "2026-06-15T02:00:00+02:00", "2026-06-15T00:00:00.999999Z"]
    outcomes = append_wire(ledger, [event | {"timestamp": moment} for moment in moments])
    assert outcomes == ["accepted", "duplicate", "duplicate", "duplicate"]
    explicit = {"provider": "openai", "model": None, "num_model_requests": 1}
    assert append_wire(ledger, [event | explicit]) == ["duplicate"]


def test_the_same_id_at_another_time_is_another_event(ledger: Ledger) -> None:
    times = [TODAY, TODAY + 1, TODAY - 1, TODAY - DAY, TODAY - 400 * DAY, 0]
    events = [EVENT.but(timestamp=timestamp) for timestamp in times]
    for event in events:
        assert append(ledger, [event]) == ["accepted"]
    assert append(ledger, events) == ["duplicate"] * len(events)
    assert (count(ledger), span(ledger)) == (len(events), (0, TODAY + 1))


def test_identities_are_compared_to_the_letter(ledger: Ledger) -> None:
    names = [
        "a",
        "A",
        "a ",
        " a",
        "ä",
        "a\u0308",
        "'",
        "''",
        '"',
        "\\",
        "%",
        "\n",
        "x" * ID_CHARACTERS_MAX,
        "x" * (ID_CHARACTERS_MAX - 1),
    ]
    events = [EVENT.but(id=name) for name in names]
    assert append(ledger, events) == ["accepted"] * len(names)
    assert [append(ledger, [event])[0] for event in events] == ["duplicate"] * len(names)
    assert malformed(ledger) == []


def test_an_empty_text_is_not_null(ledger: Ledger) -> None:
    """Dimensions that an event does not carry are null, and null is not any text."""
    texts = ["null", "NULL", "None", "\\N", " "]
    events = [usage("embeddings", f"e{n}", model=text) for n, text in enumerate([None, *texts])]
    append(ledger, events)
    (bucket,) = answer(ledger, ask("embeddings", TODAY, TODAY + DAY, group_by=["model"]))
    assert [result["model"] for result in bucket["results"]] == [*sorted(texts), None]


@tuned(EAGER)
def test_many_small_batches_out_of_order(ledger: Ledger) -> None:
    """Each way in which a batch can go in: known to be new, looked up, after upkeep, late."""
    model = Model()
    order = [5, 3, 9, 1, 12, 2, 11, 4, 30, 0, 29, 8, 31, 7, 6, 10]
    for round_number in range(3):
        for number in order:
            batch = [usage("embeddings", f"e{n}", TODAY + n // 2, input_tokens=n) for n in (number, number + 1)]
            batch[1] = batch[1].but(counts={**batch[1].counts, "input_tokens": round_number % 2})
            assert append(ledger, batch) == keep(model, batch)
            if number % 3 == 0:
                ledger.compact()
    assert count(ledger) == len(model.kept)
    assert doubled(ledger) == rollup_differences(ledger) == []
    window = (TODAY, TODAY + DAY)
    assert answer(ledger, ask("embeddings", *window)) == model.buckets("embeddings", window, "1d")


@tuned(EAGER)
def test_a_retry_is_known_when_later_events_came_before_it(ledger: Ledger) -> None:
    """Clients' clocks and queues differ, so an event may be older than what came before it, and be sent again."""
    ahead = usage("embeddings", "ahead", TODAY + 100, input_tokens=1)
    assert append(ledger, [ahead]) == ["accepted"]
    for event in many(20):
        assert append(ledger, [event]) == ["accepted"]
    assert append(ledger, [ahead]) == ["duplicate"]
    assert append(ledger, many(20)) == ["duplicate"] * 20
    assert count(ledger) == 21


def test_the_largest_counts_add_up_exactly(ledger: Ledger) -> None:
    events = [usage("images", f"e{n}", images=COUNT_MAX) for n in range(1000)]
    append(ledger, events)
    for width in ("1m", "1h", "1d"):
        (bucket,) = answer(ledger, ask("images", TODAY, TODAY + 60, width))
        assert bucket["results"][0]["images"] == 1000 * COUNT_MAX


@pytest.mark.parametrize("tuning", [MEASURED, EAGER], ids=["measured", "eager"])
def test_more_than_can_be_added_up_harms_no_others(ledger: Ledger) -> None:
    """The sum of these is beyond 64 bits: they are kept, and what can be answered is answered."""
    huge = [usage("images", f"e{n}", images=COUNT_MAX) for n in range(1030)]
    assert append(ledger, huge) == ["accepted"] * len(huge)
    fine = usage("images", "fine", TODAY - DAY, images=7)
    assert append(ledger, [fine]) == ["accepted"]
    while ledger.compact():
        pass
    assert rollup_differences(ledger) == []
    assert answer(ledger, ask("images", TODAY - DAY, TODAY))[0]["results"][0]["images"] == 7
    assert append(ledger, [fine, *huge]) == ["duplicate"] * 1031


def test_timestamps_at_the_edges(ledger: Ledger) -> None:
    append(ledger, [EVENT.but(timestamp=0), EVENT.but(timestamp=LATEST)])
    assert span(ledger) == (0, LATEST)
    assert malformed(ledger) == []


def test_a_closed_ledger_says_so(open_again: OpenLedger) -> None:
    ledger = open_again()
    append(ledger, [EVENT])
    assert ledger.ready()
    ledger.close()
    assert not ledger.ready()
    for call in (
        lambda: append(ledger, [EVENT.but(id="new")]),
        lambda: append(ledger, many(600)),
        lambda: count(ledger),
        lambda: span(ledger),
        lambda: answer(ledger, ask("completions", TODAY, TODAY + 1)),
        lambda: doubled(ledger, 1),
    ):
        with pytest.raises(LedgerUnavailableError) as caught:
            call()
        assert "\n" not in str(caught.value)
    ledger.close()


def test_totals_beyond_64_bits_are_answered_exactly(ledger: Ledger) -> None:
    """Each part fits; all of them together do not, and JSON has no largest integer."""
    parts = ("output_text_tokens", "output_audio_tokens", "output_image_tokens")
    events = [
        wire(usage("completions", f"e{n}", **dict.fromkeys(parts, COUNT_MAX)), input_cache_write_tokens=None)
        for n in range(1000)
    ]
    append_wire(ledger, events)
    (bucket,) = answer(ledger, ask("completions", TODAY, TODAY + DAY))
    assert bucket["results"][0]["output_tokens"] == 3000 * COUNT_MAX
    assert bucket["results"][0]["output_text_tokens"] == 1000 * COUNT_MAX
