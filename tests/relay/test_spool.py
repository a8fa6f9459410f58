"""The relay's spool: events in files, until the ledger has answered for them."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.faulty_server import KEY, Faulty, answer, cut, faulty

from usageledger.client.outbox import SenderCounts
from usageledger.errors import SettingsError
from usageledger.relay.spool import Spool

Start = Callable[..., Spool]


def event(number: int) -> dict[str, Any]:
    return {"kind": "embeddings", "id": f"e{number}", "timestamp": 1_730_419_200, "input_tokens": number}


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def ledger() -> Iterator[Faulty]:
    with faulty() as state:
        yield state


@pytest.fixture
def start(ledger: Faulty, tmp_path: Path) -> Iterator[Start]:
    started: list[Spool] = []

    def begin(**options: Any) -> Spool:
        started.append(Spool(tmp_path / "spool", KEY, ledger.url, **{"flush_s": 0.01} | options))
        return started[-1]

    yield begin
    for each in started:
        each.close()


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in (folder / "spool").iterdir() if file.name != "lock")


def test_events_are_on_disk_at_once_and_gone_when_answered(ledger: Faulty, start: Start, tmp_path: Path) -> None:
    spool = start(flush_s=0.5)
    spool.send(event(1))
    spool.send(event(2))
    assert (tmp_path / "spool" / "000000000001.ndjson").read_bytes().count(b"\n") == 2
    until(lambda: spool.counts == SenderCounts(offered=2, delivered=2))
    assert [each["id"] for each in ledger.events] == ["e1", "e2"]
    assert names(tmp_path) == []


def test_a_full_file_is_a_batch(ledger: Faulty, start: Start) -> None:
    spool = start(flush_s=3600, batch_events=3)
    for number in range(7):
        spool.send(event(number))
    until(lambda: spool.counts.delivered == 6)
    spool.close()
    assert [len(asked.body.splitlines()) for asked in ledger.asked] == [3, 3, 1]


def test_what_the_ledger_does_not_take_now_is_sent_again_as_it_was(ledger: Faulty, start: Start) -> None:
    ledger.steps += [cut, answer(503, {"error": {}}, retry_after="0"), answer(401, {"error": {"message": "key"}})]
    spool = start()
    spool.send(event(1))
    until(lambda: spool.counts.delivered == 1)
    assert spool.counts.retries == 3
    assert len({asked.sent for asked in ledger.asked}) == 1


def test_what_an_earlier_process_left_is_sent_first(ledger: Faulty, start: Start, tmp_path: Path) -> None:
    ledger.steps += [cut] * 3
    first = start()
    first.send(event(1))
    until(lambda: first.counts.retries >= 1)
    first.close()
    assert len(names(tmp_path)) == 1
    with (tmp_path / "spool" / names(tmp_path)[0]).open("ab") as file:
        file.write(b'{"kind": "embed')  # of a machine that went out
    ledger.steps[:] = [
        answer(200, {"object": "event.batch", "accepted": 1, "duplicates": 0, "rejected": 1,
                     "errors": [{"index": 1, "message": "no JSON"}]})
    ]  # fmt: skip
    second = start()
    second.send(event(2))
    until(lambda: second.counts.delivered == 2)
    assert second.counts.refused == 1
    assert [asked.body for asked in ledger.asked][-1].startswith(b'{"kind":"embeddings","id":"e2"')
    assert names(tmp_path) == []


def test_a_body_that_is_refused_is_kept_aside(
    ledger: Faulty, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.steps.append(answer(422, {"error": {"message": "no"}}))
    spool = start()
    spool.send(event(1))
    until(lambda: spool.counts.refused == 1)
    spool.send(event(2))
    until(lambda: spool.counts.delivered == 1)
    assert names(tmp_path) == ["000000000001.refused"]
    assert [record.levelno for record in caplog.records if record.name == "usageledger.relay"] == [logging.ERROR]


def test_no_room(ledger: Faulty, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    ledger.steps += [cut] * 100
    spool = start(bytes_max=200)
    for number in range(5):
        spool.send(event(number))
    counts = spool.counts
    assert counts.offered == 5
    assert counts.dropped == 3
    assert sum("cannot take them" in record.getMessage() for record in caplog.records) == 1


def test_one_process_a_folder(start: Start) -> None:
    start()
    with pytest.raises(SettingsError, match="another process uses the folder"):
        start()
