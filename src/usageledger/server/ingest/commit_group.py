"""Requests that share a commit, and the answer to each of them."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from usageledger.events.batch import EventBatch, Joined, Refusals, Rejection
from usageledger.events.columns import PAYLOAD_COLUMNS
from usageledger.ledger import Judged, Outcome
from usageledger.ledger.identity import differences


@dataclass(slots=True)
class Submission:
    """The events of one request, waiting for their commit."""

    batch: EventBatch
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[dict[str, Any]]


def answers(submissions: Sequence[Submission], joined: Joined, judged: Judged) -> Iterator[dict[str, Any] | Exception]:
    """Makes the answer to each submission, whose rows as `joined` were judged.

    All of them are on disk by now, so an answer that cannot be made is the failure of its own request alone.
    """
    if len(judged.outcomes) != joined.rows.num_rows:
        raise ValueError(f"{len(judged.outcomes)} outcomes of {joined.rows.num_rows} rows")
    ends = np.searchsorted(joined.batches, np.arange(len(submissions)), "right").tolist()
    first = 0
    for number, (submission, end) in enumerate(zip(submissions, ends, strict=True)):
        try:
            yield _answer_to(submission.batch, joined, number, range(first, end), judged)
        except Exception as error:  # noqa: BLE001 - it is raised again where the request is answered
            yield error
        first = end


def _answer_to(batch: EventBatch, joined: Joined, number: int, rows: range, judged: Judged) -> dict[str, Any]:
    """Makes the answer to the batch of this number, which has these rows."""
    outcomes = judged.outcomes[rows.start : rows.stop]
    accepted, same, same_response = (
        int(np.count_nonzero(outcomes == each)) for each in (Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.SAME_RESPONSE)
    )
    duplicates = same + same_response
    refused = joined.refused.get(number, Refusals())
    if accepted + duplicates < len(outcomes):

        def explain(row: int) -> Iterator[Rejection]:
            yield _rejection(joined, row, judged)

        which = np.nonzero((outcomes == Outcome.CONFLICT) | (outcomes == Outcome.TOO_OLD))[0]
        by_ledger = Refusals()
        by_ledger.add((rows.start + which).tolist(), explain)
        refused = refused.merged(by_ledger)
    return answer(batch, accepted, duplicates, refused, same_response)


def _rejection(joined: Joined, row: int, judged: Judged) -> Rejection:
    """Says why the ledger did not keep a row."""
    index = int(joined.indexes[row])
    event_id, seconds = joined.rows["event_id"][row].as_py(), joined.rows["ts"][row].as_py()
    if judged.outcomes[row] == Outcome.TOO_OLD:
        return Rejection(
            index,
            event_id,
            "too_old",
            "timestamp",
            f"Invalid 'timestamp': the events of the day of {seconds} were dropped after their time, and nobody can "
            "tell whether this one was among them. Nothing was changed.",
        )
    if row in judged.kept:
        given = tuple(joined.rows[name][row].as_py() for name in PAYLOAD_COLUMNS)
        told = ", ".join(
            f"{name} {kept!r} is kept, {said!r} was given" for name, kept, said in differences(judged.kept[row], given)
        )
        message = f"The response with id '{event_id}' was kept before with other numbers: {told}. Nothing was changed."
    else:
        message = (
            f"An event with id '{event_id}' and timestamp {seconds} was kept before with another payload. "
            "Nothing was changed."
        )
    return Rejection(index, event_id, "conflict", "id", message)


def answer(
    batch: EventBatch, accepted: int, duplicates: int, refused: Refusals, same_response: int = 0
) -> dict[str, Any]:
    """Makes the answer to a request: how many events were kept, and why others were not, `refused` since decoding."""
    refused = batch.refused.merged(refused)
    told: dict[str, Any] = {
        "object": "event.batch",
        "accepted": accepted,
        "duplicates": duplicates,
        "rejected": refused.events,
        "errors": refused.listed,
    }
    if same_response:
        told["same_response"] = same_response
    if refused.omitted:
        told["errors_omitted"] = refused.omitted
    return told
