"""The files of a backup: a ledger and a registry that belong together, and a note of their contents."""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from usageledger import __version__
from usageledger.cli.terminal.output import CommandError
from usageledger.errors import UsageLedgerError

LEDGER, REGISTRY, NOTE = "ledger.duckdb", "registry.sqlite", "backup.json"
FILES = (LEDGER, REGISTRY)


@contextmanager
def new_folder(place: Path) -> Generator[Path]:
    """A folder to be filled, which is at `place` when the block ends without an error, and nowhere else.

    Raises:
        CommandError: there is something at `place` already.
    """
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise CommandError(f"{place} is there already: name a folder that is not, or an empty one.", exit_code=2)
    place.absolute().parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.absolute().parent))
    try:
        yield folder
        for file in folder.iterdir():
            _sync(file)
        _sync(folder)
        folder.rename(place)
        _sync(place.absolute().parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def check_and_note(folder: Path) -> dict[str, Any]:
    """Opens the copies, and writes and returns a note of their contents.

    Raises:
        CommandError: they cannot be opened, or are not sound.
    """
    from usageledger.ledger import open_ledger
    from usageledger.ledger.lookups import count
    from usageledger.ledger.proof.inspection import doubled
    from usageledger.registry import open_registry

    try:
        with (
            closing(open_ledger(f"duckdb:///{folder.absolute()}/{LEDGER}")) as ledger,
            ledger.snapshot() as snapshot,
        ):
            events, twice = count(snapshot), doubled(snapshot, 1)
        with open_registry(f"sqlite:///{folder.absolute()}/{REGISTRY}") as registry:
            registry.list_keys(limit=1)
    except UsageLedgerError as error:
        raise CommandError(f"The copy is not sound, and was removed: {error}") from error
    if twice:
        raise CommandError(f"The copy is not sound, and was removed: {twice[0]}")
    for left in folder.iterdir():
        if left.name not in FILES:  # empty logs of the two databases
            left.unlink()
    note = {
        "object": "usageledger.backup",
        "version": __version__,
        "created_at": int(time.time()),
        "events": events,
        "files": {name: _describe(folder / name) for name in FILES},
    }
    (folder / NOTE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    return note


def checked_note(folder: Path) -> dict[str, Any]:
    """Reads the note of a backup, after a check that the files have not changed since.

    Raises:
        CommandError: it is no backup, or a file of it was changed.
    """
    try:
        note: dict[str, Any] = json.loads((folder / NOTE).read_text("utf-8"))
        files = {name: dict(note["files"][name]) for name in FILES}
    except (OSError, ValueError, LookupError, TypeError):
        raise CommandError(f"{folder} is no backup: {NOTE} is missing or cannot be read.", exit_code=2) from None
    for name, described in files.items():
        if not (folder / name).is_file() or _describe(folder / name) != described:
            raise CommandError(f"{folder / name} is missing, or is not what was backed up: take another backup.")
    return note


def _describe(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(opened, "sha256").hexdigest()}
