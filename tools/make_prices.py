"""Makes the next price file from what public lists say now, and a report of what a person has to look at.

`python -m tools.make_prices --litellm WHEEL --llm-prices CLONE --report FILE` reads the installed genai-prices as well.

A figure is acted on once: `tools/known_figures.csv` has those that lists say otherwise than the file and that were
acted on or seen before. A new figure becomes an observed row of this day. One that differs from an observed row takes
its place, if no list still says the earlier one. One that differs from a curated row makes it disputed, both figures
kept, until a person says which one is right. Numbers that were there are never edited.
"""

import argparse
import csv
import subprocess
import sys
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path

from msgspec import structs

from tools.hosted_prices import confirmed, entries
from tools.price_file import PATH, finished, following
from tools.price_lists import PriceList, genai_list, litellm_list, litellm_models, llm_prices_list
from usageledger.pricing.hosted import with_alike
from usageledger.pricing.listed_prices import seconds_of, times
from usageledger.pricing.price_checks import check_after, subject_of
from usageledger.pricing.price_file import PriceFile, Row, read, written

KNOWN = Path(__file__).parent / "known_figures.csv"
TITLES = ("package", "provider", "model", "part", "tier", "above", "usd_per_million")

Figure = tuple[str, ...]  # the values of `TITLES`


@dataclass
class Next:
    """The rows of the next file as they come to be, also of parts that cost alike, and the report by its headings."""

    rows: dict[Hashable, list[Row]]
    day: str
    added: list[Row] = field(default_factory=list)
    report: dict[str, list[str]] = field(default_factory=dict)

    def holding(self, subject: Hashable) -> list[Row]:
        """The rows that say the price of the day."""
        second = seconds_of(self.day)
        return [row for row in self.rows.get(subject, ()) if times(row)[0] <= second < times(row)[1]]

    def add(self, row: Row) -> None:
        """Adds a row."""
        self.rows.setdefault(subject_of(row), []).append(row)
        self.added.append(row)

    def close(self, row: Row) -> None:
        """Ends a row before the day."""
        rows = self.rows[subject_of(row)]
        rows[rows.index(row)] = structs.replace(row, end=self.day)

    def tell(self, heading: str, row: Row, words: str) -> None:
        """Writes a line of the report."""
        band = f" above {row.above:,}" if row.above else ""
        self.report.setdefault(heading, []).append(
            f"- {row.provider} `{row.model}`, {row.tier}{band}, {row.part}: {words}"
        )


def make(before: PriceFile, lists: Sequence[PriceList], known: set[Figure], day: str) -> tuple[PriceFile, Next]:
    """The next file, and how it came to be."""
    if day <= before.confirmed_through:
        raise SystemExit(f"The lists were compared with the file on {before.confirmed_through} already.")
    following_rows: dict[Hashable, list[Row]] = {}
    for row in with_alike(before.rows, before.alike):
        following_rows.setdefault(subject_of(row), []).append(row)
    made = Next(following_rows, day)
    said: dict[Hashable, list[tuple[PriceList, Row]]] = {}
    for each in lists:
        for row in each.rows:
            said.setdefault(subject_of(row), []).append((each, row))
    for subject, figures in said.items():
        _compare(made, subject, figures, known)
    _drop(made, lists, before)
    versions = {each.package: before.lists.get(each.package, {}) | {each.version: day} for each in lists}
    first = {
        package: {version: before.lists.get(package, {}).get(version, seen) for version, seen in seen_at.items()}
        for package, seen_at in versions.items()
    }
    file = structs.replace(
        following(before, day),
        confirmed_through=day,
        lists=before.lists | first,
        rows=tuple(_in_place(before.rows, made)),
    )
    return finished(file), made


def _compare(made: Next, subject: Hashable, figures: list[tuple[PriceList, Row]], known: set[Figure]) -> None:
    """Acts on what lists say of one subject, where it is new."""
    holding = made.holding(subject)
    news = [(each, row) for each, row in figures if not _matches(row, holding) and figure(each, row) not in known]
    if not news:
        return
    prices = {row.price for _, row in news}
    row, sources = news[0][1], "; ".join(sorted({each.source for each, _ in news}))
    words = f"{', '.join(sorted(prices))} USD ({sources})"
    if not holding:
        earlier = made.rows.get(subject, [])
        if len(prices) > 1 or any(each.end for each in earlier) or not any(each.adds for each, _ in news):
            made.tell("To decide: no price holds, and it is not clear that this one does", row, words)
        else:
            made.add(structs.replace(row, start=made.day, source=sources, note=_jump(earlier)))
            made.tell("New", row, words)
        return
    (current, *others) = holding
    words = f"{current.price} → {words}"
    if others or current.confidence == "disputed":
        made.tell("To decide: disputed already", row, words)
    elif current.origin == "observed" and len(prices) == 1 and len(news) == len(figures):
        made.close(current)
        note = f"{current.price} until {made.day}"
        made.add(structs.replace(row, start=made.day, source=sources, note=note))
        made.tell("Changed", row, words)
    else:
        made.close(current)
        disputed = {"start": made.day, "start_is": "first_seen", "confidence": "disputed", "origin": "observed"}
        note = f"{current.price} ({current.source}), or {words}"
        made.add(structs.replace(current, **disputed, end=None, last_seen=None, source=sources, note=note))
        for price in sorted(prices):
            made.add(structs.replace(row, **disputed, price=price, source=sources, note=note))
        made.tell("Disputed: a person says which one is right", row, words)


def _jump(earlier: Iterable[Row]) -> str:
    return "; ".join(f"{row.price} until {row.end or row.last_seen}" for row in earlier)


def _drop(made: Next, lists: Sequence[PriceList], before: PriceFile) -> None:
    """Notes the last day of observed rows whose names no list has any more."""
    named = frozenset().union(*(each.names for each in lists))
    asked, vendors = {each.package for each in lists}, {vendor for vendor, _ in named}
    for rows in made.rows.values():
        for place, row in enumerate(rows):
            seen_in = {package for package in before.lists if package in row.source}
            is_open = row.origin == "observed" and row.end is None and row.last_seen is None
            is_open &= row.provider in vendors
            if is_open and row not in made.added and seen_in <= asked and (row.provider, row.model) not in named:
                rows[place] = structs.replace(row, last_seen=before.confirmed_through)
                made.tell("Dropped: no list has the name", row, f"{row.price} USD, last on {before.confirmed_through}")


def _matches(row: Row, holding: Iterable[Row]) -> bool:
    return any(Decimal(row.price) * each.per == Decimal(each.price) * row.per for each in holding)


def _in_place(before: Sequence[Row], made: Next) -> list[Row]:
    """The rows of the file before in their order, each new one behind those of its model."""
    places: dict[tuple[str, str | None], int] = {}
    seen: dict[Hashable, int] = {}
    rows: list[Row] = []
    for row in before:
        subject = subject_of(row)
        number = seen[subject] = seen.get(subject, -1) + 1
        rows.append(made.rows[subject][number])
    for place, row in enumerate(rows):
        places[row.provider, row.model] = places[row.provider, "*"] = place
    behind: dict[int, list[Row]] = {}
    for row in made.added:
        place = places.get((row.provider, row.model), places.get((row.provider, "*"), len(rows) - 1))
        behind.setdefault(place, []).append(row)
    return [each for place, row in enumerate(rows) for each in (row, *behind.get(place, ()))]


# --- figures that were seen --------------------------------------------------------------------------------------


def figure(said_by: PriceList, row: Row) -> Figure:
    """A price of a list, as `known_figures.csv` has it."""
    return said_by.package, row.provider, str(row.model), row.part, row.tier, str(row.above), row.price


def read_known(text: str) -> set[Figure]:
    """The figures of the file."""
    return {tuple(line) for line in csv.reader(StringIO(text))} - {TITLES}


def unmatched(file: PriceFile, lists: Sequence[PriceList], known: set[Figure], day: str) -> set[Figure]:
    """The figures that lists say otherwise than `file`, and those that lists which were not asked said before."""
    rows: dict[Hashable, list[Row]] = {}
    for row in with_alike(file.rows, file.alike):
        rows.setdefault(subject_of(row), []).append(row)
    holding = Next(rows, day).holding
    asked = {each.package for each in lists}
    kept = {each for each in known if each[0] not in asked}
    return kept | {
        figure(each, row) for each in lists for row in each.rows if not _matches(row, holding(subject_of(row)))
    }


def known_text(known: set[Figure]) -> str:
    """The text of the file."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([TITLES, *sorted(known)])
    return text.getvalue()


# --- the command -------------------------------------------------------------------------------------------------


def report_text(made: Next, file: PriceFile) -> str:
    """The report, in Markdown."""
    lines = [f"Prices {file.serial}, made on {file.made}: {len(made.added):,} rows are new."]
    for heading in sorted(made.report):
        lines += ["", f"## {heading}", "", *made.report[heading]]
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str]) -> int:
    """Writes the next file, the known figures and the report, where lists say something new; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.make_prices", allow_abbrev=False)
    parser.add_argument("--litellm", type=Path, help="a wheel of litellm")
    parser.add_argument("--llm-prices", type=Path, help="a clone of simonw/llm-prices")
    parser.add_argument("--report", type=Path, help="a file for what a person has to look at")
    parser.add_argument("--seen", action="store_true", help="only note what lists say otherwise, and act on none of it")
    given = parser.parse_args(arguments)
    before, day = read(PATH.read_bytes()), datetime.now(UTC).strftime("%Y-%m-%d")
    lists = [genai_list(day)]
    lists += [litellm_list(given.litellm)] if given.litellm else []
    lists += [llm_prices_list(given.llm_prices, _commit(given.llm_prices))] if given.llm_prices else []
    known = read_known(KNOWN.read_text("utf-8")) if KNOWN.exists() else set[Figure]()
    if given.seen:
        KNOWN.write_text(known_text(unmatched(before, lists, known, day)), "utf-8")
        return 0
    file, made = make(before, lists, known, day)
    if given.litellm:
        file, others = confirmed(file, entries(litellm_models(given.litellm)), day)
        made.report |= {"To decide: a seller charges something else": others} if others else {}
    check_after(file, before, yes=True)
    if not made.report and file.lists == before.lists:
        print("The lists say nothing new.")
        return 0
    PATH.write_bytes(written(file))
    KNOWN.write_text(known_text(unmatched(file, lists, known, day)), "utf-8")
    if given.report:
        given.report.write_text(report_text(made, file), "utf-8")
    print(report_text(made, file))
    return 0


def _commit(clone: Path) -> str:
    head = subprocess.run(["git", "-C", str(clone), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return head.stdout.strip()[:12]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
