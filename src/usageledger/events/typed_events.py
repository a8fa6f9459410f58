"""Typed events: the fields that an event of each kind has, their rules, and one struct a kind.

Whatever form events come in, they are made into these, or into stored columns at once.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from usageledger.buckets import LATEST_TIME
from usageledger.fields import END_OF_TEXT, NAME_CHARACTERS_MAX, Field
from usageledger.meter import Dimension, Meter
from usageledger.meters import METERS

COUNT_MAX = 2**53 - 1  # beyond it, JSON readers that use doubles lose digits
ID_CHARACTERS_MAX = 128
# An id that begins so is that of a vendor's response: within so many seconds it counts once, whenever it came.
RESPONSE_PREFIX, RESPONSE_SECONDS = "response:", 48 * 3600
NOT_GIVEN = -1
ERRORS_LISTED_MAX = 100  # reasons in one answer; those of further events are counted, not looked for

Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
EventId = Annotated[str, Meta(min_length=1, max_length=ID_CHARACTERS_MAX)]
Timestamp = Annotated[int, Meta(ge=0, le=LATEST_TIME)] | Annotated[datetime, Meta(tz=True)]


def _count(name: str, default: Any) -> Field:
    kind: Any = Count
    is_required = default is msgspec.NODEFAULT
    rule = f"an integer from 0 to {COUNT_MAX}"
    return Field(name, kind if is_required else kind | None, (int,), "an integer", rule, default)


def _dimension(dimension: Dimension) -> Field:
    if dimension.flag:
        return Field(dimension.name, bool | None, (bool,), "true or false", "true or false", None)
    kind: Any = Name
    rule = f"1 to {NAME_CHARACTERS_MAX} characters"
    if dimension.values:
        rule = "one of " + ", ".join(f"'{value}'" for value in dimension.values)
        kind = Literal[dimension.values]
        if dimension.pattern:
            rule += f", or another {dimension.name} such as " + " or ".join(f"'{value}'" for value in dimension.others)
            kind = Annotated[str, Meta(pattern=f"(?:{dimension.pattern}){END_OF_TEXT}")]
    return Field(dimension.name, kind | None, (str,), "a string", rule, None)


def _fields(meter: Meter) -> tuple[Field, ...]:
    """The fields of an event of this kind, `kind` itself left out."""
    timestamp = "Unix seconds (not milliseconds) or an RFC 3339 time with a time zone"
    return (
        Field("id", EventId, (str,), "a string", f"1 to {ID_CHARACTERS_MAX} characters"),
        Field("timestamp", Timestamp, (int, str), timestamp, f"{timestamp}, from 1970 to 9999"),
        Field("provider", Name, (str,), "a string", f"1 to {NAME_CHARACTERS_MAX} characters", "openai"),
        *(_dimension(dimension) for dimension in meter.dimensions),
        *(
            _count(m.name, NOT_GIVEN if has_parts(meter) and m.default is None else _default(m.default))
            for m in meter.measures
        ),
    )


def _default(value: int | None) -> Any:
    return msgspec.NODEFAULT if value is None else value


def has_parts(meter: Meter) -> bool:
    """Tell whether token numbers of the kind may come as totals, as parts or as both."""
    return any(len(measure.columns) > 1 for measure in meter.measures)


FIELDS: dict[str, dict[str, Field]] = {m.kind: {f.name: f for f in _fields(m)} for m in METERS}


def _struct(meter: Meter) -> type[msgspec.Struct]:
    fields = FIELDS[meter.kind].values()
    return msgspec.defstruct(
        f"{meter.kind.title().replace('_', '')}Event",
        [(f.name, f.rule_type) if f.default is msgspec.NODEFAULT else (f.name, f.rule_type, f.default) for f in fields],
        tag_field="kind",
        tag=meter.kind,
        forbid_unknown_fields=True,
        kw_only=True,
        omit_defaults=True,  # for `_repeats`
        gc=False,
    )


STRUCTS: dict[str, type[msgspec.Struct]] = {meter.kind: _struct(meter) for meter in METERS}
KIND_OF: dict[type, str] = {struct: kind for kind, struct in STRUCTS.items()}


def unix_seconds(timestamp: int | datetime) -> int:
    """Gives whole Unix seconds of an event's timestamp; a fraction of a second is cut off."""
    return int(timestamp.timestamp() // 1) if isinstance(timestamp, datetime) else timestamp
