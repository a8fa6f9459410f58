"""Which server is asked, with which key; and that no key goes where it does not belong."""

import json
from pathlib import Path

import pytest

from usageledger.cli.profile_store import Profile, Profiles, load_profiles, profiles_file, save_profiles
from usageledger.cli.server_connection import LOCAL, OPENAI, VARIABLES, connect_to
from usageledger.cli.terminal.output import CommandError

WORK = Profile("https://ledger.example.com/v1", "key-of-work")
HOME = Profile("http://home.example.com:9000/v1", "key-of-home")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def profiles() -> None:
    save_profiles(Profiles({"work": WORK, "home": HOME}, current="work"))


def found(
    url: str | None = None, key: str | None = None, profile: str | None = None, *, openai: bool = True
) -> tuple[str, str]:
    connection = connect_to(url, key, profile, openai=openai)
    assert connection.key not in repr(connection)
    return connection.url, connection.key


def failed(*given: str | None, openai: bool = True) -> str:
    with pytest.raises(CommandError) as caught:
        connect_to(*given, openai=openai)
    assert caught.value.exit_code == 2
    return str(caught.value)


OWN = {"USAGELEDGER_URL": "http://own:1", "USAGELEDGER_API_KEY": "key-of-own"}
THEIRS = {"OPENAI_BASE_URL": "https://proxy.example.com/openai/v1", "OPENAI_ADMIN_KEY": "key-of-openai"}


@pytest.mark.usefixtures("profiles")
@pytest.mark.parametrize(
    ("environment", "given", "expected"),
    [
        ({}, (), (WORK.url, WORK.key)),
        ({}, (None, None, "home"), (HOME.url, HOME.key)),
        ({"USAGELEDGER_PROFILE": "home"}, (), (HOME.url, HOME.key)),
        ({"USAGELEDGER_PROFILE": "home"}, (None, None, "work"), (WORK.url, WORK.key)),
        ({"USAGELEDGER_PROFILE": "home"}, ("http://x", "k", None), ("http://x/v1", "k")),
        ({"USAGELEDGER_PROFILE": "home", **OWN, **THEIRS}, (), (HOME.url, HOME.key)),
        (OWN, (), ("http://own:1/v1", "key-of-own")),
        (OWN, (None, None, "work"), (WORK.url, WORK.key)),
        ({**OWN, **THEIRS}, (), ("http://own:1/v1", "key-of-own")),
        ({"USAGELEDGER_API_KEY": "k"}, (), (LOCAL, "k")),
        ({"USAGELEDGER_ADMIN_KEY": "a"}, (), (LOCAL, "a")),
        ({"USAGELEDGER_ADMIN_KEY": "a", "USAGELEDGER_API_KEY": "k"}, (), (LOCAL, "k")),
        ({"USAGELEDGER_URL": "https://ledger.example.com"}, (), (WORK.url, WORK.key)),
        (THEIRS, (), (WORK.url, WORK.key)),
        ({}, ("https://ledger.example.com/", None, None), (WORK.url, WORK.key)),
        ({}, ("http://home.example.com:9000", None, None), (HOME.url, HOME.key)),
        ({}, (None, "another", None), (WORK.url, "another")),
        (OWN, ("https://elsewhere", None, None), ("https://elsewhere/v1", "key-of-own")),
        (OWN, ("https://ledger.example.com", None, None), (WORK.url, WORK.key)),
        (THEIRS, ("https://proxy.example.com/openai", None, None), (THEIRS["OPENAI_BASE_URL"], "key-of-openai")),
    ],
)
def test_the_first_place_that_names_a_server(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    given: tuple[str | None, ...],
    expected: tuple[str, str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert found(*given) == expected


def test_openai_as_its_own_tools_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "key-of-openai")
    assert found() == (OPENAI, "key-of-openai")
    assert found("https://api.openai.com") == (OPENAI, "key-of-openai")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://proxy:1/v1/")
    assert found() == ("http://proxy:1/v1", "key-of-openai")


def test_events_never_go_to_openai_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "key-of-openai")
    assert failed(None, None, None, openai=False).startswith(f"There is no API key for {LOCAL}:")


@pytest.mark.usefixtures("profiles")
def test_keys_stay_with_their_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "key-of-openai")
    for url in ("https://elsewhere", "http://ledger.example.com", "https://ledger.example.com:8443", LOCAL):
        assert "There is no API key for" in failed(url, None, None)


def test_no_key_at_all() -> None:
    assert failed(None, None, None) == (
        f"There is no API key for {LOCAL}: run 'usageledger login', set USAGELEDGER_API_KEY, or give --key."
    )


@pytest.mark.usefixtures("profiles")
def test_a_profile_is_an_address_and_a_key() -> None:
    assert "give it without --url and --key" in failed("http://x", None, "work")
    assert "give it without --url and --key" in failed(None, "k", "work")
    assert failed(None, None, "wrok") == "There is no profile 'wrok'. There are: work, home."


@pytest.mark.parametrize("name", ["USAGELEDGER_URL", "OPENAI_BASE_URL"])
def test_a_wrong_address_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "key-of-openai")
    monkeypatch.setenv(name, "localhost:8080")
    assert failed(None, None, None) == f"{name}: expected http://HOST:PORT or https://HOST, got 'localhost:8080'."


# --- the file ----------------------------------------------------------------------------------------------------


def test_profiles_are_kept_for_their_owner_alone() -> None:
    profiles = Profiles({"work": WORK, "home": HOME}, current="home")
    save_profiles(profiles)
    assert load_profiles() == profiles
    assert profiles_file().stat().st_mode & 0o777 == 0o600
    assert profiles_file().parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in profiles_file().parent.iterdir()] == ["profiles.json"]
    assert WORK.key not in repr(load_profiles())


def test_the_file_is_where_settings_belong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert profiles_file() == tmp_path / "config" / "usageledger" / "profiles.json"
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative/is/ignored"):
        monkeypatch.setenv("XDG_CONFIG_HOME", value)
        assert profiles_file() == tmp_path / ".config" / "usageledger" / "profiles.json"


def test_a_file_that_others_may_read_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    save_profiles(Profiles({"work": WORK}, current="work"))
    profiles_file().chmod(0o644)
    assert found() == (WORK.url, WORK.key)
    assert f"chmod 600 {profiles_file()}" in capsys.readouterr().err
    save_profiles(load_profiles())
    assert profiles_file().stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"profiles": []}', '{"profiles": {"a": 1}, "current": null}'])
def test_a_file_that_is_something_else(text: str) -> None:
    profiles_file().parent.mkdir(parents=True)
    profiles_file().write_text(text)
    assert failed(None, None, None).startswith(f"{profiles_file()} cannot be read as profiles")
    assert profiles_file().read_text() == text


def test_a_current_profile_that_is_gone() -> None:
    save_profiles(Profiles({"work": WORK}, current="work"))
    kept = json.loads(profiles_file().read_text())
    profiles_file().write_text(json.dumps(kept | {"current": "gone"}))
    assert load_profiles().current is None


def test_what_cannot_be_written_leaves_the_old(monkeypatch: pytest.MonkeyPatch) -> None:
    save_profiles(Profiles({"work": WORK}, current="work"))

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        save_profiles(Profiles({"home": HOME}, current="home"))
    assert list(load_profiles().by_name) == ["work"]
    assert [path.name for path in profiles_file().parent.iterdir()] == ["profiles.json"]
