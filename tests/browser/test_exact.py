"""Numbers in the browser, against Decimal: none of them goes through a double."""

import json
import random
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import pytest
from tests.browser.conftest import Visit
from tests.support.server_process import RunningServer

SEED = 20260610

Script = Callable[[str, str, Any], Any]


@pytest.fixture
def script(visit: Visit, site: RunningServer) -> Script:
    """Runs an expression that has the module `exact` and the value `given`."""
    visitor = visit()
    page = visitor.go("/keys")
    base = str(page.locator("script[src$='app.js']").get_attribute("src")).rpartition("/")[0]

    def run(name: str, expression: str, given: Any) -> Any:
        return page.evaluate(
            "async ([address, expression, given]) => {"
            " const module = await import(address);"
            f" return ({expression})(module, given); }}",
            [f"{base}/lib/{name}.js", expression, given],
        )

    return run


def numbers() -> list[str]:
    """JSON numbers of all sorts, as text."""
    made = [
        "0",
        "7",
        "9007199254740993",
        "170141183460469231731687303715884105727",
        "0.000000000000000001",
        "1e-15",
        "12.5E+3",
    ]
    generator = random.Random(SEED)
    for _ in range(300):
        whole = str(generator.randrange(10 ** generator.randrange(1, 25)))
        fraction = "".join(generator.choices("0123456789", k=generator.randrange(19)))
        made.append(f"{whole}.{fraction}" if fraction else whole)
    return made


def test_parsing_and_adding_lose_nothing(script: Script) -> None:
    given = numbers()
    text = "[" + ",".join(f'{{"value":{number}}}' for number in given) + "]"
    expression = """({parseJson, exact, sum, decimalText}, text) => {
        const values = parseJson(text).map((each) => exact(each.value));
        return [values.map(decimalText), decimalText(sum(values))];
    }"""
    shown, total = script("exact", expression, text)
    with localcontext(prec=60):
        assert [Decimal(each) for each in shown] == [Decimal(each) for each in given]
        assert Decimal(total) == sum(map(Decimal, given))


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"\\"value\\":1.5,","value":1.5}',
        '{"name":"x\\\\","value":0.1}',
        '{"name":"key\\": 12345678901234567890","value": 12345678901234567890, "small":12, "deep":{"n":1e-7}}',
        '{"none":null,"yes":true,"list":["1.5"],"text":"2.5"}',
    ],
)
def test_text_is_left_alone(script: Script, text: str) -> None:
    found = script("exact", "({parseJson}, text) => parseJson(text)", text)

    def same(ours: Any, theirs: Any) -> bool:
        if isinstance(theirs, dict):
            return ours.keys() == theirs.keys() and all(same(ours[name], theirs[name]) for name in theirs)
        return str(ours) == str(theirs) if isinstance(theirs, str) else ours == theirs

    wanted = json.loads(text, parse_float=str, parse_int=lambda digits: digits if len(digits) > 15 else int(digits))
    assert same(found, wanted)


def test_rounding_is_by_halves_away_from_zero(script: Script) -> None:
    given = numbers()
    expression = (
        "({exact, rounded}, given) => given.flatMap((each) => [0, 2, 7].map((places) => rounded(exact(each), places)))"
    )
    found = iter(script("exact", expression, given))
    with localcontext(prec=80):
        for number in given:
            for places in (0, 2, 7):
                kept = Decimal(number).quantize(Decimal(1).scaleb(-18), ROUND_DOWN)
                assert next(found) == f"{kept.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,f}"


@pytest.mark.parametrize(
    ("call", "value", "text"),
    [
        ("money", "0", "$0.00"),
        ("money", "1234567.895", "$1,234,567.90"),
        ("money", "0.01", "$0.01"),
        ("money", "0.00049", "$0.00049"),
        ("money", "0.000000123456", "$0.00000012"),
        ("count", "1755596495", "1,755,596,495"),
        ("count", "1.005", "1.01"),
        ("compact", "999", "999"),
        ("compact", "1000", "1.00K"),
        ("compact", "1755596495", "1.76B"),
        ("bytes", "53398021218", "49.7 GiB"),
        ("bytes", "1023", "1,023 B"),
        ("moneyInFull", "0.3", "$0.3"),
    ],
)
def test_numbers_as_people_read_them(script: Script, call: str, value: str, text: str) -> None:
    expression = f"""async (format, value) => {{
        const exact = await import(document.querySelector("script[src$='app.js']").src
            .replace("app.js", "lib/exact.js"));
        return format.{call}(exact.exact(value));
    }}"""
    assert script("format", expression, value) == text


def test_the_forecast_goes_on_at_the_pace_of_seven_days(script: Script) -> None:
    """A month of 30 days, at the end of its tenth: 10 a day so far, the last seven days 20 each."""
    expression = """async ({spent}, one) => {
        const day = 86400, month = Date.UTC(2026, 10, 1) / 1000, unit = BigInt(one);
        const days = Array.from({length: 41}, (_, place) => ({
            start: month + (place - 31) * day, amount: (place - 31 < 3 ? 10n : 20n) * unit,
        }));
        const found = spent(days, month + 10 * day, month, "UTC");
        const names = ["thisMonth", "lastMonth", "today", "yesterday", "forecast"];
        return Object.fromEntries(names.map((name) => [name, String(found[name] / unit)]));
    }"""
    found = script("figures", expression, str(10**18))
    assert found == {
        "thisMonth": "170", "lastMonth": "310", "today": "0", "yesterday": "20", "forecast": str(170 + 20 * 20),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "now", "start", "end"),
    [
        ("UTC", 1_780_000_000, 1_779_408_000, 1_780_012_800),
        ("Europe/Berlin", 1_774_800_000, 1_774_220_400, 1_774_821_600),  # summer time began that day, 23 hours long
        ("Asia/Kolkata", 1_780_000_000, 1_779_474_600, 1_780_079_400),
    ],
)
def test_days_of_a_zone_begin_at_its_midnight(script: Script, zone: str, now: int, start: int, end: int) -> None:
    found = script("time", "({rangeOf}, [now, zone]) => rangeOf('7d', now, zone)", [now, zone])
    assert found == {"start": start, "end": end}
