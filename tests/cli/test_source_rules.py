"""`usageledger sources map`, `rules` and `unmap`."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.support import Run, one_error


@pytest.fixture
def data(call: Run, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    call("keys", "create", "--name", "gateway", "--data", folder)
    return folder


def listed(call: Run, data: Path) -> list[dict[str, Any]]:
    return list(json.loads(call("sources", "rules", "--data", data, "--json").stdout))


def test_rules_are_set_listed_replaced_and_removed(call: Run, data: Path) -> None:
    (key,) = json.loads(call("keys", "list", "--data", data, "--json").stdout)
    done = call("sources", "rules", "--data", data)
    assert (done.returncode, done.stdout) == (0, "")
    assert "There are no rules" in done.stderr
    done = call("sources", "map", "project_id=team.id,header:X-Team", "user_id=user.email", "--data", data)
    assert done.stderr.splitlines() == [
        "All emitters: project_id from team.id, header:x-team.",
        "All emitters: user_id from user.email.",
    ]
    call("sources", "map", "--key", key["id"], "--emitter", "lite*", "project_id=value:a, b", "--data", data)
    call("sources", "map", "user_id=enduser.id", "--data", data)
    found = listed(call, data)
    assert [(each["emitter"], each["key_id"], each["field"], each["origins"]) for each in found] == [
        ("*", None, "project_id", ["team.id", "header:x-team"]),
        ("lite*", key["id"], "project_id", ["value:a, b"]),
        ("*", None, "user_id", ["enduser.id"]),
    ]
    done = call("sources", "map", "--emitter", "gate*", "signal=metrics", "--data", data)
    assert done.stderr == "Emitter gate*: signal from value:metrics.\n"
    assert listed(call, data)[-1]["origins"] == ["value:metrics"]
    table = call("sources", "rules", "--data", data).stdout
    assert "lite*" in table
    assert key["id"] in table
    number = found[0]["number"]
    assert call("sources", "unmap", number, "--data", data).stderr == f"Removed rule {number}.\n"
    assert f"no rule {number}" in one_error(call("sources", "unmap", number, "--data", data), 1)
    types = [entry["type"] for entry in json.loads(call("audit", "--data", data, "--json").stdout)]
    assert types[:2] == ["source.unmapped", "source.mapped"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("team=team.id",), "a field of project_id, user_id, api_key_id, signal"),
        (("project_id",), "FIELD=ORIGIN"),
        (("project_id=",), "1 to 256 characters"),
        (("project_id=a,,b",), "1 to 256 characters"),
        (("--emitter", "", "project_id=a"), "--emitter"),
        (("signal=spans",), "expected one of traces, logs, metrics, got 'spans'"),
        (("signal=metrics,logs",), "expected one of traces, logs, metrics"),
        (("project_id=" + ",".join("abcdefghijklmnopqrstu"),), "21 origins are more than 20"),
    ],
)
def test_a_wrong_rule_is_refused(call: Run, data: Path, given: tuple[str, ...], told: str) -> None:
    assert told in one_error(call("sources", "map", *given, "--data", data), 2)
    assert listed(call, data) == []


def test_a_key_that_is_not_there_is_refused(call: Run, data: Path) -> None:
    assert "no key 'key_none'" in one_error(
        call("sources", "map", "--key", "key_none", "project_id=a", "--data", data), 1
    )
