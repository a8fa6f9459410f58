"""`make test-emitters`: emitters from PyPI call a fake vendor; what the ledger counts is compared with the truth."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.support.fake_vendor import fake_vendor
from tests.support.server_process import RunningServer, running

HERE = Path(__file__).parent
ENVIRONMENTS = Path(".cache/emitters")
PROGRAM_SECONDS_MAX = 120


@dataclass(frozen=True)
class Truth:
    """What is right to count: calls, tokens in, from the cache, written to it, and out; tokens embedded."""

    calls: int
    input: int
    cached: int
    written: int
    output: int
    embedded: int = 0


OPENAI, ANTHROPIC = Truth(4, 4000, 1600, 0, 2000, 730), Truth(2, 2000, 1800, 20, 300)
BOTH = Truth(6, 6000, 3400, 20, 2300, 730)
# Pydantic AI's own test model gives 51 and 52 tokens in, 2 and 6 out.
EMITTERS = {
    "genai": BOTH,
    "traceloop": BOTH,
    "openinference": OPENAI,
    "pydantic": Truth(3, 1103, 900, 10, 158),
}


def install(name: str) -> Path:
    """Makes the environment of an emitter, where it is not there as it should be; its Python."""
    folder, wanted = ENVIRONMENTS / name, HERE / "requirements" / f"{name}.txt"
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--pre", "-r", wanted], check=True)
        installed.write_text(wanted.read_text())
    return python.absolute()


def run(name: str, python: Path, server: RunningServer) -> None:
    """Runs the emitter's program to its end."""
    with fake_vendor() as vendor:
        environment = {
            "PATH": os.environ["PATH"],
            "VENDOR": vendor,
            "OTEL_SERVICE_NAME": name,
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer {server.key}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        }
        program = HERE / "programs" / f"with_{name}.py"
        subprocess.run([python, program], env=environment, check=True, timeout=PROGRAM_SECONDS_MAX)


def counted(server: RunningServer) -> Truth:
    """Asks the server for everything that it counts."""
    results = {kind: _sum(server, kind) for kind in ("completions", "embeddings")}
    chat = results["completions"]
    return Truth(
        chat["num_model_requests"],
        chat["input_tokens"],
        chat["input_cached_tokens"],
        chat["input_cache_write_tokens"],
        chat["output_tokens"],
        results["embeddings"]["input_tokens"],
    )


def _sum(server: RunningServer, kind: str) -> dict[str, Any]:
    query: dict[str, str | int] = {"start_time": int(time.time()) - 3600, "bucket_width": "all"}
    answer = httpx.get(f"{server.url}/v1/organization/usage/{kind}", params=query, headers=server.headers)
    results = answer.raise_for_status().json()["data"][0]["results"]
    empty = dict.fromkeys(
        ("num_model_requests", "input_tokens", "input_cached_tokens", "input_cache_write_tokens", "output_tokens"), 0
    )
    return {name: sum(result.get(name, 0) for result in results) for name in empty}


def main() -> int:
    """Runs those that are named, or all; returns 1 where one counts otherwise."""
    wrong = 0
    for name in sys.argv[1:] or EMITTERS:
        python = install(name)
        with tempfile.TemporaryDirectory() as data, running(Path(data)) as server:
            run(name, python, server)
            found = counted(server)
            sources = httpx.get(f"{server.url}/v1/sources", headers=server.headers).raise_for_status().json()["data"]
        left = {
            f"{source['emitter']} {source['version']}": {
                each["reason"]: each["count"] for each in source["not_counted"]
            }
            for source in sources
        }
        print(f"{name}: {found} {'right' if found == EMITTERS[name] else f'WRONG, expected {EMITTERS[name]}'}")
        print(f"  not counted: {left}")
        wrong += found != EMITTERS[name]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
