"""Programs that tests need and pip does not install: each is found here, or its absence is told with its remedy.

A test that needs one is marked `external`, and `make quick` leaves those out. To ask for a program without the mark is
an error wherever the program is installed, too: so `make quick` stays green on a machine that has none of them.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
NODE_MODULES = HERE.parents[1] / "contract" / "node" / "node_modules"
GENERATORS = HERE.parents[2] / ".cache" / "generators"


@dataclass(frozen=True)
class Program:
    """A program or library of the machine.

    Attributes:
        source: the package that brings it.
        find: gives its path, or None where it is missing.
    """

    source: str
    find: Callable[[], Path | None]


def _command(name: str, *others: str) -> Callable[[], Path | None]:
    """Finds a command on the path, or else the first of `others` that is there."""

    def find() -> Path | None:
        found = shutil.which(name)
        return Path(found) if found else next((Path(path) for path in others if Path(path).exists()), None)

    return find


def _module(path: Path) -> Callable[[], Path | None]:
    """Finds what npm or pip installs into a folder."""
    return lambda: path if path.exists() else None


def _chromium() -> Path | None:
    return _command(os.environ.get("CHROMIUM") or "chromium")()


def _postgresql() -> Path | None:
    """Finds the folder of the newest PostgreSQL's programs."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


PROGRAMS = {
    "bash": Program("Debian's package bash", _command("bash")),
    "curl": Program("Debian's package curl", _command("curl")),
    "chromium": Program("Debian's package chromium, or the one that CHROMIUM names", _chromium),
    "nginx": Program("Debian's package nginx-light", _command("nginx", "/usr/sbin/nginx")),
    "java": Program("Debian's package default-jdk-headless", _command("java")),
    "node": Program("Debian's package nodejs", _command("node")),
    "ssh-keygen": Program("Debian's package openssh-client", _command("ssh-keygen")),
    "postgresql": Program("Debian's package postgresql", _postgresql),
    "clickhouse": Program(
        "the npm package @chdb/lib-linux-x64-gnu, on x86-64 Linux with glibc",
        _module(HERE / "clickhouse" / "node_modules" / "@chdb" / "lib-linux-x64-gnu" / "libchdb.so"),
    ),
    "openapi-generator": Program(
        "PyPI's package openapi-generator-cli", _module(GENERATORS / "openapi_generator_cli" / "openapi-generator.jar")
    ),
    "openapi-python-client": Program(
        "PyPI's package openapi-python-client", _module(GENERATORS / "openapi_python_client")
    ),
    "tsc": Program("the npm package typescript", _module(NODE_MODULES / ".bin" / "tsc")),
    "openai": Program("the npm package openai", _module(NODE_MODULES / "openai")),
    "axe-core": Program("the npm package axe-core", _module(NODE_MODULES / "axe-core" / "axe.min.js")),
}


@dataclass
class _Running:
    """The test that runs; none where no test does, as in a benchmark."""

    test: str = ""
    external: bool = True


_running = _Running()


def test_begins(test: str, *, external: bool) -> None:
    """Notes which test runs from now on, and if it is marked."""
    _running.test, _running.external = test, external


def program(name: str) -> Path:
    """Finds a program; an error says what installs it, or that the test lacks its mark."""
    assert _running.external, f"{_running.test} needs {name}: mark it with @pytest.mark.external"
    wanted = PROGRAMS[name]
    found = wanted.find()
    assert found, (
        f"{name} is missing: `make programs` installs it ({wanted.source}); "
        "`make quick` runs the tests that need nothing of the kind"
    )
    return found
