"""Swift's documentation, as openapi-generator makes it of our description, beside that of a published client."""

import json
import re
from pathlib import Path

import pytest
from tests.contract.conftest import DATA
from tests.generated.clients import openapi_generator

from usageledger.server.endpoints import ENDPOINTS
from usageledger.server.openapi.document import document
from usageledger.settings import Settings

ROW = re.compile(r"^ \*\*(\w+)\*\* \| (.*?) \| .* \| (.*)$", re.MULTILINE)


def methods(text: str) -> dict[str, dict[str, tuple[str, bool]]]:
    """The parameters of each method: type, and if it is required."""
    found: dict[str, dict[str, tuple[str, bool]]] = {}
    for section in text.split("\n# **")[1:]:
        rows = [(name, re.sub(r"\(.*?\)|\*", "", kind), notes) for name, kind, notes in ROW.findall(section)]
        found[section.partition("**")[0]] = {
            name: (kind.replace("[[", "[").replace("]]", "]"), "optional" not in notes) for name, kind, notes in rows
        }
    return found


@pytest.mark.external
def test_swift_has_every_method_that_a_published_client_has(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document(Settings(), ENDPOINTS)))
    openapi_generator("swift5", tmp_path / "openapi.json", tmp_path / "made")
    ours = methods((tmp_path / "made" / "docs" / "UsageAPI.md").read_text())
    for name, method in json.loads((DATA / "swift-methods.json").read_text()).items():
        for parameter, theirs in method["parameters"].items():
            assert ours[name][parameter] == (theirs["type"], theirs["required"]), (name, parameter)
