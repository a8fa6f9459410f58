"""Ledgers that a version left when it was killed with a full journal, kept as files under `released/`.

`python -m tests.ledger.released` adds the one of this version, which every release does once. An archive holds the
files of the ledger, and the truth of every event that was acknowledged.
"""

import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import msgspec
import zstandard
from tests.support.engines import EMBEDDED
from tests.support.ledger_contents import (
    count,
    doubled,
    drop_events,
    events_from,
    facet_differences,
    malformed,
    rebuild_rollups,
    rollup_differences,
)
from tests.support.model import Model, Usage
from tests.support.samples import DAY, TODAY, answer, append, ask, counted, keep, usage

from usageledger.ledger import Ledger
from usageledger.ledger.schema import VERSION
from usageledger.meters import METERS
from usageledger.version import __version__

FOLDER = Path(__file__).parent / "released"
THIS_VERSION = FOLDER / f"{__version__}-schema-{VERSION}.tar.zst"
TRUTH = "truth.json"
DAYS = 4  # of which the first is dropped
WHOLE = (TODAY - (DAYS - 1) * DAY, TODAY + DAY)
VALUES = {"size": "256x256", "context_level": "low", "batch": True}  # those that may not be any text
NAMES = ("project_id", "user_id", "api_key_id", "model", "service_tier", "vector_store_id", *VALUES)


def events(name: str, times: int) -> list[Usage]:
    """Events of every kind and day, with all sorts of counts, each with some of the dimensions."""
    made = []
    for number in range(times * len(METERS)):
        meter = METERS[number % len(METERS)]
        counts = {column: number * 7 % (11 + place) for place, column in enumerate(counted(meter.kind))}
        has = {dimension.name for dimension in meter.dimensions}
        named = [each for place, each in enumerate(NAMES) if each in has and (number + place) % 3]
        dimensions = {each: VALUES.get(each, f"{each} {number % 5}") for each in named}
        at = TODAY - number % DAYS * DAY + number * 977 % 40_000
        made.append(usage(meter.kind, f"{name} {number}", at, **counts, **dimensions))
    return made


def write(folder: Path) -> None:
    """Fills a ledger in every way that events are kept in, and is killed."""
    ledger = EMBEDDED.open(folder)
    early, beside = events("early", 12), events("beside", 6)
    append(ledger, early)
    list(rebuild_rollups(ledger))
    append(ledger, early[:1] + beside)  # straight to the events, since one is known
    drop_events(ledger, WHOLE[0] + DAY)
    late = [each.but(timestamp=TODAY + 40_000 + number) for number, each in enumerate(events("late", 12))]
    for start in range(0, len(late), 7):
        append(ledger, late[start : start + 7])
    write_truth(folder, early + beside + late, events_from(ledger))
    os.kill(os.getpid(), signal.SIGKILL)


def write_truth(folder: Path, truth: list[Usage], events_from: int = 0) -> None:
    (folder / TRUTH).write_bytes(msgspec.json.encode([truth, events_from]))


def pack(archive: Path) -> None:
    """Makes the archive of a ledger that a process of its own wrote."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, "-m", "tests.ledger.released", folder], check=False)
        assert done.returncode == -signal.SIGKILL
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for file in sorted(Path(folder).iterdir()):
                tar.add(file, file.name)
        archive.write_bytes(zstandard.ZstdCompressor(level=19).compress(packed.getvalue()))


def unpack(archive: Path, folder: Path) -> tuple[list[Usage], int]:
    """Puts the ledger into a folder; what `read_truth` says of it."""
    with tarfile.open(fileobj=io.BytesIO(zstandard.decompress(archive.read_bytes()))) as tar:
        tar.extractall(folder, filter="data")
    return read_truth(folder)


def read_truth(folder: Path) -> tuple[list[Usage], int]:
    """What the ledger of a folder holds, and from when on its events are kept."""
    rows, events_from = msgspec.json.decode((folder / TRUTH).read_bytes())
    truth = [
        usage(row["kind"], row["id"], row["timestamp"], provider=row["provider"], **row["dimensions"], **row["counts"])
        for row in rows
    ]
    return truth, events_from


def check(ledger: Ledger, truth: list[Usage], events_from: int) -> None:
    """A ledger answers, knows and keeps what it held when it was left, whatever version left it."""
    young = [each for each in truth if each.timestamp >= events_from]
    model = Model()
    keep(model, truth)
    assert count(ledger) == len(young)
    for meter in METERS:
        groupings = [grouping.name for grouping in meter.groupings]
        for names in ([], [name for name in groupings if name == "model"], groupings):
            asked = ask(meter.kind, *WHOLE, group_by=names)
            assert answer(ledger, asked) == model.buckets(meter.kind, WHOLE, "1d", group_by=names)
        hours, minutes = (events_from or WHOLE[0], WHOLE[1]), (TODAY + 11 * 3600, TODAY + 12 * 3600)
        for window, width in ((hours, "1h"), (minutes, "1m")):
            assert answer(ledger, ask(meter.kind, *window, width)) == model.buckets(meter.kind, window, width)
    assert set(append(ledger, young)) == {"duplicate"}
    assert set(append(ledger, [each for each in truth if each.timestamp < events_from])) <= {"too_old"}
    assert malformed(ledger) == doubled(ledger) == rollup_differences(ledger) == facet_differences(ledger) == []


if __name__ == "__main__":
    if sys.argv[1:]:
        write(Path(sys.argv[1]))
    else:
        pack(THIS_VERSION)
