"""What `tools/generate.py` writes is what is committed."""

import shutil
from pathlib import Path

import pytest
from tests.docs.pages import ROOT
from tools import generate

from usageledger.meters import METERS
from usageledger.settings import Settings

GENERATED = ("docs/reference.md", "docs/operations.md")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The generated files in a folder that a test may change."""
    for name in GENERATED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    return tmp_path


def test_nothing_is_stale(capsys: pytest.CaptureFixture[str]) -> None:
    stale = generate.main(["--check"])
    assert not stale, f"run python tools/generate.py\n{capsys.readouterr().out}"


@pytest.mark.parametrize("name", GENERATED)
def test_a_change_is_found_and_mended(name: str, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = copy / name
    right = file.read_text("utf-8")
    file.write_text(right.replace("10000", "10001").replace("10,000", "10,001"), "utf-8")
    assert generate.main(["--check"]) == 1
    assert "10" in capsys.readouterr().out
    assert file.read_text("utf-8") != right
    assert generate.main([]) == 0
    assert file.read_text("utf-8") == right
    assert generate.main(["--check"]) == 0


def test_a_page_that_is_not_there_is_written(copy: Path) -> None:
    (copy / GENERATED[0]).unlink()
    assert generate.main([]) == 0
    assert (copy / GENERATED[0]).read_text("utf-8") == (ROOT / GENERATED[0]).read_text("utf-8")


def test_a_page_that_lost_its_marks_is_not_guessed_at(copy: Path) -> None:
    (copy / GENERATED[1]).write_text("# Operating\n", "utf-8")
    with pytest.raises(SystemExit, match="settings"):
        generate.main([])


def test_other_arguments_are_refused() -> None:
    assert generate.main(["--chekc"]) == 2


def test_the_reference_has_every_kind_with_all_its_names() -> None:
    page = generate.reference_page()
    sections = dict(zip(page.split("\n## ")[-len(METERS) :], METERS, strict=True))
    for section, meter in sections.items():
        names = [meter.kind, f"/v1{meter.path}", meter.object]
        names += [measure.name for measure in meter.measures]
        names += [name for dimension in meter.dimensions for name in (dimension.name, dimension.filter) if name]
        assert not [name for name in names if name not in section]


def test_git_knows_that_the_reference_is_generated() -> None:
    assert "docs/reference.md linguist-generated" in (ROOT / ".gitattributes").read_text("utf-8").splitlines()


def test_numbers_of_the_pages_are_the_defaults() -> None:
    """Limits that the prose gives as numbers."""
    settings = Settings()
    said = {
        "docs/events.md": (settings.max_batch_events, settings.max_body_bytes, settings.max_future_seconds),
        "docs/queries.md": (settings.max_results, settings.max_query_seconds, settings.max_queries),
    }
    for page, numbers in said.items():
        words = (ROOT / page).read_text("utf-8").split()
        assert not [number for number in numbers if f"{number:,}" not in words]
