"""A UsageLedger of a later version, made of this one: its table of meters has more measures and dimensions."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# In the midst of the stored columns, which are in the order of the meters: a flow, a size, a text and a flag.
MORE = """
_EMBEDDINGS, _STORES = (next(each for each in METERS if each.kind == kind) for kind in ("embeddings", "vector_stores"))
_LATER = {
    "embeddings": replace(
        _EMBEDDINGS,
        measures=(*_EMBEDDINGS.measures, replace(REQUESTS, name="num_pages", doc="Pages.", default=0)),
        dimensions=(*_EMBEDDINGS.dimensions, Dimension("region", "Where."), Dimension("cold", "Cold.", flag=True)),
    ),
    "vector_stores": replace(
        _STORES,
        measures=(
            *_STORES.measures,
            replace(_STORES.measures[0], name="index_bytes", price=NOT_CHARGED, required=False, default=0),
        ),
    ),
}
METERS = tuple(_LATER.get(each.kind, each) for each in METERS)

"""
BEFORE = "COSTS = Meter("


def make(folder: Path, more: str = MORE) -> Path:
    """Puts a copy of the package with `more` after its meters into a folder; where Python finds it."""
    shutil.copytree(ROOT / "src" / "usageledger", folder / "usageledger", ignore=shutil.ignore_patterns("__pycache__"))
    meters = folder / "usageledger" / "meters.py"
    before, found, after = meters.read_text().partition(BEFORE)
    assert found
    meters.write_text(f"{before}{more}{found}{after}")
    return folder


def run(place: Path, code: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """Runs code, which may import the tests, on that version."""
    environment = os.environ | {"PYTHONPATH": f"{place}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, env=environment, check=False)
