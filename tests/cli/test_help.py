"""Helping is quick because it loads little, and the documentation shows what comes; the tab key helps as well."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.cli.support import Run, one_error
from tools import cli_help

from usageledger import __version__
from usageledger.cli.profile_store import Profile, Profiles, save_profiles
from usageledger.meters import COSTS, METERS

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
GROUPS = ("alerts", "keys", "limits", "prices", "profiles", "usage")
HEAVY = "{'duckdb', 'pyarrow', 'numpy', 'starlette', 'sqlalchemy', 'httpx', 'msgspec', 'zstandard'}"

# httpx's own command line, and what that loads.
NEEDLESS = "{'httpx._main', 'click', 'pygments', 'rich.progress', 'rich.markdown'}"


def shown(*names: str) -> str:
    """What the documentation shows for a command."""
    _, _, rest = PAGE.read_text("utf-8").partition(f"\n### {' '.join(('usageledger', *names))}\n\n```text\n")
    return rest.partition("\n```\n")[0]


@pytest.mark.parametrize("names", [(), ("serve",), ("costs",), ("usage", "images"), ("keys", "create")], ids=" ".join)
def test_the_documentation_shows_what_comes(call: Run, names: tuple[str, ...]) -> None:
    done = call(*names, "--help", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip() == shown(*names)


def test_every_command_is_shown_speaks_json_and_has_an_example() -> None:
    for names in cli_help.commands():
        text = cli_help.help_text(names)
        assert text == shown(*names), "run python -m tools.generate"
        if names not in {(), *((group,) for group in GROUPS)}:
            assert "--json" in text
            assert f"  usageledger {' '.join(names)}" in text


@pytest.fixture
def answering() -> Iterator[str]:
    """The address of something that answers every question with costs of two days."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            amount = {"value": 1.5, "currency": "usd"}
            buckets = [
                {
                    "object": "bucket",
                    "start_time": start,
                    "end_time": start + 86_400,
                    "results": [{"object": "organization.costs.result", "amount": amount}],
                }
                for start in (1_795_651_200, 1_795_737_600)
            ]
            body = json.dumps({"object": "page", "data": buckets, "has_more": False, "next_page": None}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the library has it
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_help_loads_nothing_heavy(environment: dict[str, str]) -> None:
    asked = [
        ["--help"],
        ["serve", "--help"],
        ["keys", "list", "--help"],
        ["usage", "completions", "--help"],
        ["costs", "--help"],
        ["login", "--help"],
        ["--version"],
    ]
    code = (
        "import sys\n"
        "from usageledger.cli import run\n"
        "assert 'rich' not in sys.modules\n"
        f"for arguments in {asked!r}:\n"
        "    assert run(arguments) == 0\n"
        f"    heavy = {HEAVY} & set(sys.modules)\n"
        "    assert not heavy, (arguments, heavy)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, check=True, capture_output=True)


def test_a_question_loads_nothing_that_it_does_not_need(environment: dict[str, str], answering: str) -> None:
    code = (
        "import atexit, ssl, sys\n"
        "from usageledger.cli import main\n"
        "ssl.SSLContext.load_verify_locations = None\n"  # an address without TLS has no use for certificates
        f"heavy = {HEAVY} - {{'httpx', 'msgspec', 'zstandard'}} | {NEEDLESS}\n"
        "atexit.register(lambda: print('heavy:', *(heavy & {*filter(sys.modules.get, sys.modules)})))\n"
        f"sys.argv[1:] = ['costs', '--url', {answering!r}, '--key', 'k']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert "Total" in done.stdout
    assert done.stdout.splitlines()[-1] == "heavy:"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", {names[0] for names in cli_help.commands() if names}),
        ("usage ", {meter.kind for meter in METERS}),
        ("usage images --size 10", {"1024x1024", "1024x1792"}),
        ("usage images --group-by mo", {"model"}),
        ("costs --group-by model,l", {"model,line_item"}),
        ("costs --bucket ", {width.name for width in COSTS.widths}),
        ("costs --profile w", {"work", "web"}),
        ("profiles use h", {"home"}),
    ],
)
def test_the_tab_key(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, words: str, expected: set[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", environment["HOME"])
    save_profiles(Profiles(dict.fromkeys(("work", "web", "home"), Profile("http://x/v1", "k"))))
    typed = f"usageledger {words}"
    asked = {
        "_USAGELEDGER_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split(" ")) - 1),
        "XDG_CONFIG_HOME": environment["HOME"],
    }
    code = (
        "import atexit, sys\n"
        "from usageledger.cli import run\n"
        f"heavy = {HEAVY} | {{'rich'}}\n"
        "atexit.register(lambda: print('heavy:', *(heavy & set(sys.modules))))\n"
        "run([])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment | asked, check=True, capture_output=True, text=True
    )
    assert set(done.stdout.split()) == {*expected, "heavy:"}


@pytest.mark.parametrize(("shell", "file"), [("zsh", ".zshrc"), ("bash", ".bashrc"), ("fish", ".config/fish")])
def test_completion_of_a_named_shell(call: Run, environment: dict[str, str], shell: str, file: str) -> None:
    done = call("--install-completion", shell)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"completes in {shell}" in done.stderr
    assert Path(environment["HOME"], file).exists()
    shown = call("--show-completion", shell)
    assert (shown.returncode, f"complete_{shell}" in shown.stdout) == (0, True)


def test_completion_of_an_unknown_shell(call: Run) -> None:
    done = call("--install-completion", "csh")
    assert one_error(done, 2) == (
        "Error: --install-completion: expected bash, zsh, fish, powershell or pwsh, got 'csh'."
    )


def test_version(call: Run) -> None:
    done = call("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"usageledger {__version__}\n", "")


def test_nothing_asked_shows_help(call: Run) -> None:
    done = call()
    assert done.returncode == 2
    assert "Usage: usageledger" in done.stdout
    assert done.stderr == ""


def test_help_has_no_colours_where_they_are_not_wanted(run: Run) -> None:
    assert "\x1b" not in run("serve", "--help", TERM="xterm-256color").stdout
