"""`usageledger audit`: what was changed by commands and over HTTP, read back."""

import getpass
import json
from pathlib import Path

from tests.cli.support import Run, one_error


def test_changes_are_listed_newest_first(call: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert "There is no registry in" in one_error(call("audit", "--data", data), 2)
    value = call("keys", "create", "--name", "ci", "--data", data).stdout.strip()
    (key,) = json.loads(call("keys", "list", "--data", data, "--json").stdout)
    call("keys", "revoke", key["id"], "--yes", "--data", data)
    done = call("audit", "--data", data)
    assert (done.returncode, done.stderr) == (0, "")
    deleted, created = done.stdout.splitlines()
    assert "api_key.deleted" in deleted
    assert "api_key.created" in created
    assert f"local:{getpass.getuser()}" in created
    assert key["id"] in created
    assert value not in done.stdout
    told = json.loads(call("audit", "--data", data, "--json").stdout)
    assert [entry["type"] for entry in told] == ["api_key.deleted", "api_key.created"]
    done = call("audit", "--data", data, "--limit", 1)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == "There are older ones: give a higher --limit than 1.\n"


def test_an_empty_trail(call: Run, tmp_path: Path) -> None:
    from usageledger.registry import open_registry

    open_registry(f"sqlite:///{tmp_path}/registry.sqlite").close()
    done = call("audit", "--data", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Nothing was changed since there is a trail.\n")
