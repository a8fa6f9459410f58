"""What tests need beside Python's packages: what is missing is named with its remedy, and only marked tests may ask."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.services import programs
from tests.support.services.programs import PROGRAMS, program
from tests.support.services.shared import shared


@pytest.mark.external
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_missing_program_is_named_with_what_installs_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(programs.PROGRAMS, name, programs.Program(PROGRAMS[name].source, lambda: None))
    with pytest.raises(AssertionError) as caught:
        program(name)
    assert str(caught.value).startswith(f"{name} is missing: `make programs` installs it ({PROGRAMS[name].source})")


@pytest.mark.parametrize("ask", [program, shared])
def test_a_test_without_the_mark_may_ask_for_none(ask: Callable[[str], Any]) -> None:
    with pytest.raises(AssertionError, match=r"test_a_test_without.* needs postgresql: mark it with @pytest.mark.ext"):
        ask("postgresql")


@pytest.mark.external
def test_a_marked_test_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chromium-of-mine").touch(mode=0o755)
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "chromium-of-mine"))
    assert program("chromium") == tmp_path / "chromium-of-mine"
