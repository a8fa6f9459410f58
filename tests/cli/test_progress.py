"""What takes long shows how far it is, to a person alone."""

import contextlib
import os
import pty
import subprocess

import pytest
from tests.cli.support import COMMAND, DEADLINE_S

from usageledger.cli.terminal.progress import progress


def test_nothing_is_drawn_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Asking", 10) as tell:
        tell(5)
    assert capsys.readouterr() == ("", "")


def test_a_bar_at_a_terminal(environment: dict[str, str]) -> None:
    code = (
        "import time\n"
        "from usageledger.cli.terminal.progress import progress\n"
        "with progress('Asking', 10) as tell:\n"
        "    tell(5)\n"
        "    time.sleep(0.3)\n"
        "with progress('Adding up', None):\n"
        "    time.sleep(0.3)\n"
    )
    terminal, inner = pty.openpty()
    command, environment = [COMMAND[0], "-c", code], environment | {"TERM": "xterm"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=inner) as process:
        os.close(inner)
        shown = b""
        with contextlib.suppress(OSError):  # where the program ends
            while True:
                shown += os.read(terminal, 1000)
        os.close(terminal)
        assert process.wait(DEADLINE_S) == 0
        assert process.stdout
        assert process.stdout.read() == b""
    assert b"Asking" in shown
    assert b" 50%" in shown
    assert b"Adding up" in shown
