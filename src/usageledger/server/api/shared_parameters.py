"""Parameters that several endpoints take."""

from usageledger.buckets import LATEST_TIME
from usageledger.meter import Dimension, Meter
from usageledger.questions.query import FILTER_VALUES_MAX
from usageledger.server.http.parameters import Parameter
from usageledger.server.json_schema import SPACED_VALUES, VALUES, Schema

TIME: Schema = {"type": "integer", "minimum": 0, "maximum": LATEST_TIME}


def window_parameters(*, required: bool) -> tuple[Parameter, ...]:
    """Makes `start_time` and `end_time`."""
    return (
        Parameter("start_time", TIME, "Start of the window, inclusive, Unix seconds.", required=required),
        Parameter("end_time", TIME, "End of the window, exclusive, Unix seconds; now where it is not given."),
    )


def filter_parameters(meter: Meter) -> tuple[Parameter, ...]:
    """Makes one parameter for each filter of a meter."""
    return tuple(_filter(dimension) for dimension in meter.filters)


def _filter(dimension: Dimension) -> Parameter:
    name = dimension.filter or ""
    if dimension.flag:
        return Parameter(name, {"type": "boolean"}, f"Only usage with this. {dimension.doc}")
    if dimension.pattern:
        items: Schema = {"type": "string", "pattern": dimension.pattern, "examples": list(dimension.values)}
    elif dimension.values:
        items = {"type": "string", "enum": list(dimension.values)}
    else:
        items = {"type": "string", "minLength": 1, "pattern": SPACED_VALUES if dimension.has_commas else VALUES}
    more = "" if dimension.values else " A value with a comma goes in brackets."
    doc = f"Only usage of these. {dimension.doc}{more}"
    return Parameter(name, items, doc, listed=True, values_max=FILTER_VALUES_MAX)
