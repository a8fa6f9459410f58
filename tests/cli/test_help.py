"""Help texts are kept as files, so that a change of them is seen; and helping is quick because it loads little."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.support import Run
from typer.main import get_command

from usageledger import __version__
from usageledger.cli import app

GOLDEN = Path(__file__).parent.parent / "golden" / "cli_help"
COMMANDS = (
    (),
    ("serve",),
    ("ingest",),
    ("demo",),
    ("verify",),
    ("keys",),
    ("keys", "create"),
    ("keys", "list"),
    ("keys", "revoke"),
    ("prices",),
    ("prices", "set"),
    ("prices", "import"),
    ("prices", "list"),
    ("prices", "show"),
    ("prices", "revisions"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "usageledger")
def test_help_is_as_kept(run: Run, command: tuple[str, ...]) -> None:
    done = run(*command, "--help", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    text = "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip() + "\n"
    kept = GOLDEN / f"{'_'.join(command) or 'usageledger'}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        kept.write_text(text)
    assert text == kept.read_text(), "run the tests with UPDATE_GOLDEN=1 if this change is meant"


def test_every_command_is_kept_and_speaks_json() -> None:
    group = get_command(app)
    found = {()}
    for name, command in group.commands.items():
        found.add((name,))
        for inner in getattr(command, "commands", {}):
            found.add((name, inner))
    assert found == set(COMMANDS)
    for command in COMMANDS:
        text = (GOLDEN / f"{'_'.join(command) or 'usageledger'}.txt").read_text()
        assert "--json" in text or command in {(), ("keys",), ("prices",)}


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["keys", "list", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(environment: dict[str, str], arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from usageledger.cli import run\n"
        "assert 'rich' not in sys.modules\n"
        f"assert run({arguments!r}) == 0\n"
        "heavy = {'duckdb', 'pyarrow', 'numpy', 'starlette', 'sqlalchemy', 'httpx', 'msgspec', 'zstandard'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, check=True, capture_output=True)


def test_completion_names_the_commands_and_loads_nothing_heavy(environment: dict[str, str]) -> None:
    asked = {"_USAGELEDGER_COMPLETE": "complete_bash", "COMP_WORDS": "usageledger ", "COMP_CWORD": "1"}
    code = (
        "import atexit, sys\n"
        "from usageledger.cli import run\n"
        "heavy = {'duckdb', 'pyarrow', 'numpy', 'starlette', 'sqlalchemy', 'httpx', 'msgspec', 'rich'}\n"
        "atexit.register(lambda: print('heavy:', *(heavy & set(sys.modules))))\n"
        "run([])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment | asked, check=True, capture_output=True, text=True
    )
    assert set(done.stdout.split()) == {"serve", "ingest", "demo", "verify", "keys", "prices", "heavy:"}


def test_version(run: Run) -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"usageledger {__version__}\n", "")


def test_nothing_asked_shows_help(run: Run) -> None:
    done = run()
    assert done.returncode == 2
    assert "Usage: usageledger" in done.stdout
    assert done.stderr == ""


def test_help_has_no_colours_where_they_are_not_wanted(run: Run) -> None:
    assert "\x1b" not in run("serve", "--help", TERM="xterm-256color").stdout
