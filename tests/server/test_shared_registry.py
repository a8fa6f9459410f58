"""Servers that share a registry on PostgreSQL: keys, names and page tokens of one are those of the other."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.server_process import RunningServer, running
from tests.support.services.postgresql import new_database

pytestmark = pytest.mark.external

START = 1_781_481_600  # 2026-06-15


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningServer]]:
    url = new_database()
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
    with (
        running(folders[0], registry=url, key_cache_seconds=1) as one,
        running(folders[1], registry=url, key_cache_seconds=1) as other,
    ):
        yield [one, other]


def client(server: RunningServer, key: str) -> httpx.Client:
    return httpx.Client(base_url=f"{server.url}/v1", headers={"authorization": f"Bearer {key}"})


def test_a_key_works_everywhere_until_it_is_revoked_anywhere(servers: list[RunningServer]) -> None:
    with client(servers[0], servers[0].key) as admin:
        made = admin.post("/organization/admin_api_keys", json={"name": "both"}).json()
        with client(servers[1], made["value"]) as used:
            assert used.get("/meters").status_code == 200
            assert admin.delete(f"/organization/admin_api_keys/{made['id']}").json()["deleted"]
            began = time.monotonic()
            while used.get("/meters").status_code != 401:
                assert time.monotonic() - began < 10
                time.sleep(0.05)


def test_a_page_token_of_one_is_one_of_the_other(servers: list[RunningServer]) -> None:
    asked = {"start_time": START, "end_time": START + 5 * 86400, "limit": 2}
    with client(servers[0], servers[0].key) as one, client(servers[1], servers[1].key) as other:
        first = one.get("/organization/usage/completions", params=asked).json()
        second = other.get("/organization/usage/completions", params={"page": first["next_page"]}).json()
    assert [bucket["start_time"] for bucket in second["data"]] == [START + 2 * 86400, START + 3 * 86400]


def test_a_name_given_on_one_is_read_on_the_other(servers: list[RunningServer]) -> None:
    event = {"kind": "images", "id": "1", "timestamp": START, "images": 1, "project_id": "p", "model": "m"}
    with client(servers[0], servers[0].key) as one, client(servers[1], servers[1].key) as other:
        assert one.post("/events", json=event).json()["accepted"] == 1
        assert other.post("/organization/projects/p", json={"name": "Search"}).status_code == 200
        assert one.get("/organization/projects/p").json()["name"] == "Search"


def test_nothing_is_in_the_folder_but_the_ledger(servers: list[RunningServer], tmp_path: Path) -> None:
    with running(tmp_path, registry=new_database()):
        assert {file.name.partition(".")[0] for file in tmp_path.iterdir()} == {"ledger"}
