"""Clients that do as the documentation says: what was not acknowledged is sent again, until it is."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

import httpx
import msgspec
import zstandard
from tests.support.numbered_events import Times, event, tallies
from tests.support.samples import DAY

KEY = "a-key-of-the-crash-run-0123456789"
PATIENCE_S = 300  # no answer takes longer, however busy the machine
RETRY_EVERY = 15  # batches after which an acknowledged one is sent once more
REFUSALS_LISTED_MAX = 100  # events of one request that an answer tells the refusal of, one by one
PAUSE_S = 0.2  # between two requests of a client that has sent all that it has


class Gate:
    """Where the server is now; clients wait here while there is none."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._address: str | None = None
        self.starts = 0
        self.ended = False

    def open(self, address: str) -> None:
        with self._changed:
            self._address = address
            self.starts += 1
            self._changed.notify_all()

    def shut(self) -> None:
        """No new request is begun until it opens again; those under way go on."""
        with self._changed:
            self._address = None

    def end(self) -> None:
        """What was begun is sent until it is acknowledged, and nothing after that."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def wait(self, after: int) -> tuple[str, int]:
        """The address of a server that was started later than the one with number `after`, and its number."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._address is not None and self.starts > after, PATIENCE_S)
            assert found, "the server did not come back"
            assert self._address
            return self._address, self.starts


@dataclass(frozen=True)
class Manner:
    """How a client sends: events in one request, of which times, in which form, and how many in all.

    Those of `responses` are sent by a second way as well, when they were acknowledged.
    """

    batch: int
    times: Times = "spread"
    lines: bool = False
    compressed: bool = False
    most: int | None = None
    responses: bool = False


MANNERS = (
    Manner(1000),
    Manner(1, "in order"),
    Manner(1, "in order"),
    Manner(300, lines=True, compressed=True),
    Manner(500, "old", most=6_000),
    Manner(200, responses=True),
)


class Client(threading.Thread):
    """Sends its events in the order of their numbers and keeps count of those acknowledged.

    Attributes:
        acknowledged: its events below this number were acknowledged, no others.
        full: it has sent all that it has, and only repeats some of it from then on.
        closed_before: what it sends of days before this time, Unix seconds, is refused since they were dropped.
        in_flight: the events that were sent, perhaps more than once, and not acknowledged yet.
        resent: requests sent again since no answer came.
        kept: those of them that had been kept before their answer was lost.
        retried: acknowledged requests sent once more.
        refused: events of them, since their days were dropped.
        another_way: responses that were told of once more by a second way.
    """

    def __init__(self, number: int, manner: Manner, gate: Gate, since: int) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self.number, self.manner, self._gate, self._since = number, manner, gate, since
        self._random = random.Random(number)
        self._lock = threading.Lock()
        self._connection: HTTPConnection | None = None
        self._start_seen = 0
        self.acknowledged = self.closed_before = 0
        self.full = threading.Event()
        self.in_flight: list[dict[str, Any]] = []
        self._certain: Counter[str] = Counter()
        self.resent = self.kept = self.retried = self.refused = self.another_way = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            batches = 0
            while not self._gate.ended:
                if self.acknowledged == self.manner.most:
                    self.full.set()
                    time.sleep(PAUSE_S)
                    self._send_old()
                    continue
                self._send_next()
                if self.manner.responses:
                    self._send_another_way()
                batches += 1
                if batches % RETRY_EVERY == 0:
                    self._send_old()
        except BaseException as error:  # noqa: BLE001 - the run that joins this thread raises it
            self.failure = error
        finally:
            self._hang_up()

    @property
    def newest(self) -> int:
        """When its last event is that was acknowledged, Unix seconds."""
        return int(event(self.number, self.acknowledged - 1, self._since, self.manner.times)["timestamp"])

    def events(self, start: int, end: int) -> list[dict[str, Any]]:
        numbered = (event(self.number, n, self._since, self.manner.times) for n in range(start, end))
        return [each | {"id": f"response:{each['id']}"} if self.manner.responses else each for each in numbered]

    def known(self) -> tuple[Counter[str], Counter[str]]:
        """What the API must tell of this client's events, and what it may tell besides."""
        with self._lock:
            return Counter(self._certain), tallies(self.in_flight)

    def _send_next(self) -> None:
        batch = self.events(self.acknowledged, self.acknowledged + self.manner.batch)
        with self._lock:
            self.in_flight = batch
        answer, attempts = self._answer(batch)
        assert {answer["accepted"], answer["duplicates"]} == {0, len(batch)}, answer  # a request is never split
        assert attempts > 1 or answer["accepted"], answer
        self.resent += attempts > 1
        self.kept += attempts > 1 and not answer["accepted"]
        with self._lock:
            self.acknowledged += len(batch)
            self._certain += tallies(batch)
            self.in_flight = []

    def _send_another_way(self) -> None:
        """Sends the last responses as another tells of them: none counts again, whatever was killed meanwhile."""
        batch = another_way(self.events(self.acknowledged - self.manner.batch, self.acknowledged))
        answer, _ = self._answer(batch)
        assert (answer["duplicates"], answer["same_response"]) == (len(batch), len(batch)), answer
        self.another_way += len(batch)

    def _send_old(self) -> None:
        """Sends something acknowledged again: none of it is new, and what was dropped once stays so."""
        size = min(self.manner.batch, REFUSALS_LISTED_MAX)
        first = self._random.randrange(self.acknowledged - size + 1)
        batch = self.events(first, first + size)
        if self.manner.responses and self._random.random() < 0.5:
            batch = another_way(batch)
        answer, _ = self._answer(batch)
        refused = {error["id"]: error["code"] for error in answer["errors"]}
        assert set(refused.values()) <= ({"too_old"} if self.manner.times == "old" else set()), answer
        assert answer["duplicates"] == size - len(refused), answer
        closed = [event["timestamp"] // DAY * DAY + DAY for event in batch if event["id"] in refused]
        self.closed_before = max(self.closed_before, *closed, 0)
        assert refused.keys() == {event["id"] for event in batch if event["timestamp"] < self.closed_before}, answer
        self.retried += 1
        self.refused += len(refused)

    def _answer(self, batch: list[dict[str, Any]]) -> tuple[dict[str, Any], int]:
        """The answer to a request, and how often it was sent for it."""
        attempts = 0
        body, headers = self._encoded(batch)
        while True:
            attempts += 1
            try:
                status, answer = self._post(body, headers)
            except (OSError, HTTPException):
                self._hang_up()
                continue
            assert status in (200, 503), answer
            if status == 200:
                return answer, attempts

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self._connection is None:
            address, self._start_seen = self._gate.wait(self._start_seen)
            url = httpx.URL(address)
            self._connection = HTTPConnection(url.host, url.port, timeout=PATIENCE_S)
        else:
            self._gate.wait(self._start_seen - 1)
        self._connection.request("POST", "/v1/events", body, headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _encoded(self, batch: list[dict[str, Any]]) -> tuple[bytes, dict[str, str]]:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        if self.manner.lines:
            headers["content-type"] = "application/x-ndjson"
            body = b"".join(msgspec.json.encode(each) + b"\n" for each in batch)
        else:
            body = msgspec.json.encode(batch)
        if self.manner.compressed:
            headers["content-encoding"] = "zstd"
            body = zstandard.compress(body)
        return body, headers


def another_way(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same responses as a gateway tells of them: up to 17 hours earlier, and of another provider."""
    return [
        each | {"timestamp": each["timestamp"] - 1 - n * 300, "provider": "gateway"} for n, each in enumerate(batch)
    ]


@contextmanager
def clients(gate: Gate, since: int) -> Iterator[list[Client]]:
    """Every manner of client, at work until the end of the block."""
    started = [Client(number, manner, gate, since) for number, manner in enumerate(MANNERS)]
    for client in started:
        client.start()
    try:
        yield started
    finally:
        gate.end()


def finish(gate: Gate, started: Iterable[Client]) -> None:
    """Lets each client have its last answer."""
    gate.end()
    for client in started:
        client.join(PATIENCE_S)
        assert not client.is_alive(), f"{client.name} got no answer"
    raise_failures(started)


def wait_for_limited(started: Iterable[Client]) -> None:
    """Until those that have so many events and no more have sent all of them."""
    for client in started:
        while client.manner.most and not client.full.wait(1):
            raise_failures(started)


def raise_failures(started: Iterable[Client]) -> None:
    """What went wrong in a client's thread goes wrong here."""
    for client in started:
        if client.failure:
            raise client.failure


def known(started: Iterable[Client]) -> tuple[Counter[str], Counter[str]]:
    """`Client.known` of all of them."""
    certain: Counter[str] = Counter()
    possible: Counter[str] = Counter()
    for client in started:
        mine, maybe = client.known()
        certain += mine
        possible += maybe
    return certain, possible
