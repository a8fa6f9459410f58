"""What repeats is logged once a minute."""

import logging

from usageledger.cli.commands.serve import OncePerMinute


def record(message: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("usageledger", logging.ERROR, "", 1, message, values, None)


def test_a_message_that_repeats_is_logged_once_a_minute() -> None:
    now = [1000.0]
    once = OncePerMinute(lambda: now[0])
    assert [once.filter(record("no %s", "space")) for _ in range(3)] == [True, False, False]
    assert once.filter(record("no %s", "room"))
    now[0] += 59.9
    assert not once.filter(record("no space"))
    now[0] += 0.1
    assert [once.filter(record("no space")) for _ in range(2)] == [True, False]


def test_a_cause_is_logged_once_a_minute_whatever_its_messages_name() -> None:
    now = [1000.0]
    once = OncePerMinute(lambda: now[0], messages_kept_max=2)

    def named(name: str, cause: str) -> bool:
        made = record("no price for %s", name)
        made.cause = cause
        return once.filter(made)

    assert [named(f"model-{number}", "no price") for number in range(4)] == [True, False, False, False]
    assert named("model-1", "another")
    now[0] += 60
    assert [named(f"model-{number}", "no price") for number in range(2)] == [True, False]


def test_it_remembers_a_limited_number_of_messages() -> None:
    now = [1000.0]
    once = OncePerMinute(lambda: now[0], messages_kept_max=2)
    assert [text for text in "abccab" if once.filter(record(text))] == ["a", "b", "c", "c"]
    now[0] += 60
    assert [text for text in "cc" if once.filter(record(text))] == ["c"]
