"""The table of meters against the official contract, and the rules that its rows keep."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from usageledger.buckets import LATEST_TIME
from usageledger.meter import Dimension, Measure, Meter
from usageledger.meters import COSTS, DIMENSIONS, GAUGES, MEASURE_COLUMNS, METER_BY_KIND, METERS
from usageledger.parts import NOT_CHARGED

DATA = Path(__file__).parent.parent / "contract" / "data"
CONTRACT = json.loads((DATA / "sdk-endpoints.json").read_text())
RECORDED_COMPLETIONS = [
    "cookbook_usage_completions_2025-02-10.json",
    "usage_group_by_model_2025-08.json",
]

ALL = (*METERS, COSTS)
OFFICIAL = tuple(meter for meter in ALL if not meter.extension)
# What we have beyond the official API.
OUR_COSTS = {"filters": {"user_ids", "models"}, "widths": {"1h", "all"}, "groupings": {"model", "kind"}}
OUR_USAGE: dict[str, set[str]] = {"filters": set(), "widths": {"all"}, "groupings": set()}
WHOLE = ("all", 864_000_000_000, 1, 1)
SINGLE_PARAMETERS = {"start_time": "int", "end_time": "int", "limit": "int", "page": "str"}


def literals(text: str) -> list[str] | None:
    """The values of a `Literal[…]` in a type, or None where any value is allowed."""
    found = re.search(r"Literal(\[[^\]]*\])", text)
    return list(ast.literal_eval(found.group(1))) if found else None


def is_list(text: str) -> bool:
    return "List[" in text or "Sequence[" in text


def bare(text: str) -> str:
    """The type without `Optional[…]` around it."""
    return text.removeprefix("Optional[").removesuffix("]") if text.startswith("Optional[") else text


def ids(meter: Meter) -> str:
    return meter.kind


# --- the contract ------------------------------------------------------------------------------------------------


def test_the_meters_are_the_endpoints_of_the_contract() -> None:
    assert {meter.kind for meter in OFFICIAL} == set(CONTRACT["endpoints"])


def test_every_kind_has_names_of_its_own() -> None:
    for name in ("kind", "path", "object"):
        assert len({getattr(meter, name) for meter in ALL}) == len(ALL)


def test_the_result_objects_are_those_of_the_contract() -> None:
    assert {meter.object for meter in OFFICIAL} == set(CONTRACT["results"])


@pytest.mark.parametrize("meter", OFFICIAL, ids=ids)
def test_endpoint_and_result_are_those_of_the_contract(meter: Meter) -> None:
    differences = [*parameter_differences(meter), *result_differences(meter)]
    assert not differences, "\n".join((f"{meter.kind} differs from the contract:", *differences))


def parameter_differences(meter: Meter) -> Iterator[str]:
    endpoint = CONTRACT["endpoints"][meter.kind]
    if meter.path != endpoint["path"]:
        yield f"path: {meter.path} instead of {endpoint['path']}"
    extra = OUR_COSTS if meter is COSTS else OUR_USAGE
    assert extra["groupings"] == {d.name for d in meter.dimensions if d.extension}
    filters = {d.filter: d for d in meter.dimensions if d.filter and d.filter not in extra["filters"]}
    ours = {*SINGLE_PARAMETERS, "bucket_width", "group_by", *filters}
    for name in sorted(ours ^ set(endpoint["params"])):
        yield f"parameter {name}: only {'ours' if name in ours else 'in the contract'}"
    widths = [width.name for width in meter.widths if width.name not in extra["widths"]]
    groupings = [d.name for d in meter.groupings if not d.extension]
    for name, official in endpoint["params"].items():
        kind = bare(official)
        if name in SINGLE_PARAMETERS and kind != SINGLE_PARAMETERS[name]:
            yield f"parameter {name}: {kind}"
        elif name == "bucket_width" and (is_list(kind) or literals(kind) != widths):
            yield f"parameter bucket_width: {widths} instead of {kind}"
        elif name == "group_by" and not (is_list(kind) and literals(kind) == groupings):
            yield f"parameter group_by: {groupings} instead of {kind}"
        elif name in filters:
            yield from filter_differences(filters[name], kind)


def filter_differences(dimension: Dimension, kind: str) -> Iterator[str]:
    if dimension.flag != (kind == "bool"):
        yield f"parameter {dimension.filter}: flag is {dimension.flag}, the type is {kind}"
    if dimension.flag == is_list(kind):
        yield f"parameter {dimension.filter}: {kind} is {'' if is_list(kind) else 'not '}a list"
    if list(dimension.values) != (literals(kind) or []):
        yield f"parameter {dimension.filter}: allows {dimension.values} instead of {kind}"


def result_differences(meter: Meter) -> Iterator[str]:
    official = dict(CONTRACT["results"][meter.object])
    official.pop("object")
    measures = {m.name: m for m in meter.reported}
    units = {m.unit_field for m in meter.reported if m.unit_field}
    groupings = {d.name: d for d in meter.groupings if not d.extension}
    ours = {*measures, *units, *groupings}
    for name in sorted(ours ^ set(official)):
        yield f"result field {name}: only {'ours' if name in ours else 'in the contract'}"
    for name, field in official.items():
        kind = bare(field["type"])
        if name in measures and meter is not COSTS and kind != "int":
            yield f"result field {name}: a count, and the contract has {kind}"
        if name in groupings and (kind == "bool") != groupings[name].flag:
            yield f"result field {name}: flag is {groupings[name].flag}, and the contract has {kind}"
        if name in groupings and (values := literals(kind)) and values != list(groupings[name].values):
            yield f"result field {name}: {groupings[name].values} instead of {values}"
        if field["required"] and name in measures and not (measures[name].required or measures[name].default):
            yield f"result field {name}: required by the contract, and an event may leave it open"


def test_the_comparison_sees_every_kind_of_difference() -> None:
    """A comparison that finds nothing is worth something only if it can find something."""
    completions = METER_BY_KIND["completions"]
    other = Meter(
        kind="completions",
        path="/organization/usage/completion",
        object=completions.object,
        title="",
        measures=(*completions.measures[1:], Measure("output_bytes", "bytes", "", NOT_CHARGED)),
        dimensions=(Dimension("model", "", filter="models", flag=True), Dimension("batch", "", filter="batches")),
        widths=completions.widths[1:],
    )
    found = "\n".join((*parameter_differences(other), *result_differences(other)))
    for words in (
        "path: /organization/usage/completion instead of /organization/usage/completions",
        "parameter project_ids: only in the contract",
        "parameter batches: only ours",
        "parameter models: flag is True",
        "parameter bucket_width: ['1h', '1d']",
        "parameter group_by: ['model', 'batch']",
        "result field output_bytes: only ours",
        "result field input_tokens: only in the contract",
        "result field batch: flag is False",
        "result field model: flag is True",
    ):
        assert words in found


@pytest.mark.parametrize("name", RECORDED_COMPLETIONS)
def test_recorded_results_have_no_field_that_we_lack(name: str) -> None:
    meter = METER_BY_KIND["completions"]
    ours = {"object", *(m.name for m in meter.reported), *(d.name for d in meter.groupings)}
    recorded: Any = json.loads((DATA / "recorded" / name).read_text())
    results = (
        [recorded["sample_result"]]
        if "sample_result" in recorded
        else [result for bucket in recorded["data"] for result in bucket["results"]]
    )
    assert results
    for result in results:
        assert set(result) <= ours
        assert result["object"] == meter.object


@pytest.mark.parametrize("meter", METERS, ids=ids)
def test_usage_widths_and_limits(meter: Meter) -> None:
    """Source: the API's documentation of `bucket_width` and `limit`."""
    assert [(w.name, w.seconds, w.default_limit, w.max_limit) for w in meter.widths] == [
        ("1m", 60, 60, 1440),
        ("1h", 3600, 24, 168),
        ("1d", 86400, 7, 31),
        WHOLE,
    ]


def test_costs_have_days_and_our_hours() -> None:
    widths = [(w.name, w.seconds, w.default_limit, w.max_limit) for w in COSTS.widths]
    assert widths == [("1h", 3600, 24, 168), ("1d", 86400, 7, 180), WHOLE]


def test_the_widest_bucket_holds_every_time() -> None:
    """It begins at 0 and ends after the last second that there is, and days fit into it: sums by day answer it."""
    _, seconds, default, most = WHOLE
    assert seconds > LATEST_TIME
    assert seconds % 86400 == 0
    assert (default, most) == (1, 1)


# --- the rules that the rows keep --------------------------------------------------------------------------------


@pytest.mark.parametrize("meter", ALL, ids=ids)
def test_names_are_told_apart(meter: Meter) -> None:
    names = [*(m.name for m in meter.measures), *(d.name for d in meter.dimensions)]
    filters = [d.filter for d in meter.dimensions if d.filter]
    assert len(set(names)) == len(names)
    assert len(set(filters)) == len(filters)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in [meter.kind, *names, *filters])


@pytest.mark.parametrize("meter", ALL, ids=ids)
def test_every_row_says_what_it_is(meter: Meter) -> None:
    for doc in (*(m.doc for m in meter.measures), *(d.doc for d in meter.dimensions)):
        assert doc.endswith(".")
    assert meter.title


@pytest.mark.parametrize("meter", METERS, ids=ids)
def test_what_is_added_up_is_stored_once(meter: Meter) -> None:
    """Every stored column is also counted by itself or by a total, and a gauge is a column of its own."""
    assert len(set(meter.columns)) == len(meter.columns)
    for measure in meter.measures:
        assert len(set(measure.columns)) == len(measure.columns)
        if measure.adds == "gauge":
            assert measure.columns == (measure.name,)
    assert {column for m in meter.measures for column in m.columns} == set(meter.columns)


@pytest.mark.parametrize("meter", METERS, ids=ids)
def test_token_totals_are_made_of_disjoint_parts(meter: Meter) -> None:
    parts = {m.name: set(m.columns) for m in meter.measures}
    if "input_uncached_tokens" not in parts:
        return
    split = [parts[f"input_{name}_tokens"] for name in ("uncached", "cached", "cache_write")]
    assert sum(map(len, split)) == len(set.union(*split))
    assert set.union(*split) == parts["input_tokens"]
    assert not parts["input_tokens"] & parts["output_tokens"]
    assert parts["output_tokens"] == {f"output_{kind}_tokens" for kind in ("text", "audio", "image")}


@pytest.mark.parametrize("meter", ALL, ids=ids)
def test_documented_values_look_like_the_pattern(meter: Meter) -> None:
    for dimension in meter.dimensions:
        if dimension.pattern:
            assert dimension.others
            assert all(re.fullmatch(dimension.pattern, value) for value in (*dimension.values, *dimension.others))


@pytest.mark.parametrize(
    ("size", "fits"),
    [
        ("1536x1024", True),
        ("auto", True),
        ("10x10", True),
        ("99999x99999", True),
        ("9x10", False),
        ("100000x10", False),
        ("010x10", False),
        ("1024X1024", False),
        ("1024x1024px", False),
        ("1024x1024\n", False),
        ("", False),
        ("auto ", False),
    ],
)
def test_other_sizes_have_to_look_like_one(size: str, fits: bool) -> None:
    pattern = DIMENSIONS["size"].pattern
    assert pattern
    assert bool(re.fullmatch(pattern, size)) is fits


def test_the_unions_of_all_kinds() -> None:
    assert set(METER_BY_KIND) == {meter.kind for meter in METERS}
    assert set(DIMENSIONS) == {d.name for meter in METERS for d in meter.dimensions}
    assert set(MEASURE_COLUMNS) == {c for meter in METERS for c in meter.columns}
    assert len(set(MEASURE_COLUMNS)) == len(MEASURE_COLUMNS)
    assert not set(DIMENSIONS) & set(MEASURE_COLUMNS)
    assert frozenset({"usage_bytes"}) == GAUGES


def test_a_dimension_is_the_same_in_every_kind() -> None:
    """It is stored in one column, so its values and its kind of value cannot depend on the kind of usage."""
    for meter in METERS:
        for dimension in meter.dimensions:
            known = DIMENSIONS[dimension.name]
            assert (dimension.flag, dimension.values, dimension.pattern) == (known.flag, known.values, known.pattern)
            assert (dimension.others, dimension.many) == (known.others, known.many)


def test_width_is_found_by_its_name() -> None:
    meter = METER_BY_KIND["completions"]
    assert meter.width("1h").seconds == 3600
    with pytest.raises(KeyError):
        meter.width("1w")


def test_groupings_are_what_the_api_has_and_filters_what_it_selects_by() -> None:
    images = METER_BY_KIND["images"]
    assert [d.name for d in images.groupings] == ["project_id", "user_id", "api_key_id", "model", "size", "source"]
    assert [d.name for d in images.dimensions if d not in images.groupings] == ["quality", "batch"]
    assert [d.filter for d in images.filters] == [
        "project_ids",
        "user_ids",
        "api_key_ids",
        "models",
        "sizes",
        "sources",
    ]
    assert [d.filter for d in COSTS.filters] == ["project_ids", "user_ids", "line_items", "api_key_ids", "models"]
