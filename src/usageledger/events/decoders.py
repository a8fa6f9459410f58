"""Media types of events, and how a body of each is decoded.

A decoder is a plain function (bytes, `Limits`) → `EventBatch`. It raises InvalidRequestError for a body that cannot be
read at all and BodyTooLargeError for one with too many events or too much of them; single events are refused in its
batch. A new form of events is a function and a row here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from usageledger.events.arrow_events import decode_arrow, decode_parquet
from usageledger.events.batch import EventBatch, Limits
from usageledger.events.json_columns import decode_plain
from usageledger.events.json_events import decode_right, decode_wrong

JSON_TYPES = ("application/json",)
LINES_TYPES = ("application/x-ndjson", "application/jsonl")
ARROW_TYPES = ("application/vnd.apache.arrow.stream",)
PARQUET_TYPES = ("application/vnd.apache.parquet",)
PLAIN_BYTES_MIN = 64 * 1024  # of a body that is read faster by columns than by events; that is 150 of them or so


@dataclass(frozen=True, slots=True)
class Decoder:
    """Functions that decode a body of one form.

    Attributes:
        thorough: decodes any body; one that `quick` has given up, where there is such a function.
        quick: decodes a body in which all is right, in little time, or gives None.
    """

    thorough: Callable[[bytes, Limits], EventBatch]
    quick: Callable[[bytes, Limits], EventBatch | None] = lambda _body, _limits: None


def _quick(body: bytes, limits: Limits, *, lines: bool) -> EventBatch | None:
    plain = decode_plain(body, limits, lines=lines) if len(body) >= PLAIN_BYTES_MIN else None
    return decode_right(body, limits, lines=lines) if plain is None else plain


_JSON = Decoder(partial(decode_wrong, lines=False), partial(_quick, lines=False))
_LINES = Decoder(partial(decode_wrong, lines=True), partial(_quick, lines=True))
DECODERS: dict[str, Decoder] = {
    **dict.fromkeys(JSON_TYPES, _JSON),
    **dict.fromkeys(LINES_TYPES, _LINES),
    **dict.fromkeys(ARROW_TYPES, Decoder(decode_arrow)),
    **dict.fromkeys(PARQUET_TYPES, Decoder(decode_parquet)),
}


def decode(media_type: str, body: bytes, limits: Limits) -> EventBatch:
    """Decodes a body, whatever is in it."""
    decoder = DECODERS[media_type]
    quick = decoder.quick(body, limits)
    return decoder.thorough(body, limits) if quick is None else quick
