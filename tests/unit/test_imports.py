"""The one direction of imports: `meters → … → ledger, registry → server → cli`, and the client by itself."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from pkgutil import resolve_name

import pytest

import usageledger

ROOT = Path(usageledger.__file__).parent
MODULES = {
    ".".join(("usageledger", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}

# Each layer may import from itself and from those before it; the first ones import nothing of ours.
LAYERS = (
    {"buckets", "errors", "hints", "json_text", "locks", "parts", "retry_after", "version"},
    {"meter", "meters"},
    {"fields", "repeating", "tokens", "settings"},
    {"events", "questions", "pricing"},
    {"sources"},
    {"ledger", "registry"},
    {"rating"},
    {"spending"},
    {"server"},
    {"client"},  # and there is another test for it
    {"capturing"},
    {"relay"},
    {"cli", "__main__"},
)
PURE = 5  # so many layers work without reading, writing or serving
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
CLIENT_MAY = {"client", "meter", "meters", "parts", "errors", "buckets", "retry_after", "version"}

# What reads, writes or serves; pure modules work without.
WITH_EFFECTS = {
    "duckdb",
    "clickhouse_connect",
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "alembic",
    "httpx",
    "typer",
    "rich",
    "sqlite3",
    "socket",
}


def room(module: str) -> str:
    """The part of the package that a module belongs to; `` for the package itself."""
    return module.removeprefix("usageledger").lstrip(".").partition(".")[0]


def imported(path: Path, module: str) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if inner in MODULES else source


GRAPH = {module: sorted(set(imported(path, module))) for module, path in MODULES.items()}
OURS = {module: [each for each in found if each.partition(".")[0] == "usageledger"] for module, found in GRAPH.items()}


def test_every_module_has_its_place() -> None:
    rooms = {room(module) for module in MODULES} - {""}
    assert rooms <= set(LAYER_OF)
    assert {"meters", "events", "questions", "ledger"} <= rooms


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    if not room(module):
        return
    for other in OURS[module]:
        if room(other):
            assert room(other) in LAYER_OF, f"{module} imports {other}"
            assert LAYER_OF[room(other)] <= LAYER_OF[room(module)], f"{module} imports {other}"


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) in LAYERS[0]])
def test_the_first_modules_import_nothing_of_ours(module: str) -> None:
    assert OURS[module] == []


@pytest.mark.parametrize("module", MODULES)
def test_the_client_stands_by_itself(module: str) -> None:
    if room(module) == "client":
        assert {room(other) for other in OURS[module]} - {""} <= CLIENT_MAY
    elif room(module) in ("ledger", "registry", "server"):
        assert "client" not in {room(other) for other in OURS[module]}


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) == "capturing"])
def test_what_captures_needs_no_engine_and_no_server(module: str) -> None:
    assert {room(other) for other in OURS[module]} - {""} <= {"capturing", "client", "sources", "events", "errors"}


def test_there_are_no_cycles() -> None:
    """A package's `__init__` counts for whoever imports from it."""
    order = list(TopologicalSorter(OURS).static_order())
    assert set(MODULES) <= set(order)


@pytest.mark.parametrize("module", [module for module in MODULES if LAYER_OF.get(room(module), 9) < PURE])
def test_pure_modules_have_no_effects(module: str) -> None:
    assert not {name.partition(".")[0] for name in GRAPH[module]} & WITH_EFFECTS


def test_ledger_and_registry_do_not_know_each_other() -> None:
    for module, found in OURS.items():
        rooms = {room(other) for other in found}
        if room(module) == "ledger":
            assert "registry" not in rooms
        if room(module) == "registry":
            assert "ledger" not in rooms


def test_the_walk_sees_every_way_to_import(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "import duckdb.typing\n"
        "def late():\n"
        "    from usageledger import events, __version__\n"
        "    from . import lookups\n"
        "    from .schema import x\n"
        "    from .. import meters\n"
        "    from usageledger.questions.query import Query\n"
    )
    assert set(imported(path, "usageledger.ledger.module")) == {
        "duckdb.typing",
        "usageledger.events",
        "usageledger",
        "usageledger.ledger.lookups",
        "usageledger.ledger.schema",
        "usageledger.meters",
        "usageledger.questions.query",
    }


def test_engines_are_known_to_the_ledger_alone() -> None:
    """No branch on an engine anywhere else: neither by import nor by name, but where addresses are written down."""
    for module, path in MODULES.items():
        if room(module) == "ledger":
            continue
        engines = ("duckdb", "clickhouse_connect", "usageledger.ledger.duckdb", "usageledger.ledger.clickhouse")
        assert not [name for name in GRAPH[module] if name.startswith(engines)], module
        words = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        named = {word for word in words if isinstance(word, str) and word in ("duckdb", "clickhouse", "clickhouses")}
        assert named <= ({"duckdb"} if module == "usageledger.settings" else set()), module


def test_dialects_are_data() -> None:
    """What makes statements asks a dialect, and never which one it is."""
    made = ("statements.usage_sums", "statements.cost_sums", "aggregates")
    for name in (*made, "protocol", "lookups", "proof.inspection"):
        tree = ast.parse(MODULES[f"usageledger.ledger.{name}"].read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert not names & {"DUCKDB", "CLICKHOUSE"}, name


# A program that is run in a process of its own stands in a text, where no type checker looks.
WRITTEN_IMPORT = re.compile(r"^from (usageledger[\w.]*) import ([\w, ]+)$", re.MULTILINE)


@pytest.mark.parametrize("folder", ["tests", "bench", "tools"])
def test_programs_in_texts_import_what_is_there(folder: str) -> None:
    found = 0
    for path in sorted((ROOT.parent.parent / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if path != Path(__file__) and isinstance(node, ast.Constant) and isinstance(node.value, str):
                for module, names in WRITTEN_IMPORT.findall(node.value):
                    for name in names.replace(" ", "").split(","):
                        assert resolve_name(f"{module}.{name}"), path
                        found += 1
    assert found


# The same within the server: a row of an endpoint knows its handler, and the document is made from the rows.
SERVER_LAYERS = (
    ("json_schema",),
    ("http",),
    ("ingest", "api.bucket_cache"),
    ("services",),
    ("endpoint",),
    ("api", "dashboard"),
    ("endpoints",),
    ("openapi",),
    ("app",),
    ("process",),
)
SERVER_LAYER_OF = {name: number for number, names in enumerate(SERVER_LAYERS) for name in names}


def server_layer(module: str) -> int:
    """The layer of a module of the server: that of the longest name in the table which it begins with."""
    parts = module.removeprefix("usageledger.server.").split(".")
    starts = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    return next(SERVER_LAYER_OF[start] for start in starts if start in SERVER_LAYER_OF)


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("usageledger.server.")])
def test_imports_of_the_server_go_one_way(module: str) -> None:
    for other in OURS[module]:
        if other.startswith("usageledger.server."):
            assert server_layer(other) <= server_layer(module), f"{module} imports {other}"
