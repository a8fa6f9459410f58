"""Settings: from arguments, else from the environment, else the default; and what cannot be used."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from usageledger.errors import SettingsError
from usageledger.settings import Settings, file_of, load_settings, option_of, without_password

NUMBERS = [setting for setting in fields(Settings) if type(setting.default) is int]


def name_of(setting: Any) -> str:
    return str(setting.name)


def test_defaults() -> None:
    assert load_settings(environ={}) == Settings()
    assert (Settings().host, Settings().port, Settings().admin_key) == ("127.0.0.1", 8080, None)
    assert Settings().max_body_bytes == 16 * 1024 * 1024


@pytest.mark.parametrize("setting", fields(Settings), ids=name_of)
def test_every_setting_says_what_it_is(setting: Any) -> None:
    assert setting.metadata["doc"].endswith(".")


@pytest.mark.parametrize("setting", fields(Settings), ids=name_of)
def test_the_environment_and_arguments_over_it(setting: Any) -> None:
    variable = f"USAGELEDGER_{setting.name.upper()}"
    kind = setting.metadata["kind"] or type(setting.default)
    least = max(setting.metadata["least"], 4096)
    ours, theirs = (least, 2 * least) if kind is int else (False, True) if kind is bool else ("/ours", "/theirs")
    expected: Any = Path if issubclass(kind, Path) else (lambda value: value)
    read = load_settings({}, {variable: str(theirs)})
    assert getattr(read, setting.name) == expected(theirs)
    assert read == replace(Settings(), **{setting.name: expected(theirs)})
    assert getattr(load_settings({setting.name: ours}, {variable: str(theirs)}), setting.name) == expected(ours)
    assert getattr(load_settings({setting.name: None}, {variable: str(theirs)}), setting.name) == expected(theirs)
    assert getattr(load_settings({setting.name: None}, {}), setting.name) == setting.default


@pytest.mark.parametrize("setting", NUMBERS, ids=name_of)
def test_numbers_at_their_least(setting: Any) -> None:
    least = setting.metadata["least"]
    assert getattr(load_settings({setting.name: least}, {}), setting.name) == least
    assert getattr(load_settings({}, {f"USAGELEDGER_{setting.name.upper()}": str(least)}), setting.name) == least
    with pytest.raises(SettingsError, match=f"^{option_of(setting.name)}: expected at least {least}, got {least - 1}$"):
        load_settings({setting.name: least - 1}, {})


@pytest.mark.parametrize("setting", NUMBERS, ids=name_of)
@pytest.mark.parametrize("value", ["", "many", "1.5", "1e3"])
def test_what_is_not_a_number(setting: Any, value: str) -> None:
    with pytest.raises(
        SettingsError, match=f"^USAGELEDGER_{setting.name.upper()}: expected an integer, got '{value}'$"
    ):
        load_settings({}, {f"USAGELEDGER_{setting.name.upper()}": value})


def test_other_variables_are_ignored() -> None:
    assert load_settings({}, {"USAGELEDGER_WHAT": "1", "PORT": "5", "usageledger_port": "5"}) == Settings()


def test_where_things_are(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    assert settings.ledger_url == f"duckdb:///{tmp_path}/ledger.duckdb"
    assert settings.registry_url == f"sqlite:///{tmp_path}/registry.sqlite"
    assert Settings(data=Path("x")).ledger_url == f"duckdb:///{Path.cwd()}/x/ledger.duckdb"


def test_where_things_are_elsewhere() -> None:
    settings = Settings(ledger="clickhouse://u:p@h/d", registry="postgresql+psycopg://u@h/d")
    assert (settings.ledger_url, settings.registry_url) == ("clickhouse://u:p@h/d", "postgresql+psycopg://u@h/d")


def test_the_file_at_an_address() -> None:
    assert file_of("sqlite:////data/registry.sqlite") == Path("/data/registry.sqlite")
    assert file_of("duckdb:///data/ledger.duckdb") == Path("data/ledger.duckdb")
    assert file_of("postgresql+psycopg://u@h/d") is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("clickhouse://u:p@h:8123/d?cluster=c", "clickhouse://u:***@h:8123/d?cluster=c"),
        ("postgresql+psycopg://u:a:b%40c@h/d", "postgresql+psycopg://u:***@h/d"),
        ("clickhouse://u@h/d", "clickhouse://u@h/d"),
        ("clickhouse://h/d?x=a:b@c", "clickhouse://h/d?x=a:b@c"),
        ("duckdb:////a:b@c/ledger.duckdb", "duckdb:////a:b@c/ledger.duckdb"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("word", "value"), [("true", True), ("YES", True), ("1", True), ("false", False), ("0", False)]
)
def test_words_for_yes_and_no(word: str, value: bool) -> None:
    assert load_settings({}, {"USAGELEDGER_ALLOW_PLAIN_HTTP": word}).allow_plain_http is value


@pytest.mark.parametrize("word", ["", "on", "2", "y"])
def test_what_is_neither_yes_nor_no(word: str) -> None:
    with pytest.raises(SettingsError, match=f"^USAGELEDGER_ALLOW_PLAIN_HTTP: expected one of true, .*, got '{word}'$"):
        load_settings({}, {"USAGELEDGER_ALLOW_PLAIN_HTTP": word})
