"""Generated requests, right and wrong ones, for every operation of the server's own description."""

from collections.abc import Iterator
from random import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.meta import TestPhase
from schemathesis.pytest._test_builder import build_operation_test
from tests.support.effort import EFFORT
from tests.support.server_process import RunningServer, running

from usageledger.buckets import LATEST_LOCAL_TIME, LATEST_TIME
from usageledger.events.decoders import ARROW_TYPES, LINES_TYPES, PARQUET_TYPES
from usageledger.server.endpoint import Endpoint
from usageledger.server.endpoints import ENDPOINTS
from usageledger.server.http.otlp_answers import PROTOBUF
from usageledger.server.openapi.document import document
from usageledger.settings import Settings
from usageledger.sources.otlp.signals import Signal

EXAMPLES = 10 * EFFORT
SHARE_OF_EVENTS = 0.05
KEY = "sk-admin-of-generated-requests"
# Batches are small, since requests at the limit and just beyond it are generated; wrong keys are tried on every one.
LIMITS: dict[str, Any] = {"max_batch_events": 8, "wrong_keys_per_minute": 0}
DAY = 86_400
LATEST_DAY = LATEST_TIME - LATEST_TIME % DAY
LIST_VALUES_MAX = 20  # an address with a thousand values may be longer than any server reads

# An event that is wrong is refused by itself, in a 200 that tells of the others of the request.
CHECKED_ONE_BY_ONE: dict[str, tuple[str, ...]] = {
    "ingest-events": ("negative_data_rejection",),
    "create-reservation": ("positive_data_acceptance",),  # which fields go together depends on the kind
}
# What others send has more rules than a schema can say, and parts of it that are something else are left out.
SENT_BY_OTHERS = ("ingest-source", *(f"export-{signal}" for signal in Signal), "put-traces")
CHECKED_ONE_BY_ONE |= dict.fromkeys(SENT_BY_OTHERS, ("negative_data_rejection", "positive_data_acceptance"))

DOCUMENT = document(Settings(**LIMITS), ENDPOINTS)
# Each value of an enumeration is tried on each operation that has it: not all of some 600 zones.
DOCUMENT["components"]["schemas"]["TimeZone"]["enum"] = ["Africa/Monrovia", "Europe/Berlin", "Pacific/Apia", "UTC"]

# An address that is too long is refused as headers are, before it is looked at.
REFUSED = {"negative_data_rejection": {"expected-statuses": ["4XX"]}}
CONFIG = SchemathesisConfig.from_dict({"generation": {"mode": "all"}, "checks": REFUSED})

api = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)


@schemathesis.serializer(*LINES_TYPES, *ARROW_TYPES, *PARQUET_TYPES, PROTOBUF)
def as_text(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@api.auth()
class Key:
    """The key of the server, on every request; the checks of missing and wrong keys take it away again."""

    def get(self, case: Case[Any], context: Any) -> str:
        return KEY

    def set(self, case: Case[Any], data: str, context: Any) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("generated"), KEY, **LIMITS) as server:
        yield server
        assert server.stop() == (0, "")


# The cases of an operation are made when its test runs: each process would make all of them while it collects tests.
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_every_operation(endpoint: Endpoint, server: RunningServer) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    def is_answered_as_described(case: Case[Any]) -> None:
        if endpoint.name == "ingest-events" and case.meta and case.meta.phase.name == TestPhase.COVERAGE and not_now():
            return
        if case.meta and case.meta.generation.mode.is_positive:
            make_sound(case)
        excluded = CHECKED_ONE_BY_ONE.get(endpoint.name, ())
        checks: list[Any] = [CHECKS.get_one(name) for name in excluded]
        case.call_and_validate(base_url=server.url, excluded_checks=checks)

    load_all_checks()
    build_operation_test(
        config=api.config,
        operation=api[endpoint.path][endpoint.method],
        test_func=is_answered_as_described,
        given_kwargs={},
        feedback=FeedbackSources(),
    )()


def as_table(media_type: str) -> bytes:
    """An event in columns."""
    table, sink = pa.table({"kind": ["images"]}), pa.BufferOutputStream()
    if media_type in PARQUET_TYPES:
        pq.write_table(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue().to_pybytes()


def not_now() -> bool:
    """Whether to leave one out: every field of every kind of event in every wrong way makes thousands of requests."""
    return random() >= EFFORT * SHARE_OF_EVENTS


def make_sound(case: Case[Any]) -> None:
    """Makes valid values fit each other and the server, which no schema can ask for: then they must be accepted."""
    query = case.query
    for cursor in ("page", "after", "before"):
        query.pop(cursor, None)  # only those that the server handed out are good
    for name, value in query.items():
        query[name] = value[:LIST_VALUES_MAX] if isinstance(value, list) else value
    if "timezone" in query:
        if any(parameter.name == "bucket_width" for parameter in case.operation.query):
            query["bucket_width"] = "1d"
        query |= {
            name: min(int(query[name]), LATEST_LOCAL_TIME) for name in ("start_time", "end_time") if name in query
        }
    if "end_time" in query:
        query |= in_order(query.get("start_time"), query["end_time"], 1)
    if "limit" in query and "start_time" in query:
        most = 1 if query.get("bucket_width") == "all" else 31  # the most at the widest buckets of days
        query["limit"] = min(int(query["limit"]), most)
    if "kind" in query and "dimension" in query:
        query["dimension"] = "project_id"  # the one that every kind has
    make_body_sound(case)


def make_body_sound(case: Case[Any]) -> None:
    if case.media_type in LINES_TYPES:
        case.body = '{"kind":"images"}\n'
    if case.media_type in (*ARROW_TYPES, *PARQUET_TYPES):
        case.body = as_table(case.media_type)
    if isinstance(case.body, dict):  # to a schema, 5.0 is an integer
        case.body = {n: int(v) if isinstance(v, float) and v.is_integer() else v for n, v in case.body.items()}
        if case.operation.definition.raw["operationId"] == "reprice":
            # Without an end it ends today, when a start may lie ahead; and what is applied has a reason.
            end = case.body.get("end_time")
            case.body |= in_order(case.body.get("start_time"), LATEST_DAY if end is None else end, DAY)
            case.body["reason"] = str(case.body.get("reason") or "").strip() or "a reason"


def in_order(start: Any, end: Any, step: int) -> dict[str, int]:
    """A window whose end is after its start; the latest time has no later one, and the first one no earlier one."""
    start, end = sorted((int(start or 0), int(end)))
    return {"start_time": max(start - step * (start == end), 0), "end_time": max(end, step)}
