"""Whoever reads stdout may go away, and no command makes a noise about it."""

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.cli.every_command import GROUPS, TIME, commands
from tests.cli.support import COMMAND, DEADLINE_S, Run, Server
from tools import cli_help

SERVING = {"demo", "relay", "serve"}


def more_commands(data: Path, folder: Path) -> dict[str, list[Any]]:
    """The commands that print no names."""
    none = ["--data", folder / "none"]
    return {
        "backup": [folder / "copy"],
        "restore": [folder / "copy", *none],
        "copy": ["--from", f"duckdb:///{folder}/none", "--to", f"duckdb:///{folder}/other"],
        "login": [],
        "logout": [],
        "profiles use": ["mine"],
        "migrate": ["--data", data],
        "rebuild-rollups": none,
        "verify": none,
        "prices status": ["--data", data],
        "prices update": [folder / "event.ndjson", "--data", data],
    }


def test_every_command(full_server: Server, call: Run, tmp_path: Path) -> None:
    event, models = tmp_path / "event.ndjson", tmp_path / "models.csv"
    event.write_text(json.dumps({"id": "e", "kind": "embeddings", "timestamp": TIME}), "utf-8")
    with models.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("provider", "model", "mode"), ("x", "y", "chat")])
    message = {"id": "m", "type": "gemini", "model": "y", "tokens": {"input": 1, "output": 1}}
    models.with_name("chat.jsonl").write_text(json.dumps(message), "utf-8")
    asked = commands(full_server.data, event, models) | more_commands(full_server.data, tmp_path)
    known = {" ".join(names) for names in cli_help.commands() if names not in GROUPS}
    assert known == asked.keys() | SERVING
    forms: list[tuple[str, list[str]]] = [(command, []) for command in asked]
    forms += [("costs", ["--json"]), ("costs", ["--csv"]), ("prices list", ["--json"])]
    stopped: set[tuple[str, ...]] = set()
    for command, form in forms:
        done = call(*command.split(), *asked[command], *form, closed_stdout=True)
        assert "pipe" not in done.stderr, (command, done.stderr)
        if done.returncode == 1 and "Error: " not in done.stderr:
            stopped.add((command, *form))
    assert {("costs",), ("costs", "--json"), ("costs", "--csv"), ("keys list",), ("prices list", "--json")} <= stopped


@pytest.mark.parametrize(
    "arguments", [["--help"], ["prices", "show", "gpt-5"], ["serve", "--port", "0", "--json"]], ids=" ".join
)
def test_a_process(environment: dict[str, str], tmp_path: Path, arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [*COMMAND, *arguments], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=closed,
            stderr=subprocess.PIPE, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "pipe" not in done.stderr.decode().lower()
    assert "Traceback" not in done.stderr.decode()


def test_a_stdout_that_was_never_open(environment: dict[str, str], tmp_path: Path) -> None:
    command = f"{' '.join(COMMAND)} prices show gpt-5 --data {tmp_path} >&-"
    done = subprocess.run(
        command, shell=True, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
