"""The checks of a price file: of its form, and against the file that it comes after.

A price file is append-only. Rows are added and closed; what it said of days up to `confirmed_through` stays said, but
for corrections that name the row and the reason.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import TypeAlias

from msgspec import structs

from usageledger.buckets import DAY_SECONDS
from usageledger.errors import PriceFileError
from usageledger.pricing.cards import PARTS_OF_KIND
from usageledger.pricing.hosted import all_rows
from usageledger.pricing.listed_prices import CONDITIONS, ListedPrice, listed, seconds_of, times
from usageledger.pricing.money import to_rate
from usageledger.pricing.price_file import USABLE, Alias, Factor, PriceFile, Row, digest, id_of

FAULTS_SHOWN_MAX = 5
JUMP_MAX = 10  # times the price before, or one part in as many of it
MOVED_PERCENT_MAX = 5  # of the rows without an end


_DECIMAL = re.compile(r"(0|[1-9]\d*)(\.\d+)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\dZ)?", re.ASCII)
_SPAN = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)

Timed: TypeAlias = Row | Alias | Factor


def check(file: PriceFile) -> None:
    """Checks what a file says by itself.

    Raises:
        PriceFileError: names the rows that are wrong.
    """
    _refuse([*_header_faults(file), *_other_faults(file), *_hosted_faults(file)])


def check_after(file: PriceFile, before: PriceFile, *, rebase: bool = False, yes: bool = False) -> None:
    """Checks a file against the one that is in use.

    Args:
        file: one that passes `check`.
        before: the one in use.
        rebase: it need not be made from `before`, nor from one that was.
        yes: many rows may change at once.

    Raises:
        PriceFileError: it is not newer, not of the series of `before`, or says something else of days past.
    """
    if file.serial <= before.serial:
        _refuse([f"serial {file.serial} is not newer than {before.serial}, which is in use"])
    if before.rows_sha256 not in file.made_from and not rebase:
        made, used = f"serial {file.serial} was made from {file.previous_sha256}", f"serial {before.serial}"
        words = "no file before it is that one: give --rebase if it is right"
        _refuse([f"{made}, and in use is {used} with {before.rows_sha256}: {words}"])
    _refuse([*_changed(file, before), *([] if yes else _moved(file, before))])


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        more = f"; and {len(faults) - FAULTS_SHOWN_MAX:,} more" if len(faults) > FAULTS_SHOWN_MAX else ""
        raise PriceFileError("; ".join(faults[:FAULTS_SHOWN_MAX]) + more)


# --- by itself ---------------------------------------------------------------------------------------------------


def _header_faults(file: PriceFile) -> Iterator[str]:
    if file.serial < 1:
        yield f"serial: expected 1 or more, got {file.serial}"
    days = [("made", file.made), ("confirmed_through", file.confirmed_through)]
    days += [(f"lists: {name} {each}", day) for name, known in file.lists.items() for each, day in known.items()]
    yield from (f"{name}: expected a UTC day, got {day!r}" for name, day in days if not _is_day(day))
    for each in file.made_from:
        if not _SHA256.fullmatch(each):
            yield f"previous_sha256 and earlier_sha256: expected a SHA-256, got {each!r}"
    if (found := digest(file)) != file.rows_sha256:
        yield f"rows_sha256 is {file.rows_sha256!r}, and its rows have {found!r}: it was changed after it was made"


def _row_faults(rows: Sequence[Row]) -> list[str]:
    faults = [f"{words(row)}: {fault}" for row in rows for fault in _faults_of(row)]
    if faults:
        return faults
    subjects: dict[Hashable, list[ListedPrice]] = {}
    for row in rows:
        subjects.setdefault(subject_of(row), []).append(listed(row))
    for prices in subjects.values():
        prices.sort(key=lambda price: (price.start, price.end))
        faults += [fault for before, after in pairwise(prices) for fault in _faults_between(before, after)]
    return faults


def _faults_of(row: Row) -> Iterator[str]:
    if row.kind not in PARTS_OF_KIND:
        yield f"kind: there is no kind {row.kind!r}"
    elif row.part not in PARTS_OF_KIND[row.kind]:
        yield f"part: {row.kind} have no part {row.part!r}"
    if not _DECIMAL.fullmatch(row.price):
        yield f"price: expected a decimal that is 0 or more, got {row.price!r}"
    elif row.per < 1:
        yield f"per: expected 1 or more, got {row.per}"
    else:
        yield from _rate_faults(row)
    if not row.source.strip():
        yield "source: none is given"
    if row.model == "" or not row.provider or not row.tier:
        yield "provider, model and tier: expected a name"
    yield from (
        f"hours: expected 01:00-04:00, got {span!r}" for h in row.hours for span in h.hours if not _is_span(span)
    )
    yield from (f"hours: days are 1 to 7, got {list(h.days)}" for h in row.hours if not set(h.days) <= set(range(1, 8)))
    yield from _time_faults(row.start, row.end, row.last_seen, _is_moment)


def _rate_faults(row: Row) -> Iterator[str]:
    try:
        to_rate(Decimal(row.price), row.per)
    except ValueError as error:
        yield f"price: {error}"


def _faults_between(before: ListedPrice, after: ListedPrice) -> Iterator[str]:
    """Yields the faults of two prices of one subject, the second of which begins no earlier."""
    if before.row == after.row:
        yield f"{words(after.row)}: it is there twice"
    elif after.start < before.end and not before.row.confidence == after.row.confidence == "disputed":
        yield f"{words(after.row)}: it overlaps the row of {before.row.price} from {before.row.start}"
    low, high = sorted((before.rate, after.rate))
    if high > JUMP_MAX * low and not after.row.note:
        yield f"{words(after.row)}: more than {JUMP_MAX} times off the {before.row.price} before, without a note"


def _other_faults(file: PriceFile) -> Iterator[str]:
    others: list[Alias | Factor] = [*file.aliases, *file.factors]
    for each in others:
        if not each.source.strip():
            yield f"{words(each)}: source: none is given"
        last_seen = each.last_seen if isinstance(each, Factor) else None
        yield from (f"{words(each)}: {fault}" for fault in _time_faults(each.start, each.end, last_seen, _is_day))
        if isinstance(each, Factor) and not _DECIMAL.fullmatch(each.factor):
            yield f"{words(each)}: factor: expected a decimal that is 0 or more, got {each.factor!r}"
    yield from (f"correction of {each.corrects}: no reason" for each in file.corrections if not each.reason.strip())
    said: tuple[Sequence[Alias | Factor], ...] = (file.aliases, file.factors)
    for before, after in (pair for each in said for pair in pairwise(sorted(each, key=_place))):
        if subject_of(before) == subject_of(after) and (before.end is None or after.start < before.end):
            yield f"{words(after)}: it overlaps the one from {before.start}"


def _hosted_faults(file: PriceFile) -> Iterator[str]:
    known = {(row.provider, row.model) for row in file.rows}
    for said in file.hosted:
        named = f"{said.provider} {next(iter(said.models), '-')} from {said.vendor}"
        if not said.source.strip():
            yield f"{named}: source: none is given"
        if not _DECIMAL.fullmatch(said.factor):
            yield f"{named}: factor: expected a decimal that is 0 or more, got {said.factor!r}"
            return
        if not _is_day(said.seen) or said.seen < said.start:
            yield f"{named}: seen: expected a UTC day that is not before {said.start}, got {said.seen!r}"
        yield from (f"{named}: {fault}" for fault in _time_faults(said.start, said.end, None, _is_day))
        missing = [model for model in said.models.values() if (said.vendor, model) not in known]
        yield from (f"{named}: {said.vendor} has no row of {model!r}" for model in missing)
    rows = all_rows(file)
    yield from _alike_faults(file, rows)
    yield from _row_faults(rows)


def _alike_faults(file: PriceFile, rows: Iterable[Row]) -> Iterator[str]:
    known = {(row.provider, row.model, row.kind, row.part) for row in rows}
    for said in file.alike:
        named = f"{said.provider}: {', '.join(said.parts)} alike"
        if not said.source.strip():
            yield f"{named}: source: none is given"
        yield from (f"{named}: {fault}" for fault in _time_faults(said.start, said.end, None, _is_day))
        for model in said.models:
            if not any((said.provider, model, said.kind, like) in known for like in said.parts.values()):
                yield f"{named}: there is no row of {model!r}"


def _time_faults(start: str, end: str | None, last_seen: str | None, is_time: Callable[[str], bool]) -> Iterator[str]:
    for name, time in (("from", start), ("to", end)):
        if time is not None and not is_time(time):
            yield f"{name}: expected a UTC day such as 2026-11-01, got {time!r}"
            return
    if last_seen is not None and not _is_day(last_seen):
        yield f"last_seen: expected a UTC day, got {last_seen!r}"
    elif end is not None and seconds_of(end) <= seconds_of(start):
        yield f"it ends on {end}, and begins on {start}"
    elif last_seen is not None and seconds_of(last_seen) + DAY_SECONDS <= seconds_of(start):
        yield f"it was last seen on {last_seen}, and begins on {start}"


def _is_day(text: str) -> bool:
    return bool(_DAY.fullmatch(text)) and _is_moment(text)


def _is_moment(text: str) -> bool:
    try:
        return bool(_MOMENT.fullmatch(text)) and seconds_of(text) >= 0
    except ValueError:
        return False


def _is_span(text: str) -> bool:
    first, _, last = text.partition("-")
    return bool(_SPAN.fullmatch(text)) and first < last <= "24:00"


# --- against the file before -------------------------------------------------------------------------------------


def _changed(file: PriceFile, before: PriceFile) -> Iterator[str]:
    """Yields what says something else of days that were confirmed."""
    past = seconds_of(before.confirmed_through) + DAY_SECONDS
    corrected = {each.corrects for each in file.corrections}
    pairs: tuple[tuple[Sequence[Timed], Sequence[Timed]], ...] = (
        (all_rows(before), all_rows(file)),
        (before.aliases, file.aliases),
        (before.factors, file.factors),
    )
    for earlier, later in pairs:
        there = {_what(each): each for each in later}
        for each in earlier:
            start, end = times(each)
            if start >= past or id_of(each) in corrected:
                continue
            kept = there.get(_what(each))
            until = min(end, past)
            if kept is None or min(times(kept)[1], past) != until:
                days = f"days up to {before.confirmed_through}"
                yield f"{words(each)}: it says something else of {days}, and no correction names {id_of(each)}"


def _moved(file: PriceFile, before: PriceFile) -> Iterator[str]:
    kept = {_what(row) for row in _open(all_rows(file))}
    were = list(_open(all_rows(before)))
    moved = [row for row in were if _what(row) not in kept]
    if 100 * len(moved) > MOVED_PERCENT_MAX * len(were):
        many = f"{len(moved):,} of {len(were):,} rows without an end change at once"
        yield f"{many}, such as {words(moved[0])}: give --yes if that is right"


def _open(rows: Iterable[Row]) -> Iterator[Row]:
    return (row for row in rows if row.end is None and row.last_seen is None)


def subject_of(said: Timed) -> Hashable:
    """All that must be the same for two of them to speak of one thing."""
    if isinstance(said, Row):
        conditions = tuple(getattr(said, name) for name in CONDITIONS)
        about = said.provider, said.model, said.kind, said.part, said.tier, said.above
        return *about, said.hours, conditions
    return (said.provider, said.name) if isinstance(said, Alias) else (said.provider, said.model, said.region)


def _what(said: Timed) -> Hashable:
    """All that it says but for its end, and for where that is known from."""
    if isinstance(said, Alias):
        return structs.replace(said, end=None, source="", note="")
    confidence = "high" if said.confidence in USABLE else said.confidence
    about = {"end": None, "last_seen": None, "source": "", "start_is": "launch", "origin": "curated"}
    said = structs.replace(said, **about, confidence=confidence)
    return structs.replace(said, note="") if isinstance(said, Row) else said


def _place(said: Alias | Factor) -> tuple[str, ...]:
    about = said.name if isinstance(said, Alias) else f"{said.model} {said.region}"
    return said.provider, about, said.start


def words(said: Timed) -> str:
    """Names a row: `openai gpt-5 completions input_text_tokens batch above 272000 from 2025-08-07`."""
    if isinstance(said, Alias):
        return f"{said.provider} {said.name} -> {said.resolves_to} from {said.start}"
    if isinstance(said, Factor):
        return f"{said.provider} {said.model} in {said.region} from {said.start}"
    named = [said.provider, said.model or "-", said.kind, said.part, said.tier]
    named += [f"above {said.above}"] if said.above else []
    named += [f"{name} {value}" for name in CONDITIONS if (value := getattr(said, name)) is not None]
    return " ".join([*named, "from", said.start])
