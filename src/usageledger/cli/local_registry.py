"""Opens the registry directly, from a data folder or a URL, also beside a running server."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from usageledger.cli.terminal.output import CommandError
from usageledger.errors import SettingsError
from usageledger.settings import Settings, file_of, load_settings

if TYPE_CHECKING:
    from collections.abc import Generator

    from usageledger.registry import Registry


def existing_settings(data: Path, registry_url: str | None = None) -> Settings:
    """Loads the settings, if there is a registry; a mistyped folder is not created."""
    settings = load_settings({"data": data, "registry": registry_url})
    if not is_there(settings.registry_url):
        raise CommandError(f"There is no registry in {settings.data.absolute()}: check --data.", exit_code=2)
    return settings


def is_there(url: str) -> bool:
    """Returns true if the file of a ledger or registry exists, and for every address of a server."""
    file = file_of(url)
    return file is None or file.exists()


def make_data_folder(settings: Settings) -> None:
    """Makes the data folder, for its owner only, where the ledger or the registry is to be in it and there is none.

    Raises:
        SettingsError: it cannot be made.
    """
    if settings.ledger and settings.registry:
        return
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--data: the folder {settings.data} cannot be made: {error.strerror}") from None


def opened_registry(settings: Settings) -> "Registry":
    """The registry, to be closed by a `with`."""
    from usageledger.registry import open_registry

    return open_registry(settings.registry_url)


@contextmanager
def registry_if_there(settings: Settings) -> "Generator[Registry | None]":
    """The registry; None where there is no ledger yet."""
    if not is_there(settings.registry_url):
        yield None
        return
    with opened_registry(settings) as registry:
        yield registry
