"""Buckets that were answered before and have not changed since: a page asks the ledger only for the others.

They are kept compressed, as they are sent: a page of 31 days by model and project is 31 MB of JSON and 3 MB of zstd.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

from usageledger.buckets import Bucket
from usageledger.ledger import Ledger
from usageledger.questions.aggregate import too_many_results
from usageledger.questions.query import Query
from usageledger.server.http.compressed_pages import Packed
from usageledger.settings import Settings

OVERHEAD_BYTES = 500  # of an entry, with its key, beside its JSON
PACKED_BYTES = 16 * 1024  # smaller ones are compressed together, when they are sent: each by itself takes longer

Key = tuple[str, str, bytes, tuple[str, ...], Hashable, Bucket]
Ask = Callable[[Query], Iterable[tuple[int, bytes]]]


@dataclass(frozen=True, slots=True)
class Answered:
    """The results of one bucket, as JSON, at one version of its span."""

    version: int | None
    count: int
    results: bytes | Packed


class BucketCache:
    """Answers pages bucket by bucket; the least recently used buckets are forgotten first."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._lock = threading.Lock()  # guards the next two; the ledger is asked without it
        self._kept: OrderedDict[Key, Answered] = OrderedDict()
        self._bytes = 0

    def results(
        self, query: Query, ask: Ask, encoding: str | None = None, prices: Hashable = None
    ) -> list[bytes | Packed]:
        """The `results` of each bucket of a page, as JSON arrays, those that are large and kept packed.

        Args:
            query: the page; its `limit` is how many buckets it has.
            ask: the number of results and their JSON, for each bucket of a query, from the ledger.
            encoding: how the page will be sent, so that what this takes is kept too.
            prices: what tells the prices that costs were answered by from others.

        Raises:
            InvalidRequestError: more than `max_results` results, or longer than `max_query_seconds`.
            LedgerUnavailableError: the engine failed.
        """
        buckets = query.buckets
        filters = query.filters_digest
        keys = [(query.meter.kind, query.width.name, filters, query.group_by, prices, bucket) for bucket in buckets]
        # Read before the ledger is asked: what comes in meanwhile makes the answer older than it is, never newer.
        versions = [self._ledger.version(bucket.start, bucket.end) for bucket in buckets]
        answers = [self._find(key, version) for key, version in zip(keys, versions, strict=True)]
        missing = [place for place, answer in enumerate(answers) if answer is None]
        if missing:
            places = range(missing[0], missing[-1] + 1)
            part = replace(query, page_start=buckets[places[0]].start, limit=len(places))
            for place, (count, results) in zip(places, ask(part), strict=True):
                answers[place] = self._keep(keys[place], Answered(versions[place], count, results))
        found = [answer for answer in answers if answer is not None]
        if sum(answer.count for answer in found) > self._settings.max_results:
            raise too_many_results(self._settings.max_results)
        if encoding == "gzip":
            found = [self._deflated(key, answer) for key, answer in zip(keys, found, strict=True)]
        return [answer.results for answer in found]

    def _find(self, key: Key, version: int | None) -> Answered | None:
        with self._lock:
            answer = self._kept.get(key)
            if answer is None or answer.version != version:
                return None
            self._kept.move_to_end(key)
            return answer

    def _deflated(self, key: Key, answer: Answered) -> Answered:
        """`answer`, kept as gzip has it as well."""
        if not isinstance(answer.results, Packed) or answer.results.deflated:
            return answer
        return self._keep(key, replace(answer, results=answer.results.with_deflated()))

    def _keep(self, key: Key, answer: Answered) -> Answered:
        """`answer` as it is kept, if it is."""
        if answer.version is None or not self._settings.cache_bytes:
            return answer
        if isinstance(answer.results, bytes) and len(answer.results) >= PACKED_BYTES:
            answer = replace(answer, results=Packed.of(answer.results))
        with self._lock:
            before = self._kept.pop(key, None)
            self._bytes += _size(answer) - (_size(before) if before else 0)
            self._kept[key] = answer
            while self._bytes > self._settings.cache_bytes:
                self._bytes -= _size(self._kept.popitem(last=False)[1])
        return answer


def _size(answer: Answered) -> int:
    results = answer.results
    return (results.kept_bytes if isinstance(results, Packed) else len(results)) + OVERHEAD_BYTES
