import base64
import hashlib
import logging
import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.registry.earlier import first_tables
from tests.registry.seen import seen_ids
from tests.support.limits import files_limited

from usageledger.errors import RegistryError
from usageledger.registry import Registry, open_registry
from usageledger.registry.database import Waits
from usageledger.registry.database_errors import registry_error

NOW = 1_750_000_000


def test_what_was_written_outlives_the_process(url: str) -> None:
    with open_registry(url) as registry:
        key, value = registry.create_key("a", now=NOW)
        registry.note_seen(["p"], ["u"], now=NOW)
        secret = registry.secret("s")
    with open_registry(url) as registry:
        assert registry.find_key(value, now=NOW) == key
        assert seen_ids(registry) == ({"p"}, {"u"})
        assert registry.secret("s") == secret


def test_folders_are_made_and_files_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    before = os.umask(0)
    try:
        with open_registry(f"sqlite:///{folder}/registry.sqlite") as registry:
            registry.create_key("a", now=NOW)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"registry.sqlite": 0o600, "registry.sqlite-wal": 0o600, "registry.sqlite-shm": 0o600}


def test_a_relative_path_is_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_registry("sqlite:///sub/registry.sqlite").close()
    assert (tmp_path / "sub" / "registry.sqlite").stat().st_size > 0


@pytest.mark.usefixtures("path")
def test_every_connection_is_set_up(registry: Registry) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")

    def pragmas(which: str) -> list[object]:
        with getattr(registry._database, which)() as connection:
            return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    with registry._database.read():  # holds the first connection, so that another is opened
        assert pragmas("read") == ["wal", 2, 1, 5000]
    assert pragmas("write") == ["wal", 2, 1, 5000]


def test_only_the_digest_of_a_key_is_on_disk(path: Path, url: str) -> None:
    given = "bootstrap-0123456789-abcd"

    def on_disk() -> bytes:
        return b"".join(file.read_bytes() for file in path.parent.iterdir())

    with open_registry(url) as registry:
        _, value = registry.create_key("a", now=NOW)
        registry.create_key("b", value=given, now=NOW)
        assert path.with_name("registry.sqlite-wal").stat().st_size > 0
        while_open = on_disk()
    for found in (while_open, on_disk()):
        for secret in (value, given):
            assert hashlib.sha256(secret.encode()).digest() in found, "the bytes looked at are the right ones"
            assert secret[len("sk-admin-") : -4].encode() not in found
        assert base64.urlsafe_b64decode(value.removeprefix("sk-admin-") + "=") not in found


def test_nothing_secret_is_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    first_tables(url)
    caplog.set_level(logging.DEBUG)
    with open_registry(url) as registry:
        key, value = registry.create_key("a", now=NOW)
        registry.find_key(value, now=NOW)
        registry.touch_key(key.id, now=NOW)
        secret = registry.secret("s")
        registry.secret("s")
    digest = hashlib.sha256(value.encode()).digest()
    for forbidden in (value, digest.hex(), repr(digest)[2:-1], repr(secret)[2:-1]):
        assert forbidden not in caplog.text
    assert [record.name for record in caplog.records if record.name.startswith(("alembic", "sqlalchemy.engine"))] == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "cannot be read"),
        ("registry.sqlite", "cannot be read"),
        ("postgresql://user:hunter2@host:port/name", "cannot be read"),
        ("mysql://user:hunter2@host/name", "'mysql'"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:///registry.sqlite?mode=ro", "a path and nothing else"),
        ("sqlite+aiosqlite:///registry.sqlite", "a path and nothing else"),
        ("sqlite://user:hunter2@host/registry.sqlite", "a path and nothing else"),
        ("sqlite:///a\0b", "cannot be made"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RegistryError, match=said) as raised:
        open_registry(url)
    assert "hunter2" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_driver_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(RegistryError, match=r"pip install 'usageledger\[postgresql\]'") as raised:
        open_registry("postgresql+psycopg://user:hunter2@host/name")
    assert "hunter2" not in str(raised.value)


def test_a_file_that_is_no_database(path: Path, url: str) -> None:
    path.parent.mkdir()
    path.write_bytes(b"these are notes, not a database\n" * 100)
    with pytest.raises(RegistryError, match=r"registry\.sqlite is not a SQLite database\.$"):
        open_registry(url)
    assert path.read_bytes() == b"these are notes, not a database\n" * 100


def test_a_damaged_database(path: Path, url: str) -> None:
    with open_registry(url) as registry:
        registry.note_seen([f"project {n}" for n in range(500)], [], now=NOW)
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))

    def use() -> None:
        with open_registry(url) as registry:
            seen_ids(registry)

    with pytest.raises(RegistryError, match=r"registry\.sqlite is damaged: restore it from a backup\.$"):
        use()


def test_places_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for place, said in {
        f"{tmp_path}/file/registry.sqlite": "cannot be made",
        f"{tmp_path}/file/sub/registry.sqlite": "cannot be made",
        f"{tmp_path}/folder": "cannot be opened",
        "/proc/usageledger/registry.sqlite": "cannot be made",
    }.items():
        with pytest.raises(RegistryError, match=said) as raised:
            open_registry(f"sqlite:///{place}")
        assert place in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_locked_registry_can_be_read_and_says_so(path: Path, url: str) -> None:
    with open_registry(url, Waits(busy_s=0.1)) as registry:
        key, value = registry.create_key("a", now=NOW)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for write in (
            lambda: registry.create_key("b", now=NOW),
            lambda: registry.note_seen(["p"], [], now=NOW),
            lambda: registry.touch_key(key.id, now=NOW),
            lambda: registry.revoke_key(key.id, now=NOW),
        ):
            with pytest.raises(RegistryError, match="is locked: another process") as raised:
                write()
            assert raised.value.__suppress_context__, "the database's own error is not shown"
            assert raised.value.__cause__ is None
        assert registry.find_key(value, now=NOW) == key
        other.execute("ROLLBACK")
        other.close()
        assert registry.revoke_key(key.id, now=NOW) is True


def test_opening_an_up_to_date_registry_does_not_wait_for_the_lock(path: Path, url: str) -> None:
    open_registry(url).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with open_registry(url) as registry:  # would raise after 5 s
            assert registry.has_keys() is False


def test_opening_waits_for_a_process_that_sets_up_the_same_file(path: Path, url: str) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        # SQLite refuses at once to switch to the write-ahead log while another writes: its time-out does not count.
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, other.execute, ["ROLLBACK"])
        release.start()
        open_registry(url).close()
        release.join()
    with open_registry(url) as registry, registry._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_use_within_60_seconds_does_not_wait_for_the_lock(path: Path, registry: Registry) -> None:
    key, _ = registry.create_key("a", now=NOW)
    registry.touch_key(key.id, now=NOW)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    registry.touch_key(key.id, now=NOW + 59)  # would raise after 5 s
    other.execute("ROLLBACK")
    other.close()


def test_a_failed_write_leaves_nothing(registry: Registry) -> None:
    def fail() -> None:
        with registry._database.write() as connection:
            connection.exec_driver_sql("INSERT INTO projects VALUES ('p', 'p', 1, NULL)")
            connection.exec_driver_sql("INSERT INTO missing VALUES (1)")

    with pytest.raises(RegistryError, match=r"failed: (no such table: missing|relation \"missing\" does not exist)\.$"):
        fail()
    assert registry.get_project("p") is None
    registry.note_seen(["p"], [], now=NOW)


def test_numbers_and_text_that_the_database_cannot_hold(registry: Registry) -> None:
    with pytest.raises(RegistryError, match=r"too large|out of range"):
        registry.create_project("p", now=2**63)
    with pytest.raises(RegistryError, match="surrogates"):
        registry.get_project("\ud800")
    assert registry.create_project("p", now=2**63 - 1).created_at == 2**63 - 1


def test_a_closed_registry_says_so(url: str) -> None:
    registry = open_registry(url)
    registry.close()
    registry.close()
    for use in (registry.has_keys, lambda: registry.note_seen(["p"], [], now=NOW)):
        with pytest.raises(RegistryError, match="is closed"):
            use()


def test_closing_puts_everything_into_the_one_file(path: Path, url: str) -> None:
    open_registry(url).close()
    assert [file.name for file in path.parent.iterdir()] == ["registry.sqlite"]


def read_only(path: Path) -> None:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.execute("CREATE TABLE t (x)")


def full(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("CREATE TABLE t (x)")


@pytest.mark.parametrize(("fail", "said"), [(read_only, "read-only"), (full, "the disk is full")])
def test_what_sqlite_says_is_put_plainly(
    fail: Callable[[Path], None], said: str, path: Path, registry: Registry
) -> None:
    with pytest.raises(sqlite3.OperationalError) as raised:
        fail(path)
    assert str(registry_error(raised.value, "x.sqlite")).startswith("The registry x.sqlite cannot be written: ")
    assert said in str(registry_error(raised.value, "x.sqlite"))


def test_only_the_first_line_of_a_drivers_message_is_shown() -> None:
    error = RuntimeError("duplicate key\nDETAIL: Key (digest)=(\\x1234) already exists.")
    assert str(registry_error(error, "x")) == "The registry x failed: duplicate key."
    assert str(registry_error(RuntimeError(), "x")) == "The registry x failed: RuntimeError."


def test_a_full_disk_is_read_and_written_again_when_there_is_room(tmp_path: Path) -> None:
    """Without room for the files of its log as well, which a clean end removes."""
    url = f"sqlite:///{tmp_path}/registry.sqlite"
    with open_registry(url) as registry:
        key, value = registry.create_key("a key", now=NOW)
        assert registry.ready()
    with files_limited(4096):
        registry = open_registry(url, Waits(probe_s=0))
        assert registry.find_key(value, now=NOW) == key
        for _ in range(2):
            assert not registry.ready()
            with pytest.raises(RegistryError):
                registry.note_seen(["p"], [], now=NOW)
    with registry:
        assert registry.ready()
        registry.note_seen(["p"], [], now=NOW)
        assert registry.get_project("p")
    with open_registry(url, Waits(probe_s=0)) as registry, files_limited(4096):
        with pytest.raises(RegistryError):
            registry.note_seen([f"p{n}" for n in range(5000)], [], now=NOW)
        assert not registry.ready()
        assert registry.find_key(value, now=NOW) == key
