"""`usageledger import`: files of others on a real server, once and again."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from tests.cli.support import KEY, Run, Server, Start, one_error
from tests.support.services.postgresql import new_database

from usageledger.cli.commands.import_files import SOURCES
from usageledger.cli.importing import IDS_SEEN_MAX
from usageledger.sources.files import FORMATS

FILES = Path(__file__).parents[1] / "sources" / "files"
# File → format, events, input, output.
FOUND = {
    "claude-code.jsonl": ("claude-code", 4, 2385, 206),
    "codex.jsonl": ("codex", 4, 4100, 710),
    "codex-fork.jsonl": ("codex", 1, 50, 5),
    "gemini-cli.json": ("gemini-cli", 2, 1120, 510),
    "gemini-cli.jsonl": ("gemini-cli", 1, 1020, 500),
    "openai-batch.jsonl": ("openai-batch", 3, 308, 50),
    "anthropic-batch.jsonl": ("anthropic-batch", 1, 115, 7),
    "bedrock.jsonl": ("bedrock", 1, 30, 9),
    "litellm.csv": ("litellm", 3, 2730, 650),
    "langfuse-api.json": ("langfuse", 1, 10, 5),
    "langsmith.jsonl": ("langsmith", 2, 2000, 650),
    "cloudflare.json": ("cloudflare", 3, 300, 40),
    "portkey.jsonl": ("portkey", 2, 1100, 520),
    "helicone.jsonl": ("helicone", 3, 2100, 670),
    "kong.jsonl": ("kong", 3, 217, 96),
}


KINDS = {
    "startTime": "timestamp(3)",
    "endTime": "timestamp(3)",
    "metadata": "jsonb",
    "messages": "jsonb",
    "spend": "float",
}


@pytest.fixture
def server(start: Start, tmp_path: Path) -> Server:
    return start("serve", "--data", tmp_path / "data", "--port", 0, USAGELEDGER_ADMIN_KEY=KEY)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folders of coding agents in the home of who runs the command."""
    for source, folder in (
        ("claude-code.jsonl", ".claude/projects/-home-ada-shop"),
        ("codex.jsonl", ".codex/sessions/2026/11/03"),
        ("codex-fork.jsonl", ".codex/archived_sessions"),
        ("gemini-cli.json", ".gemini/tmp/shop/chats"),
        ("gemini-cli.jsonl", ".gemini/tmp/shop/chats/s1"),
    ):
        at = tmp_path / folder
        at.mkdir(parents=True)
        shutil.copy(FILES / source, at / f"rollout-{source}")
    return tmp_path


def usage(server: Server, **asked: Any) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"{server.address}/v1/organization/usage/completions",
        params={"start_time": 1_760_000_000, "bucket_width": "1d", "limit": 31, **asked},
        headers={"authorization": f"Bearer {KEY}"},
    )
    return [result for bucket in answer.raise_for_status().json()["data"] for result in bucket["results"]]


def test_every_source_is_listed() -> None:
    assert tuple(FORMATS) == SOURCES


def test_a_second_time_nothing_is_new(call: Run, server: Server) -> None:
    here = {"USAGELEDGER_URL": server.address, "USAGELEDGER_API_KEY": KEY}
    for file, (source, events, whole, output) in FOUND.items():
        first = call("import", source, FILES / file, "--json", **here)
        told = json.loads(first.stdout)
        assert (first.returncode, first.stderr) == (0, "")
        assert (told["accepted"], told["duplicates"], told["rejected"]) == (events, 0, 0), file
        sums = [sum(each[name] for each in told["models"]) for name in ("events", "input_tokens", "output_tokens")]
        assert sums == [events, whole, output]
        again = json.loads(call("import", source, FILES / file, "--json", **here).stdout)
        assert (again["accepted"], again["duplicates"], again["rejected"]) == (0, events, 0), file
        assert again["models"] == told["models"]


def test_agents_files_are_found_and_are_of_who_runs_it(call: Run, server: Server, home: Path) -> None:
    here = {"USAGELEDGER_URL": server.address, "USAGELEDGER_API_KEY": KEY, "HOME": str(home), "LOGNAME": "ada"}
    for source, events in (("claude-code", 4), ("codex", 5), ("gemini-cli", 3)):
        done = call("import", source, **here)
        assert done.returncode == 0
        assert done.stdout.splitlines()[-1] == f"{events} accepted, 0 duplicates, 0 refused"
    found = usage(server, start_time=1_793_500_000, group_by=["user_id", "project_id"])
    assert {(result["user_id"], result["project_id"]) for result in found} == {("ada", "shop")}
    assert sum(result["output_tokens"] for result in found) == 206 + 715


def test_the_environment_says_where_the_files_are(call: Run, home: Path) -> None:
    moved = (home / ".claude").rename(home / "elsewhere")
    done = call("import", "claude-code", "--dry-run", CLAUDE_CONFIG_DIR=str(moved))
    assert done.stdout.splitlines()[-1] == "4 events found, nothing sent"
    assert "There are no files of claude-code in " in one_error(call("import", "claude-code"), 2)


@pytest.mark.parametrize("named", [".codex", ".codex/sessions"])
def test_folders_can_be_named(call: Run, home: Path, named: str) -> None:
    done = call("import", "codex", home / named, "--dry-run", "--json")
    assert sum(each["events"] for each in json.loads(done.stdout)["models"]) == (5 if named == ".codex" else 4)


def test_a_dry_run_shows_what_is_found_and_why_the_rest_is_not(call: Run) -> None:
    done = call("import", "claude-code", FILES / "claude-code.jsonl", "--dry-run", COLUMNS="200")
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    about = ["completions", "anthropic", "claude-sonnet-4-5-20250929", "1", "2,310", "159"]
    assert [*about, "2026-11-02T09:00:03Z", "2026-11-02T09:00:03Z"] in rows
    assert rows[-1] == ["4", "events", "found,", "nothing", "sent"]
    first, second = done.stderr.splitlines()
    assert first.startswith("Not counted: 1 failed_call, such as 5a1f. The call failed")
    assert second.startswith("Not counted: 1 no_usage, such as response:msg_01D. A call that does not say")


def test_a_copy_counts_once_in_one_run(call: Run) -> None:
    file = FILES / "claude-code.jsonl"
    told = json.loads(call("import", "claude-code", file, file, "--dry-run", "--json").stdout)
    assert told["dry_run"]
    assert sum(each["events"] for each in told["models"]) == 4
    assert {each["reason"]: each["count"] for each in told["not_counted"]}["same_response"] == 4
    assert IDS_SEEN_MAX > 100_000


def test_gzip_and_stdin_are_read(call: Run, tmp_path: Path) -> None:
    file = tmp_path / "session.gz"
    file.write_bytes(gzip.compress((FILES / "codex.jsonl").read_bytes()))
    assert call("import", "codex", file, "--dry-run").stdout.endswith("4 events found, nothing sent\n")
    done = call("import", "gemini-cli", "-", "--dry-run", stdin=(FILES / "gemini-cli.json").read_bytes())
    assert done.stdout.endswith("2 events found, nothing sent\n")


def test_what_is_said_holds_for_all_events(call: Run, server: Server) -> None:
    here = {"USAGELEDGER_URL": server.address, "USAGELEDGER_API_KEY": KEY}
    assert call("import", "codex", FILES / "codex.jsonl", "--user", "eve", "--project", "p", **here).returncode == 0
    found = usage(server, start_time=1_793_500_000, group_by=["user_id", "project_id"])
    assert [(result["user_id"], result["project_id"]) for result in found] == [("eve", "p")]


def test_a_file_that_cannot_be_read_is_named_and_the_others_count(call: Run, tmp_path: Path) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_bytes(b"no JSON\n")
    done = call("import", "codex", file, FILES / "codex.jsonl", "--dry-run")
    assert done.returncode == 1
    assert done.stdout.endswith("4 events found, nothing sent\n")
    assert done.stderr == f"{file}:1: expected one JSON object a line, or a JSON array, got 'no JSON'\n"
    with file.open("wb") as broken:
        broken.write((FILES / "codex.jsonl").read_bytes() + b'{"type": \n')
    done = call("import", "codex", file, "--dry-run")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "4 events found, nothing sent")
    assert "It is not JSON of the form of this source." in done.stderr


def test_an_unknown_source_and_a_missing_file_are_said(call: Run, tmp_path: Path) -> None:
    error = one_error(call("import", "claude-cod", "x"), 2)
    assert "There is no source 'claude-cod'. Did you mean 'claude-code'? Known are claude-code, " in error
    assert f"There is no file {tmp_path / 'x'}." in one_error(call("import", "codex", tmp_path / "x"), 2)


def test_a_server_that_is_not_there_is_said(call: Run) -> None:
    done = call("import", "codex", FILES / "codex.jsonl", "--url", "http://127.0.0.1:9", "--retries", 0, "--key", KEY)
    assert done.returncode == 1
    assert "did not answer" in done.stderr


def test_files_must_be_named_where_no_folder_is_known(call: Run) -> None:
    assert "Name the files to import, or - for stdin." in one_error(call("import", "litellm"), 2)


def test_an_address_that_does_not_answer_is_said_without_its_password(call: Run) -> None:
    error = one_error(call("import", "litellm", "postgresql://l:secret@127.0.0.1:9/litellm", "--dry-run"), 1)
    assert "postgresql://l:***@127.0.0.1:9/litellm cannot be read: " in error
    assert "secret" not in error


@pytest.mark.external
def test_spend_logs_are_read_from_their_table(call: Run, server: Server) -> None:
    address = new_database().replace("+psycopg", "")
    rows = [json.loads(line) for line in (FILES / "litellm.jsonl").read_text("utf-8").splitlines()]
    with psycopg.connect(address, autocommit=True) as connection:
        columns = ", ".join(f'"{name}" {KINDS.get(name, "text")}' for name in rows[0])
        connection.execute(f'CREATE TABLE "LiteLLM_SpendLogs" ({columns})')
        insert = (
            'INSERT INTO "LiteLLM_SpendLogs" SELECT * FROM json_populate_record(NULL::"LiteLLM_SpendLogs", %s::json)'
        )
        for row in rows:
            connection.execute(insert, (json.dumps(row),))
    here = {"USAGELEDGER_URL": server.address, "USAGELEDGER_API_KEY": KEY}
    assert call("import", "litellm", address, **here).stdout.endswith("3 accepted, 0 duplicates, 0 refused\n")
    done = call("import", "litellm", FILES / "litellm.jsonl", **here)
    assert done.stdout.endswith("0 accepted, 3 duplicates, 0 refused\n")


def test_the_provider_can_be_said_where_files_do_not(call: Run) -> None:
    done = call("import", "langfuse", FILES / "langfuse.csv", "--provider", "azure", "--dry-run", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert {each["provider"] for each in told["models"]} == {"openai", "anthropic", "azure"}
    assert told["refused"][0]["id"] == "langfuse:o8"
    assert "the total (99)" in told["refused"][0]["message"]
