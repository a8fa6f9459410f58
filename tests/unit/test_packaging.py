"""What the image and the targets of make say of themselves."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
PINNED = re.compile(r"^([\w-]+)==(\S+)", re.MULTILINE)


def pinned(lock: str) -> dict[str, str]:
    return dict(PINNED.findall((ROOT / lock).read_text()))


def test_the_image_has_the_versions_that_are_tested() -> None:
    image, tested = pinned("requirements-image.lock"), pinned("requirements-dev.lock")
    assert {"clickhouse-connect", "psycopg", "duckdb"} <= image.keys()
    assert image.items() <= tested.items()
    assert pinned("requirements.lock").items() <= image.items()


def test_every_target_is_in_the_help() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    told = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)
    assert sorted(phony.split()) == sorted(told)


def test_the_versions_of_python_are_those_that_are_tested() -> None:
    told = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    (matrix,) = re.findall(r"python: \[(.+)\]", (ROOT / ".github/workflows/test.yml").read_text())
    assert told == re.findall(r"3\.\d+", matrix)
    assert f'requires-python = ">={told[0]}"' in (ROOT / "pyproject.toml").read_text()
