"""The site of the documentation: built strictly, and complete without anything from elsewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.documentation import PAGES, ROOT

# What a browser fetches by itself.
LOADED = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)")


def build(folder: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    """`make docs` of the project in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=folder,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    for page in PAGES:
        path = Path(page)
        if path.parts[0] == "docs":
            assert (site / ("" if path.stem == "index" else path.stem) / "index.html").exists(), page


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert pages
    assert not {found for page in pages for found in LOADED.findall(page.read_text("utf-8"))}
    for file in [*site.rglob("*.css"), *site.rglob("*.svg")]:
        assert not re.findall(r"(?:url\(|href=)[\"']?(?:https?:)?//", file.read_text("utf-8")), file


def test_blocks_are_blocks(site: Path) -> None:
    """A fence that the site does not understand would stand in the text."""
    assert not [page for page in site.rglob("index.html") if "```" in page.read_text("utf-8")]


@pytest.mark.parametrize(
    ("page", "text", "complaint"),
    [
        ("concepts.md", "[x](nowhere.md)", "nowhere.md"),
        ("concepts.md", "[x](events.md#nowhere)", "does not contain an anchor '#nowhere'"),
        ("lost.md", "# Lost", 'not included in the "nav"'),
    ],
)
def test_what_is_wrong_ends_the_build(tmp_path: Path, page: str, text: str, complaint: str) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    with (tmp_path / "docs" / page).open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert complaint in done.stderr


def test_make_docs_builds_as_strictly() -> None:
    assert "mkdocs build --strict\n" in (ROOT / "Makefile").read_text("utf-8")
