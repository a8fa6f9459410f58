"""Made-up usage: the same for the same seed, believable, and such as could have come over the wire."""

import json
import signal
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.cli.support import COMMAND, DEADLINE_S, NOW, Start, as_wire_event, whole
from tests.support.samples import decode

from usageledger.cli.demo.catalog import MODELS, PEOPLE, PROJECTS, SHARES_OF_KINDS
from usageledger.cli.demo.data import demo_tables
from usageledger.cli.demo.plan import make_organization
from usageledger.events.batch import join
from usageledger.events.columns import SCHEMA
from usageledger.meters import METER_BY_KIND, METERS

EVENTS = 30_000
DAYS = 28


@pytest.fixture(scope="module")
def usage() -> pa.Table:
    return whole(demo_tables(DAYS, EVENTS, 0, NOW))


def per_hour_of_week(usage: pa.Table) -> np.ndarray:
    """Events by day of the week (Monday first) and hour."""
    ts = usage["ts"].to_numpy()
    place = (ts // 86400 + 3) % 7 * 24 + ts % 86400 // 3600
    return np.bincount(place, minlength=7 * 24).reshape(7, 24)


def test_the_same_seed_makes_the_same_events(usage: pa.Table) -> None:
    assert whole(demo_tables(DAYS, EVENTS, 0, NOW)).equals(usage)


def test_another_seed_makes_other_events(usage: pa.Table) -> None:
    other = whole(demo_tables(DAYS, EVENTS, 1, NOW))
    assert not set(other["event_id"].to_pylist()) & set(usage["event_id"].to_pylist())
    assert pc.sum(other["output_text_tokens"]) != pc.sum(usage["output_text_tokens"])


def test_an_organization_outlives_the_day(usage: pa.Table) -> None:
    tomorrow = whole(demo_tables(DAYS, EVENTS, 0, NOW + 86400))
    assert set(tomorrow["project_id"].unique().to_pylist()) == set(usage["project_id"].unique().to_pylist())
    organization = make_organization(0)
    assert {name for _, name in organization.projects} == {project.name for project in PROJECTS}
    assert {name for _, name in organization.users} == set(PEOPLE)
    assert set(usage["project_id"].to_pylist()) == {project for project, _ in organization.projects}
    assert set(usage["user_id"].drop_null().to_pylist()) <= {user for user, _ in organization.users}


@pytest.mark.parametrize("events", [100, 999, EVENTS])
@pytest.mark.parametrize("days", [1, 40])
def test_as_many_as_asked_in_order_and_in_the_window(events: int, days: int) -> None:
    tables = list(demo_tables(days, events, 7, NOW))
    for earlier, later in pairwise(tables):
        assert earlier["ts"][-1].as_py() <= later["ts"][0].as_py()
    made = pa.concat_tables(tables)
    assert made.schema == SCHEMA
    assert made.num_rows == events
    ts = made["ts"].to_numpy()
    assert (np.diff(ts) >= 0).all()
    assert NOW - days * 86400 <= ts[0] <= ts[-1] < NOW
    assert len(made["event_id"].unique()) == events
    assert set(made["kind"].unique().to_pylist()) == {meter.kind for meter in METERS}


def test_too_few_events_for_all_kinds() -> None:
    with pytest.raises(ValueError, match=f"expected at least {len(METERS)}, got 10"):
        next(demo_tables(1, 10, 0, NOW))


def test_kinds_have_their_shares(usage: pa.Table) -> None:
    assert set(SHARES_OF_KINDS) == set(METER_BY_KIND)
    counted = {row["kind"]: row["ts_count"] for row in usage.group_by("kind").aggregate([("ts", "count")]).to_pylist()}
    for kind, share in SHARES_OF_KINDS.items():
        assert counted[kind] == pytest.approx(EVENTS * share, abs=len(METERS))


def test_every_event_could_have_come_over_the_wire(usage: pa.Table) -> None:
    body = b"\n".join(json.dumps(as_wire_event(row)).encode() for row in usage.to_pylist())
    decoded = decode(body, lines=True, max_events=EVENTS)
    assert decoded.refused.listed == []
    assert join([decoded], NOW, NOW).rows.equals(usage.combine_chunks())


def test_weekends_and_nights_are_low_and_usage_grows(usage: pa.Table) -> None:
    week = per_hour_of_week(usage)
    assert week[5:].mean() < 0.6 * week[:5].mean()
    assert week[:5, :4].mean() < 0.6 * week[:5, 9:17].mean()
    halves = np.histogram(usage["ts"].to_numpy(), bins=2, range=(NOW - DAYS * 86400, NOW))[0]
    assert 1.05 < halves[1] / halves[0] < 1.5


def test_few_projects_and_users_do_most(usage: pa.Table) -> None:
    for column in ("project_id", "user_id"):
        counts = np.sort(usage[column].drop_null().value_counts().field("counts").to_numpy())[::-1]
        assert counts[0] > 3 * np.median(counts)


def test_a_key_has_one_user_and_one_project(usage: pa.Table) -> None:
    columns = ["api_key_id", "user_id", "project_id"]
    owners = usage.select(columns).drop_null().group_by(columns).aggregate([])
    assert owners.num_rows == len(usage["api_key_id"].drop_null().unique())


def test_models_come_from_their_vendors(usage: pa.Table) -> None:
    pairs = usage.select(["model", "provider"]).drop_null().group_by(["model", "provider"]).aggregate([]).to_pylist()
    assert {pair["model"]: pair["provider"] for pair in pairs} == {
        name: model.provider for name, model in MODELS.items()
    }
    assert len({model.provider for model in MODELS.values()}) >= 5


def test_there_is_something_of_everything(usage: pa.Table) -> None:
    for name in SCHEMA.names:
        if name in (*(f"input_cache_write_{lifetime}_tokens" for lifetime in ("1h", "12h", "other")), "rate_id"):
            continue
        column = usage[name]
        assert pc.any(
            pc.not_equal(column, pa.scalar(0)) if pa.types.is_integer(column.type) else column.is_valid()
        ).as_py(), name
    assert {True, False} <= set(usage["batch"].unique().to_pylist())


def test_vector_stores_grow(usage: pa.Table) -> None:
    sizes = usage.filter(pc.equal(usage["kind"], pa.scalar("vector_stores")))
    for store in sizes["vector_store_id"].unique().to_pylist():
        rows = sizes.filter(pc.equal(sizes["vector_store_id"], pa.scalar(str(store))))
        assert (np.diff(rows["usage_bytes"].to_numpy()) >= 0).all()
        assert rows["usage_bytes"][-1].as_py() > rows["usage_bytes"][0].as_py()
        assert len(rows["project_id"].unique()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_ended_early_leaves_nothing(environment: dict[str, str], number: int) -> None:
    process = subprocess.Popen(
        [*COMMAND, "demo", "--events", "5000000", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    assert process.stderr.readline() == "Making 5,000,000 events of 31 days …\n"
    process.send_signal(number)
    assert process.communicate(timeout=DEADLINE_S) == ("", "")
    assert process.returncode == 128 + number
    assert list(Path(environment["TMPDIR"]).iterdir()) == []


def test_demo_serves_it_and_leaves_nothing(start: Start, environment: dict[str, str]) -> None:
    demo = start("demo", "--events", 2000, "--days", 3, "--port", 0)
    assert demo.key
    assert demo.data.is_relative_to(environment["TMPDIR"])
    with httpx.Client(base_url=f"{demo.address}/v1", headers={"authorization": f"Bearer {demo.key}"}) as client:
        projects = client.get("/organization/projects").raise_for_status().json()["data"]
        assert {project["name"] for project in projects} == {project.name for project in PROJECTS}
        parameters: dict[str, Any] = {"start_time": 0, "bucket_width": "1d", "limit": 31}
        assert client.get("/organization/usage/completions", params=parameters).status_code == 200
    demo.process.terminate()
    said = demo.process.communicate(timeout=DEADLINE_S)[1]
    assert demo.process.returncode == 0
    assert "WARNING" not in said
    assert not demo.data.exists()
