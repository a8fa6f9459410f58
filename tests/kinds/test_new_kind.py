"""The product with one more kind: a row of METERS and its price are all that it takes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("src", "tests", "tools", "bench", "docs", "typing_tests")
ROW = """\
    replace(
        _meter(
            "rerank",
            "Rerank",
            (
                Measure(
                    "documents",
                    "documents",
                    "Documents put in order.",
                    Price("documents", "documents", 1_000),
                    required=True,
                ),
            ),
            (PROJECT, MODEL),
        ),
        extension=True,
    ),
"""
END_OF_METERS = ")\n\nCOSTS = Meter("
KEY = "a-key-of-the-tests-0123456789"
DAY = 86_400
NOON = int(time.time()) // DAY * DAY - DAY // 2  # of yesterday
WINDOW = {"start_time": NOON - NOON % DAY, "end_time": NOON - NOON % DAY + DAY, "bucket_width": "1d"}
PRICED = {
    "id": "rerank-1",
    "kind": "rerank",
    "timestamp": NOON,
    "provider": "cohere",
    "project_id": "proj_search",
    "model": "rerank-v3.5",
    "documents": 1_500,
}
UNPRICED = {**PRICED, "id": "rerank-2", "model": "rerank-of-our-own", "documents": 40}
OLDER = {"id": "older-1", "kind": "embeddings", "timestamp": NOON, "input_tokens": 7}
# What loops over METERS, as far as it needs no other server and is quick; those by kind for the new one only.
SUITE = (
    "tests/unit/test_meters.py",
    "tests/unit/test_bench.py",
    "tests/golden",
    "tests/client/test_parity.py",
    "tests/cli/test_demo.py",
    "tests/docs/test_generated.py::test_nothing_is_stale",
    "tests/docs/test_generated.py::test_the_reference_has_every_kind_with_all_its_names",
    "tests/docs/test_examples.py::test_every_kind_has_an_example_event",
    *("-k", "not demo_serves and not ended_early"),
)
SUITE_OF_THE_KIND = (
    "tests/contract/test_wire.py",
    "tests/contract/test_client.py",
    "tests/server/test_openapi.py",
    "tests/unit/test_events.py",
    "tests/unit/test_query.py",
    "tests/ledger/test_appending.py",
    *("-k", "rerank"),
)


class Product:
    """A copy of the project whose METERS have the row."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"PYTHONPATH": str(folder / "src"), "NO_COLOR": "1", "COLUMNS": "120"}

    def run(self, *arguments: object, **extra: str) -> str:
        """Runs its Python; what it prints."""
        done = subprocess.run(
            [sys.executable, "-W", "error", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | extra,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout

    def test(self, *arguments: str, **extra: str) -> None:
        """Runs tests of its suite."""
        self.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not external", *arguments, **extra)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    """The copy, after `make generate goldens`."""
    folder = tmp_path_factory.mktemp("product")
    for name in COPIED:
        copytree(ROOT / name, folder / name, ignore=ignore_patterns("__pycache__", "node_modules"), symlinks=True)
    for file in [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / ".gitattributes", ROOT / "Makefile"]:
        (folder / file.name).write_bytes(file.read_bytes())
    meters = folder / "src" / "usageledger" / "meters.py"
    before, found, after = meters.read_text().partition(END_OF_METERS)
    assert found
    meters.write_text(f"{before}{ROW}{found}{after}")
    made = Product(folder)
    made.run("-m", "tools.generate")
    made.test("tests/golden/test_sql.py", "tests/cli/test_tables.py", UPDATE_GOLDEN="1")
    return made


@contextmanager
def serving(data: Path, environment: Mapping[str, str]) -> Iterator[httpx.Client]:
    """A server, of the version that `environment` finds, and a client with a key; it ends without a complaint."""
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "usageledger",
        "serve",
        "--json",
        "--port",
        "0",
        "--data",
        str(data),
    ]
    given = {**environment, "USAGELEDGER_ADMIN_KEY": KEY}
    with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            address = json.loads(line)["address"]
            with httpx.Client(base_url=address, headers={"authorization": f"Bearer {KEY}"}, timeout=60) as client:
                yield client
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            assert process.returncode == 0
        finally:
            process.kill()


def answer(client: httpx.Client, path: str, **parameters: Any) -> Any:
    response = client.get(f"/v1{path}", params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def send(client: httpx.Client, *events: Mapping[str, Any]) -> None:
    report = client.post("/v1/events", json=events).json()
    assert (report["accepted"], report["errors"]) == (len(events), [])


@pytest.fixture(scope="module")
def data(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of the version without the kind, with a price for it since."""
    folder = tmp_path_factory.mktemp("data")
    with serving(folder, os.environ) as client:
        send(client, OLDER)
        assert client.post("/v1/events", json=PRICED).json()["errors"][0]["param"] == "kind"
    given = (
        "--kind",
        "rerank",
        "--provider",
        "cohere",
        "--model",
        "rerank-v3.5",
        "--from",
        "2020-01-01",
        "--new-model",
    )
    product.run("-m", "usageledger", "prices", "set", "documents=2/1000", *given, "--data", folder)
    return folder


def test_it_is_sent_asked_and_priced(product: Product, data: Path) -> None:
    with serving(data, product.environment) as client:
        send(client, PRICED, UNPRICED)
        (bucket,) = answer(client, "/organization/usage/rerank", **WINDOW, group_by="project_id,model")["data"]
        assert sorted((result["model"], result["documents"]) for result in bucket["results"]) == [
            ("rerank-of-our-own", 40),
            ("rerank-v3.5", 1_500),
        ]
        assert {result["object"] for result in bucket["results"]} == {"organization.usage.rerank.result"}
        (bucket,) = answer(client, "/organization/usage/embeddings", **WINDOW)["data"]
        assert bucket["results"][0]["input_tokens"] == 7
        (bucket,) = answer(client, "/organization/costs", **WINDOW, group_by="line_item,kind")["data"]
        (line,) = [result for result in bucket["results"] if result["kind"] == "rerank"]
        assert (line["line_item"], line["amount"]["value"]) == ("rerank-v3.5, documents", 3.0)
        assert (line["quantity"], line["quantity_unit"]) == (1_500, "documents")
        times = {name: WINDOW[name] for name in ("start_time", "end_time")}
        (missing,) = [entry for entry in answer(client, "/unpriced", **times)["data"] if entry["kind"] == "rerank"]
        (quantity,) = missing["quantities"]
        assert (missing["model"], quantity["part"], quantity["quantity"]) == ("rerank-of-our-own", "documents", 40)
        facets = answer(client, "/facets", **times, dimension="model", kind="rerank")["data"]
        assert [facet["value"] for facet in facets] == ["rerank-of-our-own", "rerank-v3.5"]
        why = answer(client, "/explain", id="rerank-1", timestamp=NOON)
        assert [(item["line_item"], item["quantity"]) for item in why["lines"]] == [("rerank-v3.5, documents", 1_500)]
        (meter,) = [meter for meter in answer(client, "/meters")["data"] if meter["kind"] == "rerank"]
        assert meter["extension"] is True

        description = client.get("/openapi.json").json()
        assert "/v1/organization/usage/rerank" in description["paths"]
        assert {"RerankEvent", "RerankResult", "RerankPage"} <= description["components"]["schemas"].keys()

        asking = {"USAGELEDGER_ADMIN_KEY": KEY, "USAGELEDGER_URL": str(client.base_url)}
        asked = product.run("-m", "usageledger", "usage", "rerank", "--start", "3d", "--group-by", "model", **asking)
        assert "1,500" in asked
        assert "rerank-v3.5" in asked
        program = (
            f"from usageledger import UsageAPI\n"
            f"page = UsageAPI({KEY!r}, {f'{client.base_url}/v1'!r}).usage_rerank("
            f"start_time={WINDOW['start_time']}, end_time={WINDOW['end_time']}, models=['rerank-v3.5'])\n"
            f"print([result.documents for bucket in page.data for result in bucket.results])"
        )
        assert product.run("-c", program) == "[1500]\n"
    assert "3 events" in product.run("-m", "usageledger", "verify", "--data", data)


def test_the_documentation_knows_it(product: Product) -> None:
    pages = {name: (product.folder / "docs" / name).read_text() for name in ("reference.md", "events.md", "cli.md")}
    assert "## rerank" in pages["reference.md"]
    assert '"kind": "rerank"' in pages["events.md"]
    assert "### usageledger usage rerank" in pages["cli.md"]


def test_what_is_generated_has_the_style_of_the_project(product: Product) -> None:
    product.run("-m", "ruff", "check", "--no-cache", "src")
    product.run("-m", "ruff", "format", "--no-cache", "--check", "src")


def test_made_up_usage_has_it(product: Product) -> None:
    program = (
        "import json, numpy as np\nfrom bench.data import Generator\n"
        "from usageledger.cli.demo.data import demo_tables\n"
        "demo = next(demo_tables(3, 3000, 0, 1_795_000_000)).to_pylist()\n"
        "bench = Generator(1).table(np.arange(3_000)).to_pylist()\n"
        "names = ('project_id', 'model', 'documents', 'user_id')\n"
        "print(json.dumps([[[e[n] for n in names] for e in made if e['kind'] == 'rerank'] for made in (demo, bench)]))"
    )
    for made in json.loads(product.run("-c", program)):
        assert len(made) >= 10
        assert all(project and model and documents > 0 and not user for project, model, documents, user in made)


@pytest.mark.parametrize("arguments", [SUITE, SUITE_OF_THE_KIND], ids=["every kind", "the new one"])
def test_the_suite_passes_with_it(product: Product, arguments: tuple[str, ...]) -> None:
    product.test(*arguments)
