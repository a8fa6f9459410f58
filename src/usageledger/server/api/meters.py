"""The endpoint of the table of meters, for dashboards and tools that build themselves from it."""

from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from usageledger.meter import Meter
from usageledger.meters import COSTS, METERS
from usageledger.registry import READ
from usageledger.server.endpoint import Answer, Call, Endpoint
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import ref


async def meters(_: Call) -> Response:
    """Lists the meters."""
    return json_response(METER_LIST)


def _meter(meter: Meter) -> dict[str, Any]:
    return {
        "object": "meter",
        "kind": meter.kind,
        "title": meter.title,
        "path": f"/v1{meter.path}",
        "result_object": meter.object,
        "measures": [
            {key: getattr(m, key) for key in ("name", "unit", "doc", "adds", "required", "unit_field")}
            for m in meter.reported
        ],
        "dimensions": [
            {"name": d.name, "doc": d.doc, "filter": d.filter, "values": d.values or None, "flag": d.flag}
            for d in meter.groupings
        ],
        "bucket_widths": [asdict(width) for width in meter.widths],
        "priced": meter.priced,
        "extension": meter.extension,
    }


METER_LIST = {"object": "list", "data": [_meter(meter) for meter in (*METERS, COSTS)]}
ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/meters",
        meters,
        name="list-meters",
        tag="Usage",
        summary="List the kinds of usage, with their measures and dimensions.",
        scopes=(READ,),
        answer=Answer(ref("MeterList")),
        checks_parameters=False,
    ),
)
