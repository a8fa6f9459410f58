"""A real PostgreSQL from Debian's package, in a folder of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.services.processes import end_with_parent, free_ports, wait_until
from tests.support.services.programs import program
from tests.support.services.shared import shared

USER = "usageledger"
_numbers = count()


def new_database() -> str:
    """The address of a new, empty database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    address = shared("postgresql")["address"]
    _run(address, f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    return f"postgresql+psycopg://{USER}@{address}/{name}"


def _run(address: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(f"postgresql://{USER}@{address}/postgres", autocommit=True) as connection:
        connection.execute(statement.encode())


@contextmanager
def start(_folder: Path) -> Generator[dict[str, Any]]:
    """A server without durability, since no test of ours cuts its power."""
    programs = program("postgresql")
    (port,) = free_ports(1)
    data = tempfile.mkdtemp(prefix="usageledger-postgresql-")
    # It refuses to run as root.
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(data, "postgres")
    options = ["-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    try:
        subprocess.run([*user, str(programs / "initdb"), "-D", data, *options], check=True, cwd=data)
        command = [str(programs / "postgres"), "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
        limits = ["-c", "max_connections=200", "-c", "shared_buffers=32MB"]
        with subprocess.Popen(
            [*user, *command, *limits],
            cwd=data,
            text=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it calls one function of C's library
        ) as process:
            address = f"127.0.0.1:{port}"
            wait_until(
                lambda: (
                    subprocess.run(
                        [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False
                    ).returncode
                    == 0
                ),
                process,
            )
            yield {"address": address}
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
    finally:
        shutil.rmtree(data, ignore_errors=True)
