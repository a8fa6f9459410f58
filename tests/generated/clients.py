"""Clients that generators make from an OpenAPI document, each with the program that asks by it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.services.programs import GENERATORS, program

PROGRAMS = Path(__file__).parent / "programs"
SECONDS_MAX = 280

# A generator: it makes a client of the document in the folder; from it comes the command of the program.
Generator = Callable[[Path, Path], list[str]]


def environment(*folders: Path) -> dict[str, str]:
    """The environment in which Python finds the generators, and what is in `folders`, before its own packages."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*folders, GENERATORS)))}


def run(*command: str | Path) -> None:
    """Runs a generator or compiler; an error says all that it said."""
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-4000:]}{done.stderr[-4000:]}"


def openapi_generator(language: str, document: Path, folder: Path, *options: str) -> None:
    """Runs openapi-generator, as its command does."""
    jar = program("openapi-generator")
    run(program("java"), "-jar", jar, "generate", "-i", document, "-g", language, "-o", folder, *options)


def python(document: Path, folder: Path) -> list[str]:
    openapi_generator("python", document, folder)
    return [sys.executable, str(PROGRAMS / "with_openapi_generator.py")]


def python_client(document: Path, folder: Path) -> list[str]:
    program("openapi-python-client")
    generate = (sys.executable, "-m", "openapi_python_client", "generate", "--overwrite")
    run(*generate, "--path", document, "--output-path", folder)
    return [sys.executable, str(PROGRAMS / "with_openapi_python_client.py")]


def typescript(document: Path, folder: Path) -> list[str]:
    openapi_generator("typescript-fetch", document, folder / "client")
    asking = folder / "asking.ts"
    asking.write_text((PROGRAMS / "with_typescript_fetch.ts").read_text())
    options = ("--strict", "--target", "es2022", "--module", "commonjs", "--moduleResolution", "bundler")
    run(program("tsc"), *options, "--lib", "es2022,dom", "--rootDir", folder, "--outDir", folder / "out", asking)
    return [str(program("node")), str(folder / "out" / "asking.js")]


def java(document: Path, folder: Path) -> list[str]:
    """Makes the client of Java's own HTTP; what it imports is in the generator's archive, but for one annotation."""
    openapi_generator(
        "java", document, folder, "--library", "native", "--additional-properties", "openApiNullable=false"
    )
    archive, out = program("openapi-generator"), folder / "out"
    sources = [*(folder / "src" / "main").rglob("*.java"), *PROGRAMS.glob("*.java")]
    arguments = folder / "arguments"
    arguments.write_text("\n".join(map(str, sources)))
    run("javac", "-nowarn", "-parameters", "-proc:none", "-cp", archive, "-d", out, f"@{arguments}")
    return [str(program("java")), "-cp", os.pathsep.join((str(archive), str(out))), "Asking"]


CLIENTS: dict[str, Generator] = {
    "python": python,
    "python-client": python_client,
    "typescript": typescript,
    "java": java,
}
