import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect
from tests.registry.earlier import first_tables

import usageledger
from usageledger.errors import RegistryError
from usageledger.pricing import Prices, Subject
from usageledger.registry import Registry, migrations, open_registry
from usageledger.registry.schema import SCHEMA_VERSION, VERSION_TABLE, metadata

OPEN = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
from usageledger.registry import open_registry
open_registry(sys.argv[1]).close()
print("alembic" in sys.modules)
"""

AFTER_0007 = (
    "webhook_endpoints",
    "spend_deliveries",
    "spend_alert_firings",
    "counters",
    "counter_claims",
    "spend_alerts",
    "spend_limits",
    "source_rules",
    "claims",
)  # tables of later migrations


def differences(registry: Registry) -> list[Any]:
    with registry._database.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        return list(compare_metadata(context, metadata))


def test_the_migrations_leave_what_the_tables_say(url: str) -> None:
    first_tables(url)
    with open_registry(url) as registry:
        assert differences(registry) == []
        for change in (
            "DROP INDEX ix_admin_keys_created_at_id",
            "ALTER TABLE users DROP COLUMN email",
            "CREATE TABLE surplus (x INTEGER)",
        ):
            with registry._database.write() as connection:
                before = len(differences(registry))
                connection.exec_driver_sql(change)
            assert len(differences(registry)) == before + 1, f"the comparison sees: {change}"


def test_a_new_registry_has_what_the_migrations_leave(registry: Registry, url: str) -> None:
    assert differences(registry) == []
    assert execute(url, f"SELECT version_num FROM {VERSION_TABLE}") == [(SCHEMA_VERSION,)]


def test_the_known_version_is_the_newest_migration() -> None:
    scripts = ScriptDirectory(migrations.__path__[0])
    assert scripts.get_heads() == [SCHEMA_VERSION]
    assert len(scripts.get_bases()) == 1


def test_a_new_registry_and_one_that_is_up_to_date_open_without_alembic(url: str, start: Callable[..., Any]) -> None:
    assert start(OPEN, url).communicate() == ("False\n", "")
    assert start(OPEN, url).communicate() == ("False\n", "")


def test_one_of_before_is_up_to_date_after_it_was_opened(url: str, start: Callable[..., Any]) -> None:
    first_tables(url)
    assert start(OPEN, url).communicate() == ("True\n", "")
    assert start(OPEN, url).communicate() == ("False\n", "")


def execute(url: str, *statements: str) -> list[Any]:
    """Past the registry, as another program would; what the last statement answers."""
    engine = create_engine(url)
    with engine.begin() as connection:
        results = [connection.exec_driver_sql(statement) for statement in statements]
        rows = [tuple(row) for row in results[-1].all()] if results[-1].returns_rows else []
    engine.dispose()
    return rows


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


def test_one_of_before_there_were_claims(url: str) -> None:
    open_registry(url).close()
    execute(url, *(f"DROP TABLE {table}" for table in AFTER_0007), f"UPDATE {VERSION_TABLE} SET version_num = '0007'")
    with open_registry(url) as registry:
        assert differences(registry) == []
        assert registry.claims.claim([("response:r", 5)], now=9).seconds == [5]


@pytest.mark.parametrize("version", [f"{int(SCHEMA_VERSION) + 1:04}", "1000", "ae1027a6acf", "", "0000"])
def test_a_version_that_is_not_ours_is_refused(url: str, version: str) -> None:
    open_registry(url).close()
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '{version}'")
    before = tables(url)
    with pytest.raises(RegistryError) as raised:
        open_registry(url)
    assert url.rpartition("/")[2] in str(raised.value)
    assert repr(version) in str(raised.value)
    assert ("update UsageLedger" in str(raised.value)) == (version != "0000")
    assert execute(url, f"SELECT version_num FROM {VERSION_TABLE}") == [(version,)]
    assert tables(url) == before


def test_a_registry_that_cannot_be_made_leaves_nothing(url: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    execute(url, "CREATE TABLE secrets (another TEXT)")  # not the first table that is made
    with pytest.raises(RegistryError, match=r'failed: (table secrets|relation "secrets") already exists\.$'):
        open_registry(url)
    assert tables(url) == {"secrets"}
    execute(url, "DROP TABLE secrets")
    with open_registry(url) as registry:
        assert differences(registry) == []


def test_a_migration_that_fails_leaves_the_tables_of_before(url: str) -> None:
    first_tables(url)
    before = tables(url)
    execute(url, "CREATE TABLE sessions (another TEXT)")  # of the last step that makes a table
    with pytest.raises(RegistryError, match=r'failed: (table sessions|relation "sessions") already exists\.$'):
        open_registry(url)
    assert tables(url) == before | {"sessions"}
    assert execute(url, f"SELECT version_num FROM {VERSION_TABLE}") == [("0001",)]
    execute(url, "DROP TABLE sessions")
    with open_registry(url) as registry:
        assert differences(registry) == []


def test_threads_may_open_different_registries_at_once(tmp_path: Path) -> None:
    ready = threading.Barrier(6)
    found: list[list[Any]] = []

    def open_one(n: int) -> None:
        ready.wait()
        with open_registry(f"sqlite:///{tmp_path}/{n}.sqlite") as registry:
            found.append(differences(registry))

    for n in range(4):
        first_tables(f"sqlite:///{tmp_path}/{n}.sqlite")
    threads = [threading.Thread(target=open_one, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[]] * 6


def test_the_package_may_be_installed_anywhere(tmp_path: Path, start: Callable[..., Any]) -> None:
    root = tmp_path / "100% of %(here)s, it's odd"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(usageledger.__file__).parent, root / "usageledger", ignore=ignored)
    url = f"sqlite:///{tmp_path}/registry.sqlite"
    first_tables(url)
    process = start(OPEN, url, root=root)
    assert process.communicate() == ("True\n", "")


def test_cards_of_before_their_days_were_kept_beside_them(url: str) -> None:
    given = [(Subject(day * 86_400, "images", "openai", 'm"ü'), Prices({"images": day})) for day in (0, 20_000)]
    with open_registry(url) as registry:
        cards = registry.rate_cards.give(given)
    execute(
        url,
        *(f"DROP TABLE {table}" for table in (*AFTER_0007, "source_counts", "price_files")),
        "DROP INDEX ix_card_prices_day",
        "ALTER TABLE card_prices DROP COLUMN day",
        f"UPDATE {VERSION_TABLE} SET version_num = '0004'",
    )
    with open_registry(url) as registry:
        assert differences(registry) == []
        (said,) = registry.rate_cards.between(86_400, 2**40)
        assert (said.card_id, said.subject, said.prices.rates) == (cards[1], given[1][0], {"images": 20_000})
        assert len(list(registry.rate_cards.between(0, 86_400))) == 1
