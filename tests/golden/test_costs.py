"""Costs that anybody can check by hand against public price pages; each line says the page's price."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.engines import ENGINES, Engine, parameter
from tests.support.priced import Priced

from usageledger.pricing.book import PriceBook

DAY = 86400
MILLION = 1_000_000
NOON = int(datetime(2026, 6, 10, 12, tzinfo=UTC).timestamp())  # before the tests' own time, so none is in the future


def at(year: int, month: int, day: int, hour: int = 12) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())


def completion(model: str, when: int = NOON, **fields: Any) -> dict[str, Any]:
    return {"kind": "completions", "model": model, "timestamp": when, "output_tokens": 0} | fields


# Name, the event, and what it costs by line item: the price of the page, times the quantity.
CASES: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    (
        # gpt-4o: 2.50 input, 1.25 cached, 10.00 output for a million.
        "cached tokens are charged once, at the cached price",
        completion("gpt-4o-2024-08-06", input_tokens=1000, input_cached_tokens=400, output_tokens=100),
        {
            "gpt-4o-2024-08-06, input": "0.0015",
            "gpt-4o-2024-08-06, cached input": "0.0005",
            "gpt-4o-2024-08-06, output": "0.001",
        },
    ),
    (
        # gemini-2.5-flash: 0.30 input and 0.03 cached (text / image / video), 1.00 and 0.10 (audio), 2.50 output.
        "images that Google charges as text, and audio apart",
        completion(
            "gemini-2.5-flash",
            provider="google",
            input_tokens=1_000,
            input_image_tokens=218,
            input_audio_tokens=50,
            input_cached_tokens=400,
            input_cached_image_tokens=40,
            output_tokens=100,
        ),
        {
            "gemini-2.5-flash, input": "0.0000996",
            "gemini-2.5-flash, image input": "0.0000654",
            "gemini-2.5-flash, audio input": "0.00005",
            "gemini-2.5-flash, cached input": "0.0000108",
            "gemini-2.5-flash, cached image input": "0.0000012",
            "gemini-2.5-flash, output": "0.00025",
        },
    ),
    (
        # gemini-2.5-pro: 1.25 input (text, image, video, audio), 2.50 above 200,000 tokens.
        "images and audio at one price with text, in the long band",
        completion(
            "gemini-2.5-pro",
            provider="google",
            input_tokens=300_000,
            input_image_tokens=20_000,
            input_audio_tokens=100_000,
        ),
        {
            "gemini-2.5-pro, input": "0.45",
            "gemini-2.5-pro, image input": "0.05",
            "gemini-2.5-pro, audio input": "0.25",
        },
    ),
    (
        # gpt-4o: 2.50 input, images just as text, 1.25 cached.
        "images that OpenAI charges as text",
        completion(
            "gpt-4o-2024-08-06",
            input_tokens=1_000,
            input_image_tokens=765,
            input_cached_tokens=128,
            input_cached_image_tokens=100,
        ),
        {
            "gpt-4o-2024-08-06, input": "0.0002675",
            "gpt-4o-2024-08-06, image input": "0.0019125",
            "gpt-4o-2024-08-06, cached input": "0.000035",
            "gpt-4o-2024-08-06, cached image input": "0.000125",
        },
    ),
    (
        # Azure's eu data zone: 1.1 times gpt-4o's 2.50, image tokens with text tokens.
        "images that a seller charges as text",
        completion("eu/gpt-4o-2024-08-06", provider="azure", input_tokens=1_000, input_image_tokens=765),
        {
            "eu/gpt-4o-2024-08-06, input": "0.00064625",
            "eu/gpt-4o-2024-08-06, image input": "0.00210375",
        },
    ),
    (
        # gpt-realtime: text 4.00, 0.40, 16.00; audio 32.00, 0.40, 64.00; image 5.00.
        "audio and images beside text",
        completion(
            "gpt-realtime",
            input_tokens=1_300,
            input_text_tokens=100,
            input_audio_tokens=1_000,
            input_image_tokens=200,
            output_tokens=600,
            output_audio_tokens=500,
        ),
        {
            "gpt-realtime, input": "0.0004",
            "gpt-realtime, audio input": "0.032",
            "gpt-realtime, image input": "0.001",
            "gpt-realtime, output": "0.0016",
            "gpt-realtime, audio output": "0.032",
        },
    ),
    (
        # gpt-image-1: 5.00 text input, 10.00 image input, 40.00 image output.
        "image tokens",
        completion(
            "gpt-image-1",
            input_tokens=1_100,
            input_image_tokens=1_000,
            output_tokens=4_000,
            output_image_tokens=4_000,
        ),
        {
            "gpt-image-1, input": "0.0005",
            "gpt-image-1, image input": "0.01",
            "gpt-image-1, image output": "0.16",
        },
    ),
    (
        # gpt-5.6-luna until 2026-07-29: 1.00 input, 1.25 cache write 30 min, 0.10 cache read, 6.00 output.
        "cache writes",
        completion(
            "gpt-5.6-luna",
            at(2026, 7, 29),
            input_tokens=10_000,
            input_cached_tokens=2_000,
            input_cache_write_30m_tokens=4_000,
            output_tokens=1_000,
        ),
        {
            "gpt-5.6-luna, input": "0.004",
            "gpt-5.6-luna, cached input": "0.0002",
            "gpt-5.6-luna, cache write 30m": "0.005",
            "gpt-5.6-luna, output": "0.006",
        },
    ),
    (
        # gpt-5.4: 2.50 and 15.00 up to 272,000 input tokens ...
        "below a context band",
        completion("gpt-5.4", input_tokens=272_000, output_tokens=1_000),
        {"gpt-5.4, input": "0.68", "gpt-5.4, output": "0.015"},
    ),
    (
        # ... 5.00, 0.50 cached and 22.50 above, for the whole of the event; cached tokens count for the band.
        "above a context band",
        completion("gpt-5.4", input_tokens=272_001, input_cached_tokens=200_000, output_tokens=1_000),
        {"gpt-5.4, input": "0.360005", "gpt-5.4, cached input": "0.1", "gpt-5.4, output": "0.0225"},
    ),
    (
        # The mean of ten requests is 272,000.
        "several requests, each below a context band",
        completion("gpt-5.4", input_tokens=2_720_000, output_tokens=1_000, num_model_requests=10),
        {"gpt-5.4, input": "6.8", "gpt-5.4, output": "0.015"},
    ),
    (
        "a number of tokens of which no request is known",
        completion("gpt-5.4", input_tokens=2_720_000, num_model_requests=0),
        {"gpt-5.4, input": "6.8"},
    ),
    (
        # text-embedding-3-small: 0.02.
        "embeddings",
        {"kind": "embeddings", "model": "text-embedding-3-small", "timestamp": NOON, "input_tokens": 12_345},
        {"text-embedding-3-small, input": "0.0002469"},
    ),
    (
        "moderation is free",
        {"kind": "moderations", "model": "omni-moderation-latest", "timestamp": NOON, "input_tokens": 12_345},
        {"omni-moderation-latest, input": "0"},
    ),
    (
        # dall-e-2: 0.018 for 512x512.
        "DALL·E 2 by size",
        {"kind": "images", "model": "dall-e-2", "size": "512x512", "timestamp": NOON, "images": 3},
        {"dall-e-2, images 512x512": "0.054"},
    ),
    (
        # dall-e-3: 0.12 for hd 1792x1024.
        "DALL·E 3 by size and quality",
        {
            "kind": "images",
            "model": "dall-e-3",
            "size": "1792x1024",
            "quality": "hd",
            "timestamp": NOON,
            "images": 2,
        },
        {"dall-e-3, images hd 1792x1024": "0.24"},
    ),
    (
        # whisper-1: 0.006 a minute.
        "whisper by the second",
        {"kind": "audio_transcriptions", "model": "whisper-1", "timestamp": NOON, "seconds": 61},
        {"whisper-1, transcription": "0.0061"},
    ),
    (
        # tts-1: 15.00 for a million characters.
        "speech by the character",
        {"kind": "audio_speeches", "model": "tts-1", "timestamp": NOON, "characters": 1_001},
        {"tts-1, speech": "0.015015"},
    ),
    (
        # 10.00 for 1,000 calls.
        "web searches",
        {
            "kind": "web_search_calls",
            "model": "claude-opus-4-8",
            "provider": "anthropic",
            "timestamp": NOON,
            "num_requests": 7,
        },
        {"claude-opus-4-8, web search calls": "0.07"},
    ),
    (
        # 2.50 for 1,000 calls.
        "file searches",
        {"kind": "file_search_calls", "timestamp": NOON, "num_requests": 7},
        {"file search calls": "0.0175"},
    ),
    (
        # 0.10 a GB and day: 24 GiB for an hour are a GB for a day.
        "storage by the hour",
        {
            "kind": "vector_stores",
            "vector_store_id": "vs_1",
            "timestamp": NOON,
            "usage_bytes": 24 * 2**30,
        },
        {"vector store storage": "0.1"},
    ),
]


# Lists of batch and tier prices that the book knows to hold since October 2026.
AUTUMN = at(2026, 11, 1)
DATED: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    (
        # gpt-5-mini by batch: 0.125, 0.0125 and 1.00.
        "a batch job",
        completion(
            "gpt-5-mini", AUTUMN, batch=True, input_tokens=MILLION, input_cached_tokens=200_000, output_tokens=10_000
        ),
        {
            "gpt-5-mini, input (batch)": "0.1",
            "gpt-5-mini, cached input (batch)": "0.0025",
            "gpt-5-mini, output (batch)": "0.01",
        },
    ),
    (
        # gpt-5-mini by priority: 0.45 and 3.60.
        "the priority tier",
        completion("gpt-5-mini", AUTUMN, service_tier="priority", input_tokens=MILLION, output_tokens=10_000),
        {"gpt-5-mini, input (priority)": "0.45", "gpt-5-mini, output (priority)": "0.036"},
    ),
    (
        # gpt-5-mini by flex: 0.125 and 1.00.
        "the flex tier",
        completion("gpt-5-mini", AUTUMN, service_tier="flex", input_tokens=MILLION, output_tokens=10_000),
        {"gpt-5-mini, input (flex)": "0.125", "gpt-5-mini, output (flex)": "0.01"},
    ),
    (
        # gpt-5-mini: 0.25 and 2.00.
        "the tier called default is the standard one",
        completion("gpt-5-mini", AUTUMN, service_tier="default", input_tokens=MILLION, output_tokens=10_000),
        {"gpt-5-mini, input": "0.25", "gpt-5-mini, output": "0.02"},
    ),
    (
        # 0.03 a session, until 2026-03-30.
        "code interpreter",
        {"kind": "code_interpreter_sessions", "timestamp": at(2026, 3, 30, 23), "num_sessions": 3},
        {"code interpreter sessions": "0.09"},
    ),
    (
        # gpt-4o-audio-preview: text 2.50 and 10.00, audio 40.00 and 80.00.
        "audio is not charged as text",
        completion(
            "gpt-4o-audio-preview",
            at(2026, 11, 18),
            input_tokens=10_100,
            input_audio_tokens=10_000,
            output_tokens=5_050,
            output_audio_tokens=5_000,
        ),
        {
            "gpt-4o-audio-preview, input": "0.00025",
            "gpt-4o-audio-preview, audio input": "0.4",
            "gpt-4o-audio-preview, output": "0.0005",
            "gpt-4o-audio-preview, audio output": "0.4",
        },
    ),
    (
        # ft:gpt-4o-mini-2024-07-18: 0.30, 0.15 cached and 1.20.
        "a fine-tuned model by its own price",
        completion(
            "ft:gpt-4o-mini-2024-07-18:acme::x",
            at(2026, 11, 18),
            input_tokens=100_000,
            input_cached_tokens=80_000,
            output_tokens=1_000,
        ),
        {
            "ft:gpt-4o-mini-2024-07-18:acme::x, input": "0.006",
            "ft:gpt-4o-mini-2024-07-18:acme::x, cached input": "0.012",
            "ft:gpt-4o-mini-2024-07-18:acme::x, output": "0.0012",
        },
    ),
    (
        # o3 until 2025-06-09: 10.00, 2.50 cached, 40.00.
        "cached input before a price changed",
        completion("o3", at(2025, 5, 15), input_tokens=100_000, input_cached_tokens=80_000, output_tokens=1_000),
        {"o3, input": "0.2", "o3, cached input": "0.2", "o3, output": "0.04"},
    ),
    (
        # deepseek-chat since 2025-09-29: 0.28, 0.028 cached, 0.42.
        "a list that has stood still",
        completion(
            "deepseek-chat",
            at(2025, 11, 15),
            provider="deepseek",
            input_tokens=100_000,
            input_cached_tokens=50_000,
            output_tokens=10_000,
        ),
        {"deepseek-chat, input": "0.014", "deepseek-chat, cached input": "0.0014", "deepseek-chat, output": "0.0042"},
    ),
    (
        # mistral-large-latest is mistral-large-2512 since 2025-12-02: 0.50 and 1.50.
        "a name that moved",
        completion(
            "mistral-large-latest", at(2026, 3, 1), provider="mistral", input_tokens=100_000, output_tokens=10_000
        ),
        {"mistral-large-latest, input": "0.05", "mistral-large-latest, output": "0.015"},
    ),
    (
        # deepseek-flash since 2026-09-10: 0.30 at peak, Monday to Friday 01:00 to 04:00 and 06:00 to 10:00 UTC ...
        "a peak hour",
        completion("deepseek-flash", at(2026, 11, 20, 9), provider="deepseek", input_tokens=MILLION),
        {"deepseek-flash, input": "0.3"},
    ),
    (
        # ... and 0.15 at any other time.
        "the same hour of a Saturday",
        completion("deepseek-flash", at(2026, 11, 21, 9), provider="deepseek", input_tokens=MILLION),
        {"deepseek-flash, input": "0.15"},
    ),
    (
        # grok-3 is billed as grok-4.3 from 2026-05-15T19:00Z on: 1.25 instead of 3.00.
        "the last hour before a price changes inside of a day",
        completion("grok-3", at(2026, 5, 15, 18), provider="x-ai", input_tokens=100_000),
        {"grok-3, input": "0.3"},
    ),
    (
        "the first hour after it",
        completion("grok-3", at(2026, 5, 15, 19), provider="x-ai", input_tokens=100_000),
        {"grok-3, input": "0.125"},
    ),
    (
        # gpt-4o-search-preview: 25.00 for 1,000 calls.
        "a search preview",
        {"kind": "web_search_calls", "model": "gpt-4o-search-preview", "timestamp": AUTUMN, "num_requests": 4},
        {"gpt-4o-search-preview, web search calls": "0.1"},
    ),
    (
        # tts-1-1106: 15.00 for a million characters.
        "speech by a dated name",
        {"kind": "audio_speeches", "model": "tts-1-1106", "timestamp": AUTUMN, "characters": 1_000},
        {"tts-1-1106, speech": "0.015"},
    ),
    (
        # gpt-live-1: 3.00 an hour, of which a second has no end in decimals.
        "a minute of a price by the hour",
        {"kind": "audio_transcriptions", "model": "gpt-live-1", "timestamp": AUTUMN, "seconds": 60},
        {"gpt-live-1, transcription": "0.05"},
    ),
    (
        # claude-opus-5: 5.00, 0.50 cached, 25.00; written for 5 minutes 6.25, for an hour 10.00.
        "cache writes by lifetime",
        completion(
            "claude-opus-5",
            at(2026, 11, 18),
            provider="anthropic",
            input_uncached_tokens=0,
            input_cache_write_tokens=344_139 + 1_000,
            input_cache_write_5m_tokens=1_000,
            input_cache_write_1h_tokens=344_139,
        ),
        {"claude-opus-5, cache write 5m": "0.00625", "claude-opus-5, cache write 1h": "3.44139"},
    ),
    (
        # claude-opus-5-5 where `inference_geo` is us: 1.1 times 4.00 and 20.00.
        "a region",
        completion("claude-opus-5-5", AUTUMN, provider="anthropic", region="us", input_tokens=1_000, output_tokens=100),
        {"claude-opus-5-5, input": "0.0044", "claude-opus-5-5, output": "0.0022"},
    ),
    (
        # Claude Opus 4.5 by Bedrock's profile for the EU: 1.1 times 5.00, 0.50 and 25.00.
        "bedrock in a region",
        completion(
            "eu.anthropic.claude-opus-4-5-20251101-v1:0",
            AUTUMN,
            provider="bedrock",
            input_tokens=10_000,
            input_cached_tokens=9_000,
            output_tokens=100,
        ),
        {
            "eu.anthropic.claude-opus-4-5-20251101-v1:0, input": "0.0055",
            "eu.anthropic.claude-opus-4-5-20251101-v1:0, cached input": "0.00495",
            "eu.anthropic.claude-opus-4-5-20251101-v1:0, output": "0.00275",
        },
    ),
    (
        # o4-mini in Azure's data zone US: 1.1 times 1.10 and 4.40.
        "a data zone of azure",
        completion("us/o4-mini", AUTUMN, provider="azure", input_tokens=MILLION, output_tokens=10_000),
        {"us/o4-mini, input": "1.21", "us/o4-mini, output": "0.0484"},
    ),
    (
        # Claude Opus 4.6 at Vertex AI's global endpoint: 5.00 and 25.00 ...
        "claude at google",
        completion("claude-opus-4-6@default", AUTUMN, provider="vertex_ai", input_tokens=1_000, output_tokens=100),
        {"claude-opus-4-6@default, input": "0.005", "claude-opus-4-6@default, output": "0.0025"},
    ),
    (
        # ... and 1.1 times as much in a region.
        "claude at google in a region",
        completion(
            "claude-opus-4-6@default",
            AUTUMN,
            provider="vertex_ai",
            region="europe-west1",
            input_tokens=1_000,
            output_tokens=100,
        ),
        {"claude-opus-4-6@default, input": "0.0055", "claude-opus-4-6@default, output": "0.00275"},
    ),
    (
        # text-embedding-3-small by batch: 0.01.
        "embeddings in a batch",
        {
            "kind": "embeddings",
            "model": "text-embedding-3-small",
            "batch": True,
            "timestamp": AUTUMN,
            "input_tokens": MILLION,
        },
        {"text-embedding-3-small, input (batch)": "0.01"},
    ),
    (
        # gpt-4.1 by web_search: 10.00 for 1,000 calls ...
        "a search by the tool of today",
        {
            "kind": "web_search_calls",
            "model": "gpt-4.1",
            "tool": "web_search",
            "timestamp": AUTUMN,
            "num_requests": 4,
        },
        {"gpt-4.1, web search calls": "0.04"},
    ),
    (
        # ... and by web_search_preview 25.00.
        "a search by the tool before",
        {
            "kind": "web_search_calls",
            "model": "gpt-4.1",
            "tool": "web_search_preview",
            "context_level": "low",
            "timestamp": AUTUMN,
            "num_requests": 4,
        },
        {"gpt-4.1, web search calls": "0.1"},
    ),
    (
        # From 2026-03-31 to 2026-06-01: 0.12 a session of 4 GB ...
        "code interpreter by memory",
        {
            "kind": "code_interpreter_sessions",
            "memory_gb": "4",
            "timestamp": at(2026, 4, 1),
            "num_sessions": 3,
        },
        {"code interpreter sessions": "0.36"},
    ),
    (
        # ... and since then 0.12 for 20 minutes, at least 5 of each session.
        "code interpreter by the minute",
        {
            "kind": "code_interpreter_sessions",
            "memory_gb": "4",
            "session_minutes": "7",
            "timestamp": at(2026, 6, 2, 0),
            "num_sessions": 3,
        },
        {"code interpreter sessions": "0.126"},
    ),
    (
        "a short session",
        {
            "kind": "code_interpreter_sessions",
            "memory_gb": "64",
            "session_minutes": "1",
            "timestamp": AUTUMN,
            "num_sessions": 1,
        },
        {"code interpreter sessions": "0.48"},
    ),
    (
        # gpt-6-luna by decisions: 0.10 and 0.
        "output of decisions is free",
        {"kind": "decisions", "model": "gpt-6-luna", "timestamp": AUTUMN, "input_tokens": 100_000, "output_tokens": 9},
        {"gpt-6-luna, input": "0.01", "gpt-6-luna, output": "0"},
    ),
    (
        "moderation without a model",
        {"kind": "moderations", "timestamp": AUTUMN, "input_tokens": 9},
        {"input": "0"},
    ),
    (
        # o3 until 2025-06-09: 10.00 ...
        "the last second before a price changes",
        completion("o3", at(2025, 6, 10, 0) - 1, input_tokens=MILLION),
        {"o3, input": "10"},
    ),
    (
        # ... and 2.00 from 2025-06-10 on.
        "the first second of a new price",
        completion("o3", at(2025, 6, 10, 0), input_tokens=MILLION),
        {"o3, input": "2"},
    ),
]


ON_EACH_ENGINE = [parameter(each) for each in ENGINES]


@pytest.fixture(params=ON_EACH_ENGINE)
def priced(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Priced]:
    engine: Engine = request.param
    with closing(Priced(tmp_path, engine.open)) as made:
        yield made


@pytest.fixture(scope="module", params=ON_EACH_ENGINE)
def of_all_cases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Priced]:
    """A ledger in which each case is a project of its own."""
    engine: Engine = request.param
    with closing(Priced(tmp_path_factory.mktemp("priced"), engine.open)) as made:
        yield made


def line_items(priced: Priced, start: int, end: int, **filters: Any) -> dict[str, Decimal]:
    results = priced.results(start, end, group_by="line_item", **filters)
    return {result["line_item"]: Decimal(result["amount"]["value"]) for result in results}


@pytest.mark.parametrize(("name", "event", "expected"), [pytest.param(*case, id=case[0]) for case in (*CASES, *DATED)])
def test_what_public_prices_make_of_an_event(
    of_all_cases: Priced, name: str, event: dict[str, Any], expected: dict[str, str]
) -> None:
    of_all_cases.send([{"id": name, "project_id": name} | event])
    when = event["timestamp"]
    found = line_items(of_all_cases, when, when + 1, project_ids=[name])
    assert found == {line_item: Decimal(value) for line_item, value in expected.items()}
    assert of_all_cases.unpriced(when, when + 1) == []


def test_quantities_and_their_units(priced: Priced) -> None:
    priced.send([{"id": name} | event for name, event, _ in CASES])
    units = {
        result["line_item"].rpartition(", ")[2]: (result["quantity"], result["quantity_unit"])
        for result in priced.results(NOON, NOON + DAY, group_by="line_item")
    }
    for words, expected in {
        "images 512x512": (3, "images"),
        "transcription": (61, "duration_seconds"),
        "speech": (1_001, "characters"),
        "vector store storage": (24, "gibibyte_hours"),
        "file search calls": (7, "calls"),
        "image output": (4_000, "tokens"),
    }.items():
        assert units[words] == expected, words
    without = priced.results(NOON, NOON + DAY)
    assert {(result["quantity"], result["quantity_unit"]) for result in without} == {(None, None)}


def test_a_session_has_no_price_since_it_depends_on_what_events_do_not_carry(priced: Priced) -> None:
    when = at(2026, 3, 31, 0)
    priced.send([{"kind": "code_interpreter_sessions", "id": "1", "timestamp": when, "num_sessions": 3}])
    assert priced.results(when, when + 1) == []
    (each,) = priced.unpriced(when, when + 1)
    assert (each.part, each.quantity) == ("num_sessions", 3)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"kind": "web_search_calls", "model": "gpt-4.1", "num_requests": 1}, "ambiguous:tool"),
        ({"kind": "web_search_calls", "model": "gpt-4.1", "tool": "grep", "num_requests": 1}, "no_row"),
        ({"kind": "code_interpreter_sessions", "num_sessions": 1}, "ambiguous:memory_gb"),
        ({"kind": "code_interpreter_sessions", "memory_gb": "1", "num_sessions": 1}, "ambiguous:session_minutes"),
        ({"kind": "embeddings", "model": "text-embedding-3-small", "region": "mars", "input_tokens": 1}, "no_region"),
        ({"kind": "images", "model": "dall-e-2", "size": "256x256", "batch": True, "images": 1}, "no_variant"),
    ],
)
def test_what_an_event_leaves_out_or_no_list_knows(priced: Priced, event: dict[str, Any], code: str) -> None:
    priced.send([{"id": "1", "timestamp": AUTUMN} | event])
    assert priced.results(AUTUMN, AUTUMN + 1) == []
    (each,) = priced.unpriced(AUTUMN, AUTUMN + 1)
    subject = priced.registry.rate_cards.at([each.rate_id])[each.rate_id].subject
    assert PriceBook().prices(subject).reasons[each.part].code == code


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(completion("mystery-1", input_tokens=5, output_tokens=7), id="an unknown model"),
        *(
            pytest.param(
                completion(model, provider=provider, input_tokens=5, output_tokens=7), id=f"{provider} {model}"
            )
            for provider, model in (
                ("google", "gemini-3.8-flash-cyber"),
                ("azure", "us/o4-mini"),
                ("openai", "gpt-oss-120b"),
                ("anthropic", "claude-opus-4-10"),
                ("deepseek", "deepseek-chat-foo"),
            )
        ),
        pytest.param(
            completion("gpt-4o-audio-preview", batch=True, input_tokens=5, output_tokens=7), id="batch without a price"
        ),
        pytest.param(
            completion("gpt-4.1", service_tier="flex", input_tokens=5, output_tokens=7),
            id="a service tier that the model lacks",
        ),
        pytest.param(completion("gpt-4o", service_tier="scale", input_tokens=5, output_tokens=7), id="an unknown tier"),
    ],
)
def test_no_known_price_is_not_zero(priced: Priced, event: dict[str, Any]) -> None:
    priced.send([{"id": "1"} | event])
    assert priced.results(NOON, NOON + DAY, group_by="line_item") == []
    found = {(each.kind, each.part, each.quantity) for each in priced.unpriced(NOON, NOON + DAY)}
    assert found == {("completions", "input_text_tokens", 5), ("completions", "output_text_tokens", 7)}


def test_a_part_without_a_price_is_unpriced_by_itself(priced: Priced) -> None:
    # text-embedding-3-small has a price for input only.
    priced.send([completion("text-embedding-3-small", id="1", input_tokens=MILLION, output_tokens=7)])
    assert line_items(priced, NOON, NOON + DAY) == {"text-embedding-3-small, input": Decimal("0.02")}
    (each,) = priced.unpriced(NOON, NOON + DAY)
    assert (each.part, each.quantity) == ("output_text_tokens", 7)


def test_a_size_is_charged_for_the_largest_of_each_hour(priced: Priced) -> None:
    gib = 2**30
    seen = {"a": (0, 2 * gib), "b": (1800, 3 * gib), "c": (3600, 1 * gib)}
    priced.send(
        [
            {"kind": "vector_stores", "id": name, "vector_store_id": "vs", "timestamp": NOON + off, "usage_bytes": size}
            for name, (off, size) in seen.items()
        ]
    )
    (result,) = priced.results(NOON, NOON + DAY, group_by="line_item")
    assert result["quantity"] == 4
    assert result["amount"]["value"] == Decimal("0.016666666666666667")
