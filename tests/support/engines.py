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
from usageledger.ledger.duckdb import journal, ledger, new_facets, rollup_schedule

OpenLedger = Callable[..., Ledger]


@dataclass(frozen=True)
class Engine:
    """An engine of the ledger.

    Attributes:
        url: where the ledger of a folder is.
        prepare: makes what must be there before it can be opened.
        eager: makes upkeep find something to do after few events, and do a little of it at a time.
    """

    name: str
    url: Callable[[Path], str]
    eager: Callable[[pytest.MonkeyPatch], None]
    prepare: Callable[[Path], None] = lambda _: None

    def open(self, folder: Path) -> Ledger:
        self.prepare(folder)
        return open_ledger(self.url(folder))


def _eager_duckdb(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ledger, "FULL_ROWS", 6)
    patch.setattr(
        rollup_schedule, "WORTH", {"models": rollup_schedule.Worth(2, 2, 2), "keys": rollup_schedule.Worth(5, 3, 1)}
    )
    patch.setattr(journal, "IDENTITIES_KEPT_MAX", 7)
    patch.setattr(new_facets, "VALUES_KEPT_MAX", 9)


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


EMBEDDED = Engine("duckdb", lambda folder: f"duckdb:///{folder}/ledger.duckdb", _eager_duckdb)
ONE_NODE = Engine(
    "clickhouse",
    _one_node,
    eager=lambda _: None,
    prepare=_prepare_node,
)
TWO_SHARDS = Engine("two-shards", _shard, eager=lambda _: None, prepare=_prepare_shards)
ENGINES = (EMBEDDED, ONE_NODE, TWO_SHARDS)


def parameter(engine: Engine) -> Any:
    """An engine as a parameter of tests; those on other engines than the embedded one need a server."""
    return pytest.param(engine, id=engine.name, marks=() if engine is EMBEDDED else pytest.mark.external)
