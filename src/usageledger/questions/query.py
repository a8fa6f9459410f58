"""Query parameters → a frozen `Query`, and the page tokens that continue one.

Source: OpenAI's Organization Usage API. Lists arrive as `group_by=a&group_by=b`, `group_by[]=a`, `group_by[0]=a`,
`group_by=a,b` or `group_by=a, b`.
A parameter that is unknown, given twice or out of range is refused: a filter silently ignored is a wrong number.
"""

import base64
import binascii
import hmac
import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import msgspec

from usageledger.buckets import (
    LATEST_LOCAL_TIME,
    LATEST_TIME,
    Bucket,
    Run,
    floor,
    iso,
    local_day,
    runs_of_days,
    split,
    split_days,
    widen,
    zones,
)
from usageledger.errors import InvalidRequestError, PageTokenError
from usageledger.hints import did_you_mean
from usageledger.meter import Dimension, Meter, Width
from usageledger.meters import WHOLE
from usageledger.questions.query_string import COMMA, SPACED_COMMA, bare_name, unknown_parameter, unsupported

TOKEN_SECONDS = 24 * 3600
FILTER_VALUES_MAX = 1000
_HEADER = struct.Struct(">q4sqq")  # expiry, digest of the query, start of the next bucket, end of the window
_MAC_BYTES = 16
GRANULARITY = "granularity"  # of costs, in no documentation: exporters send `day`, which is what they get

Filter = tuple[str, tuple[str | bool, ...]]


@dataclass(frozen=True, slots=True)
class Query:
    """A question to the ledger; times are Unix seconds.

    Attributes:
        start_time: start of the whole window, inclusive.
        end_time: end of the whole window, exclusive, as fixed by the first page.
        open_ended: no `end_time` was given, so the window ended when the first page was asked for.
        filters: dimension name → the values it may have; every filter must hold.
        group_by: dimensions by which results are told apart, in the meter's order.
        limit: how many buckets a page has at most.
        page_start: where this page starts: the window's start, or an aligned bucket start.
        as_of: of costs: answer by the prices that held at this time; None for today's.
        timezone: the IANA name of the time zone whose days the buckets are; None for UTC minutes, hours and days.
    """

    meter: Meter
    start_time: int
    end_time: int
    open_ended: bool
    width: Width
    filters: tuple[Filter, ...]
    group_by: tuple[str, ...]
    limit: int
    page_start: int
    as_of: int | None = None
    timezone: str | None = None

    @property
    def filters_digest(self) -> bytes:
        """A digest of the filters (SHA-256), since they may be as long as a URL may be."""
        return sha256(repr(self.filters).encode()).digest()

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """The buckets of this page, ascending, the outermost ones of the window clamped to it."""
        if self.timezone:
            return split_days(self.page_start, self.end_time, self.timezone, self.limit)
        return split(self.page_start, self.end_time, self.width.seconds, self.limit)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The buckets of this page again, by runs of equal width: one of them, but for days of a time zone."""
        if self.timezone:
            return runs_of_days(self.buckets, self.timezone)
        return (Run(0, self.width.seconds, self.page_start, self.page_end),)

    def whole_start(self, bucket: Bucket) -> int:
        """The start of a bucket of this page, before it is clamped to the window."""
        if self.timezone:
            return local_day(bucket.start, self.timezone).start
        return floor(bucket.start, self.width.seconds)

    @property
    def page_end(self) -> int:
        """The end of this page's last bucket."""
        if self.timezone:
            return max((bucket.end for bucket in self.buckets), default=self.end_time)
        return min(self.end_time, floor(self.page_start, self.width.seconds) + self.limit * self.width.seconds)

    @property
    def whole(self) -> "Query":
        """The same query with one bucket for the whole window."""
        return replace(self, width=WHOLE, limit=1, page_start=self.start_time, timezone=None)

    @property
    def next_start(self) -> int | None:
        """The start of the next page; None on the last one."""
        return self.page_end if self.page_end < self.end_time else None


def parse(meter: Meter, params: Iterable[tuple[str, str]], *, now: int, secret: bytes) -> Query:
    """The query that `params` (decoded pairs of the query string) ask of `meter`.

    Raises:
        InvalidRequestError: names the parameter, the value given and the values allowed.
        PageTokenError: the page token is forged, expired, or of another query.
    """
    given = _collect(meter, params)
    page = _single(given, "page")
    limit = _single(given, "limit")
    if page is None:
        return _query(meter, given, now, limit)
    query = _continue(meter, page, now=now, secret=secret)
    if given.keys() - {"page", "limit"}:
        repeated = _query(meter, given, now, limit)
        if _canonical(repeated) != _canonical(query):
            raise PageTokenError
    return replace(query, limit=_limit(limit, query.width) if limit is not None else query.limit)


def page_token(query: Query, *, now: int, secret: bytes) -> str | None:
    """The token of the page after `query`'s; None where that is the last one.

    Its first 20 bytes have the official layout (expiry, digest of the query, start of the next bucket). It also
    carries the query itself, so that it stands alone, and is authenticated with `secret`.
    """
    if query.next_start is None:
        return None
    text = _canonical(query)
    header = _HEADER.pack(now + TOKEN_SECONDS, sha256(text).digest()[:4], query.next_start, query.end_time)
    body = header + zlib.compress(msgspec.json.encode([query.limit]) + b"\n" + text)
    return "page_" + base64.urlsafe_b64encode(body + _mac(body, secret)).decode()


# --- parameters --------------------------------------------------------------------------------------------------


def _collect(meter: Meter, params: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Parameter name → the values given for it; the encodings of lists brought together."""
    own = ("as_of",) if meter.priced else ()
    told = ("start_time", "end_time", "bucket_width", "timezone", "limit", "page", *own)
    singles = (*told, GRANULARITY) if meter.priced else told
    dimensions = {d.filter: d for d in meter.filters if d.filter}
    known = (*singles, "group_by", *dimensions)
    given: dict[str, list[str]] = {}
    for raw, value in params:
        name = bare_name(raw)
        bracketed = name != raw
        is_list = name not in singles and not (name in dimensions and dimensions[name].flag)
        if name not in known or (bracketed and not is_list):
            raise unknown_parameter(raw, (*told, "group_by", *dimensions))
        if not is_list and name in given:
            raise InvalidRequestError(f"Parameter given twice: '{name}'.", param=name, code="invalid_value")
        # In brackets a value stands for itself, so that an id with a comma can be asked for.
        has_commas = name in dimensions and dimensions[name].has_commas
        whole = not is_list or (bracketed and name != "group_by")
        separator = SPACED_COMMA if has_commas else COMMA
        given.setdefault(name, []).extend([value] if whole else separator.split(value))
    return given


def _single(given: dict[str, list[str]], name: str) -> str | None:
    return given[name][0] if name in given else None


def _query(meter: Meter, given: dict[str, list[str]], now: int, limit: str | None) -> Query:
    width = _width(meter, _single(given, "bucket_width"))
    _check_granularity(_single(given, GRANULARITY), width)
    timezone = _timezone(meter, _single(given, "timezone"), width)
    latest = LATEST_LOCAL_TIME if timezone else LATEST_TIME
    start = read_time("start_time", _single(given, "start_time"), latest)
    if start is None:
        raise InvalidRequestError("Missing required parameter: 'start_time'.")
    end = read_time("end_time", _single(given, "end_time"), latest)
    if end is not None and end <= start:
        raise InvalidRequestError(
            f"Invalid 'end_time': {end} ({iso(end)}) is not after 'start_time' {start} ({iso(start)}).",
            param="end_time",
            code="invalid_value",
        )
    open_ended = end is None
    end = max(start, now) if end is None else end
    if meter.priced:
        start, end = widen(start, end, width.snap_seconds, timezone)
    return Query(
        meter=meter,
        start_time=start,
        end_time=end,
        open_ended=open_ended,
        width=width,
        filters=tuple((d.name, _filter(d, given[d.filter])) for d in meter.filters if d.filter in given),
        group_by=_group_by(meter, given.get("group_by", [])),
        limit=_limit(limit, width),
        page_start=start,
        as_of=read_time("as_of", _single(given, "as_of")),
        timezone=None if width is WHOLE else timezone,
    )


def _integer(name: str, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,100}", text):
        raise InvalidRequestError(
            f"Invalid type for '{name}': expected an integer, got '{text[:100]}'.", param=name, code="invalid_type"
        )
    return int(text)


def read_time(name: str, text: str | None, latest: int = LATEST_TIME) -> int | None:
    """Unix seconds from a parameter's text; None where it is not given. Raises InvalidRequestError."""
    if text is None:
        return None
    seconds = _integer(name, text)
    if not 0 <= seconds <= latest:
        hint = " Is it in milliseconds?" if seconds > LATEST_TIME else ""
        raise InvalidRequestError(
            f"Invalid '{name}': expected Unix seconds from 0 to {latest}, got {seconds}.{hint}",
            param=name,
            code="invalid_value",
        )
    return seconds


def _width(meter: Meter, text: str | None) -> Width:
    names = [width.name for width in meter.widths]
    if text is None:
        return meter.width("1d")
    if text not in names:
        raise unsupported("bucket_width", text, names)
    return meter.width(text)


def _check_granularity(text: str | None, width: Width) -> None:
    if text is not None and text != "day":
        raise unsupported(GRANULARITY, text, ["day"])
    if text is not None and width.name != "1d":
        raise InvalidRequestError(
            f"Invalid '{GRANULARITY}': 'day' with a 'bucket_width' of '{width.name}': leave one of the two out.",
            param=GRANULARITY,
            code="invalid_value",
        )


def _timezone(meter: Meter, text: str | None, width: Width) -> str | None:
    if text is None:
        return None
    name = zones().get(text.lower())
    if name is None:
        raise InvalidRequestError(
            f"Invalid value for 'timezone': '{text[:256]}'. Expected a name of the IANA time zone database, such as "
            f"'Europe/Berlin' or 'UTC'.{did_you_mean(text, list(zones().values()))}",
            param="timezone",
            code="invalid_value",
        )
    # Costs of a whole window are those of whole hours, and not every zone's are those of UTC.
    if width.name != "1d" and not (meter.priced and width is WHOLE):
        raise InvalidRequestError(
            f"Invalid 'timezone': '{name}' with a 'bucket_width' of '{width.name}'. Only buckets of '1d' are cut by a "
            "time zone: leave one of the two out.",
            param="timezone",
            code="invalid_value",
        )
    return name


def _limit(text: str | None, width: Width) -> int:
    if text is None:
        return width.default_limit
    limit = _integer("limit", text)
    # The official server sets no `param` here, so neither do we (contract/recorded/errors_live.json).
    if limit > width.max_limit:
        raise InvalidRequestError(
            f"Invalid limit provided: {limit}. Limit must be less than or equal to {width.max_limit}."
        )
    if limit < 1:
        raise InvalidRequestError(f"Invalid limit provided: {limit}. Limit must be greater than or equal to 1.")
    return limit


def _group_by(meter: Meter, names: Sequence[str]) -> tuple[str, ...]:
    allowed = [dimension.name for dimension in meter.groupings]
    for name in names:
        if name not in allowed:
            raise unsupported("group_by", name, allowed)
    return tuple(name for name in allowed if name in names)


def _filter(dimension: Dimension, values: Sequence[str]) -> tuple[str | bool, ...]:
    name = dimension.filter or ""
    if dimension.flag:
        if values[0].lower() not in ("true", "false"):
            raise unsupported(name, values[0], ["true", "false"])
        return (values[0].lower() == "true",)
    if len(values) > FILTER_VALUES_MAX:
        raise InvalidRequestError(
            f"Too many values for '{name}': {len(values)}. At most {FILTER_VALUES_MAX} are allowed.",
            param=name,
            code="invalid_value",
        )
    for value in values:
        fits = value in dimension.values or (dimension.pattern and re.fullmatch(dimension.pattern, value))
        if dimension.values and not fits:
            others = " or ".join(f"'{other}'" for other in dimension.others)
            others = others and f" Other {name} are, for instance, {others}."
            raise unsupported(name, value, dimension.values, others)
        if not value or "\0" in value:
            raise InvalidRequestError(
                f"Invalid '{name}': expected text of at least one character, got {value!r}.",
                param=name,
                code="invalid_value",
            )
    return tuple(sorted(set(values)))


# --- page tokens -------------------------------------------------------------------------------------------------


def _canonical(query: Query) -> bytes:
    """Encodes the query without its page, the page's size, and an end that was not given."""
    return msgspec.json.encode(
        [
            query.meter.kind,
            query.start_time,
            None if query.open_ended else query.end_time,
            query.width.name,
            query.filters,
            query.group_by,
            query.as_of,
            query.timezone,
        ]
    )


def _mac(body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, body, "sha256")[:_MAC_BYTES]


def _continue(meter: Meter, token: str, *, now: int, secret: bytes) -> Query:
    """The query that a token carries, at the page it stands for."""
    body = _authentic(token, secret)
    expiry, _, page_start, end_time = _HEADER.unpack_from(body)
    head, _, text = zlib.decompress(body[_HEADER.size :]).partition(b"\n")
    try:
        kind, start_time, given_end, width, filters, group_by, as_of, timezone = msgspec.json.decode(text)
    except ValueError:  # another release made it, with other fields
        raise PageTokenError from None
    if expiry <= now or kind != meter.kind:
        raise PageTokenError
    limit: Any = msgspec.json.decode(head)[0]
    return Query(
        meter=meter,
        start_time=start_time,
        end_time=end_time,
        open_ended=given_end is None,
        width=meter.width(width),
        filters=tuple((name, tuple(values)) for name, values in filters),
        group_by=tuple(group_by),
        limit=limit,
        page_start=page_start,
        as_of=as_of,
        timezone=timezone,
    )


def _authentic(token: str, secret: bytes) -> bytes:
    """The body of a token that we made; padding may be missing or still be percent-encoded."""
    bare = token.removeprefix("page_").replace("%3D", "").replace("%3d", "").rstrip("=")
    try:
        raw = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise PageTokenError from None
    body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if len(body) <= _HEADER.size or not token.startswith("page_") or not hmac.compare_digest(mac, _mac(body, secret)):
        raise PageTokenError
    return body
