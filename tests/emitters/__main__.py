"""`make test-emitters`: emitters from PyPI and npm call a fake vendor; what the ledger counts is compared with it."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support.counted import Counts, counted, not_counted
from tests.support.fake_vendor import fake_vendor
from tests.support.server_process import RunningServer, running

HERE = Path(__file__).parent
ENVIRONMENTS = Path(".cache/emitters")
PROGRAM_SECONDS_MAX = 120


@dataclass(frozen=True)
class Truth:
    """What is right to count, and how often not to, by reason; metrics come as often as the emitter likes."""

    counts: Counts
    left: dict[str, int] = field(default_factory=dict[str, int])


OPENAI, ANTHROPIC = Counts(4, 4000, 1600, 0, 2000, 730), Counts(2, 2000, 1800, 20, 300)
# Both are called by way of spans of their own and of Anthropic's SDK; a stream was not asked for its usage.
TWICE = Truth(OPENAI + ANTHROPIC, {"same_response": 2, "no_usage": 1})
# A stream that was not asked for its usage is counted by LiteLLM itself, as 8 and 1.
LITELLM = Truth(Counts(4, 3008, 1200, 0, 1501, 730) + ANTHROPIC, {"cache_hit": 1, "failed_call": 1})
AI_SDK = Counts(3, 3000, 1200, 0, 1500, 730) + ANTHROPIC
AI_SDK_LEFT = {"aggregate": 6, "failed_call": 1}
EMITTERS = {
    "genai": TWICE,
    "traceloop": TWICE,
    "openinference": Truth(OPENAI, {"no_usage": 1}),
    "anthropic": Truth(ANTHROPIC, {"aggregate": 2}),
    "logfire": Truth(OPENAI + ANTHROPIC, {"no_usage": 1}),
    # Pydantic AI's own test model gives 51 and 52 tokens in, 2 and 6 out.
    "pydantic": Truth(Counts(3, 1103, 900, 10, 158), {"aggregate": 2, "same_response": 1}),
    "litellm": LITELLM,
    "litellm_otel": LITELLM,
    # Of OpenAI's answers it says only for streams how much came from the cache.
    "ai5": Truth(replace(AI_SDK, cached=AI_SDK.cached - 800), AI_SDK_LEFT),
    "ai6": Truth(AI_SDK, AI_SDK_LEFT),
    "ai7": Truth(AI_SDK, AI_SDK_LEFT),
}


def install(name: str) -> list[str]:
    """Makes the environment of an emitter, where it is not there as it should be; the command of its program."""
    wanted = next((HERE / "requirements").glob(f"{name}.*"))
    folder, program = (ENVIRONMENTS / name).absolute(), HERE / "programs" / f"with_{name}.py"
    is_new = not (folder / wanted.name).exists() or (folder / wanted.name).read_text() != wanted.read_text()
    if wanted.suffix == ".json":
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            shutil.copy(wanted, folder / "package.json")
            subprocess.run(["npm", "install", "--prefix", folder, "--silent", "--no-audit", "--no-fund"], check=True)
            shutil.copy(wanted, folder)
        program = folder / "with_ai.mjs"  # where its packages are found
        shutil.copy(HERE / "programs" / program.name, program)
        return ["node", str(program)]
    python = folder / "bin" / "python"
    if is_new:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--pre", "-r", wanted], check=True)
        shutil.copy(wanted, folder)
    return [str(python), str(program)]


def run(name: str, command: list[str], server: RunningServer) -> None:
    """Runs the emitter's program to its end."""
    with fake_vendor() as vendor:
        environment = {
            "PATH": os.environ["PATH"],
            "VENDOR": vendor.url,
            "LEDGER": server.url,
            "KEY": server.key,
            "LITELLM_LOCAL_MODEL_COST_MAP": "true",  # it would ask for prices
            "OTEL_SERVICE_NAME": name,
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer {server.key}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        }
        subprocess.run(command, env=environment, check=True, timeout=PROGRAM_SECONDS_MAX)


def main() -> int:
    """Runs those that are named, or all; returns 1 where one counts otherwise."""
    wrong = 0
    for name in sys.argv[1:] or EMITTERS:
        command = install(name)
        with tempfile.TemporaryDirectory() as data, running(Path(data)) as server:
            run(name, command, server)
            found = Truth(counted(server), dict(not_counted(server)))
        found.left.pop("other_signal", None)
        is_right = found == EMITTERS[name]
        print(f"{name}: {found} {'right' if is_right else f'WRONG, expected {EMITTERS[name]}'}", flush=True)
        wrong += not is_right
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
