"""Settings as a table: name, default, help. Each is also an environment variable `USAGELEDGER_<NAME>`."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from usageledger.errors import SettingsError


def _help(text: str, least: int = 0, most: int | None = None, kind: type | None = None) -> dict[str, Any]:
    return {"doc": text, "least": least, "most": most, "kind": kind}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can set; units are last in the names."""

    host: str = field(default="127.0.0.1", metadata=_help("Address to listen on."))
    port: int = field(default=8080, metadata=_help("Port to listen on; 0 takes a free one.", most=65535))
    data: Path = field(default=Path("usageledger-data"), metadata=_help("Folder of the ledger and the registry."))
    ledger: str | None = field(default=None, metadata=_help("Address of the ledger, if it is not in the data folder."))
    registry: str | None = field(
        default=None,
        metadata=_help("Address of the registry, if it is not in the data folder."),
    )
    admin_key: str | None = field(
        default=None, metadata=_help("A bootstrap admin key to accept, at least 20 characters.")
    )
    tls_cert: Path | None = field(
        default=None,
        metadata=_help("File of the TLS certificate and its chain, PEM; with it the server speaks HTTPS.", kind=Path),
    )
    tls_key: Path | None = field(
        default=None, metadata=_help("File of the certificate's private key, PEM, without a password.", kind=Path)
    )
    allow_plain_http: bool = field(
        default=False,
        metadata=_help("Listen on other addresses than loopback without TLS: keys cross the network in the clear."),
    )
    trusted_proxies: str | None = field(
        default=None,
        metadata=_help("Addresses and networks of proxies, separated by commas, whose X-Forwarded-For is believed."),
    )
    cors_origins: str | None = field(
        default=None,
        metadata=_help(
            "Origins of web pages, separated by commas, that may ask with a key from a browser; * for every origin."
        ),
    )
    smtp_url: str | None = field(
        default=None,
        metadata=_help("Server that takes mails of alerts: smtp://user:password@host:587, or smtps://host:465."),
    )
    smtp_from: str | None = field(default=None, metadata=_help("Address that mails of alerts come from."))
    max_body_bytes: int = field(
        default=16 * 1024**2, metadata=_help("Largest request body, after decompression.", 1024)
    )
    max_bodies_bytes: int = field(
        default=256 * 1024**2,
        metadata=_help(
            "Memory for all request bodies while they are received and unpacked, not counting the first 64 KB of "
            "each; beyond this limit the answer is 503."
        ),
    )
    max_batch_events: int = field(default=10_000, metadata=_help("Most events in one request.", 1))
    max_future_seconds: int = field(
        default=600, metadata=_help("Time that an event's timestamp may be ahead of the server's clock.")
    )
    queue_events: int = field(
        default=200_000, metadata=_help("Most events that wait for the disk; beyond this limit the answer is 503.", 1)
    )
    queue_bytes: int = field(
        default=256 * 1024**2,
        metadata=_help("Memory for events until they are on disk and answered; beyond this limit the answer is 503."),
    )
    commit_events: int = field(default=20_000, metadata=_help("Most events in one commit.", 1))
    commit_wait_ms: int = field(
        default=4, metadata=_help("After a commit of N requests, wait up to this long for each of the next N.")
    )
    max_queries: int = field(default=4, metadata=_help("Most queries that run at once.", 1))
    max_query_seconds: int = field(default=30, metadata=_help("Longest time of one query.", 1))
    max_results: int = field(default=250_000, metadata=_help("Most result rows in one page.", 1))
    max_answers_bytes: int = field(
        default=256 * 1024**2,
        metadata=_help(
            "Memory for all answers while clients receive them, not counting the first 64 KB of each; beyond this "
            "limit the answer is 503."
        ),
    )
    cache_bytes: int = field(
        default=64 * 1024**2,
        metadata=_help("Memory for buckets answered before and unchanged since, with their keys; 0 for none."),
    )
    retention_days: int = field(
        default=0,
        metadata=_help("Days for which events are kept; their sums stay. 0 keeps events for ever."),
    )
    strict_days: bool = field(
        default=False,
        metadata=_help(
            "Leave usage unpriced from 45 days after public lists were last compared with its price, instead of "
            "charging a provisional one for ever."
        ),
    )
    requests_per_minute: int = field(default=0, metadata=_help("Requests a key may make in a minute; 0 for no limit."))
    key_cache_seconds: int = field(
        default=2, metadata=_help("Time for which a key that was revoked elsewhere may still work on this server.")
    )
    wrong_keys_per_minute: int = field(
        default=20, metadata=_help("Wrong API keys allowed per client address and minute; 0 for no limit.")
    )
    max_connections: int = field(default=2000, metadata=_help("Most connections at once.", 1))
    max_request_seconds: int = field(
        default=120,
        metadata=_help("Longest time in which a client sends a request, or receives a part of an answer.", 1),
    )
    idle_seconds: int = field(default=75, metadata=_help("Time for which a connection without a request is kept.", 1))
    memory_bytes: int = field(
        default=1024**3,
        metadata=_help("Memory of the engine (DuckDB's memory_limit) of the embedded ledger.", 128 * 1024**2),
    )

    @property
    def ledger_url(self) -> str:
        """The address of the ledger."""
        return self.ledger or f"duckdb:///{self.data.absolute()}/ledger.duckdb"

    @property
    def registry_url(self) -> str:
        """The address of the registry."""
        return self.registry or f"sqlite:///{self.data.absolute()}/registry.sqlite"


def option_of(name: str) -> str:
    """The option of a setting."""
    return f"--{name.replace('_', '-')}"


def file_of(url: str) -> Path | None:
    """The file at the address of an embedded ledger or registry; None for a server's."""
    scheme, _, path = url.partition(":///")
    return Path(path) if scheme in ("duckdb", "sqlite") else None


def without_password(url: str) -> str:
    """An address as it may be shown."""
    return re.sub(r"^([^:/]+://[^/?#]*?:)[^/?#]*@", r"\1***@", url)


def load_settings(given: Mapping[str, Any] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `given` (None values are ignored), else `USAGELEDGER_*`, else the default.

    Raises:
        SettingsError: a value that is not of the setting's type or below its least.
    """
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        name = setting.name
        variable = f"USAGELEDGER_{name.upper()}"
        raw = given.get(name) if given else None
        if raw is None:
            raw = environ.get(variable)
        if raw is not None:
            said = variable if raw == environ.get(variable) else option_of(name)
            kind = setting.metadata["kind"] or type(setting.default)
            values[name] = _read(said, raw, kind, setting.metadata["least"], setting.metadata["most"])
    return Settings(**values)


def _read(name: str, raw: Any, kind: type, least: int, most: int | None) -> Any:
    if issubclass(kind, Path):
        return Path(raw)
    if kind is bool:
        return _read_bool(name, raw)
    if kind is not int:
        return str(raw)
    try:
        value = int(raw)
    except ValueError:
        raise SettingsError(f"{name}: expected an integer, got {raw!r}") from None
    if value < least:
        raise SettingsError(f"{name}: expected at least {least}, got {value}")
    if most is not None and value > most:
        raise SettingsError(f"{name}: expected at most {most}, got {value}")
    return value


def _read_bool(name: str, raw: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if (value := words.get(str(raw).lower())) is None:
        raise SettingsError(f"{name}: expected one of {', '.join(words)}, got {raw!r}")
    return value
