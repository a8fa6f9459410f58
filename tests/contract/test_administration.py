"""Keys, service accounts and users of projects, and the trail, as the official document and client have them."""

from collections.abc import Iterator

import httpx
import pytest
from openai import OpenAI
from openai.resources.admin.organization import Organization
from tests.contract.official import OFFICIAL, asked
from tests.contract.test_python_client import strict
from tests.support.server_process import RunningServer
from tests.support.three_days import START

PROJECT, WHO = "names/100% ü", "who/ever %2F"
PATH = "/organization/projects/{project_id}"


@pytest.fixture(scope="module", autouse=True)
def used(empty_raw: httpx.Client) -> None:
    """Usage of a project by a key and a user."""
    events = [
        {"kind": "images", "id": f"n{n}", "timestamp": START + n, "images": 1, "project_id": PROJECT}
        | {"api_key_id": f"{WHO}{n % 3}", "user_id": f"{WHO}{n % 3}"}
        for n in range(6)
    ]
    assert empty_raw.post("/events", json=events).json()["accepted"] == 6


@pytest.fixture
def organization(empty_server: RunningServer) -> Iterator[Organization]:
    with OpenAI(base_url=f"{empty_server.url}/v1", admin_api_key=empty_server.key, max_retries=0) as client:
        yield client.admin.organization


@pytest.mark.parametrize(
    ("what", "one"),
    [("api_keys", "api_key_id"), ("service_accounts", "service_account_id"), ("users", "user_id")],
)
def test_members_are_as_the_official_document_says(empty_raw: httpx.Client, what: str, one: str) -> None:
    ids = {"project_id": PROJECT}
    data = asked(empty_raw, "get", f"{PATH}/{what}", ids)["data"]
    assert [each["id"] for each in data] == [f"{WHO}{n}" for n in range(3)]
    assert asked(empty_raw, "get", f"{PATH}/{what}/{{{one}}}", ids | {one: f"{WHO}1"}) == data[1]
    for each in OFFICIAL["paths"][f"{PATH}/{what}"]["get"]["parameters"]:
        if each["in"] == "query" and each["name"] not in ("after", "limit"):
            asked(empty_raw, "get", f"{PATH}/{what}", ids, params={each["name"]: each["schema"]["enum"][0]})


def test_members_through_the_python_client(organization: Organization) -> None:
    projects = organization.projects
    keys = [strict(key) for key in projects.api_keys.list(PROJECT, limit=2)]  # the client goes on by itself
    assert [key.id for key in keys] == [f"{WHO}{n}" for n in range(3)]
    assert strict(projects.api_keys.retrieve(keys[1].id, project_id=PROJECT)) == keys[1]
    assert (keys[1].created_at, keys[1].last_used_at) == (START + 1, START + 4)
    owner = keys[1].owner
    assert owner.type == "service_account"
    assert owner.service_account
    account = strict(projects.service_accounts.retrieve(owner.service_account.id, project_id=PROJECT))
    assert account in list(projects.service_accounts.list(PROJECT, limit=1))
    user = strict(projects.users.retrieve(f"{WHO}2", project_id=PROJECT))
    assert user in list(projects.users.list(PROJECT, limit=2))


def test_a_user_is_named_and_a_project_archived(empty_raw: httpx.Client, organization: Organization) -> None:
    named = asked(empty_raw, "post", "/organization/users/{user_id}", {"user_id": f"{WHO}0"}, json={"name": "Ann"})
    assert named["name"] == "Ann"
    assert strict(organization.projects.users.retrieve(f"{WHO}0", project_id=PROJECT)).name == "Ann"
    assert asked(empty_raw, "post", f"{PATH}/archive", {"project_id": PROJECT})["status"] == "archived"
    assert strict(organization.projects.archive(PROJECT)).status == "archived"
    assert PROJECT not in {project.id for project in organization.projects.list(limit=100)}
    assert strict(organization.projects.retrieve(PROJECT)).archived_at


def test_the_trail_is_found_by_what_it_is_about(empty_raw: httpx.Client, organization: Organization) -> None:
    limit = organization.projects.spend_limit.update(PROJECT, threshold_amount=1, currency="USD", interval="month")
    assert limit.threshold_amount == 1
    (entry,) = organization.audit_logs.list(project_ids=[PROJECT], limit=1)
    times = {"gte": entry.effective_at, "lte": entry.effective_at}
    found = organization.audit_logs.list(
        project_ids=[PROJECT], resource_ids=[PROJECT], effective_at={"gte": times["gte"], "lte": times["lte"]}
    )
    assert [each.id for each in found.data] == [entry.id]
    assert list(organization.audit_logs.list(project_ids=[PROJECT], effective_at={"lt": times["gte"]})) == []
    official = {each["name"] for each in OFFICIAL["paths"]["/organization/audit_logs"]["get"]["parameters"]}
    ours = {each.split("[")[0] for each in _parameters(empty_raw)}
    assert {each.removesuffix("[]") for each in official} - ours == {"tenant_only"}


def _parameters(raw: httpx.Client) -> list[str]:
    document = raw.get(str(raw.base_url.copy_with(path="/openapi.json"))).json()
    return [each["name"] for each in document["paths"]["/v1/organization/audit_logs"]["get"]["parameters"]]
