"""One registry, many threads and processes."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.registry.earlier import first_tables
from tests.registry.seen import seen_ids

from usageledger.registry import Registry, open_registry

NOW = 1_750_000_000
PROCESSES = 4

# Says that it is ready, waits for a line, then does everything that a starting server does.
START_UP = """
import sys
import alembic.command, alembic.config  # imported before the start, so that the steps of migrations meet
from usageledger.registry import open_registry
print("ready", flush=True)
sys.stdin.readline()
with open_registry(sys.argv[1]) as registry:
    key, value = registry.create_key("bootstrap", value="bootstrap-0123456789-abcd", now=1)
    registry.create_key("own", now=2)
    registry.note_seen(["shared", sys.argv[2]], ["shared"], now=3)
    print(key.id, registry.secret("page-token").hex())
"""

CHURN = """
import sys
from usageledger.registry import open_registry
for n in range(40):
    with open_registry(sys.argv[1]) as registry:
        registry.note_seen([f"{sys.argv[2]}-{n}"], [], now=n)
"""


def finished(process: Any) -> str:
    output, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    return str(output)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    ready = threading.Barrier(count)
    failures: list[BaseException] = []

    def run(n: int) -> None:
        try:
            ready.wait()
            work(n)
        except BaseException as error:  # noqa: BLE001  (shown by the assertion below)
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("prepare", [lambda _: None, first_tables], ids=["fresh", "of before"])
@pytest.mark.parametrize("attempt", range(2))
def test_processes_may_start_on_a_registry_at_once(
    url: str, start: Callable[..., Any], prepare: Callable[[str], None], attempt: int
) -> None:
    prepare(url)
    processes = [start(START_UP, url, f"of-{n}") for n in range(PROCESSES)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [finished(process) for process in processes]
    assert len(set(answers)) == 1, "one bootstrap key and one secret for all of them"
    with open_registry(url) as registry:
        bootstrap = registry.find_key("bootstrap-0123456789-abcd", now=NOW)
        assert bootstrap is not None
        assert answers[0] == f"{bootstrap.id} {registry.secret('page-token').hex()}\n"
        assert sorted(key.name for key in registry.list_keys().data) == ["bootstrap", *["own"] * PROCESSES]
        assert seen_ids(registry) == ({"shared", *(f"of-{n}" for n in range(PROCESSES))}, {"shared"})


def test_a_server_and_a_command_line_write_at_once(url: str, registry: Registry, start: Callable[..., Any]) -> None:
    commands = [start(CHURN, url, f"cli{n}") for n in range(2)]

    def serve(thread: int) -> None:
        for n in range(40):
            registry.note_seen([f"server{thread}-{n}"], [], now=NOW)

    in_threads(4, serve)
    for command in commands:
        finished(command)
    writers = [*(f"cli{n}" for n in range(2)), *(f"server{n}" for n in range(4))]
    assert seen_ids(registry)[0] == {f"{writer}-{n}" for writer in writers for n in range(40)}


def test_opening_and_closing_at_once(url: str, start: Callable[..., Any]) -> None:
    # Whoever closes last tidies the log away, while another is opening.
    processes = [start(CHURN, url, f"p{n}") for n in range(3)]
    for process in processes:
        finished(process)
    with open_registry(url) as registry:
        assert len(seen_ids(registry)[0]) == 3 * 40


def test_threads_may_see_the_same_ids_at_once(registry: Registry) -> None:
    def see(thread: int) -> None:
        for n in range(20):
            registry.note_seen([f"p{n}", f"p{n}-{thread}"], [f"u{n}"], now=NOW + thread)

    in_threads(8, see)
    project_ids, user_ids = seen_ids(registry)
    assert project_ids == {f"p{n}" for n in range(20)} | {f"p{n}-{thread}" for n in range(20) for thread in range(8)}
    assert user_ids == {f"u{n}" for n in range(20)}


def test_a_key_is_revoked_by_one_thread_only(registry: Registry) -> None:
    keys = [registry.create_key(str(n), now=NOW)[0] for n in range(10)]
    revoked: list[str] = []

    def revoke(thread: int) -> None:
        revoked.extend([key.id for key in keys if registry.revoke_key(key.id, now=NOW + thread)])

    in_threads(6, revoke)
    assert sorted(revoked) == sorted(key.id for key in keys)


def test_more_threads_than_connections(path: Path, registry: Registry) -> None:
    key, value = registry.create_key("a", now=NOW)

    def use(thread: int) -> None:
        for _ in range(10):
            assert registry.find_key(value, now=NOW) is not None
            registry.touch_key(key.id, now=NOW + thread)

    in_threads(40, use)
    found = registry.find_key(value, now=NOW)
    assert found is not None
    assert found.last_used_at is not None
    assert NOW <= found.last_used_at < NOW + 40
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
