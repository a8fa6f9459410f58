"""A statement for an engine: its text, the values bound in it, and what it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from usageledger.ledger.schema import EVENTS_TABLE

EVENTS_ONLY = frozenset({EVENTS_TABLE})


@dataclass(frozen=True, slots=True)
class Sql:
    """A statement.

    Attributes:
        text: SQL, with a `?` for each argument.
        arguments: the values that are bound, in the order of their places.
        reads: tables of the ledger that hold what was committed last, as far as the statement reads them.
        tables: Arrow tables that it reads by these names.
    """

    text: str
    arguments: Sequence[Any] = ()
    reads: frozenset[str] = EVENTS_ONLY
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
