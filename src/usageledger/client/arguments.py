"""Python arguments → the parameters of a query.

What only the server can know (which values and limits it allows) is left to it: its errors name them.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol, SupportsIndex, TypeAlias, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from usageledger.meters import COSTS, METERS

Time: TypeAlias = int | datetime | date
"""Unix seconds, a `datetime` with a time zone, or a `date`: its first moment, in `timezone` where that is given."""

T_co = TypeVar("T_co", covariant=True)


class SequenceNotStr(Protocol[T_co]):
    """A list, a tuple or another sequence, but not a bare `str`, which is a sequence of its letters.

    A type checker refuses a `str` since `str.__contains__` takes only a `str`.
    """

    def __getitem__(self, index: SupportsIndex, /) -> T_co: ...
    def __contains__(self, value: object, /) -> bool: ...
    def __iter__(self) -> Iterator[T_co]: ...
    def __len__(self) -> int: ...


T = TypeVar("T")
Listing: TypeAlias = SequenceNotStr[T] | tuple[T, ...]
"""What takes several values. A tuple is a sequence as well, but mypy sees the literals in it only when it is named."""

TIMES = frozenset({"start_time", "end_time", "as_of"})
LISTS = frozenset(
    {"group_by", *(d.filter for meter in (*METERS, COSTS) for d in meter.filters if d.filter and not d.flag)}
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parameters(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The parameters of a query as pairs; an argument that is None is left out.

    Lists go in brackets, `models[]=a`, where a value with a comma stands for itself.

    Raises:
        TypeError: an argument has the wrong type, such as a `str` where a list is wanted.
        ValueError: a `datetime` without a time zone, an unknown time zone, or a filter that selects nothing.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in given.items():
        if value is None:
            continue
        if name in TIMES:
            pairs.append((name, str(_seconds(name, value, given.get("timezone")))))
        elif name in LISTS or isinstance(value, (list, tuple)):
            pairs += [(f"{name}[]", each) for each in _values(name, value)]
        else:
            pairs.append((name, _text(name, value)))
    return pairs


def _seconds(name: str, value: Any, timezone: Any) -> int:
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValueError(
                f"{name}: {value!r} has no time zone, so it could be any of 24 hours: give it one, such as tzinfo=UTC."
            )
        return (value - EPOCH) // timedelta(seconds=1)
    if isinstance(value, date):
        zone = UTC if timezone is None else _zone(timezone)
        return (datetime(value.year, value.month, value.day, tzinfo=zone) - EPOCH) // timedelta(seconds=1)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError(f"{name}: expected Unix seconds as an int, a datetime or a date, got {value!r}.")


def _zone(timezone: Any) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise ValueError(
            f"timezone: expected the IANA name of a time zone, such as 'Europe/Berlin', got {timezone!r}."
        ) from None


def _values(name: str, value: Any) -> list[str]:
    if isinstance(value, str):
        raise TypeError(f"{name}: expected a list, got the text {value!r}. Did you mean [{value!r}]?")
    try:
        values = list(value)
    except TypeError:
        raise TypeError(f"{name}: expected a list, got {value!r}.") from None
    for each in values:
        if not isinstance(each, str):
            raise TypeError(f"{name}: expected a list of texts, got {each!r} in it.")
    if not values and name != "group_by":
        raise ValueError(f"{name}: an empty list selects nothing. Leave it out to select everything.")
    return values


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int)):
        return str(value)
    raise TypeError(f"{name}: expected text or a number, got {value!r}.")
