"""Names from outside steer no terminal, forge no line, and are no formula, whatever command prints them."""

import contextlib
import csv
import io
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.cli.every_command import FORGED, GROUPS, HOSTILE, NAME, TIME, WITHOUT_NAMES, commands
from tests.cli.support import COMMAND, DEADLINE_S, Run, Server, one_error
from tools import cli_help

from usageledger.cli.terminal.output import visible


def check(text: str) -> None:
    """Lines of what can be seen, none of them begun by someone else's name."""
    for line in text.split("\n"):
        assert line.isprintable(), repr(line)
        assert not line.strip().startswith(FORGED)


def test_every_command(full_server: Server, call: Run, tmp_path: Path) -> None:
    event = tmp_path / HOSTILE.replace("/", "")
    event.write_text(json.dumps({"id": HOSTILE, "kind": "embeddings", "timestamp": TIME, HOSTILE: 1}), "utf-8")
    models = tmp_path / "models.csv"
    with models.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("provider", "model", "mode"), (HOSTILE, HOSTILE, "chat")])
    message = {"id": HOSTILE, "type": "gemini", "model": HOSTILE, "tokens": {"input": 1, "output": 1}}
    (tmp_path / "chat.jsonl").write_text(json.dumps(message), "utf-8")
    asked = commands(full_server.data, event, models)
    known = {" ".join(names) for names in cli_help.commands() if names not in GROUPS}
    assert known == asked.keys() | WITHOUT_NAMES
    silent = set()
    for command, arguments in asked.items():
        done = call(*command.split(), *arguments, COLUMNS="400")
        check(done.stdout)
        check(done.stderr)
        if r"\x1b]0;mine\x07\x9b2J\x7f\u202e\u2066\u200b\u2028\x85\r\nFORGED" not in done.stdout + done.stderr:
            silent.add(command)
        as_json = call(*command.split(), *arguments, "--json")
        check(as_json.stdout)
        if as_json.stdout:
            json.loads(as_json.stdout)
    # Details of the trail are written as JSON; a profile's name may hold nothing that is not seen; providers are in
    # small letters.
    assert silent == {"audit", "profiles list", "prices check", "sources unmap"}


@pytest.mark.parametrize(
    "name", ["👩‍💻", "👩🏽‍🚀", "❤️‍🔥", "🏳️‍🌈", "family 👨‍👩‍👧‍👦 of x"], ids=ascii
)  # fmt: skip
def test_emoji_stay_whole(name: str) -> None:
    assert visible(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("pay\u200dpal", r"pay\u200dpal"),
        ("👩\u200d", r"👩\u200d"),
        ("\u200d👩", r"\u200d👩"),
        ("👩\u200d\u202e", r"👩\u200d\u202e"),
        ("a\u200b👩\x1b", r"a\u200b👩\x1b"),
    ],
    ids=ascii,
)
def test_joiners_elsewhere_are_shown(name: str, shown: str) -> None:
    assert visible(name) == shown


def test_a_name_that_is_narrowed_down(full_server: Server, call: Run) -> None:
    """A table may break it over lines, none of which begins as it says."""
    for columns in ("40", "80", "120"):
        for command in (["keys", "list", "--data", full_server.data], ["usage", "embeddings", "--group-by", "model"]):
            done = call(*command, COLUMNS=columns)
            assert done.returncode == 0
            assert all(line.isprintable() for line in done.stdout.split("\n"))


def test_csv_is_safe_for_spreadsheets_and_exact_elsewhere(full_server: Server, call: Run) -> None:
    asked = ["usage", "embeddings", "--group-by", "model,user_id"]
    (row,) = csv.DictReader(io.StringIO(call(*asked, "--csv").stdout, newline=""))
    assert (row["model"], row["user_id"], row["input_tokens"]) == (f"'{HOSTILE}", f"'{HOSTILE}", "1")
    (row,) = json.loads(call(*asked, "--json").stdout)
    assert (row["model"], row["user_id"], row["input_tokens"]) == (HOSTILE, HOSTILE, 1)


def test_csv_at_a_terminal_steers_nothing(full_server: Server, environment: dict[str, str]) -> None:
    terminal, inner = pty.openpty()
    asked = [*COMMAND, "usage", "embeddings", "--group-by", "model", "--csv"]
    with subprocess.Popen(asked, env=environment, stdin=subprocess.DEVNULL, stdout=inner) as process:
        os.close(inner)
        shown = b""
        with contextlib.suppress(OSError):  # where the program ends
            while True:
                shown += os.read(terminal, 1000)
        os.close(terminal)
        assert process.wait(DEADLINE_S) == 0
    assert f"'{NAME}" in shown.decode()
    check(shown.decode().replace("\r\n", "\n"))


@pytest.fixture
def stranger() -> Iterator[str]:
    """The address of something that is no ledger, and that answers in its own way."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            body = json.dumps({"error": {"message": HOSTILE, "type": HOSTILE, "param": HOSTILE, "code": HOSTILE}})
            self.send_response(400, "\x1b]0;mine\x07")
            self.send_header("content-length", str(len(body)))
            self.send_header("x-request-id", "\x1b[31m")
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = answer  # noqa: N815 - as the library has it

        def log_message(self, *said: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_what_a_stranger_answers(stranger: str, call: Run, tmp_path: Path) -> None:
    event = tmp_path / "event.ndjson"
    event.write_text("{}")
    asked: list[list[Any]] = [
        *(["usage", "embeddings"], ["costs"], ["explain", "x", "--at", TIME], ["ingest", event]),
        *(
            ["prices", "unpriced"],
            ["prices", "diff"],
            ["prices", "reprice"],
            ["backup", tmp_path / "copy"],
            ["sources"],
        ),
    ]
    for arguments in asked:
        done = call(*arguments, USAGELEDGER_URL=stranger, USAGELEDGER_API_KEY="k" * 20)
        check(done.stdout)
        assert r"\x1b]0;mine" in one_error(done, 1)
    done = call("login", "--url", stranger, stdin=b"k" * 20)
    assert r"\x1b]0;mine" in one_error(done, 1)


def test_paths_that_are_hostile(call: Run, tmp_path: Path) -> None:
    path = tmp_path / HOSTILE.replace("/", "")
    asked: list[list[Any]] = [
        *(["import", "codex", path], ["import", path], ["import", "codex", f"{path}\udcff"]),
        *(["ingest", path], ["ingest", f"{path}\udcff"], ["backup", path, "--data", path], ["restore", path]),
        *(["verify", "--data", path], ["keys", "list", "--data", path], ["rebuild-rollups", "--data", path]),
        *(
            ["copy", "--from", f"duckdb:///{path}", "--to", "duckdb:///x"],
            ["serve", "--tls-cert", path, "--tls-key", path],
        ),
        *(["profiles", "use", HOSTILE], ["logout", "--profile", HOSTILE], ["login", "--url", HOSTILE], [HOSTILE]),
        *(["migrate", "--ledger", f"clickhouse://{HOSTILE}"], ["demo", "--days", HOSTILE], ["usage", HOSTILE]),
        ["costs", "--csv", "--parquet", path / "x"],
    ]
    for arguments in asked:
        done = call(*arguments)
        check(done.stdout)
        check(done.stderr)
        assert done.returncode, arguments
        assert "Error: " in done.stderr


def test_a_line_of_the_log_is_one_line() -> None:
    """Names, and errors that quote them, forge no second one."""
    code = (
        "import logging\n"
        "from usageledger.cli.commands.serve import log_to_stderr\n"
        "log_to_stderr()\n"
        f"logging.getLogger('usageledger').warning('no %s', {HOSTILE!r})\n"
        "try:\n"
        f"    raise ValueError({HOSTILE!r})\n"
        "except ValueError:\n"
        "    logging.getLogger('usageledger').exception('it failed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True, timeout=60
    )
    first, second, *rest = done.stderr.split("\n")
    assert first.endswith(f"WARNING usageledger: no {NAME}")
    assert second.endswith("ERROR usageledger: it failed")
    assert all(line.startswith("  ") and line.isprintable() for line in rest[:-1])
    assert rest[-1] == ""
