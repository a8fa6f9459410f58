"""Answers as values: recorded ones, all digits of amounts, and what a server sends beyond what is known."""

import dataclasses
import json
import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.conftest import Ask
from tests.support.faulty_server import Faulty, answer

from usageledger.client import APIStatusError, CompletionsResult, CostsResult, results
from usageledger.client.answers import page_parts
from usageledger.client.pages import Amount, UsagePage
from usageledger.meter import Meter
from usageledger.meters import COSTS, METERS
from usageledger.retry_after import retry_after

RECORDED = Path(__file__).parents[1] / "contract" / "data" / "recorded"


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text(), parse_float=Decimal)


def read(name: str) -> bytes:
    return (RECORDED / f"{name}.json").read_bytes()


def page(buckets: list[Any], **more: Any) -> bytes:
    return json.dumps({"object": "page", "data": buckets, "has_more": False, "next_page": None, **more}).encode()


def bucket(*found: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"object": "bucket", "start_time": 0, "end_time": 86_400, "results": list(found), **more}


def amount(result: CostsResult) -> Amount:
    assert result.amount is not None
    return result.amount


def cost(amount: str) -> CostsResult:
    """A cost whose amount stands in the answer as this JSON."""
    result = b'{"object": "organization.costs.result", "amount": {"value": %s, "currency": "usd"}}' % amount.encode()
    content = b'{"data": [{"start_time": 0, "end_time": 1, "results": [%s]}]}' % result
    (found,) = page_parts(content, CostsResult).data
    return found.results[0]


# --- recorded answers --------------------------------------------------------------------------------------------


def test_the_cookbooks_usage(ask: Ask, server: Faulty) -> None:
    server.steps = [answer(200, read("cookbook_usage_completions_2025-02-10"))]
    found = ask("usage_completions", start_time=1_736_616_660)
    assert_whole(found, recorded("cookbook_usage_completions_2025-02-10")["data"])
    assert sum(len(each.results) for each in found.data) == 26
    # What servers of then did not answer is not known, and not 0.
    assert found.data[0].results[0].input_uncached_tokens is None


def test_the_cookbooks_costs(ask: Ask, server: Faulty) -> None:
    server.steps = [answer(200, read("cookbook_costs_2025-02-10"))]
    found = ask("usage_costs", start_time=1_736_553_600)
    assert_whole(found, recorded("cookbook_costs_2025-02-10")["data"])
    assert amount(found.data[0].results[0]).value == Decimal("0.13080438340307526")
    assert found.data[0].results[0].extra == {"organization_id": "org-GLHrIv00VVN9dEQC2b4wsBkf"}


@pytest.mark.parametrize("name", ["empty", "populated"])
def test_costs_with_texts_for_amounts(name: str) -> None:
    raw = recorded("costs_live_2026-06")[name]
    content = json.dumps(raw, default=float).encode()
    parts = page_parts(content, CostsResult)
    assert [[str(amount(r).value) for r in b.results] for b in parts.data] == [
        [r["amount"]["value"] for r in b["results"]] for b in raw["data"]
    ]
    for ours, theirs in zip(parts.data, raw["data"], strict=True):
        assert (ours.start_time_iso, ours.end_time_iso) == (theirs["start_time_iso"], theirs["end_time_iso"])
        for result, given_ in zip(ours.results, theirs["results"], strict=True):
            assert result.quantity == given_["quantity"]
            assert result.line_item == given_["line_item"]
            known = {"object", "amount", *CostsResult.__struct_fields__}
            assert result.extra == {field: value for field, value in given_.items() if field not in known}


def test_usage_grouped_by_model() -> None:
    raw = recorded("usage_group_by_model_2025-08")
    content = page([bucket(raw["sample_result"])], has_more=True, next_page=raw["next_page"])
    parts = page_parts(content, CompletionsResult)
    assert (parts.has_more, parts.next_page) == (True, raw["next_page"])
    (result,) = parts.data[0].results
    assert {name: getattr(result, name) for name in raw["sample_result"]} == raw["sample_result"]


@pytest.mark.parametrize("name", [name for name in recorded("errors_live") if name != "_source"])
def test_recorded_errors(ask: Ask, server: Faulty, name: str) -> None:
    body = recorded("errors_live")[name]
    status = (
        next(int(word) for word in name.replace(",", " ").split() if word in {"400", "401", "403"})
        if not (name.startswith("bad_page_token"))
        else 400
    )
    server.steps = [answer(status, body)]
    with pytest.raises(APIStatusError) as caught:
        ask("usage_costs", start_time=0)
    error = body["error"]
    told = {"message": error} if isinstance(error, str) else error
    for field in ("message", "type", "param", "code"):
        if field != "message" or field in told:
            assert getattr(caught.value, field) == told.get(field)
    assert caught.value.body == body


def assert_whole(found: Any, raw: list[dict[str, Any]]) -> None:
    """Everything recorded was read; what the recording lacks is None."""
    for ours, theirs in zip(found.data, raw, strict=True):
        assert (ours.start_time, ours.end_time) == (theirs["start_time"], theirs["end_time"])
        for result, other in zip(ours.results, theirs["results"], strict=True):
            row = result.to_row()
            expected = {name: value for name, value in other.items() if name != "object"}
            if "amount" in expected:
                expected |= {"amount": other["amount"]["value"], "currency": other["amount"]["currency"]}
            assert {name: value for name, value in row.items() if name in expected} == expected
            assert {value for name, value in row.items() if name not in expected} <= {None}


# --- amounts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"0E-6176"', "0"),
        ("0E-6176", "0"),
        ('"0.000004500000000000000000000000000000000"', "0.0000045"),
        ("0.1", "0.1"),
        ("1", "1"),
        ("-3", "-3"),
        ("12345678901234567890123456789", "12345678901234567890123456789"),
        ("123456789012345678.123456789012345678", "123456789012345678.123456789012345678"),
        ("1e-30", "1e-30"),
        ('"1E+3"', "1000"),
    ],
)
def test_amounts_are_what_was_written(written: str, value: str) -> None:
    assert amount(cost(written)).value == Decimal(value)
    assert type(amount(cost(written)).value) is Decimal


@given(st.decimals(allow_nan=False, allow_infinity=False), st.booleans())
def test_every_digit_of_an_amount_is_kept(value: Decimal, as_text: bool) -> None:
    written = str(value) if as_text else format(value, "f")
    found = amount(cost(f'"{written}"' if as_text else written)).value
    assert str(found) == str(Decimal(written))


# --- beyond what is known ----------------------------------------------------------------------------------------


def test_unknown_fields_are_kept_at_every_level() -> None:
    raw = {"object": "organization.costs.result", "amount": {"value": 1, "currency": "usd", "vat": 0.19}, "team": "a"}
    content = page([bucket(raw, colour="blue")], total=3, extra="its own")
    parts = page_parts(content, CostsResult)
    assert parts.extra == {"total": 3, "extra": "its own"}
    assert parts.data[0].extra == {"colour": "blue"}
    assert parts.data[0].results[0].extra == {"team": "a"}
    assert amount(parts.data[0].results[0]).extra == {"vat": Decimal("0.19")}


def test_unknown_results_are_kept_apart_and_told(caplog: pytest.LogCaptureFixture) -> None:
    known = {"object": CompletionsResult.OBJECT, "input_tokens": 1, "output_tokens": 2, "num_model_requests": 3}
    other = {"object": "organization.usage.dreams.result", "dreams": 4}
    with caplog.at_level(logging.WARNING, "usageledger.client"):
        (found,) = page_parts(page([bucket(other, known)]), CompletionsResult).data
    assert found.unknown_results == (other,)
    assert [result.input_tokens for result in found.results] == [1]
    assert "'organization.usage.dreams.result'" in caplog.text


@pytest.mark.parametrize("meter", [pytest.param(meter, id=meter.kind) for meter in (*METERS, COSTS)])
def test_every_field_of_every_kind(meter: Meter) -> None:
    (cls,) = [each for each in vars(results).values() if getattr(each, "OBJECT", None) == meter.object]
    raw: dict[str, Any] = {"object": meter.object}
    raw |= {measure.name: number for number, measure in enumerate(meter.reported, 1)}
    raw |= {d.name: True if d.flag else f"a {d.name}" for d in meter.groupings}
    if meter.priced:
        raw |= {"amount": {"value": 1, "currency": "usd"}, "quantity_unit": "tokens"}
    (found,) = page_parts(page([bucket(raw)]), cls).data
    (result,) = found.results
    assert {name: getattr(result, name) for name in raw if name != "amount"} == {
        name: value for name, value in raw.items() if name != "amount"
    }
    assert result.extra == {}


# --- values ------------------------------------------------------------------------------------------------------


def a_page() -> UsagePage[CostsResult]:
    raw = {"object": CostsResult.OBJECT, "amount": {"value": 0.25, "currency": "usd"}, "project_id": "a", "team": "x"}
    return UsagePage(
        *page_parts(page([bucket(raw), bucket(), bucket(raw | {"quantity": 1.5})]), CostsResult), CostsResult
    )


def test_rows_are_flat() -> None:
    rows = a_page().to_rows()
    assert [list(row) for row in rows] == [list(rows[0])] * 2
    assert rows[0] == {
        "start_time": 0,
        "end_time": 86_400,
        "amount": Decimal("0.25"),
        "currency": "usd",
        "quantity": None,
        "quantity_unit": None,
        "project_id": "a",
        "user_id": None,
        "line_item": None,
        "api_key_id": None,
        "api_source": None,
        "model": None,
        "kind": None,
        "team": "x",
    }
    assert rows[1]["quantity"] == Decimal("1.5")


@pytest.mark.parametrize(
    ("given", "value", "currency"),
    [
        ({}, None, None),
        ({"amount": None}, None, None),
        ({"amount": {}}, None, None),
        ({"amount": {"value": None, "currency": None}}, None, None),
        ({"amount": {"currency": "usd"}}, None, "usd"),
        ({"amount": {"value": 1.5}}, Decimal("1.5"), None),
    ],
)
def test_what_an_amount_lacks_is_not_known(given: dict[str, Any], value: Decimal | None, currency: str | None) -> None:
    """The official client's types make all of it optional; the other results of the page are read all the same."""
    whole = {"object": CostsResult.OBJECT, "amount": {"value": 2, "currency": "usd"}}
    found = UsagePage(
        *page_parts(page([bucket({"object": CostsResult.OBJECT, **given}, whole)]), CostsResult), CostsResult
    )
    lacking = found.data[0].results[0]
    assert (lacking.amount is None) == (given.get("amount") is None)
    assert [(row["amount"], row["currency"]) for row in found.to_rows()] == [(value, currency), (2, "usd")]
    table = found.to_arrow()
    assert (table["amount"].to_pylist(), table["currency"].to_pylist()) == ([value, 2], [currency, "usd"])


def test_a_field_of_the_servers_never_hides_one_of_ours_in_a_row() -> None:
    raw = {"object": CostsResult.OBJECT, "amount": {"value": 1, "currency": "usd"}, "currency": "eur", "start_time": 9}
    (row,) = UsagePage(*page_parts(page([bucket(raw)]), CostsResult), CostsResult).to_rows()
    assert (row["currency"], row["start_time"]) == ("usd", 0)


def test_values_are_frozen() -> None:
    found = a_page()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.has_more = True  # type: ignore[misc]  # what is tested
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.data[0].start_time = 1  # type: ignore[misc]  # what is tested
    for value, name in ((found.data[0].results[0], "project_id"), (amount(found.data[0].results[0]), "value")):
        with pytest.raises(AttributeError):
            setattr(value, name, None)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3), ("0", 0), ("1.5", 1.5), ("-1", 0), ("", None), ("soon", None), ("inf", None), ("nan", None)],
)
def test_retry_after_in_seconds(header: str, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_retry_after_as_a_date() -> None:
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert (retry_after("Fri, 31 Dec 9999 23:59:59 GMT") or 0) > 10**9
