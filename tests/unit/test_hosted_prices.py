"""What sellers charge for models, made of releases of LiteLLM's list that are made up."""

from typing import Any

from msgspec.structs import replace
from tests.support.price_rows import price_file, row
from tools.hosted_prices import Maker, Release, confirmed, entries
from tools.price_file import finished

from usageledger.pricing.price_file import Alias, Factor, Hosted, PriceFile, Row

FIRST, SECOND, THIRD = "2026-09-29", "2026-10-28", "2026-11-20"
DAY = "2026-11-28"
PAGE = "https://aws.amazon.com/bedrock/pricing/"
OURS = (
    row("input_text_tokens", "2", provider="anthropic", model="claude-a-20260101"),
    row("output_text_tokens", "8", provider="anthropic", model="claude-a-20260101"),
    row("input_text_tokens", "1", provider="anthropic", model="claude-a-20260101", tier="batch", start="2026-10-01"),
    row("input_text_tokens", "2", provider="openai", model="gpt-a"),
    row("input_text_tokens", "4", provider="openai", model="gpt-a", above=200_000),
    row("input_text_tokens", "3", provider="azure", model="known"),
)


def file() -> PriceFile:
    lists = {"litellm": {"1.0": FIRST, "2.0": SECOND, "3.0": THIRD}}
    aliases = (Alias("anthropic", "claude-a", "claude-a-20260101", "2026-01-01", "s"),)
    return finished(replace(price_file(*OURS, aliases=aliases, confirmed_through=THIRD), lists=lists))


def listed(provider: str, usd: float, *, mode: str = "chat", **more: Any) -> dict[str, Any]:
    return {"litellm_provider": provider, "mode": mode, "input_cost_per_token": usd, **more}


def made(newest: dict[str, dict[str, Any]], *before: dict[str, dict[str, Any]]) -> tuple[PriceFile, list[Row]]:
    """The file with what the releases say, the newest of which is the third, and the rows that it got."""
    releases: dict[str, Release] = dict(zip((THIRD, SECOND, FIRST), map(entries, (newest, *before)), strict=False))
    maker = Maker(file(), releases)
    hosted = tuple(maker.hosted())
    said = {"rows": (*OURS, *maker.rows), "factors": tuple(maker.factors()), "hosted": hosted}
    return finished(replace(file(), **said)), maker.rows


def brief(said: Hosted) -> tuple[Any, ...]:
    return said.provider, said.vendor, said.models, said.prices, said.factor, said.start


INPUT = {"standard": ("input_text_tokens",)}


def test_a_price_that_is_the_vendors_times_a_factor_is_hosted() -> None:
    now = {
        "us.anthropic.claude-a-20260101-v1:0": listed("bedrock_converse", 2.2e-06, output_cost_per_token=8.8e-06),
        "eu.anthropic.claude-a-20260101-v1:0": listed("bedrock_converse", 2.2e-06, output_cost_per_token=8.8e-06),
        "global.anthropic.claude-a-20260101-v1:0": listed("bedrock", 2e-06, input_cost_per_token_batches=1e-06),
        "vertex_ai/claude-a@20260101": listed("vertex_ai-anthropic_models", 2e-06),
        "vertex_ai/claude-a": listed("vertex_ai-anthropic_models", 2e-06, regional_endpoint_uplift_multiplier=1.1),
        "azure/us/gpt-a": listed("azure", 2.2e-06, input_cost_per_token_above_200k_tokens=4.4e-06),
    }
    found, rows = made(now, now, now)
    dated, both = "claude-a-20260101", {"standard": ("input_text_tokens", "output_text_tokens")}
    bedrock = {f"{place}.anthropic.{dated}-v1:0": dated for place in ("eu", "us")}
    assert sorted(map(brief, found.hosted), key=str) == [
        ("aws", "anthropic", bedrock, both, "1.1", FIRST),
        ("aws", "anthropic", {f"global.anthropic.{dated}-v1:0": dated}, {"batch": ("input_text_tokens",)}, "1", SECOND),
        ("aws", "anthropic", {f"global.anthropic.{dated}-v1:0": dated}, INPUT, "1", FIRST),
        ("azure", "openai", {"us/gpt-a": "gpt-a"}, INPUT, "1.1", FIRST),
        ("google", "anthropic", {"claude-a": dated, "claude-a@20260101": dated}, INPUT, "1", FIRST),
    ]
    assert rows == []
    source = f"litellm 1.0 (PyPI) {FIRST}..{THIRD}"
    (factor,) = found.factors
    assert factor == Factor("google", "claude-a", "*", "1.1", FIRST, "first_seen", "medium", source, origin="observed")
    assert {each.source for each in found.hosted if each.start == FIRST} == {source}


def test_a_name_without_a_place_is_left_out_where_places_differ() -> None:
    bare = "anthropic.claude-a-20260101-v1:0"
    now = {bare: listed("bedrock", 2e-06), f"us.{bare}": listed("bedrock", 2.2e-06)}
    assert [each.models for each in made(now)[0].hosted] == [{f"us.{bare}": "claude-a-20260101"}]
    now[f"us.{bare}"] = listed("bedrock", 2e-06)
    assert [each.models.keys() for each in made(now)[0].hosted] == [{bare, f"us.{bare}"}]


def test_what_another_list_says_otherwise_is_disputed() -> None:
    name = "us-gov.anthropic.claude-sonnet-5"  # 2.20 in the installed genai-prices
    found, rows = made({name: listed("bedrock", 2.4e-06, source=PAGE)})
    assert found.hosted == ()
    assert {(each.model, each.part, each.price, each.start, each.confidence) for each in rows} == {
        (name, "input_text_tokens", price, THIRD, "disputed") for price in ("2.2", "2.4")
    }
    assert {each.note for each in rows} == {"2.2 (genai-prices 0.2.3), or 2.4"}


def test_it_begins_with_the_first_release_since_which_all_have_said_so() -> None:
    name = "azure/eu/gpt-a"
    bands: dict[str, Any] = {"input_cost_per_token_above_200k_tokens": 4.4e-06}
    now, other = {name: listed("azure", 2.2e-06, **bands)}, {name: listed("azure", 3e-06, **bands)}
    assert [each.start for each in made(now, now, other)[0].hosted] == [SECOND]
    assert [each.start for each in made(now, other, now)[0].hosted] == [THIRD]
    assert [each.start for each in made(now, {}, now)[0].hosted] == [THIRD]


def test_another_price_is_a_row_where_the_list_names_the_sellers_page() -> None:
    now = {
        "eu.amazon.nova-v1:0": listed("bedrock", 1.1e-06, source=PAGE),
        "amazon.nova-v1:0": listed("bedrock", 1e-06, source=PAGE, cache_creation_input_token_cost=1.25e-06),
        "amazon.titan-v1": listed("bedrock", 1e-06),
        "amazon.other-v1": listed("bedrock", 1e-06, source="https://aws.amazon.com.example.test/"),
        "azure/gpt-a": listed("azure", 2e-06, source="https://azure.microsoft.com/pricing/"),
        "azure/known": listed("azure", 5e-06, source="https://azure.microsoft.com/pricing/"),
        "anthropic.claude-a-20260101-v1:0": listed("bedrock", 2.01e-06, source=PAGE),
        "vertex_ai/gemini-a": listed("vertex_ai", 1e-06, source="https://cloud.google.com/pricing"),
        "vertex_ai/mistral-a": listed(
            "vertex_ai", 1e-06, input_cost_per_character=1e-07, source="https://cloud.google.com/pricing"
        ),
        "azure/whisper": {
            "litellm_provider": "azure",
            "mode": "audio_transcription",
            "input_cost_per_second": 0.00028333333333333335,
            "source": "https://azure.microsoft.com/pricing/",
        },
    }
    found, rows = made(now, now)
    assert {(each.model, each.kind, each.part, each.price, each.per) for each in rows} == {
        ("amazon.nova-v1:0", "completions", "input_text_tokens", "1", 10**6),
        ("amazon.nova-v1:0", "completions", "input_cache_write_other_tokens", "1.25", 10**6),
        # The vendor charges more above a number of tokens, and the list does not say so of the seller.
        ("gpt-a", "completions", "input_text_tokens", "2", 10**6),
        ("whisper", "audio_transcriptions", "seconds", "0.017", 60),
    }
    assert {(each.start, each.start_is, each.confidence) for each in rows} == {(SECOND, "first_seen", "medium")}
    assert rows[0].source == f"litellm 2.0 (PyPI) {SECOND}..{THIRD}; {PAGE}"
    assert [brief(each) for each in found.hosted] == [
        ("aws", "aws", {"eu.amazon.nova-v1:0": "amazon.nova-v1:0"}, INPUT, "1.1", SECOND)
    ]


def test_a_later_release_confirms_what_it_still_says_and_tells_the_rest() -> None:
    now = {
        "us.anthropic.claude-a-20260101-v1:0": listed("bedrock", 2.2e-06),
        "vertex_ai/claude-a": listed("vertex_ai-anthropic_models", 2e-06),
        "amazon.nova-v1:0": listed("bedrock", 1e-06, source=PAGE),
    }
    before, _ = made(now)
    same, words = confirmed(before, entries(now), DAY)
    assert (words, {each.seen for each in same.hosted}) == ([], {DAY})
    now["us.anthropic.claude-a-20260101-v1:0"]["input_cost_per_token"] = 2e-06
    del now["amazon.nova-v1:0"]
    after, words = confirmed(before, entries(now), DAY)
    assert words == [
        "- aws `us.anthropic.claude-a-20260101-v1:0`, standard, input_text_tokens: 2.2 → 2",
        "- aws `amazon.nova-v1:0`, standard, input_text_tokens: 1 → none",
    ]
    assert {each.provider: each.seen for each in after.hosted} == {"aws": THIRD, "google": DAY}
