"""`usageledger keys`, beside a running server and without one."""

import io
import json
import time
from pathlib import Path

import httpx
import pytest
from tests.cli.support import DEADLINE_S, Run, Server, Start, one_error
from tests.support.services.postgresql import new_database

from usageledger.cli.commands.keys import key_table
from usageledger.registry import SCOPES, AdminKey


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.external
@pytest.mark.parametrize("by", ["option", "environment"])
def test_the_registry_may_be_elsewhere(call: Run, start: Start, data: Path, by: str) -> None:
    url = new_database()
    here = ["--registry", url] if by == "option" else []
    environment = {} if by == "option" else {"USAGELEDGER_REGISTRY": url}
    made = call("keys", "create", "--data", data, "--name", "elsewhere", *here, **environment)
    assert made.returncode == 0
    server = start("serve", "--data", data, "--port", 0, "--registry", url)
    assert status(server, made.stdout.strip()) == 200
    [listed] = json.loads(call("keys", "list", "--json", "--data", data, *here, **environment).stdout)
    assert listed["name"] == "elsewhere"
    assert not (data / "registry.sqlite").exists()
    assert "There is no registry" in one_error(call("keys", "list", "--data", data), 2)


def status(server: Server, key: str) -> int:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{server.address}/v1/organization/usage/images?start_time=0", headers=headers).status_code


def test_keys_work_on_a_running_server(call: Run, start: Start, data: Path) -> None:
    server = start("serve", "--data", data, "--port", 0)
    done = call("keys", "create", "--data", data, "--name", "grafana", "--scope", "api.usage.read")
    assert done.returncode == 0
    value = done.stdout.removesuffix("\n")
    assert status(server, value) == 200
    assert value not in done.stderr
    # By its name: keys made in the same second are listed in the order of their ids.
    [made] = [k for k in json.loads(call("keys", "list", "--data", data, "--json").stdout) if k["name"] == "grafana"]
    assert (made["name"], made["scopes"], made["expires_at"]) == ("grafana", ["api.usage.read"], None)
    done = call("keys", "revoke", made["id"], "--data", data, "--yes")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"Revoked {made['id']} (grafana).\n")
    deadline = time.monotonic() + DEADLINE_S
    while status(server, value) != 401:
        assert time.monotonic() < deadline
    assert made["id"] not in call("keys", "list", "--data", data).stdout
    assert "revoked already" in one_error(call("keys", "revoke", made["id"], "--data", data, "--yes"), 1)


def test_a_key_can_be_made_before_there_is_a_server(call: Run, start: Start, data: Path) -> None:
    made = json.loads(call("keys", "create", "--data", data, "--expires-in", "30d", "--json").stdout)
    assert made["scopes"] == list(SCOPES)
    assert made["expires_at"] - made["created_at"] == 30 * 86400
    assert data.stat().st_mode & 0o777 == 0o700
    server = start("serve", "--data", data, "--port", 0)
    assert server.key is None
    assert status(server, made["value"]) == 200


def test_the_folder_may_come_from_the_environment(call: Run, data: Path) -> None:
    assert call("keys", "create", USAGELEDGER_DATA=str(data)).returncode == 0
    assert len(json.loads(call("keys", "list", "--json", USAGELEDGER_DATA=str(data)).stdout)) == 1


def test_many_keys_are_all_listed(call: Run, data: Path) -> None:
    from usageledger.registry import open_registry
    from usageledger.settings import Settings

    data.mkdir()
    with open_registry(Settings(data=data).registry_url) as registry:
        ids = [registry.create_key(f"key {number}", now=number)[0].id for number in range(205)]
    assert [key["id"] for key in json.loads(call("keys", "list", "--data", data, "--json").stdout)] == ids


def test_nothing_is_cut_where_there_is_no_terminal(call: Run, data: Path) -> None:
    name = "the dashboards of the platform team"
    assert call("keys", "create", "--data", data, "--name", name).returncode == 0
    listed = call("keys", "list", "--data", data, COLUMNS="").stdout
    assert name in listed
    assert "…" not in listed


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_table_fits(width: int) -> None:
    from rich.console import Console

    keys = [
        AdminKey("key_hY-VwETPmi1dZwaNgRJJDtiJ", "bootstrap", "sk-admin-...cdef", SCOPES, 1, None, 1_795_368_940, None),
        AdminKey("key_8fLk09mDoN7RDbfgRITbwXC1", "[red]n" * 40, "...EqD0", SCOPES[:1], 1, 1_797_000_000, None, None),
    ]
    console = Console(width=width, highlight=False, record=True, file=io.StringIO())
    console.print(key_table(keys, console.width))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    for word in (keys[0].id, keys[1].id, "bootstrap", "sk-admin-...cdef", *SCOPES, "2026-11-22", "14:40Z", "[red]n"):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("create", "--expires-in", "3y"), 2, "expected a duration such as 12h, 30d or 52w, got '3y'"),
        (("create", "--expires-in", "-1d"), 2, "expected a duration"),
        (("create", "--scope", "api.usage"), 1, "Unknown scope: 'api.usage'"),
        (("create", "--name", ""), 1, "must be 1 to 256 characters"),
        (("list",), 2, "There is no registry in"),
        (("revoke", "key_x"), 2, "There is no registry in"),
        (("revoke",), 2, "Missing argument"),
        (("rewoke",), 2, "No such command 'rewoke'. Did you mean 'revoke'?"),
    ],
)
def test_misuse(call: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    assert message in one_error(call("keys", *arguments, USAGELEDGER_DATA=str(tmp_path / "data")), code)


def test_revoking_asks_or_is_told(call: Run, data: Path) -> None:
    made = json.loads(call("keys", "create", "--data", data, "--json").stdout)
    assert "give --yes" in one_error(call("keys", "revoke", made["id"], "--data", data), 2)
    assert len(json.loads(call("keys", "list", "--data", data, "--json").stdout)) == 1
    done = call("keys", "revoke", made["id"], "--data", data, "--yes", "--json")
    assert json.loads(done.stdout) == {"id": made["id"], "revoked": True}
    done = call("keys", "list", "--data", data)
    assert (done.returncode, done.stdout) == (0, "")
    assert "There are no keys" in done.stderr
