"""The table that drives everything: one row per kind of usage.

Routes, validation, storage schema, SQL, OpenAPI, command line and dashboard loop over `METERS`; adding a kind of
usage is adding a row. Names, filters, groupings, widths and limits are those of OpenAI's Organization Usage API
(https://platform.openai.com/docs/api-reference/usage) as the official Python SDK 3.54 types them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from usageledger.parts import (
    CACHE_WRITE_PARTS,
    CACHED_PARTS,
    NOT_CHARGED,
    OUTPUT_PARTS,
    TOKEN_PARTS,
    UNCACHED_PARTS,
    Part,
    Price,
)


@dataclass(frozen=True, slots=True)
class Width:
    """A bucket width and how many buckets of it a page has by default and at most."""

    name: str
    seconds: int
    default_limit: int
    max_limit: int

    @property
    def snap_seconds(self) -> int:
        """Seconds whose multiples the windows of costs begin and end at: of a bucket, at most of a day."""
        return min(self.seconds, DAY_SECONDS)


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that an event carries and a result reports.

    Attributes:
        unit: what is counted: `tokens`, `requests`, `images`, `characters`, `seconds`, `bytes`, `sessions`, `usd`.
        price: how it is charged, or `NOT_CHARGED`; it has no default, so that nothing is left unpriced unseen.
        adds: `sum` for a flow; `gauge` for a size, where a bucket's value is the sum over stores of the largest seen.
        required: an event must carry it, or numbers that it follows from.
        parts: the disjoint stored columns that it is the sum of; a measure that is itself stored is its only part.
        default: what an event has that does not carry it; None where nothing can be assumed.
        unit_field: the result field that names the unit, where it differs from result to result.
    """

    name: str
    unit: str
    doc: str
    price: Price | None
    adds: Literal["sum", "gauge"] = "sum"
    required: bool = False
    parts: tuple[Part, ...] = ()
    default: int | None = None
    unit_field: str | None = None

    def __post_init__(self) -> None:
        if self.parts and self.price is not NOT_CHARGED:
            raise ValueError(f"{self.name} is a sum of parts that are charged, so it is NOT_CHARGED, not {self.price}")

    @property
    def stored(self) -> tuple[Part, ...]:
        """The stored columns that it is made of."""
        return self.parts or (Part(self.name, self.price),)

    @property
    def columns(self) -> tuple[str, ...]:
        """The stored columns that add up to this measure."""
        return tuple(part.name for part in self.stored)


@dataclass(frozen=True, slots=True)
class Dimension:
    """A property of an event by which usage is told apart.

    Attributes:
        filter: the query parameter that selects by it, or None.
        flag: true or false, where other dimensions are text.
        values: the values that the official API documents; empty where any text is allowed.
        pattern: what further values must look like; with `values` and no pattern, only those are allowed.
        others: examples of such further values.
        example: the value that examples show, where there are no `values`.
        many: it has far more values than the others, as ids of users and keys have.
        on_wire: False for what is stored with the event but is neither a grouping nor a field of the official API.
        extension: a grouping of ours, which only the results that are grouped by it show.
        has_commas: its values may have commas with a space behind, so that only other commas tell several values apart.
    """

    name: str
    doc: str
    filter: str | None = None
    flag: bool = False
    values: tuple[str, ...] = ()
    pattern: str | None = None
    others: tuple[str, ...] = ()
    example: str | None = None
    many: bool = False
    on_wire: bool = True
    extension: bool = False
    has_commas: bool = False

    def __post_init__(self) -> None:
        if bool(self.pattern) != bool(self.others):
            raise ValueError(f"{self.name}: a pattern needs examples of other values: {self.pattern!r}, {self.others}")

    @property
    def shown(self) -> str | bool:
        """The value that examples show."""
        return False if self.flag else (*self.values, self.example or f"{self.name}_1")[0]


@dataclass(frozen=True, slots=True)
class Meter:
    """A kind of usage: its endpoint, its measures and its dimensions.

    Attributes:
        priced: it reports amounts: its windows snap outward to whole buckets, and they can be asked `as_of` a time.
        extension: a kind of ours, which OpenAI's API lacks, and its clients.
        price_lists: provider → its price list for this kind, where that is not the one of its name.
    """

    kind: str
    path: str
    object: str
    title: str
    measures: tuple[Measure, ...]
    dimensions: tuple[Dimension, ...]
    widths: tuple[Width, ...]
    priced: bool = False
    extension: bool = False
    price_lists: tuple[tuple[str, str], ...] = ()

    @property
    def groupings(self) -> tuple[Dimension, ...]:
        """The dimensions of the API, in the order of its results."""
        return tuple(d for d in self.dimensions if d.on_wire)

    @property
    def filters(self) -> tuple[Dimension, ...]:
        """The dimensions that a query parameter selects by."""
        return tuple(d for d in self.dimensions if d.filter)

    @property
    def columns(self) -> tuple[str, ...]:
        """The stored columns of its measures."""
        return _unique(column for measure in self.measures for column in measure.columns)

    @property
    def prices(self) -> dict[str, Price]:
        """Stored column → how it is charged, of those that are."""
        return {p.name: p.price for measure in self.measures for p in measure.stored if p.price}

    def width(self, name: str) -> Width:
        """The width called `name`; KeyError where there is none."""
        return {width.name: width for width in self.widths}[name]


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


DAY_SECONDS = 86_400
# Ours: the whole window is one bucket. As a width it is longer than time is, and a whole number of days.
WHOLE = Width("all", 10_000_000 * DAY_SECONDS, 1, 1)
USAGE_WIDTHS = (Width("1m", 60, 60, 1440), Width("1h", 3600, 24, 168), Width("1d", DAY_SECONDS, 7, 31), WHOLE)

PROJECT = Dimension("project_id", "The project that the usage belongs to.", filter="project_ids", example="proj_abc")
USER = Dimension("user_id", "The user who caused the usage.", filter="user_ids", example="user-abc", many=True)
API_KEY = Dimension("api_key_id", "The API key that was used.", filter="api_key_ids", example="key_abc", many=True)
MODEL = Dimension("model", "The model that did the work.", filter="models", example="gpt-4o-2024-08-06")
BATCH = Dimension("batch", "Whether the request ran as a batch job.", filter="batch", flag=True)
SERVICE_TIER = Dimension("service_tier", "The service tier that served the request.", example="default")
API_SOURCE = Dimension("api_source", "The API that caused the usage.", values=("agents_api", "unlabeled"))
VECTOR_STORE = Dimension(
    "vector_store_id", "The vector store that was searched.", filter="vector_store_ids", example="vs_abc", many=True
)

BY_MODEL = (PROJECT, USER, API_KEY, MODEL)
BY_TIER = (*BY_MODEL, BATCH, SERVICE_TIER, API_SOURCE)

REQUESTS = Measure(
    "num_model_requests",
    "requests",
    "Requests made to the model.",
    Price("requests", "requests", 1_000, optional=True),
    default=1,
)


def _tokens(name: str, doc: str, parts: tuple[Part, ...] = (), *, required: bool = False) -> Measure:
    price = NOT_CHARGED if parts else TOKEN_PARTS[name].price
    return Measure(name, "tokens", doc, price, required=required, parts=parts)


INPUT_TOKENS = _tokens("input_tokens", "Input tokens, all of them.", UNCACHED_PARTS[:1], required=True)
TOKENS = (
    _tokens(
        "input_tokens",
        "Input tokens, cached and cache-write tokens included.",
        (*UNCACHED_PARTS, *CACHED_PARTS, *CACHE_WRITE_PARTS),
        required=True,
    ),
    _tokens("input_cached_tokens", "Input tokens read from the cache: text, audio and image.", CACHED_PARTS),
    _tokens(
        "input_cache_write_tokens", "Input tokens written to the cache, whatever their lifetime.", CACHE_WRITE_PARTS
    ),
    _tokens("input_uncached_tokens", "Input tokens neither read from nor written to the cache.", UNCACHED_PARTS),
    _tokens("output_tokens", "Output tokens: text, audio and image.", OUTPUT_PARTS, required=True),
    _tokens("input_text_tokens", "Text input tokens, cached and cache-write tokens left out."),
    _tokens("output_text_tokens", "Text output tokens."),
    _tokens("input_cached_text_tokens", "Text input tokens read from the cache."),
    _tokens("input_audio_tokens", "Audio input tokens, cached tokens left out."),
    _tokens("input_cached_audio_tokens", "Audio input tokens read from the cache."),
    _tokens("output_audio_tokens", "Audio output tokens."),
    _tokens("input_image_tokens", "Image input tokens, cached tokens left out."),
    _tokens("input_cached_image_tokens", "Image input tokens read from the cache."),
    _tokens("output_image_tokens", "Image output tokens."),
    _tokens("input_cache_write_30m_tokens", "Input tokens written to the cache for 30 minutes."),
    _tokens("input_cache_write_12h_tokens", "Input tokens written to the cache for 12 hours."),
    replace(REQUESTS, price=Price("requests", "requests", 1_000, ("requests_kcount",), optional=True)),
)


def _meter(
    kind: str,
    title: str,
    measures: tuple[Measure, ...],
    dimensions: tuple[Dimension, ...],
    result: str | None = None,
) -> Meter:
    return Meter(
        kind=kind,
        path=f"/organization/usage/{kind}",
        object=f"organization.usage.{result or kind}.result",
        title=title,
        measures=measures,
        dimensions=dimensions,
        widths=USAGE_WIDTHS,
    )


METERS: tuple[Meter, ...] = (
    _meter("completions", "Completions", TOKENS, BY_TIER),
    _meter("embeddings", "Embeddings", (INPUT_TOKENS, REQUESTS), BY_MODEL),
    _meter("moderations", "Moderations", (INPUT_TOKENS, REQUESTS), BY_MODEL),
    _meter(
        "images",
        "Images",
        (
            Measure(
                "images",
                "images",
                "Images made or changed.",
                Price("images", "images", 1, details=("quality", "size")),
                required=True,
            ),
            REQUESTS,
        ),
        (
            *BY_MODEL,
            Dimension(
                "size",
                "Width and height of the image.",
                filter="sizes",
                values=("256x256", "512x512", "1024x1024", "1792x1792", "1024x1792"),
                pattern=r"^([1-9][0-9]{1,4}x[1-9][0-9]{1,4}|auto)$",
                others=("1536x1024", "auto"),
            ),
            Dimension(
                "source",
                "What made the image.",
                filter="sources",
                values=("image.generation", "image.edit", "image.variation"),
            ),
            Dimension("quality", "Quality of the image, which its price depends on.", example="high", on_wire=False),
        ),
    ),
    _meter(
        "audio_speeches",
        "Audio speeches",
        (
            Measure(
                "characters",
                "characters",
                "Characters spoken.",
                Price("speech", "characters", 10**6, ("input_mchars",)),
                required=True,
            ),
            REQUESTS,
        ),
        BY_MODEL,
    ),
    _meter(
        "audio_transcriptions",
        "Audio transcriptions",
        (
            Measure(
                "seconds",
                "seconds",
                "Seconds of audio transcribed.",
                Price("transcription", "duration_seconds", 60, ("input_audio_hours", "audio_hours")),
                required=True,
            ),
            REQUESTS,
        ),
        BY_MODEL,
    ),
    _meter(
        "vector_stores",
        "Vector stores",
        (
            Measure(
                "usage_bytes",
                "bytes",
                "Bytes stored.",
                Price("vector store storage", "gibibyte_hours", 1, unit_bits=30),
                adds="gauge",
                required=True,
            ),
        ),
        (PROJECT, replace(VECTOR_STORE, doc="The vector store whose size this is.", filter=None, on_wire=False)),
    ),
    _meter(
        "code_interpreter_sessions",
        "Code interpreter sessions",
        (
            Measure(
                "num_sessions",
                "sessions",
                "Code interpreter sessions.",
                Price("code interpreter sessions", "sessions", 1),
                required=True,
            ),
        ),
        (PROJECT,),
    ),
    _meter(
        "file_search_calls",
        "File search calls",
        (
            Measure(
                "num_requests",
                "requests",
                "File search calls.",
                Price("file search calls", "calls", 1_000, name="search calls"),
                required=True,
            ),
        ),
        (PROJECT, USER, API_KEY, VECTOR_STORE),
        result="file_searches",
    ),
    _meter(
        "web_search_calls",
        "Web search calls",
        (
            Measure(
                "num_requests",
                "requests",
                "Web search calls.",
                Price("web search calls", "calls", 1_000, ("web_searches_kcount",), name="search calls"),
                required=True,
            ),
            REQUESTS,
        ),
        (
            *BY_MODEL,
            Dimension(
                "context_level",
                "How much of the web's context was used.",
                filter="context_levels",
                values=("low", "medium", "high"),
            ),
            API_SOURCE,
        ),
        result="web_searches",
    ),
    replace(_meter("decisions", "Decisions", TOKENS, BY_TIER), price_lists=(("openai", "openai-decisions"),)),
)

COSTS = Meter(
    kind="costs",
    path="/organization/costs",
    object="organization.costs.result",
    title="Costs",
    measures=(
        Measure("amount", "usd", "What the usage cost.", NOT_CHARGED),
        Measure(
            "quantity", "", "How much was used, when grouped by line item.", NOT_CHARGED, unit_field="quantity_unit"
        ),
    ),
    dimensions=(
        PROJECT,
        USER,
        Dimension("line_item", "What was paid for.", filter="line_items", has_commas=True),
        API_KEY,
        API_SOURCE,
        replace(MODEL, extension=True),
        Dimension("kind", "The kind of usage that was paid for.", extension=True),
    ),
    widths=(Width("1h", 3600, 24, 168), Width("1d", DAY_SECONDS, 7, 180), WHOLE),
    priced=True,
)

METER_BY_KIND: dict[str, Meter] = {meter.kind: meter for meter in METERS}

# The union of all kinds, in the order of the stored columns.
DIMENSIONS: dict[str, Dimension] = {d.name: d for meter in METERS for d in meter.dimensions}
# What pickers list the values of: every grouping that is text.
FACETS: tuple[str, ...] = _unique(d.name for meter in METERS for d in meter.groupings if not d.flag)
MEASURE_COLUMNS: tuple[str, ...] = _unique(column for meter in METERS for column in meter.columns)
GAUGES: frozenset[str] = frozenset(m.name for meter in METERS for m in meter.measures if m.adds == "gauge")
