"""Options that commands share, and options from the table of settings."""

import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from usageledger.settings import Settings, load_settings, option_of

MAIN_SETTINGS = ("host", "port", "data", "ledger", "registry", "admin_key")
NETWORK_SETTINGS = ("tls_cert", "tls_key", "allow_plain_http", "trusted_proxies", "cors_origins")


def json_option(panel: str | None = None) -> Any:
    """`--json`, which every command has."""
    return typer.Option("--json", help="Print JSON on stdout, for programs.", rich_help_panel=panel)


AsJson = Annotated[bool, json_option()]
DataFolder = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="USAGELEDGER_DATA",
        metavar="<folder>",
        help="Folder of the ledger and the registry.",
        show_envvar=True,
    ),
]
DEFAULT_FOLDER = Settings().data
LedgerUrl = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        envvar="USAGELEDGER_LEDGER",
        metavar="<url>",
        help="Address of the ledger where it is not in the data folder.",
        show_envvar=True,
    ),
]
RegistryUrl = Annotated[
    str | None,
    typer.Option(
        "--registry",
        envvar="USAGELEDGER_REGISTRY",
        metavar="<url>",
        help="Address of the registry where it is not in the data folder.",
        show_envvar=True,
    ),
]


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """`command(settings, **own)` as a command line: its own options, and one for each field of `Settings`."""
    own = list(inspect.signature(command).parameters.values())[1:]
    table = fields(Settings)

    @wraps(command)
    def run(**given: Any) -> None:
        settings = load_settings({field.name: given.pop(field.name) for field in table})
        command(settings, **given)

    parameters = [*(_parameter(field) for field in table), *own]
    # Typer reads the one, and the hints of the other.
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions may carry a signature
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _parameter(field: "Field[Any]") -> inspect.Parameter:
    """Makes a setting an option. Its value stays text, so that `load_settings` alone checks it."""
    is_flag = isinstance(field.default, bool)
    option = typer.Option(
        option_of(field.name),
        envvar=f"USAGELEDGER_{field.name.upper()}",
        metavar=None if is_flag else _metavar(field),
        help=field.metadata["doc"],
        show_envvar=False,
        rich_help_panel=_panel(field.name),
    )
    default = field.default if is_flag or field.default is None else str(field.default)
    annotation = Annotated[bool, option] if is_flag else Annotated[str | None, option]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _panel(name: str) -> str | None:
    if name in MAIN_SETTINGS:
        return None
    return "Network" if name in NETWORK_SETTINGS else "Limits"


def _metavar(field: "Field[Any]") -> str:
    if field.metadata["kind"] is Path:
        return "<file>"
    if isinstance(field.default, Path):
        return "<folder>"
    if field.name in ("ledger", "registry"):
        return "<url>"
    return "<int>" if isinstance(field.default, int) else "<text>"
