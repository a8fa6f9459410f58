"""Addresses of ledgers on ClickHouse: `clickhouse://user:password@host:8123/database?cluster=name`."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from usageledger.errors import SettingsError

PORTS = {"clickhouse": 8123, "clickhouses": 8443}
EXPECTED = (
    "expected clickhouse://USER:PASSWORD@HOST:PORT/DATABASE, or clickhouses:// for TLS with ca_cert=PATH where the "
    "system does not know who signed its certificate, and ?cluster=NAME for a cluster, replicated=false for one "
    "without replicas"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A database on a server, and the cluster that it is in.

    Attributes:
        cluster: as the servers' configuration names it; None for a single node.
        replicated: whether each shard has replicas, so that the cluster has Keeper.
        ca_cert: the file of the certificates that are trusted; None for those that the system trusts.
    """

    host: str
    port: int
    secure: bool
    user: str
    password: str
    database: str
    cluster: str | None
    replicated: bool
    ca_cert: str | None = None

    @property
    def place(self) -> str:
        """The address as it may be shown."""
        scheme = "clickhouses" if self.secure else "clickhouse"
        return f"{scheme}://{self.host}:{self.port}/{self.database}" + (
            f"?cluster={self.cluster}" if self.cluster else ""
        )


def parse_address(url: str) -> Address:
    """Parses the URL of a ledger.

    Raises:
        SettingsError: it is none; the message does not show it, since it may hold a password anywhere.
    """
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        default_port = PORTS[parts.scheme]
        port = parts.port or default_port
    except (ValueError, KeyError):
        raise SettingsError(f"ledger: the address cannot be read: {EXPECTED}") from None
    database = unquote(parts.path.removeprefix("/"))
    cluster, replicated = options.pop("cluster", None), options.pop("replicated", "true")
    secure = parts.scheme == "clickhouses"
    ca_cert = options.pop("ca_cert", None) if secure else None
    if options:
        raise SettingsError(f"ledger: unknown parameter {min(options)!r} of the address: {EXPECTED}")
    if not parts.hostname or replicated not in ("true", "false") or parts.fragment:
        raise SettingsError(f"ledger: the address cannot be read: {EXPECTED}")
    for what, name in (("database", database), ("cluster", cluster)):
        if name is not None and not (name.isascii() and name.replace("_", "a").replace("-", "a").isalnum()):
            raise SettingsError(f"ledger: expected the name of a {what}, of letters, digits, - and _, got {name!r}")
    if ca_cert is not None and not Path(ca_cert).is_file():
        raise SettingsError(f"ledger: expected ca_cert to be the path of a PEM file, got {ca_cert!r}, which is no file")
    return Address(
        host=parts.hostname,
        port=port,
        secure=secure,
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=database,
        cluster=cluster,
        replicated=cluster is not None and replicated == "true",
        ca_cert=ca_cert,
    )
