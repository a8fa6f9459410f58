"""Bounds are handed in: no test patches a constant of a module, which may be read before, after or elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent.parent
CONSTANT = r"_?[A-Z][A-Z_0-9]+"
PATCHES = (
    re.compile(rf'\bsetattr\(\s*[\w.]+,\s*"({CONSTANT})"'),
    re.compile(rf'\bsetattr\(\s*"[\w.]+\.({CONSTANT})"'),
    re.compile(rf"^\s*[a-z][\w.]*\.({CONSTANT})(?:\[.*\])?(?:, .*)? [-+*/|]*= ", re.MULTILINE),
)
ALLOWED = {
    # Tables of which a test tries out another one.
    "METERS",
    "FACETS",
    "ENDPOINTS",
    # The folder that the generator writes to.
    "ROOT",
}


def patched(text: str) -> Iterator[str]:
    """The constants that a text patches, in the programs that it holds as texts as well."""
    for pattern in PATCHES:
        yield from pattern.findall(text)


def test_no_constant_is_patched() -> None:
    found = {
        f"{path.relative_to(TESTS)}: {name}"
        for path in sorted(TESTS.rglob("*.py"))
        if "node_modules" not in path.parts and path != Path(__file__)
        for name in patched(path.read_text())
        if name not in ALLOWED
    }
    assert found == set()


def test_every_way_to_patch_is_seen() -> None:
    text = """
    monkeypatch.setattr(module, "KEPT_MAX", 2)
    patch.setattr(
        "usageledger.module._ROWS", 3)
    module.A2 = 1
    package.module.STEPS["x"] = 1
    module.LIMIT //= 20
    one.FIRST, two.SECOND = 1, 2
    monkeypatch.setattr(module, "lower", 2)
    value = module.NOT_PATCHED
    assert module.NEITHER == 1
    call(where=module.NOR)
    """
    assert sorted(patched(text)) == ["A2", "FIRST", "KEPT_MAX", "LIMIT", "STEPS", "_ROWS"]
