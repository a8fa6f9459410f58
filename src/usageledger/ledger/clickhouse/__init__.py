"""The ledger on ClickHouse: one node, shards, or shards with replicas, for many servers at once."""

from usageledger.ledger.clickhouse.address import Address, parse_address
from usageledger.ledger.clickhouse.ledger import ClickHouseLedger, migrate

__all__ = ["Address", "ClickHouseLedger", "migrate", "parse_address"]
