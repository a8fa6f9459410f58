"""The events of some requests as one table, and the answer to each of these requests."""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from usageledger.events.arrow_events import TableEvents
from usageledger.events.columns import Problem, to_table, unix_seconds
from usageledger.events.json_events import MOST_ERRORS_LISTED, Decoded, Rejection
from usageledger.ledger import Outcome

EVENT_BYTES = 512  # of an event beside its text: what Python needs for it, its texts and its numbers
WIDE = 5  # bytes of a character, where one of its text is not ASCII: Python keeps its UTF-8 beside it


@dataclass(slots=True)
class Submission:
    """The events of one request, waiting for their commit, and how much memory they take."""

    decoded: Decoded
    size: int
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[dict[str, Any]]


def size_of(decoded: Decoded, body: bytes) -> int:
    """Bytes of memory that the events of a body take, and what is said of them; never less than they do."""
    events = decoded.events
    objects = EVENT_BYTES * (len(events) + len(decoded.rejections))
    if isinstance(events, TableEvents):
        values = chain.from_iterable(map(msgspec.structs.astuple, events.others))
        return events.rows.get_total_buffer_size() + sum(map(sys.getsizeof, values)) + objects
    is_ascii = body.isascii() and b"\\u" not in body
    return len(body) * (1 if is_ascii else WIDE) + objects


@dataclass(slots=True)
class Group:
    """Submissions that share a commit, as one table.

    Attributes:
        rows: the events that can be kept.
        places: for each row, the place of its event among all events of the group.
        problems: the events that cannot be kept.
    """

    submissions: list[Submission]
    rows: pa.Table
    places: np.ndarray[Any, Any]
    problems: list[Problem]


def assemble(submissions: list[Submission], latest: int, now: int) -> Group:
    """The events of `submissions`, those that cannot be kept left out.

    Args:
        submissions: at least one.
        latest: the last timestamp (Unix seconds) that is not too far in the future.
        now: the server's time, Unix seconds.
    """
    events: list[Any] = []
    at: list[int] = []  # the place of each of them among all events of the group
    tables: list[tuple[pa.Table, np.ndarray[Any, Any]]] = []
    problems: list[Problem] = []
    first = 0
    for submission in submissions:
        sent = submission.decoded.events
        if isinstance(sent, TableEvents):
            tables.append((sent.rows, sent.places + first))
            problems += [replace(problem, position=problem.position + first) for problem in sent.problems]
            events += sent.others
            at += (sent.other_places + first).tolist()
        else:
            events += sent
            at += range(first, first + len(sent))
        first += len(sent)
    rows, kept, wrong = to_table(events, latest, now)
    places = np.array(at, np.int64)
    problems += [replace(problem, position=at[problem.position]) for problem in wrong]
    return Group(submissions, *_in_order([*tables, (rows, places[kept])]), problems)


def _in_order(
    tables: list[tuple[pa.Table, np.ndarray[Any, Any]]],
) -> tuple[pa.Table, np.ndarray[Any, Any]]:
    """Tables and the places of their rows as one, in the order of places: of two of one identity the first counts."""
    filled = [(rows, places) for rows, places in tables if rows.num_rows] or tables[-1:]
    if len(filled) == 1:
        return filled[0]
    places = np.concatenate([places for _, places in filled])
    order = np.argsort(places, kind="stable")
    return pa.concat_tables([rows for rows, _ in filled]).take(order).combine_chunks(), places[order]


def answers(group: Group, outcomes: np.ndarray[Any, Any]) -> Iterator[dict[str, Any] | Exception]:
    """The answer to each submission of a group whose rows came out as `outcomes`.

    All of them are on disk by now, so an answer that cannot be made is the failure of its own request alone.
    """
    by_place = np.full(sum(len(submission.decoded.events) for submission in group.submissions), -1, np.int64)
    by_place[group.places] = outcomes  # -1: the event was refused before the ledger
    problems = {problem.position: problem for problem in group.problems}
    start = 0
    for submission in group.submissions:
        end = start + len(submission.decoded.events)
        try:
            yield _answer_to(submission.decoded, by_place[start:end], start, problems)
        except Exception as error:  # noqa: BLE001 - it is raised again where the request is answered
            yield error
        start = end


def _answer_to(
    decoded: Decoded, mine: np.ndarray[Any, Any], start: int, problems: dict[int, Problem]
) -> dict[str, Any]:
    """The answer to a submission whose events came out as `mine`; the first is at place `start` of its group."""
    accepted = int((mine == Outcome.ACCEPTED).sum())
    duplicates = int((mine == Outcome.DUPLICATE).sum())
    rejections, omitted = decoded.rejections, decoded.omitted
    if accepted + duplicates < len(mine):
        refused = np.nonzero((mine != Outcome.ACCEPTED) & (mine != Outcome.DUPLICATE))[0].tolist()
        listed = refused[:MOST_ERRORS_LISTED]
        rejections = [
            *rejections,
            *(_rejection(decoded, row, problems.get(start + row), int(mine[row])) for row in listed),
        ]
        omitted += len(refused) - len(listed)
    return answer(decoded, accepted, duplicates, rejections, omitted)


def _rejection(decoded: Decoded, row: int, problem: Problem | None, outcome: int) -> Rejection:
    event = decoded.events[row]
    index, seconds = decoded.indexes[row], unix_seconds(event.timestamp)
    if problem:
        return Rejection(index, event.id, problem.code, problem.param, problem.message)
    if outcome == Outcome.TOO_OLD:
        return Rejection(
            index,
            event.id,
            "too_old",
            "timestamp",
            f"Invalid 'timestamp': the events of the day of {seconds} were dropped after their time, and nobody can "
            "tell whether this one was among them. Nothing was changed.",
        )
    return Rejection(
        index,
        event.id,
        "conflict",
        "id",
        f"An event with id '{event.id}' and timestamp {seconds} was kept before with another payload. "
        "Nothing was changed.",
    )


def answer(
    decoded: Decoded, accepted: int, duplicates: int, rejections: list[Rejection], omitted: int
) -> dict[str, Any]:
    """The answer to a request: how many events were kept, and why others were not, `omitted` not among `rejections`."""
    listed = sorted(rejections, key=lambda rejection: rejection.index)[:MOST_ERRORS_LISTED]
    told: dict[str, Any] = {
        "object": "event.batch",
        "accepted": accepted,
        "duplicates": duplicates,
        "rejected": decoded.total - accepted - duplicates,
        "errors": listed,
    }
    if omitted := omitted + len(rejections) - len(listed):
        told["errors_omitted"] = omitted
    return told
