"""Opening a ledger: again, while another process holds it, made by a newer version, damaged, or at no such place."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.engines import EAGER, Engine, OpenLedger, tuned
from tests.support.ledger_contents import count, doubled, malformed, rollup_differences, span
from tests.support.model import Model
from tests.support.samples import DAY, TODAY, answer, append, ask, keep, usage

from usageledger.errors import LedgerError, LedgerLockedError, SettingsError
from usageledger.ledger import open_ledger
from usageledger.meters import METERS

EVENTS = [usage(meter.kind, meter.kind, TODAY + n) for n, meter in enumerate(METERS)]


@tuned(EAGER)
@pytest.mark.parametrize("upkeep", [0, 1, 3])
def test_everything_is_there_when_opened_again(open_again: OpenLedger, upkeep: int) -> None:
    model = Model()
    for number in range(4):
        ledger = open_again()
        assert count(ledger) == len(model.kept)
        if number:
            assert append(ledger, EVENTS) == keep(model, EVENTS) == ["duplicate"] * len(EVENTS)
        more = [each.but(id=f"{each.id} {number}") for each in EVENTS]
        for batch in (EVENTS, more[:2], more[2:]):
            assert append(ledger, batch) == keep(model, batch)
        for _ in range(upkeep):
            ledger.compact()
        ledger.close()
    ledger = open_again()
    assert span(ledger) == (TODAY, TODAY + len(EVENTS) - 1)
    assert malformed(ledger) == doubled(ledger) == rollup_differences(ledger) == []
    for meter in METERS:
        for width in ("1d", "1h", "1m"):
            window = (TODAY, TODAY + 3600)
            assert answer(ledger, ask(meter.kind, *window, width)) == model.buckets(meter.kind, window, width)


@pytest.mark.embedded
@pytest.mark.parametrize("folder", ["new/and/deep", "with space", "ünï", "locked", "quote's", "per%20cent"])
def test_a_folder_is_made_where_there_is_none(open_again: OpenLedger, tmp_path: Path, folder: str) -> None:
    ledger = open_again(tmp_path / folder)
    append(ledger, EVENTS)
    ledger.close()
    assert count(open_again(tmp_path / folder)) == len(EVENTS)
    assert (tmp_path / folder).is_dir()


@contextmanager
def held_by_another_process(url: str) -> Iterator[None]:
    """While this lasts, a process of its own has the ledger open."""
    code = (
        "import sys\n"
        "from usageledger.ledger import open_ledger\n"
        "ledger = open_ledger(sys.argv[1])\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
        "ledger.close()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield
        process.communicate()
        assert process.returncode == 0


@pytest.mark.embedded
@pytest.mark.parametrize("name", ["data", "unlocked block"])
def test_one_process_holds_it_at_a_time(engine: Engine, open_again: OpenLedger, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    with held_by_another_process(engine.url(folder)):
        with pytest.raises(LedgerLockedError, match=r"Another process holds the ledger .*: stop it first") as caught:
            open_again(folder)
        assert "\n" not in str(caught.value)
        assert str(folder) in str(caught.value)
    assert append(open_again(folder), EVENTS) == ["accepted"] * len(EVENTS)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ledger.duckdb",
        "duckdb:ledger",
        "duckdb://ledger",
        "duckdb:///",
        "sqlite:///x",
        "DUCKDB:///x",
        "postgresql://x",
    ],
)
def test_an_address_that_no_engine_has(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^ledger: expected duckdb:///PATH or clickhouse://HOST/DATABASE, got "):
        open_ledger(url)


@pytest.mark.embedded
def test_a_folder_that_cannot_be_made(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LedgerError, match=r"The ledger's folder .*/file/data cannot be made: ") as caught:
        engine.open(tmp_path / "file" / "data")
    assert type(caught.value) is LedgerError
    assert "\n" not in str(caught.value)


def test_an_end_that_was_read_before_stays_read(open_again: OpenLedger) -> None:
    """The first events after a restart may be older or newer than what is there."""
    ledger = open_again()
    append(ledger, EVENTS)
    ledger.close()
    ledger = open_again()
    later = [each.but(timestamp=each.timestamp + 100) for each in EVENTS]
    earlier = [each.but(timestamp=each.timestamp - DAY) for each in EVENTS]
    for batch in (later, earlier):
        assert append(ledger, batch) == ["accepted"] * len(EVENTS)
    for batch in (later, earlier, EVENTS):
        assert append(ledger, batch) == ["duplicate"] * len(EVENTS)
