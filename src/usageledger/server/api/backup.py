"""`POST /v1/backup`: a copy of ledger and registry that belong together, as a tar archive, while the server goes on."""

import shutil
import tarfile
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import anyio
from anyio.to_thread import run_sync
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from usageledger.errors import InvalidRequestError, OverloadedError
from usageledger.ledger.protocol import Backups
from usageledger.registry import MANAGE
from usageledger.server.endpoint import Answer, Call, Endpoint
from usageledger.server.services import Services
from usageledger.settings import Settings, file_of

PREFIX = ".backup-"  # of the folder in the data folder that holds the copy until it is sent
PIECE_BYTES = 1024**2
MEDIA_TYPE = "application/x-tar"


def remove_left_backups(settings: Settings) -> None:
    """Removes copies that a server left behind when it was killed."""
    for folder in settings.data.glob(f"{PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)


async def backup(call: Call) -> Response:
    """Copies the ledger first: what its events refer to is in the registry before them, so in the later copy too."""
    services = call.services
    backups, files = _sources(services)
    try:
        services.backup_turn.acquire_nowait()
    except anyio.WouldBlock:
        raise OverloadedError("A backup is being made: ask again when it is done.", retry_after=30) from None
    with ExitStack() as stack:
        stack.callback(services.backup_turn.release)
        _check_room(services.settings.data, files)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=services.settings.data))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        ledger_copy, registry_copy = (folder / file.name for file in files)
        await run_sync(backups.backup, ledger_copy)
        await run_sync(services.registry.backup, registry_copy)
        return _Archive((ledger_copy, registry_copy), stack.pop_all())


def _sources(services: Services) -> tuple[Backups, tuple[Path, Path]]:
    """Returns what copies the ledger, and the files of ledger and registry."""
    backups, settings = services.ledger.backups, services.settings
    ledger, registry = file_of(settings.ledger_url), file_of(settings.registry_url)
    if backups is None or ledger is None or registry is None:
        raise InvalidRequestError(
            "This server's ledger or registry is no file of its own: back it up with the tools of its database.",
            code="invalid_value",
        )
    return backups, (ledger, registry)


def _check_room(folder: Path, files: Sequence[Path]) -> None:
    """A copy that fills the disk would keep events out."""
    needed = 2 * sum(file.stat().st_size for file in files if file.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OverloadedError(
            f"A backup needs {needed:,} bytes of free disk for a while, and there are {free:,}.", retry_after=300
        )


class _Archive(StreamingResponse):
    """Sends files as one archive, and removes them whether they were taken or not."""

    def __init__(self, files: Sequence[Path], stack: ExitStack) -> None:
        self._stack = stack
        heads = [_head(file) for file in files]
        length = sum(len(head) + _padded(file.stat().st_size) for file, head in zip(files, heads, strict=True))
        headers = {"content-length": str(length + len(_END))}
        super().__init__(_pieces(files, heads, stack), headers=headers, media_type=MEDIA_TYPE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await run_sync(self._stack.close)


_END = bytes(2 * tarfile.BLOCKSIZE)


def _head(file: Path) -> bytes:
    info = tarfile.TarInfo(file.name)
    info.size, info.mode = file.stat().st_size, 0o600
    return info.tobuf(tarfile.GNU_FORMAT)  # which has no largest size


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


async def _pieces(files: Sequence[Path], heads: Sequence[bytes], stack: ExitStack) -> AsyncIterator[bytes]:
    for file, head in zip(files, heads, strict=True):
        yield head
        size = 0
        with file.open("rb") as opened:
            while piece := await run_sync(opened.read, PIECE_BYTES):
                size += len(piece)
                yield piece
        yield bytes(_padded(size) - size)
    await run_sync(stack.close)  # before the end: whoever has it may ask for the next one
    yield _END


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/backup",
        backup,
        name="create-backup",
        tag="Server",
        summary="Make a copy of ledger and registry.",
        scopes=(MANAGE,),
        answer=Answer({"type": "string", "format": "binary"}, MEDIA_TYPE),
    ),
)
