"""Python arguments as the parameters that are sent."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.conftest import Ask
from tests.support.faulty_server import Faulty

from usageledger import UsageAPI
from usageledger.client import SettingsError
from usageledger.client.arguments import LISTS, parameters
from usageledger.meter import Meter
from usageledger.meters import COSTS, METERS

BERLIN = ZoneInfo("Europe/Berlin")


def sent(**arguments: object) -> dict[str, str]:
    return dict(parameters(arguments))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1_730_419_200, 1_730_419_200),
        (datetime(2024, 11, 1, tzinfo=UTC), 1_730_419_200),
        (datetime(2024, 11, 1, 1, tzinfo=timezone(timedelta(hours=1))), 1_730_419_200),
        (datetime(2024, 11, 1, 1, tzinfo=BERLIN), 1_730_419_200),
        (datetime(2024, 11, 1, 0, 0, 0, 999_999, tzinfo=UTC), 1_730_419_200),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (date(2024, 11, 1), 1_730_419_200),
    ],
)
@pytest.mark.parametrize("name", ["start_time", "end_time", "as_of"])
def test_times(name: str, value: int | date, seconds: int) -> None:
    assert sent(**{name: value}) == {name: str(seconds)}


@given(st.datetimes(timezones=st.timezones()))
def test_a_datetime_is_its_second(moment: datetime) -> None:
    seconds = int(sent(start_time=moment)["start_time"])
    assert timedelta(0) <= moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC) - timedelta(seconds=seconds)
    assert moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC) - timedelta(seconds=seconds) < timedelta(seconds=1)


def test_a_date_begins_where_its_time_zone_says() -> None:
    asked = sent(start_time=date(2024, 11, 1), timezone="Europe/Berlin")
    assert asked == {"start_time": str(1_730_419_200 - 3600), "timezone": "Europe/Berlin"}


@pytest.mark.parametrize("value", ["2024-11-01", 1.5, True, [1], timedelta(days=7)])
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(TypeError, match="start_time: expected Unix seconds"):
        sent(start_time=value)


def test_a_time_without_a_zone_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        sent(start_time=datetime(2024, 11, 1))  # noqa: DTZ001 - what is tested


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", 5])
def test_a_date_in_an_unknown_time_zone(name: object) -> None:
    with pytest.raises(ValueError, match="timezone: expected the IANA name"):
        sent(start_time=date(2024, 11, 1), timezone=name)


def test_every_list_of_every_endpoint() -> None:
    names = {d.filter for meter in (*METERS, COSTS) for d in meter.filters} - {"batch"}
    assert names | {"group_by"} == LISTS
    for name in LISTS:
        for values in (["a", "b,c"], ("a", "b,c"), {"a": 1, "b,c": 2}):
            assert parameters({name: values}) == [(f"{name}[]", "a"), (f"{name}[]", "b,c")]


@pytest.mark.parametrize("name", sorted(LISTS))
def test_a_text_is_no_list(name: str) -> None:
    with pytest.raises(TypeError, match=rf"{name}: expected a list, got the text 'gpt'\. Did you mean \['gpt'\]\?"):
        sent(**{name: "gpt"})


@pytest.mark.parametrize("value", [5, [5], [None], [["a"]], b"ab", object()])
def test_what_is_no_list_of_texts(value: object) -> None:
    with pytest.raises(TypeError, match="models: expected a list"):
        sent(models=value)


@pytest.mark.parametrize("name", sorted(LISTS - {"group_by"}))
def test_a_filter_that_selects_nothing_is_not_sent_as_none(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: an empty list selects nothing"):
        sent(**{name: []})


def test_no_grouping_is_no_grouping() -> None:
    assert sent(group_by=[]) == {}


def test_the_others() -> None:
    assert sent(batch=True, limit=7, page="page_a=", bucket_width="1h") == {
        "batch": "true",
        "limit": "7",
        "page": "page_a=",
        "bucket_width": "1h",
    }
    assert sent(batch=False, limit=None) == {"batch": "false"}
    with pytest.raises(TypeError, match="limit: expected"):
        sent(limit=1.5)


@pytest.mark.parametrize("meter", [pytest.param(meter, id=meter.kind) for meter in (*METERS, COSTS)])
def test_every_argument_arrives(ask: Ask, server: Faulty, meter: Meter) -> None:
    given: dict[str, Any] = {
        "start_time": 1,
        "end_time": 2,
        "bucket_width": "1h",
        "group_by": [d.name for d in meter.groupings],
        "limit": 3,
        "page": "page_x",
        "timezone": "Asia/Tokyo",
        **{d.filter or "": True if d.flag else ["a,b & c", "ü"] for d in meter.filters},
        **({"as_of": 4} if meter.priced else {}),
    }
    ask(f"usage_{meter.kind}", **given)
    (asked,) = server.asked
    assert (asked.method, urlsplit(asked.path).path) == ("GET", f"/v1{meter.path}")
    arrived: dict[str, list[str]] = {}
    for name, value in parse_qsl(urlsplit(asked.path).query, strict_parsing=True):
        arrived.setdefault(name, []).append(value)
    texts = {name: [str(value)] for name, value in given.items() if isinstance(value, (int, str))}
    texts |= {f"{name}[]": value for name, value in given.items() if isinstance(value, list)}
    assert arrived == texts | ({"batch": ["true"]} if "batch" in texts else {})


# --- the client itself -------------------------------------------------------------------------------------------


def test_key_and_address_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="OPENAI_ADMIN_KEY"):
        UsageAPI()
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-of-the-environment")
    assert UsageAPI().base_url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1/")
    assert UsageAPI().base_url == "http://127.0.0.1:8080/v1"
    assert UsageAPI(base_url="https://other.example/v1").base_url == "https://other.example/v1"


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8080", "ftp://host/v1", "https://", "http://host/v1?a=b", "http://host/v1#a", "http://[::1"]
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(SettingsError, match="base_url: expected https://HOST/v1"):
        UsageAPI("sk-admin", address)


def test_an_address_with_a_password_is_refused_unseen() -> None:
    with pytest.raises(SettingsError) as caught:
        UsageAPI("sk-admin", "https://me:secret@host/v1")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("retries", [-1, 1.5, True, "2", None])
def test_retries_that_are_none(retries: Any) -> None:
    with pytest.raises(SettingsError, match="max_retries: expected"):
        UsageAPI("sk-admin", max_retries=retries)
