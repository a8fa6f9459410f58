"""The registry of a data folder, for commands that work on it beside a running server."""

from pathlib import Path
from typing import TYPE_CHECKING

from usageledger.cli.output import CommandError
from usageledger.settings import Settings, load_settings

if TYPE_CHECKING:
    from usageledger.registry import Registry


def existing_settings(data: Path) -> Settings:
    """The settings, where the data folder has a registry; a mistyped folder is not made."""
    settings = load_settings({"data": data})
    if not Path(settings.registry_url.removeprefix("sqlite:///")).exists():
        raise CommandError(f"There is no registry in {settings.data.absolute()}: check --data.", exit_code=2)
    return settings


def opened_registry(settings: Settings) -> "Registry":
    """The registry, to be closed by a `with`."""
    from usageledger.registry import open_registry  # noqa: PLC0415 - loaded only to work with it

    return open_registry(settings.registry_url)
