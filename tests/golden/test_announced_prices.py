"""Starts that are `announced`: a source of two weeks at most says so, or `announced_undated.csv` why none is named."""

import csv
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from usageledger.pricing.price_file import Factor, Row, shipped

LATE_MAX = timedelta(days=14)
DAY = re.compile(r"\d{4}-\d\d-\d\d")
RELEASE = re.compile(r"([\w/-]+)(?: (\d[\w.]+)|@(\w{12}))\b")


def dated(source: str) -> Iterator[date]:
    """Yields the days that a source names, and those of the releases of lists that it names."""
    yield from map(date.fromisoformat, DAY.findall(source))
    for package, version, commit in RELEASE.findall(source):
        if day := shipped().lists.get(package, {}).get(version or commit):
            yield date.fromisoformat(day)


def test_what_is_announced_has_a_source_of_its_time_or_a_reason() -> None:
    said: list[Row | Factor] = [*shipped().rows, *shipped().factors]
    announced = [each for each in said if each.start_is == "announced"]
    late = {
        (each.start, each.source)
        for each in announced
        if not any(day <= date.fromisoformat(each.start[:10]) + LATE_MAX for day in dated(each.source))
    }
    with (Path(__file__).parent / "announced_undated.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    explained = {(line["from"], line["source"]) for line in lines}
    assert sorted(late - explained) == [], "not explained"
    assert sorted(explained - late) == [], "explains nothing any more"
    assert all(line["reason"].strip() for line in lines)
    assert len(announced) > 10 * len(late)
