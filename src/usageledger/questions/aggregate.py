"""The ledger's answer to a query, before it is rendered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from usageledger.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A ledger's answer to a `Query`: parallel columns, one row for each bucket and group that has usage.

    Attributes:
        starts: the start of each row's bucket before it is clamped (`Query.whole_start`), Unix seconds, ascending.
        columns: dimensions grouped by and measures of the meter, by name.
    """

    starts: Sequence[int]
    columns: Mapping[str, Sequence[Any]]


def too_many_results(most: int) -> InvalidRequestError:
    """The refusal of a page with more than `most` results."""
    return InvalidRequestError(
        f"This page has more than {most} results: ask for fewer buckets with 'limit', a wider 'bucket_width', fewer "
        "'group_by' fields, or filter.",
        param="limit",
        code="too_many_results",
    )
