"""The engines that the ledger's tests run on: one suite, each engine a row."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.services.clickhouse import CLUSTER
from tests.support.services.shared import shared

from usageledger.ledger import Ledger, open_ledger
from usageledger.ledger.clickhouse import migrate, parse_address
from usageledger.ledger.duckdb.ledger import DuckDBLedger
from usageledger.ledger.duckdb.tuning import MEASURED, Tuning, Worth
from usageledger.ledger.schema import FAMILIES

# Upkeep finds something to do after few events, and does a little of it at a time.
EAGER = Tuning(
    full_rows=6,
    worth={"models": Worth(2, 2, 2), "keys": Worth(5, 3, 1)},
    identities_kept_max=7,
    responses_kept_max=8,
    facets_kept_max=9,
)
# After it all events are in the rollups, and none of these is merged.
ADDED_AT_ONCE = Tuning(full_rows=1, worth={family.name: Worth(1, 10**9, 1) for family in FAMILIES})

OpenLedger = Callable[..., Ledger]


@dataclass(frozen=True)
class Engine:
    """An engine of the ledger.

    Attributes:
        url: where the ledger of a folder is.
        prepare: makes what must be there before it can be opened.
    """

    name: str
    url: Callable[[Path], str]
    prepare: Callable[[Path], None] = lambda _: None

    def open(self, folder: Path, tuning: Tuning = MEASURED) -> Ledger:
        """Opens the ledger of a folder; only the embedded one is tuned."""
        self.prepare(folder)
        if self is EMBEDDED and tuning is not MEASURED:
            return DuckDBLedger(folder / "ledger.duckdb", tuning=tuning)
        return open_ledger(self.url(folder))


def tuned(tuning: Tuning) -> pytest.MarkDecorator:
    """Opens the embedded ledgers of a test with this tuning."""
    return pytest.mark.parametrize("tuning", [tuning], ids=["tuned"])


def _database(folder: Path) -> str:
    return f"test_{hashlib.sha256(str(folder).encode()).hexdigest()[:20]}"


def _one_node(folder: Path) -> str:
    return f"clickhouse://{shared('clickhouse')['addresses'][0]}/{_database(folder)}"


def _prepare_node(folder: Path) -> None:
    migrate(parse_address(_one_node(folder)))


def _shard(folder: Path, number: int = 0) -> str:
    address = shared("clickhouse")["addresses"][number]
    return f"clickhouse://{address}/{_database(folder)}?cluster={CLUSTER}&replicated=false"


def _prepare_shards(folder: Path) -> None:
    """Without Keeper there is no `ON CLUSTER`: the tables are made on each node."""
    for number in range(2):
        migrate(parse_address(_shard(folder, number)))


EMBEDDED = Engine("duckdb", lambda folder: f"duckdb:///{folder}/ledger.duckdb")
ONE_NODE = Engine(
    "clickhouse",
    _one_node,
    prepare=_prepare_node,
)
TWO_SHARDS = Engine("two-shards", _shard, prepare=_prepare_shards)
ENGINES = (EMBEDDED, ONE_NODE, TWO_SHARDS)


def parameter(engine: Engine) -> Any:
    """An engine as a parameter of tests; those on other engines than the embedded one need a server."""
    return pytest.param(engine, id=engine.name, marks=() if engine is EMBEDDED else pytest.mark.external)
