"""Buckets answered before: never an old number, and the ledger is asked only for what changed."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.support.engines import OpenLedger
from tests.support.ledger_contents import drop_events
from tests.support.model import Model
from tests.support.samples import DAY, TODAY, append, ask, keep, usage

from usageledger.errors import InvalidRequestError
from usageledger.ledger import Ledger
from usageledger.questions.pages import results_json
from usageledger.questions.query import Query
from usageledger.server.api.bucket_cache import OVERHEAD_BYTES, PACKED_BYTES, BucketCache
from usageledger.server.http.compressed_pages import Packed
from usageledger.settings import Settings

pytestmark = pytest.mark.embedded  # other servers write to a ledger on ClickHouse, so nothing of it is remembered

START = TODAY - 6 * DAY


class Asked:
    """A ledger that notes the windows it was asked for."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.windows: list[tuple[int, int]] = []

    def aggregate(self, query: Query, **limits: Any) -> Any:
        self.windows.append((query.buckets[0].start, query.buckets[-1].end))
        return self._ledger.aggregate(query, **limits)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


@pytest.fixture
def asked(open_again: OpenLedger) -> Asked:
    return Asked(open_again())


def cache_of(ledger: Any, **settings: Any) -> BucketCache:
    return BucketCache(ledger, replace(Settings(), **settings))


def images(day: int, count: int = 1, **fields: Any) -> Any:
    return usage("images", f"e{day}-{count}-{fields}", START + day * DAY + 5, images=count, **fields)


def week(**parameters: Any) -> Query:
    return ask("images", START, START + 7 * DAY, **parameters)


def results(cache: BucketCache, query: Query, encoding: str | None = None) -> list[list[dict[str, Any]]]:
    return [msgspec.json.decode(plain(array)) for array in cache.results(query, asker(cache), encoding)]


def plain(array: bytes | Packed) -> bytes:
    return b"".join(array.plain()) if isinstance(array, Packed) else array


def asker(cache: BucketCache) -> Callable[[Query], list[tuple[int, bytes]]]:
    """What the usage endpoints ask the ledger of a cache."""

    def ask_ledger(query: Query) -> list[tuple[int, bytes]]:
        aggregate = cache._ledger.aggregate(query, max_seconds=60, max_results=cache._settings.max_results)
        return list(results_json(query, aggregate))

    return ask_ledger


def test_a_page_asked_for_again_does_not_reach_the_ledger(asked: Asked) -> None:
    append(asked, [images(day, day + 1) for day in range(7)])
    cache = cache_of(asked)
    first = results(cache, week())
    assert [bucket[0]["images"] for bucket in first] == [1, 2, 3, 4, 5, 6, 7]
    assert results(cache, week()) == first
    assert asked.windows == [(START, START + 7 * DAY)]


@pytest.mark.parametrize("how", ["journal", "commit", "compacted"])
def test_an_event_changes_its_bucket_and_only_that_is_asked_for(asked: Asked, how: str) -> None:
    events = [images(day, 10) for day in range(7)]
    append(asked, events)
    cache = cache_of(asked)
    results(cache, week())
    late = images(2, 5)
    # An event that is not certainly new does not go through the journal.
    append(asked, [late] if how != "commit" else [late, events[2]])
    while how == "compacted" and asked.compact():
        pass
    assert [bucket[0]["images"] for bucket in results(cache, week())] == [10, 10, 15, 10, 10, 10, 10]
    assert asked.windows[1:] == [(START + 2 * DAY, START + 3 * DAY)]


def test_the_span_between_two_changed_buckets_is_asked_for_at_once(asked: Asked) -> None:
    cache = cache_of(asked)
    results(cache, week())
    append(asked, [images(1), images(4)])
    assert [len(bucket) for bucket in results(cache, week())] == [0, 1, 0, 0, 1, 0, 0]
    assert asked.windows[1:] == [(START + DAY, START + 5 * DAY)]


def test_every_part_of_a_question_tells_buckets_apart(asked: Asked) -> None:
    model = Model()
    events = [images(1, 3, project_id="a", model="x"), images(1, 4, project_id="b", size="1024x1024")]
    append(asked, events)
    keep(model, events)
    cache = cache_of(asked)
    questions = [
        week(),
        week(group_by=["project_id"]),
        week(group_by=["model"]),
        week(project_ids=["a"]),
        week(project_ids=["b"]),
        week(models=["x"]),
        ask("images", START + 6, START + 7 * DAY),
        ask("images", START, START + DAY + 5),
        ask("images", START, START + 2 * DAY, "1h", limit=48, group_by=["model"]),
        ask("embeddings", START, START + 7 * DAY),
        ask("images", START - 2 * 3600, START + 7 * DAY - 2 * 3600, timezone="Europe/Berlin", group_by=["model"]),
        ask("images", START, START + 7 * DAY, timezone="Asia/Kathmandu", limit=8),
    ]
    for question in questions * 2:
        window = (question.start_time, question.end_time)
        shown: dict[str, Any] = {
            "filters": dict(question.filters),
            "group_by": question.group_by,
            "zone": question.timezone,
        }
        expected = model.buckets(question.meter.kind, window, question.width.name, **shown)
        assert results(cache, question) == [bucket["results"] for bucket in expected]
    assert len(asked.windows) == len(questions)


def test_days_that_two_time_zones_share_are_kept_once(asked: Asked) -> None:
    append(asked, [images(1, 3)])
    cache = cache_of(asked)
    window = (START - 2 * 3600, START + 5 * DAY)
    first = results(cache, ask("images", *window, timezone="Europe/Berlin"))
    assert results(cache, ask("images", *window, timezone="Europe/Paris")) == first
    assert len(asked.windows) == 1


def test_the_least_recently_used_buckets_are_forgotten(asked: Asked) -> None:
    append(asked, [images(day) for day in range(7)])
    once = cache_of(asked)
    first = once.results(ask("images", START, START + DAY), asker(once))[0]
    assert isinstance(first, bytes)
    size = len(first) + OVERHEAD_BYTES
    cache = cache_of(asked, cache_bytes=2 * size)
    asked.windows.clear()
    for day in (0, 1, 0, 2, 0, 1):
        results(cache, ask("images", START + day * DAY, START + (day + 1) * DAY))
    assert [(start - START) // DAY for start, _ in asked.windows] == [0, 1, 2, 1]


def large_week(ledger: Any) -> Query:
    """A week whose every other day is larger than what is kept as it is."""
    append(ledger, [images(day, 1, model=f"model {n}") for day in range(0, 7, 2) for n in range(PACKED_BYTES // 100)])
    return week(group_by="model")


@pytest.mark.parametrize("encoding", [None, "zstd", "gzip"])
def test_large_buckets_are_kept_packed_and_the_same(asked: Asked, encoding: str | None) -> None:
    query = large_week(asked)
    unkept = cache_of(asked, cache_bytes=0)
    expected = unkept.results(query, asker(unkept), encoding)
    assert not any(isinstance(array, Packed) for array in expected)
    cache = cache_of(asked)
    asked.windows.clear()
    for _ in range(3):
        kept = cache.results(query, asker(cache), encoding)
        assert [plain(array) for array in kept] == expected
        assert [isinstance(array, Packed) for array in kept] == [True, False, True, False, True, False, True]
        assert all(bool(array.deflated) == (encoding == "gzip") for array in kept if isinstance(array, Packed))
    assert len(asked.windows) == 1


def test_another_encoding_does_not_ask_the_ledger_and_is_counted(asked: Asked) -> None:
    query = large_week(asked)
    cache = cache_of(asked)
    sizes = []
    for encoding in ("zstd", "gzip", None, "gzip"):
        results(cache, query, encoding)
        sizes.append(cache._bytes)
        assert cache._bytes == sum(
            OVERHEAD_BYTES + (kept.results.kept_bytes if isinstance(kept.results, Packed) else len(kept.results))
            for kept in cache._kept.values()
        )
    assert sizes[0] < sizes[1] == sizes[2] == sizes[3]
    assert len(asked.windows) == 1


def test_what_another_encoding_takes_is_bounded_too(asked: Asked) -> None:
    query = large_week(asked)
    whole = cache_of(asked)
    results(whole, query, "zstd")
    cache = cache_of(asked, cache_bytes=whole._bytes)
    first = results(cache, query, "zstd")
    assert results(cache, query, "gzip") == first
    assert cache._bytes <= whole._bytes
    assert len(cache._kept) < len(whole._kept)


@pytest.mark.parametrize("encoding", ["zstd", "gzip"])
def test_a_day_that_changed_is_packed_anew(asked: Asked, encoding: str) -> None:
    query = large_week(asked)
    cache = cache_of(asked)
    before = results(cache, query, encoding)
    append(asked, [images(2, 7, model="model 3")])
    after = results(cache, query, encoding)
    assert [old == new for old, new in zip(before, after, strict=True)] == [day != 2 for day in range(7)]
    assert next(result["images"] for result in after[2] if result["model"] == "model 3") == 8
    assert asked.windows[1:] == [(START + 2 * DAY, START + 3 * DAY)]


@pytest.mark.parametrize("longest", [1, 60_000])
def test_the_cache_takes_no_more_memory_than_it_may(asked: Asked, longest: int) -> None:
    """With answers of nothing, whose keys are most of it, and with questions that are long themselves."""
    most = 4 * 2**20
    cache = cache_of(asked, cache_bytes=most)
    minutes = ask("images", START, START + 1440 * 60, "1m", limit=1440)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(100 if longest > 1 else 20):
        query = replace(minutes, filters=(("model", (f"{number:<{longest}}",)),), limit=1440 if longest == 1 else 1)
        cache.results(query, lambda part: [(0, b"[]")] * part.limit)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < most


def test_what_was_dropped_has_one_answer(asked: Asked) -> None:
    """Whoever asked for it before is told the same as others."""
    append(asked, [images(day, day + 1) for day in range(7)])
    cache = cache_of(asked)
    minutes = ask("images", START, START + 600, "1m")
    assert results(cache, minutes)[0][0]["images"] == 1
    first = results(cache, week())
    while drop_events(asked, START + 2 * DAY):
        pass
    with pytest.raises(InvalidRequestError, match=f"The events before {START + 2 * DAY} .* were dropped"):
        results(cache, minutes)
    assert results(cache, week()) == first
    assert asked.windows[-1] == (START, START + 2 * DAY)


def test_nothing_is_kept_where_there_is_no_room(asked: Asked) -> None:
    cache = cache_of(asked, cache_bytes=0)
    assert results(cache, week()) == results(cache, week())
    assert len(asked.windows) == 2


def test_nothing_is_kept_of_a_ledger_that_others_write_to(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "version", lambda *_: None, raising=False)
    cache = cache_of(asked)
    results(cache, week())
    append(asked, [images(3)])
    assert results(cache, week())[3][0]["images"] == 1


def test_too_many_results_are_refused_whether_kept_or_not(asked: Asked) -> None:
    append(asked, [images(day, 1, project_id=name) for day in range(2) for name in "abc"])
    cache = cache_of(asked, max_results=5)
    for day in range(2):
        assert (
            len(results(cache, ask("images", START + day * DAY, START + (day + 1) * DAY, group_by="project_id"))[0])
            == 3
        )
    with pytest.raises(InvalidRequestError, match="more than 5 results"):
        results(cache, week(group_by="project_id"))
