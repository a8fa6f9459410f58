"""The file of public prices that was taken last, for all servers of the registry."""

import hashlib
from dataclasses import dataclass

import zstandard
from sqlalchemy import Connection, delete, func, insert, select

from usageledger.errors import RegistryError
from usageledger.pricing.price_file import PriceFile
from usageledger.registry.audit import local_actor, note
from usageledger.registry.database import Database, lock_prices
from usageledger.registry.schema import price_files


@dataclass(frozen=True, slots=True)
class StoredPrices:
    """A file of public prices.

    Attributes:
        sha256: of its text.
        set_at: the time at which it was taken, Unix seconds.
        actor: who took it, as the audit trail names them.
    """

    serial: int
    sha256: str
    text: bytes
    set_at: int
    actor: str


class PriceFiles:
    """The store of the file; every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def serial(self) -> int:
        """The serial of the file; 0 where none was taken."""
        with self._database.read() as connection:
            return _serial(connection)

    def newest(self) -> StoredPrices | None:
        """The file; None where none was taken."""
        with self._database.read() as connection:
            row = connection.execute(select(price_files).order_by(price_files.c.serial.desc()).limit(1)).first()
        if row is None:
            return None
        return StoredPrices(row.serial, row.sha256, zstandard.decompress(row.body), row.set_at, row.actor)

    def take(self, file: PriceFile, text: bytes, *, actor: str | None = None, now: int) -> None:
        """Takes a file that passed its checks, in place of the one before. Cards stay as they are.

        Args:
            file: what `text` says.
            text: the file itself.
            actor: the id of the key that does it, or None for the machine's user.
            now: Unix seconds.

        Raises:
            RegistryError: another one that is no older was taken meanwhile.
        """
        about = {
            "serial": file.serial,
            "sha256": hashlib.sha256(text).hexdigest(),
            "made": file.made,
            "confirmed_through": file.confirmed_through,
        }
        with self._database.write() as connection:
            lock_prices(connection)
            if (taken := _serial(connection)) >= file.serial:
                raise RegistryError(f"Prices {taken} were taken meanwhile, and {file.serial} are not newer.")
            connection.execute(delete(price_files))
            row = about | {"body": zstandard.compress(text), "set_at": now, "actor": actor or local_actor()}
            connection.execute(insert(price_files), row)
            note(connection, "price.updated", actor, about, now=now)


def _serial(connection: Connection) -> int:
    return connection.execute(select(func.max(price_files.c.serial))).scalar() or 0
