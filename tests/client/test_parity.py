"""The generated methods and types against METERS, and against what OpenAI's own client has."""

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from usageledger import AsyncUsageAPI, UsageAPI
from usageledger.client import AsyncUsagePage, Time, UsagePage, results
from usageledger.meter import Meter
from usageledger.meters import COSTS, METERS

ENDPOINTS = [pytest.param(meter, id=meter.kind) for meter in (*METERS, COSTS)]
OFFICIAL_ENDPOINTS = [pytest.param(meter, id=meter.kind) for meter in (*METERS, COSTS) if not meter.extension]
OFFICIAL = json.loads((Path(__file__).parents[1] / "contract" / "data" / "sdk-endpoints.json").read_text())
OURS = {"timezone"}  # parameters of UsageLedger's that every method has
OURS_OF_COSTS = {"user_ids", "models", "as_of"}
CLIENTS = pytest.mark.parametrize("client", [UsageAPI, AsyncUsageAPI])
SEED = {
    "audio_speeches",
    "audio_transcriptions",
    "code_interpreter_sessions",
    "completions",
    "costs",
    "embeddings",
    "images",
    "moderations",
    "vector_stores",
}


def signature(client: type[Any], kind: str) -> inspect.Signature:
    return inspect.signature(getattr(client, f"usage_{kind}"), eval_str=True)


def result_class(meter: Meter) -> type[Any]:
    (found,) = [cls for cls in vars(results).values() if getattr(cls, "OBJECT", None) == meter.object]
    return found


def literals(annotation: Any) -> set[str]:
    """Every text that a type names."""
    found = re.findall(r"Literal\[(.*?)\]", str(annotation))
    return {value for group in found for value in re.findall(r"'([^']*)'", group)}


@CLIENTS
def test_there_is_a_method_for_each_endpoint_and_no_other(client: type[Any]) -> None:
    methods = {name.removeprefix("usage_") for name in dir(client) if name.startswith("usage_")}
    assert methods == {meter.kind for meter in (*METERS, COSTS)}
    assert methods >= SEED


@pytest.mark.parametrize("meter", ENDPOINTS)
@CLIENTS
def test_parameters_are_those_of_the_table(client: type[Any], meter: Meter) -> None:
    given = signature(client, meter.kind).parameters
    filters = {d.filter for d in meter.filters}
    single = {"start_time", "end_time", "bucket_width", "limit", "page"} | ({"as_of"} if meter.priced else set())
    assert set(given) == {"self", *single, "group_by", *filters, *OURS}
    for name, parameter in given.items():
        if name != "self":
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
            assert parameter.default is (inspect.Parameter.empty if name == "start_time" else None)
    assert literals(given["bucket_width"].annotation) == {width.name for width in meter.widths}
    assert literals(given["group_by"].annotation) == {d.name for d in meter.groupings}
    for dimension in meter.filters:
        values = set() if dimension.pattern else set(dimension.values)
        assert literals(given[dimension.filter or ""].annotation) == values
    for name in ("start_time", "end_time"):
        assert set(get_args(Time)) <= set(get_args(given[name].annotation))


@pytest.mark.parametrize("meter", OFFICIAL_ENDPOINTS)
@CLIENTS
def test_parameters_are_those_of_the_official_client_and_named_extensions(client: type[Any], meter: Meter) -> None:
    official = OFFICIAL["endpoints"][meter.kind]["params"]
    given = set(signature(client, meter.kind).parameters) - {"self"}
    assert given - set(official) == OURS | (OURS_OF_COSTS if meter.priced else set())
    assert set(official) <= given
    for name, kind in official.items():
        annotation = signature(client, meter.kind).parameters[name].annotation
        if name != "sizes":  # other sizes than the five that the official client types are asked for today
            assert literals(kind.replace('"', "'")) <= literals(annotation)
        wanted = {"int": "int", "bool": "bool", "str": "str"}.get(kind.removeprefix("Optional[").removesuffix("]"))
        assert wanted is None or wanted in str(annotation)


@pytest.mark.parametrize("meter", ENDPOINTS)
@CLIENTS
def test_what_a_method_gives_is_of_its_kind(client: type[Any], meter: Meter) -> None:
    page = AsyncUsagePage if client is AsyncUsageAPI else UsagePage
    assert signature(client, meter.kind).return_annotation == page[result_class(meter)]
    assert inspect.iscoroutinefunction(getattr(client, f"usage_{meter.kind}")) is (client is AsyncUsageAPI)


@pytest.mark.parametrize("meter", OFFICIAL_ENDPOINTS)
def test_fields_are_those_of_the_official_client(meter: Meter) -> None:
    official = OFFICIAL["results"][meter.object]
    cls = result_class(meter)
    ours = {d.name for d in meter.groupings if d.extension}
    fields = set(cls.__struct_fields__) - {"extra"}
    assert fields == set(official) | ours
    required = {name for name, field in official.items() if field["required"]}
    assert {name for name in fields if is_required(cls, name)} == required - {"object"}
    hints = get_type_hints(cls)
    for name, field in official.items():
        kind = field["type"]
        if name not in ("amount", "object"):
            # What the official client types as one of a few words is any text here: a new word is no failure.
            words = "str" if "Literal" in kind else kind
            wanted = "Decimal" if "float" in kind else next(each for each in ("int", "bool", "str") if each in words)
            assert wanted in str(hints[name])
            assert type(None) in get_args(hints[name]) or field["required"]


def is_required(cls: type[Any], name: str) -> bool:
    try:
        cls(**{each: "" for each in cls.__struct_fields__ if each != name})
    except TypeError:
        return True
    return False


@pytest.mark.parametrize("meter", ENDPOINTS)
@CLIENTS
def test_every_parameter_and_field_is_documented(client: type[Any], meter: Meter) -> None:
    text = inspect.getdoc(getattr(client, f"usage_{meter.kind}")) or ""
    for name in set(signature(client, meter.kind).parameters) - {"self"}:
        assert re.search(rf"^    {name}: \S", text, re.MULTILINE)
        own = OURS | (OURS_OF_COSTS if meter.priced else set())
        said = re.search(rf"^    {name}: (.*(?:\n        .*)*)", text, re.MULTILINE)
        assert said
        if name in own:
            assert "UsageLedger's own" in re.sub(r"\s+", " ", said[1])
    fields = inspect.getdoc(result_class(meter)) or ""
    for name in set(result_class(meter).__struct_fields__) - {"extra", "object"}:
        assert re.search(rf"^    {name}: \S", fields, re.MULTILINE)


@pytest.mark.parametrize("meter", ENDPOINTS)
def test_both_clients_have_the_same_surface(meter: Meter) -> None:
    both = [list(signature(client, meter.kind).parameters.values()) for client in (UsageAPI, AsyncUsageAPI)]
    assert both[0] == both[1]


def test_both_clients_have_the_same_names() -> None:
    public = [{name for name in dir(client) if not name.startswith("_")} for client in (UsageAPI, AsyncUsageAPI)]
    assert public[0] == public[1]
    pages = [{name for name in dir(page) if not name.startswith("_")} for page in (UsagePage, AsyncUsagePage)]
    assert pages[0] == pages[1]
