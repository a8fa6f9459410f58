"""The table that drives everything: one row per kind of usage.

Routes, validation, storage schema, SQL, OpenAPI, command line and dashboard loop over `METERS`; adding a kind of
usage is adding a row. Names, filters, groupings, widths and limits are those of OpenAI's Organization Usage API
(https://platform.openai.com/docs/api-reference/usage) as the official Python SDK 3.54 types them.
"""

from dataclasses import replace

from usageledger.buckets import DAY_SECONDS
from usageledger.meter import Dimension, Measure, Meter, Width
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
# Ours: kept with events since prices depend on it, and no grouping.
UNSEEN_BATCH = replace(BATCH, filter=None, on_wire=False)
REGION = Dimension(
    "region", "The region that the request was bound to, which its price depends on.", example="us", on_wire=False
)
VECTOR_STORE = Dimension(
    "vector_store_id", "The vector store that was searched.", filter="vector_store_ids", example="vs_abc", many=True
)

BY_MODEL = (PROJECT, USER, API_KEY, MODEL)
BY_TIER = (*BY_MODEL, BATCH, SERVICE_TIER, API_SOURCE, REGION)

REQUESTS = Measure(
    "num_model_requests",
    "requests",
    "Requests made to the model.",
    Price("requests", "requests", 1_000, optional=True),
    default=1,
)


def _tokens(
    name: str, doc: str, parts: tuple[Part, ...] = (), *, required: bool = False, on_wire: bool = True
) -> Measure:
    price = NOT_CHARGED if parts else TOKEN_PARTS[name].price
    return Measure(name, "tokens", doc, price, required=required, parts=parts, on_wire=on_wire)


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
    _tokens("input_cache_write_5m_tokens", "Input tokens written to the cache for 5 minutes.", on_wire=False),
    _tokens("input_cache_write_1h_tokens", "Input tokens written to the cache for an hour.", on_wire=False),
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
    replace(
        _meter("embeddings", "Embeddings", (INPUT_TOKENS, REQUESTS), (*BY_MODEL, UNSEEN_BATCH, REGION)),
        priced_as="completions",
    ),
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
            UNSEEN_BATCH,
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
        (
            PROJECT,
            Dimension(
                "memory_gb",
                "Memory of the session's container in GB, which its price depends on.",
                values=("1", "4", "16", "64"),
                pattern=r"^[1-9][0-9]{0,4}$",
                others=("32",),
                on_wire=False,
            ),
            Dimension(
                "session_minutes",
                "Minutes that each session ran, begun ones included, where its price depends on them.",
                values=("5", "20"),
                pattern=r"^[1-9][0-9]{0,4}$",
                others=("7",),
                on_wire=False,
            ),
        ),
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
            Dimension(
                "tool",
                "The search tool that was called, without its date, which its price depends on.",
                values=("web_search", "web_search_preview"),
                pattern=r"^[a-z][a-z0-9_]{0,63}$",
                others=("browser_search",),
                on_wire=False,
            ),
        ),
        result="web_searches",
    ),
    _meter("decisions", "Decisions", TOKENS, BY_TIER),
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
FACETS: tuple[str, ...] = tuple(dict.fromkeys(d.name for meter in METERS for d in meter.groupings if not d.flag))
MEASURE_COLUMNS: tuple[str, ...] = tuple(dict.fromkeys(column for meter in METERS for column in meter.columns))
GAUGES: frozenset[str] = frozenset(m.name for meter in METERS for m in meter.measures if m.adds == "gauge")
