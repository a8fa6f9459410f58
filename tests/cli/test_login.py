"""`usageledger login`, `logout` and `profiles`, against a real server and in a real terminal."""

import json
import os
import pty
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.support import COMMAND, DEADLINE_S, Run, Start, one_error
from tests.support.faulty_server import Faulty, answer, faulty
from tests.support.server_process import RunningServer, running

KEY = "sk-of-the-login-tests-0123456789"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("login"), KEY) as started:
        yield started


@pytest.fixture
def other() -> Iterator[Faulty]:
    with faulty() as state:
        yield state


@pytest.fixture
def file(environment: dict[str, str]) -> Path:
    return Path(environment["HOME"]) / ".config" / "usageledger" / "profiles.json"


def host(url: str) -> str:
    return url.removeprefix("http://").removesuffix("/v1")


def test_from_login_to_logout(call: Run, server: RunningServer, file: Path, tmp_path: Path) -> None:
    done = call("login", "--url", server.url, stdin=f"{KEY}\n".encode())
    assert (done.returncode, done.stdout) == (0, "")
    assert f"Logged in to {server.url}/v1: profile '{host(server.url)}' is used from now on." in done.stderr
    assert KEY not in done.stderr
    assert file.stat().st_mode & 0o777 == 0o600

    done = call("costs", "--json")
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    events = tmp_path / "events.ndjson"
    now = int(time.time()) - 60
    events.write_text(f'{{"kind": "images", "id": "i", "timestamp": {now}, "images": 3}}')
    assert call("ingest", events).stdout == "1 accepted, 0 duplicates, 0 refused\n"
    assert sum(row["images"] for row in json.loads(call("usage", "images", "--json").stdout)) == 3

    listed = call("profiles", "list")
    assert f"*  {host(server.url)}" in listed.stdout
    assert f"…{KEY[-4:]}" in listed.stdout
    assert KEY not in listed.stdout + call("profiles", "list", "--json").stdout

    done = call("logout")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Its key is still valid" in done.stderr
    assert KEY not in file.read_text()
    assert "There is no API key" in one_error(call("costs"), 2)


def test_several_servers(call: Run, server: RunningServer, other: Faulty) -> None:
    call("login", "--url", server.url, "--profile", "one", stdin=KEY.encode())
    told = json.loads(call("login", "--url", other.url, "--profile", "two", "--json", stdin=b"another-key").stdout)
    assert (told["profile"], told["url"]) == ("two", other.url)
    other.asked.clear()
    assert call("costs", "--json").returncode == 0
    assert [asked.headers["authorization"] for asked in other.asked] == ["Bearer another-key"]

    done = call("profiles", "use", "one")
    assert (done.returncode, done.stderr) == (0, f"Profile 'one' is used from now on: {server.url}/v1\n")
    assert call("costs", "--json").returncode == 0
    assert call("costs", "--json", "--profile", "two").returncode == 0
    assert call("costs", "--json", USAGELEDGER_PROFILE="two").returncode == 0
    assert len(other.asked) == 3
    assert json.loads(call("profiles", "list", "--json").stdout) == [
        {"profile": "one", "url": f"{server.url}/v1", "key": f"…{KEY[-4:]}", "current": True},
        {"profile": "two", "url": other.url, "key": "…-key", "current": False},
    ]
    assert json.loads(call("profiles", "use", "two", "--json").stdout) == {"profile": "two", "url": other.url}
    assert one_error(call("profiles", "use", "three"), 2) == "Error: There is no profile 'three'. There are: one, two."
    assert one_error(call("logout", "--profile", "three"), 2).endswith("There are: one, two.")

    assert "No profile is in use" not in call("logout", "--profile", "one").stderr
    call("login", "--url", server.url, "--profile", "one", stdin=KEY.encode())
    assert json.loads(call("logout", "--json").stdout) == {"profile": "one", "url": f"{server.url}/v1"}
    assert "No profile is in use: name one" in one_error(call("logout"), 2)
    assert call("logout", "--profile", "two").returncode == 0
    assert call("profiles", "list").stderr == "There are no profiles: make one with 'usageledger login'.\n"
    assert call("profiles", "list", "--json").stdout == "[]\n"


def test_leaving_the_current_server_says_so(call: Run, server: RunningServer) -> None:
    for name in ("one", "two"):
        call("login", "--url", server.url, "--profile", name, stdin=KEY.encode())
    assert "No profile is in use now: choose one with 'usageledger profiles use'." in call("logout").stderr
    assert "run 'usageledger login'" in one_error(call("costs"), 2)


def test_a_key_that_is_refused_is_not_kept(call: Run, server: RunningServer, file: Path) -> None:
    error = one_error(call("login", "--url", server.url, stdin=b"wrong-key"), 1)
    assert "answered 401: Incorrect API key" in error
    assert "wrong-key" not in error
    assert not file.exists()


def test_a_key_that_may_only_send_is_kept(call: Run, start: Start, tmp_path: Path) -> None:
    server = start("serve", "--data", tmp_path / "data", "--port", 0)
    key = call("keys", "create", "--scope", "api.usage.write", "--data", server.data).stdout
    done = call("login", "--url", server.address, stdin=key.encode())
    assert done.returncode == 0
    assert "Warning: the key may not ask for usage" in done.stderr


def test_a_server_that_is_something_else(call: Run, other: Faulty, file: Path) -> None:
    other.steps.append(answer(200, b"<html>Welcome</html>"))
    assert "Is the address that of the API?" in one_error(call("login", "--url", other.url, stdin=b"k"), 1)
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ((), b"k", "--url is needed where nobody can be asked."),
        (("--url", "localhost"), b"k", "--url: expected http://HOST:PORT or https://HOST, got 'localhost'."),
        (("--url", "http://x"), b"", "There was no key on stdin."),
        (("--url", "http://x"), b"\n", "There was no key on stdin."),
        (("--url", "http://x"), b"two words", "The key: an API key is visible ASCII characters without spaces."),
        (("--url", "http://x", "--profile", "a b"), b"k", "--profile: expected up to 64 letters, digits, dots"),
    ],
)
def test_misuse(call: Run, arguments: tuple[str, ...], stdin: bytes, message: str) -> None:
    assert message in one_error(call("login", *arguments, stdin=stdin), 2)


def test_a_person_is_asked_and_the_key_not_shown(
    environment: dict[str, str], server: RunningServer, file: Path
) -> None:
    terminal, inner = pty.openpty()
    process = subprocess.Popen([*COMMAND, "login"], env=environment, stdin=inner, stdout=inner, stderr=inner)
    os.close(inner)
    try:
        shown = read_until(terminal, "Server [http://127.0.0.1:8080]")
        os.write(terminal, f"{server.url}\n".encode())
        shown += read_until(terminal, "API key for")
        deadline = time.monotonic() + DEADLINE_S
        while termios.tcgetattr(terminal)[3] & termios.ECHO:  # what is typed before is thrown away
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.write(terminal, f"{KEY}\n".encode())
        shown += read_until(terminal, "Logged in")
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert KEY not in shown
    assert json.loads(file.read_text())["profiles"] == {host(server.url): {"url": f"{server.url}/v1", "key": KEY}}


def read_until(terminal: int, text: str) -> str:
    """What a terminal shows until `text` is there; it ends with an OSError where the program ends before."""
    shown = ""
    while text not in shown:
        shown += os.read(terminal, 1000).decode()
    return shown
