"""Limits of spend and alerts as official clients ask for them: those for Python and JavaScript, and for Terraform."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.resources.admin.organization import Organization
from tests.contract.official import OFFICIAL, asked
from tests.contract.test_python_client import strict
from tests.support.server_process import RunningServer
from tests.support.services.programs import program
from tests.support.three_days import START

PROJECT = "team/100% ü"
LIMIT: dict[str, Any] = {"threshold_amount": 500, "currency": "USD", "interval": "month"}
CHANNEL: dict[str, Any] = {"type": "email", "recipients": ["a@example.com"], "subject_prefix": "[spend]"}
ALERT: dict[str, Any] = LIMIT | {"notification_channel": CHANNEL}


@pytest.fixture(scope="module", autouse=True)
def project(empty_raw: httpx.Client) -> None:
    """A project that is only known from an event."""
    event = {"kind": "images", "id": "of-a-project", "timestamp": START, "images": 1, "project_id": PROJECT}
    assert empty_raw.post("/events", json=event).json()["accepted"] == 1


@pytest.fixture
def organization(empty_server: RunningServer) -> Iterator[Organization]:
    with OpenAI(base_url=f"{empty_server.url}/v1", admin_api_key=empty_server.key, max_retries=0) as client:
        yield client.admin.organization


@pytest.mark.parametrize("root", ["/organization", "/organization/projects/{project_id}"])
def test_answers_are_as_the_official_document_says(empty_raw: httpx.Client, root: str) -> None:
    ids = {"project_id": PROJECT}
    path = f"{root}/spend_limit"
    made = asked(empty_raw, "post", path, ids, json=LIMIT)
    assert asked(empty_raw, "get", path, ids) == made
    asked(empty_raw, "delete", path, ids)
    path = f"{root}/spend_alerts"
    assert asked(empty_raw, "get", path, ids)["data"] == []
    alert = asked(empty_raw, "post", path, ids, json=ALERT)
    assert asked(empty_raw, "get", path, ids)["data"] == [alert]
    ids |= {"alert_id": alert["id"]}
    assert asked(empty_raw, "get", f"{path}/{{alert_id}}", ids) == alert
    asked(empty_raw, "post", f"{path}/{{alert_id}}", ids, json=ALERT)
    asked(empty_raw, "delete", f"{path}/{{alert_id}}", ids)


def test_every_parameter_of_the_official_document_is_known(empty_raw: httpx.Client) -> None:
    (parameters,) = {
        tuple(each["name"] for each in OFFICIAL["paths"][path]["get"]["parameters"] if each["in"] == "query")
        for path in ("/organization/spend_alerts", "/organization/projects/{project_id}/spend_alerts")
    }
    values = {"limit": "0", "order": "desc"}
    given = {name: values[name] for name in parameters if name in values}
    assert set(parameters) == {*values, "after", "before"}
    assert empty_raw.get("/organization/spend_alerts", params=given).json()["data"] == []


def test_limits_through_the_python_client(organization: Organization) -> None:
    whole, of_project = organization.spend_limit, organization.projects.spend_limit
    with pytest.raises(openai.NotFoundError, match="No organization spend limit is configured"):
        whole.retrieve()
    with pytest.raises(openai.NotFoundError, match="No project spend limit is configured"):
        of_project.retrieve(PROJECT)
    made = strict(whole.update(**LIMIT))
    assert (made.threshold_amount, made.enforcement.status) == (500, "inactive")
    assert strict(whole.retrieve()) == made
    of_one = strict(of_project.update(PROJECT, **LIMIT | {"threshold_amount": 1}))
    assert strict(of_project.retrieve(PROJECT)) == of_one
    assert strict(of_project.delete(PROJECT)).deleted
    assert strict(whole.delete()).deleted
    with pytest.raises(openai.NotFoundError):
        whole.delete()
    with pytest.raises(openai.BadRequestError) as refused:
        whole.update(**LIMIT | {"threshold_amount": 0})
    assert refused.value.param == "threshold_amount"


def test_alerts_through_the_python_client(organization: Organization) -> None:
    for alerts, first, named in (
        (organization.spend_alerts, (), {}),
        (organization.projects.spend_alerts, (PROJECT,), {"project_id": PROJECT}),
    ):
        client: Any = alerts
        made = [strict(client.create(*first, **ALERT)) for _ in range(5)]
        assert [strict(alert) for alert in client.list(*first, limit=2)] == made  # the client goes on by itself
        assert list(client.list(*first, limit=2, order="desc")) == made[::-1]
        changed = strict(client.update(made[0].id, **named, **ALERT | {"threshold_amount": 0}))
        assert strict(client.retrieve(made[0].id, **named)) == changed
        assert changed.threshold_amount == 0
        for alert in made:
            assert strict(client.delete(alert.id, **named)).deleted
        with pytest.raises(openai.NotFoundError):
            client.retrieve(made[0].id, **named)


@pytest.mark.external
def test_the_javascript_client(empty_server: RunningServer) -> None:
    program("openai")
    done = subprocess.run(
        [program("node"), Path(__file__).parent / "node" / "spend.mjs"],
        input=PROJECT,
        env={**os.environ, "USAGELEDGER_URL": f"{empty_server.url}/v1", "USAGELEDGER_KEY": empty_server.key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    for whose, limits, alerts in zip(("organization", "project"), answers["limits"], answers["alerts"], strict=True):
        unset = {"type": "NotFoundError", "status": 404, "message": f"No {whose} spend limit is configured."}
        assert limits["unset"] == unset
        assert limits["set"] == limits["read"]
        assert limits["set"] == {"object": f"{whose}.spend_limit", **LIMIT, "enforcement": {"status": "inactive"}}
        assert limits["deleted"] == {"object": f"{whose}.spend_limit.deleted", "deleted": True}
        ids = [alert["id"] for alert in alerts["made"]]
        assert alerts["listed"] == ids[::-1]
        assert alerts["changed"] == alerts["read"] == alerts["made"][0] | {"threshold_amount": 0}
        assert [each["id"] for each in alerts["deleted"]] == ids
        assert (alerts["gone"]["type"], alerts["gone"]["status"]) == ("NotFoundError", 404)


def test_what_terraforms_provider_asks(empty_raw: httpx.Client) -> None:
    """It reads an alert by listing all and searching, and takes 404 alone for what is gone."""

    def read(alert_id: str) -> Any:
        after: dict[str, Any] = {}
        while True:
            page = empty_raw.get("/organization/spend_alerts", params={"limit": 100, **after}).raise_for_status().json()
            for alert in page["data"]:
                if alert["id"] == alert_id:
                    return alert
            if not page["has_more"]:
                return None
            after = {"after": page["last_id"]}

    ids = [empty_raw.post("/organization/spend_alerts", json=ALERT).json()["id"] for _ in range(102)]
    found = read(ids[-1])
    assert (found["id"], found["notification_channel"]) == (ids[-1], CHANNEL)
    for alert_id in ids:
        assert empty_raw.delete(f"/organization/spend_alerts/{alert_id}").status_code == 200
    assert read(ids[-1]) is None
    assert empty_raw.delete(f"/organization/spend_alerts/{ids[-1]}").status_code == 404
    limit = "/organization/spend_limit"
    assert empty_raw.get(limit).status_code == empty_raw.delete(limit).status_code == 404
    # It sends exactly these three fields, and reads its state from the answer.
    assert empty_raw.post(limit, json=LIMIT).json()["enforcement"] == {"status": "inactive"}
    assert empty_raw.delete(limit).status_code == 200
