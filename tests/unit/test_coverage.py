"""The share of names that have a price, and where the lists disagree."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider
from tests.support.price_rows import book, price_file, row

from usageledger.errors import PriceError
from usageledger.pricing.coverage import MODES, coverage, differences, read_names, sample
from usageledger.pricing.genai_list import GenaiList

DAY = 1_780_000_000 // 86_400 * 86_400


def counted(text: str, *rows: Any) -> dict[str, Counter[str]]:
    return coverage(book(*rows), read_names(text), DAY)


def test_a_name_is_priced_where_its_use_is() -> None:
    text = "provider,mode,model\nacme,,m\nacme,chat,half\nacme,embedding,half\nBedrock,chat,m\n"
    rows = [row("input_text_tokens", "1"), row("output_text_tokens", "2"), row("input_text_tokens", "1", model="half")]
    assert counted(text, *rows) == {"acme": Counter(priced=2, no_row=1), "aws": Counter(no_alias=1)}


def test_one_of_several_kinds_is_enough() -> None:
    text = "mode,provider,model\naudio_speech,acme,tokens\naudio_speech,acme,old\n"
    spoken = row("output_audio_tokens", "1", model="tokens")
    old = row("characters", "15", model="old", kind="audio_speeches", last_seen="2024-01-01")
    assert counted(text, spoken, old) == {"acme": Counter(priced=1, past_support=1)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a line with the titles provider, model and mode"),
        ("model\nm\n", "expected a line with the titles provider, model and mode"),
        ("provider,model\nacme,m\n,m\n", "line 3: expected a provider, a model, and a mode"),
        ("provider,model\nacme,\n", "line 2: expected a provider, a model, and a mode"),
        ("provider,model,mode\nacme,m,rerank\n", "line 2: expected a provider, a model, and a mode of chat"),
    ],
)
def test_a_list_of_names_that_cannot_be_read_says_why(text: str, words: str) -> None:
    with pytest.raises(PriceError) as raised:
        read_names(text)
    assert words in str(raised.value)


def test_the_sample_has_names_of_many_providers() -> None:
    names = sample()
    assert len(set(names)) == len(names) > 2_000
    assert {name.mode for name in names} <= set(MODES)


def listing(**usd: int) -> GenaiList:
    models = [
        ModelInfo(id=name, match=ClauseEquals(name), prices=ModelPrice(input_mtok=Decimal(price)))
        for name, price in usd.items()
    ]
    return GenaiList("2020-01-01", DataSnapshot([Provider(id="acme", name="", api_pattern="", models=models)], False))


def test_only_prices_that_both_lists_have_can_differ() -> None:
    file = price_file(row("input_text_tokens", "1.50"), row("output_text_tokens", "9", model="other"))
    ((one, usd),) = [(each.row, each.usd) for each in differences(file, DAY, listing(m=2, other=3, unknown=4))]
    assert (one.model, one.part, one.price, usd) == ("m", "input_text_tokens", "2", "1.5")
    assert list(differences(price_file(row("input_text_tokens", "2.0")), DAY, listing(m=2))) == []
    later = price_file(row("input_text_tokens", "1", start="2029-01-01"))
    assert list(differences(later, DAY, listing(m=2))) == []
