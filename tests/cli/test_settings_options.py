"""Every setting is an option of `serve` and an environment variable; a wrong one is one clear line."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.cli.support import Run, one_error
from typer.testing import CliRunner

from usageledger.cli.options import AsJson, with_settings
from usageledger.settings import Settings

seen: list[tuple[Settings, bool]] = []
app = typer.Typer()


@app.command()
@with_settings
def probe(settings: Settings, *, as_json: AsJson = False) -> None:
    seen.append((settings, as_json))


def settings_of(arguments: list[str], **environ: str) -> Settings:
    seen.clear()
    done = CliRunner().invoke(app, arguments, env=environ)
    assert done.exit_code == 0, done.output
    return seen[0][0]


def another(field: Any) -> str:
    """A value of the field's type that is not its default."""
    return str(field.default + 1) if isinstance(field.default, int) else "another-value-of-text"


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_an_option_and_a_variable(field: Any) -> None:
    value, kind = another(field), field.metadata["kind"] or type(field.default)
    expected = kind(value) if issubclass(kind, int | Path) else value
    option, variable = f"--{field.name.replace('_', '-')}", f"USAGELEDGER_{field.name.upper()}"
    arguments, others = ([option], "no") if kind is bool else ([option, value], "999")
    assert getattr(settings_of(arguments), field.name) == expected
    assert getattr(settings_of([], **{variable: value}), field.name) == expected
    assert getattr(settings_of(arguments, **{variable: others}), field.name) == expected


def test_defaults() -> None:
    assert settings_of([]) == Settings()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--port", "http"), "Error: --port: expected an integer, got 'http'"),
        (("--max-queries", "0"), "Error: --max-queries: expected at least 1, got 0"),
        (("--port", "65536"), "Error: --port: expected at most 65535, got 65536"),
        (("--data", "/dev/null"), "Error: --data: the folder /dev/null cannot be made: File exists"),
        (("--data", "/dev/null/x"), "Error: --data: the folder /dev/null/x cannot be made: Not a directory"),
        (("--host", "no.such.host.invalid"), "no.such.host.invalid"),
    ],
)
def test_wrong_settings_are_one_line(run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run("serve", *arguments, USAGELEDGER_DATA=str(tmp_path / "data"), USAGELEDGER_PORT="0")
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_wrong_variables_are_one_line(run: Run) -> None:
    assert one_error(run("serve", USAGELEDGER_PORT="x"), 2) == "Error: USAGELEDGER_PORT: expected an integer, got 'x'"
