"""The package as an application gets it: what it exports, and what it loads."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import usageledger
from usageledger import client
from usageledger.client import errors
from usageledger.errors import UsageLedgerError

# What only a server, a ledger or the command line needs. (httpx itself loads Rich and zstandard where it finds them.)
SERVER_ONLY = {
    "alembic", "duckdb", "genai_prices", "httptools", "numpy", "pandas", "polars", "pyarrow", "sqlalchemy",
    "starlette", "typer", "uvicorn", "uvloop",
}  # fmt: skip
TREE = re.compile(r"^([│├└─ ]*)(\w+)\b", re.MULTILINE)


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after `code`."""
    program = f"{code}\nimport sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_client_loads_nothing_of_the_server() -> None:
    loaded = loaded_by("from usageledger import UsageAPI, AsyncUsageAPI; UsageAPI('sk-admin-x')")
    assert {"httpx", "msgspec", "usageledger"} <= loaded
    assert not loaded & SERVER_ONLY


def test_it_works_where_the_server_cannot_be_loaded() -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({sorted(SERVER_ONLY)!r}))"
    assert "httpx" in loaded_by(f"{blocked}\nimport usageledger.client")


def test_the_package_alone_loads_no_client() -> None:
    assert "httpx" not in loaded_by("import usageledger; usageledger.__version__")


def test_names_of_the_package() -> None:
    assert usageledger.UsageAPI is client.UsageAPI
    assert usageledger.AsyncUsageAPI is client.AsyncUsageAPI
    with pytest.raises(AttributeError, match="'usageledger' has no attribute 'UsageApi'"):
        usageledger.UsageApi  # noqa: B018 - what is tested


def test_everything_exported_exists_once() -> None:
    assert len(client.__all__) == len(set(client.__all__))
    assert all(hasattr(client, name) for name in client.__all__)


def test_the_tree_of_errors_is_the_one_drawn() -> None:
    text = (errors.__doc__ or "").split("\n\n")[1]
    above: list[str] = []
    for indent, name in TREE.findall(text):
        cls, depth = getattr(errors, name), len(indent) // 4
        assert issubclass(cls, getattr(errors, above[depth - 1]) if depth else Exception)
        above = [*above[:depth], name]
    drawn = {name for _, name in TREE.findall(text)}
    assert drawn == set(errors.__all__)
    assert {name for name, cls in vars(errors).items() if isinstance(cls, type) and issubclass(cls, Exception)} == drawn


def test_every_error_of_the_client_is_caught_by_the_root() -> None:
    assert all(issubclass(getattr(errors, name), UsageLedgerError) for name in errors.__all__)


def test_the_version_is_that_of_the_package() -> None:
    text = (Path(usageledger.__file__).parent / "version.py").read_text()
    assert f'__version__ = "{usageledger.__version__}"' in text
