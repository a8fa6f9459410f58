"""`make test-agents`: coding agents of npm answer prompts by a fake vendor, with the settings of docs/coding-agents.md.

What the ledger counts by their telemetry is compared with what the vendor served, then their session files are
imported. Each has a home folder of its own, and no network but loopback.
"""

import fcntl
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.counted import Counts, counted
from tests.support.fake_vendor import fake_vendor
from tests.support.server_process import RunningServer, running

PACKAGES = Path(".cache/agents")
DOCUMENTATION = Path("docs/coding-agents.md")
AGENT_SECONDS_MAX = 120
PROMPT = "Say hello."
ALONE = "--alone"  # before the names, in a network of its own
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


@dataclass(frozen=True)
class Agent:
    """A coding agent.

    Attributes:
        package: of npm, with its version.
        section: of the documentation, with its settings.
        settings: the file that they go into, in its home folder; empty where they are of the environment.
        commands: the vendor's address → what it is told, one after the other: a prompt, and one more in that session.
        environment: the vendor's address → what it has beside its home.
        call: the counts of one call of its vendor.
        is_one: whether a call counts once by its telemetry and its session file together; None where none is imported.
        others: files that it needs beside, in its home folder.
    """

    package: str
    section: str
    settings: str
    commands: Callable[[str], list[list[str]]]
    environment: Callable[[str, RunningServer], dict[str, str]]
    call: Counts
    is_one: bool | None
    others: Mapping[str, str] = field(default_factory=dict[str, str])


def _claude_code(vendor: str, _: RunningServer) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": vendor,
        "ANTHROPIC_API_KEY": "none",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def _ask_claude_code(_: str) -> list[list[str]]:
    program = "@anthropic-ai/claude-code-linux-x64/claude"
    return [[program, "-p", PROMPT], [program, "--continue", "-p", PROMPT]]


def _ask_codex(vendor: str) -> list[list[str]]:
    provider = f'{{ name = "Fake", base_url = "{vendor}/v1", wire_api = "responses", env_key = "FAKE_KEY" }}'
    options = ["-c", "model_provider=fake", "-c", f"model_providers.fake={provider}", "-m", "gpt-5-codex"]
    program = [".bin/codex", "exec", "--skip-git-repo-check", *options]
    return [[*program, PROMPT], [*program, "resume", "--last", PROMPT]]


def _gemini_cli(vendor: str, server: RunningServer) -> dict[str, str]:
    return {
        "GOOGLE_GEMINI_BASE_URL": vendor,
        "GEMINI_API_KEY": "none",
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer {server.key}",
    }


def _ask_gemini_cli(_: str) -> list[list[str]]:
    program = [".bin/gemini", "-m", "gemini-2.5-flash"]  # else it asks a model which model to ask
    return [[*program, "-p", PROMPT], [*program, "--resume", "latest", "-p", PROMPT]]


def _copilot(vendor: str, _: RunningServer) -> dict[str, str]:
    return {"COPILOT_OFFLINE": "true", "COPILOT_PROVIDER_BASE_URL": f"{vendor}/v1", "COPILOT_MODEL": "gpt-5-mini"}


def _ask_copilot(_: str) -> list[list[str]]:
    program = ["@github/copilot-linux-x64/copilot", "--allow-all-tools"]
    return [[*program, "-p", PROMPT], [*program, "--continue", "-p", PROMPT]]


AGENTS = {
    "claude-code": Agent(
        "@anthropic-ai/claude-code@2.1.332",
        "Claude Code",
        ".claude/settings.json",
        _ask_claude_code,
        _claude_code,
        Counts(1, 1000, 900, 10, 150),
        is_one=True,
    ),
    "codex": Agent(
        "@openai/codex@0.171.0",
        "Codex",
        ".codex/config.toml",
        _ask_codex,
        lambda *_: {"FAKE_KEY": "none"},
        Counts(1, 1000, 400, 0, 500),
        is_one=False,
    ),
    "gemini-cli": Agent(
        "@google/gemini-cli@0.61.0",
        "Gemini CLI",
        ".gemini/settings.json",
        _ask_gemini_cli,
        _gemini_cli,
        Counts(1, 1000, 400, 0, 500),
        is_one=False,
        others={"work/.gemini/settings.json": '{"security": {"auth": {"selectedType": "gemini-api-key"}}}'},
    ),
    "copilot": Agent(
        "@github/copilot@1.0.102",
        "Copilot",
        "",
        _ask_copilot,
        _copilot,
        Counts(1, 1000, 400, 0, 500),
        is_one=None,
    ),
}


def packages_of(name: str) -> Path:
    """The folder of an agent's packages."""
    return (PACKAGES / name / "node_modules").absolute()


def install(name: str) -> None:
    """Installs an agent, where that version is not there."""
    package = AGENTS[name].package
    marker = packages_of(name) / f".{package.rpartition('@')[2]}"
    if not marker.exists():
        packages_of(name).mkdir(parents=True, exist_ok=True)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "install", "--prefix", PACKAGES / name, *options, package], check=True)
        marker.touch()


def settings(agent: Agent, server: RunningServer) -> str:
    """Reads the settings that the documentation gives, for this server."""
    section = DOCUMENTATION.read_text().partition(f"\n## {agent.section}\n")[2].partition("\n## ")[0]
    found = re.search(r"```text\n(.*?)```", section, re.DOTALL)
    assert found, agent.section
    return found[1].replace("http://ledger:8080", server.url).replace("sk-…", server.key)


def run(agent: Agent, packages: Path, home: Path, server: RunningServer) -> int:
    """Has the agent answer its prompts; how many calls the vendor served."""
    told = settings(agent, server)
    files = {agent.settings: told} if agent.settings else {}
    for name, text in {**files, **agent.others}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    with fake_vendor() as vendor:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            **({} if agent.settings else dict(line.split("=", 1) for line in told.splitlines())),
            **agent.environment(vendor.url, server),
        }
        for program, *arguments in agent.commands(vendor.url):
            command = ["timeout", "--kill-after=5", str(AGENT_SECONDS_MAX), str(packages / program), *arguments]
            _call(command, cwd=work, env=environment, stdin=subprocess.DEVNULL)
        return len(vendor.served)


def import_files(name: str, home: Path, server: RunningServer) -> str:
    """Imports the session files that an agent wrote; what the command prints."""
    address = {"USAGELEDGER_URL": server.url, "USAGELEDGER_API_KEY": server.key}
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **address}
    command = [sys.executable, "-m", "usageledger", "import", name]
    return _call(command, env=environment)


def _call(command: list[str], **options: Any) -> str:
    """Runs a command to its end; what it says."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if ended.returncode:
        raise RuntimeError(f"{command} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def try_out(name: str) -> bool:
    """Runs an agent and imports what it wrote; true where both count what is right."""
    agent = AGENTS[name]
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as server:
        home = Path(folder) / "home"
        served = agent.call.times(run(agent, packages_of(name), home, server))
        by_telemetry = counted(server)
        print(f"{agent.package}: served {served}; counted by telemetry {by_telemetry}")
        if agent.is_one is None:
            is_right = by_telemetry == served
        else:
            print(import_files(name, home, server), end="")
            with_files = counted(server)
            print(f"counted with session files {with_files}")
            is_right = by_telemetry == served and with_files == (served if agent.is_one else served.times(2))
    print("right" if is_right else "WRONG", flush=True)
    return is_right


def main() -> int:
    """Installs those that are named, or all, then runs them without a network; returns 1 where one counts otherwise."""
    names = sys.argv[1:] or list(AGENTS)
    if names[0] == ALONE:
        _turn_on_loopback()
        return 1 if [try_out(name) for name in names[1:]].count(False) else 0
    for name in names:
        install(name)
    alone = ["unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]  # ends all that they started
    return subprocess.run([*alone, sys.executable, "-m", "tests.agents", ALONE, *names], check=False).returncode


def _turn_on_loopback() -> None:
    """Turns on the only interface of a network of its own."""
    up = struct.pack("16sh14x", b"lo", IFF_UP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, up)


if __name__ == "__main__":
    sys.exit(main())
