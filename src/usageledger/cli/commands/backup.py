"""`usageledger backup`: a consistent copy of ledger and registry, from a running server or from a data folder."""

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from usageledger.cli.backup_files import FILES, LEDGER, REGISTRY, check_and_note, new_folder
from usageledger.cli.local_registry import existing_settings, is_there, opened_registry
from usageledger.cli.options import AsJson
from usageledger.cli.server_connection import Connection, Key, ProfileName, Url, connect_to
from usageledger.cli.terminal.output import CommandError, counted, note, print_json

EPILOG = """\
[bold]Examples[/]

  usageledger backup /backups/2026-11-25
  usageledger backup --url https://ledger.example.com copy
  usageledger backup --data /var/lib/usageledger copy

Without --data the server makes the copy while it goes on; the key needs the
scope api.management. With --data the server has to be stopped. The copy is
opened and counted before it is called DEST: one that is there is whole.
"""


def backup(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="Folder to make, or an empty one.")],
    url: Url = None,
    key: Key = None,
    profile: ProfileName = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="<folder>", help="Copy this data folder, whose server is stopped."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy ledger and registry, while the server runs, to a folder of their own."""
    with new_folder(destination) as folder:
        if data is None:
            _fetch(connect_to(url, key, profile, openai=False), folder)
        else:
            _copy(data, folder)
        made = check_and_note(folder)
    if as_json:
        print_json(made)
    else:
        size = sum(made["files"][name]["bytes"] for name in FILES)
        note(f"{destination} holds {counted(made['events'], 'event')} in {size:,} bytes. It was opened and is whole.")


def _copy(data: Path, folder: Path) -> None:
    from usageledger.ledger import open_ledger

    settings = existing_settings(data)
    if not is_there(settings.ledger_url):
        raise CommandError(f"There is no ledger in {settings.data.absolute()}: check --data.", exit_code=2)
    with closing(open_ledger(settings.ledger_url, memory_bytes=settings.memory_bytes)) as ledger:
        if ledger.backups is None:
            raise CommandError(
                "This ledger is no file of its own: back it up with the tools of its database.", exit_code=2
            )
        ledger.backups.backup(folder / LEDGER)
    with opened_registry(settings) as registry:
        registry.backup(folder / REGISTRY)


def _fetch(server: Connection, folder: Path) -> None:
    import httpx

    timeout = httpx.Timeout(60, read=None)  # the copy of a large ledger takes minutes to be made
    headers = {"authorization": f"Bearer {server.key}"}
    try:
        with httpx.stream("POST", f"{server.url}/backup", headers=headers, timeout=timeout) as response:
            if response.is_error:
                raise CommandError(f"The server made no backup: {_reason(response.status_code, response.read())}")
            _unpack(response.iter_bytes(), folder)
    except httpx.HTTPError as error:
        raise CommandError(f"The backup could not be fetched from {server.url}: {error}") from error


def _reason(status: int, body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return f"it answered {status}."


def _unpack(pieces: Iterator[bytes], folder: Path) -> None:
    """The files of an archive, by the names that we know: no name in it chooses a place."""
    missing: set[str] = set(FILES)
    try:
        with tarfile.open(fileobj=io.BufferedReader(_Incoming(pieces)), mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name in missing else None
                if content is None:
                    raise CommandError(f"The server sent something else than a backup: {member.name!r:.100}.")
                missing.remove(member.name)
                with (folder / member.name).open("xb") as file:
                    shutil.copyfileobj(content, file, 1024**2)
    except tarfile.TarError as error:
        raise CommandError(f"The server sent something else than a backup: {error}.") from error
    if missing:
        raise CommandError(f"The server's backup lacks {' and '.join(sorted(missing))}.")


class _Incoming(io.RawIOBase):
    """Pieces as they come, as a file to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._unread = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # any buffer, says typeshed
        self._unread = self._unread or next(self._pieces, b"")
        size = min(len(buffer), len(self._unread))
        buffer[:size], self._unread = self._unread[:size], self._unread[size:]
        return size
