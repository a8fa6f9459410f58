"""Requests that share a commit, and the answer to each of them."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from usageledger.events.batch import EventBatch, Joined, Refusals, Rejection
from usageledger.ledger import Outcome


@dataclass(slots=True)
class Submission:
    """The events of one request, waiting for their commit."""

    batch: EventBatch
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[dict[str, Any]]


def answers(
    submissions: Sequence[Submission], joined: Joined, outcomes: np.ndarray[Any, Any]
) -> Iterator[dict[str, Any] | Exception]:
    """Makes the answer to each submission, whose rows as `joined` came out as `outcomes`.

    All of them are on disk by now, so an answer that cannot be made is the failure of its own request alone.
    """
    if len(outcomes) != joined.rows.num_rows:
        raise ValueError(f"{len(outcomes)} outcomes of {joined.rows.num_rows} rows")
    ends = np.searchsorted(joined.batches, np.arange(len(submissions)), "right").tolist()
    first = 0
    for number, (submission, end) in enumerate(zip(submissions, ends, strict=True)):
        try:
            yield _answer_to(submission.batch, joined, number, first, outcomes[first:end])
        except Exception as error:  # noqa: BLE001 - it is raised again where the request is answered
            yield error
        first = end


def _answer_to(
    batch: EventBatch, joined: Joined, number: int, first: int, outcomes: np.ndarray[Any, Any]
) -> dict[str, Any]:
    """Makes the answer to the batch of this number, whose rows, from the row `first` on, came out as `outcomes`."""
    accepted = int(np.count_nonzero(outcomes == Outcome.ACCEPTED))
    duplicates = int(np.count_nonzero(outcomes == Outcome.DUPLICATE))
    refused = joined.refused.get(number, Refusals())
    if accepted + duplicates < len(outcomes):

        def explain(row: int) -> Iterator[Rejection]:
            yield _rejection(joined, row, int(outcomes[row - first]))

        rows = first + np.nonzero((outcomes != Outcome.ACCEPTED) & (outcomes != Outcome.DUPLICATE))[0]
        by_ledger = Refusals()
        by_ledger.add(rows.tolist(), explain)
        refused = refused.merged(by_ledger)
    return answer(batch, accepted, duplicates, refused)


def _rejection(joined: Joined, row: int, outcome: int) -> Rejection:
    """Says why the ledger did not keep a row."""
    index = int(joined.indexes[row])
    event_id, seconds = joined.rows["event_id"][row].as_py(), joined.rows["ts"][row].as_py()
    if outcome == Outcome.TOO_OLD:
        return Rejection(
            index,
            event_id,
            "too_old",
            "timestamp",
            f"Invalid 'timestamp': the events of the day of {seconds} were dropped after their time, and nobody can "
            "tell whether this one was among them. Nothing was changed.",
        )
    return Rejection(
        index,
        event_id,
        "conflict",
        "id",
        f"An event with id '{event_id}' and timestamp {seconds} was kept before with another payload. "
        "Nothing was changed.",
    )


def answer(batch: EventBatch, accepted: int, duplicates: int, refused: Refusals) -> dict[str, Any]:
    """Makes the answer to a request: how many events were kept, and why others were not, `refused` since decoding."""
    refused = batch.refused.merged(refused)
    told: dict[str, Any] = {
        "object": "event.batch",
        "accepted": accepted,
        "duplicates": duplicates,
        "rejected": refused.events,
        "errors": refused.listed,
    }
    if refused.omitted:
        told["errors_omitted"] = refused.omitted
    return told
