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
from usageledger.events.json_events import decode_right, decode_wrong

JSON_TYPES = ("application/json",)
LINES_TYPES = ("application/x-ndjson", "application/jsonl")
ARROW_TYPES = ("application/vnd.apache.arrow.stream",)
PARQUET_TYPES = ("application/vnd.apache.parquet",)


@dataclass(frozen=True, slots=True)
class Decoder:
    """Functions that decode a body of one form.

    Attributes:
        thorough: decodes any body; one that `quick` has given up, where there is such a function.
        quick: decodes a body in which all is right, in little time, or gives None.
    """

    thorough: Callable[[bytes, Limits], EventBatch]
    quick: Callable[[bytes, Limits], EventBatch | None] = lambda _body, _limits: None


_JSON = Decoder(partial(decode_wrong, lines=False), partial(decode_right, lines=False))
_LINES = Decoder(partial(decode_wrong, lines=True), partial(decode_right, lines=True))
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
