"""`EventSender` across processes: the end of its own, forks, and a server that is killed. Every event once."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.support.faulty_server import KEY, Faulty, answer
from tests.support.ledger_contents import count
from tests.support.server_process import running

from usageledger import UsageAPI
from usageledger.client import EventSender, SenderCounts
from usageledger.client.sender import RETRIES
from usageledger.client.transport import Retries
from usageledger.ledger import open_ledger
from usageledger.settings import Settings

pytestmark = pytest.mark.processes

NEW = """
import os, sys, threading, time
from usageledger.client import EventSender
sender = EventSender(sys.argv[1], sys.argv[2], flush_seconds=3600, queue_events=100_000, exit_seconds=60)
def event(name):
    return {"kind": "embeddings", "id": name, "timestamp": 1730419200, "input_tokens": 1}
"""


def run(code: str, url: str) -> str:
    """What a program of its own says on stderr; it ends well."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", NEW + code, KEY, url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def arrived(server: Faulty) -> Counter[str]:
    return Counter(each["id"] for each in server.events)


def test_the_end_of_the_program_sends_what_is_queued(server: Faulty) -> None:
    assert run("for n in range(700): sender.send(event(f'e{n}'))", server.url) == ""
    assert arrived(server) == {f"e{n}": 1 for n in range(700)}


def test_the_end_of_the_program_tells_what_it_could_not_send(server: Faulty) -> None:
    server.steps = [answer(503)] * 999
    said = run("sender._exit_seconds = 0.2\nsender.send(event('e1'))", server.url)
    assert "events dropped: 1; the sender closed before they were answered" in said


def test_an_asynchronous_program_that_forgets_to_close(server: Faulty) -> None:
    code = """
import asyncio
from usageledger.client import AsyncEventSender
async def main():
    other = AsyncEventSender(sys.argv[1], sys.argv[2], flush_seconds=3600)
    other.send(event("e1"))
asyncio.run(main())
"""
    assert run(code, server.url) == ""
    assert arrived(server) == {"e1": 1}


def test_a_fork_shares_nothing(server: Faulty) -> None:
    """The parent's queue is sent by the parent alone; the child's by the child, over a connection of its own."""
    code = """
sender.send(event("parent-1")); sender.flush()
sender.send(event("parent-2"))
child = os.fork()
if child == 0:
    assert sender.counts.offered == 0
    sender.send(event("child-1"))
    assert sender.flush(60)
    sender.send(event("child-2"))
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
sender.send(event("parent-3"))
"""
    assert run(code, server.url) == ""
    assert arrived(server) == {"parent-1": 1, "parent-2": 1, "parent-3": 1, "child-1": 1, "child-2": 1}


def test_forks_while_other_threads_send(server: Faulty) -> None:
    """At any instant of a fork a lock may be held; the child still works, and nothing is lost or doubled."""
    code = """
def work(name):
    for n in range(400):
        sender.send(event(f"{name}-{n}"))
threads = [threading.Thread(target=work, args=(f"thread{n}",)) for n in range(3)]
for thread in threads: thread.start()
children = []
for n in range(8):
    child = os.fork()
    if child == 0:
        sender.send(event(f"child-{n}"))
        assert sender.flush(60)
        sender.close()
        os._exit(0)
    children.append(child)
    time.sleep(0.01)
for thread in threads: thread.join()
for child in children: assert os.waitpid(child, 0)[1] == 0
"""
    assert run(code, server.url) == ""
    assert arrived(server) == {f"thread{t}-{n}": 1 for t in range(3) for n in range(400)} | {
        f"child-{n}": 1 for n in range(8)
    }


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_that_forget_to_close(server: Faulty, method: str, tmp_path: Path) -> None:
    """They may end without the interpreter's own exit handlers."""
    program = tmp_path / "program.py"
    program.write_text(
        NEW
        + f"""
import multiprocessing
def work():
    sender.send(event("child"))
if __name__ == "__main__":
    sender.send(event("parent"))
    child = multiprocessing.get_context({method!r}).Process(target=work)
    child.start()
    child.join()
    assert child.exitcode == 0
"""
    )
    command = [sys.executable, "-W", "error", str(program), KEY, server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert arrived(server) == {"parent": 1, "child": 1}


def test_a_child_whose_parent_had_closed_stays_closed(server: Faulty) -> None:
    code = """
sender.close()
child = os.fork()
if child == 0:
    os._exit(sender.send(event("late")) or sender.counts.dropped)
assert os.waitpid(child, 0)[1] >> 8 == 1
"""
    assert "events dropped: 1; the sender is closed" in run(code, server.url)
    assert server.asked == []


class Hurried(EventSender):
    """Sends again soon, however often it failed."""

    def _retries(self) -> Retries:
        return replace(RETRIES, backoff_s_max=0.2)


def test_every_event_is_there_once_though_the_server_is_killed(tmp_path: Path) -> None:
    """The real server, `kill -9` at random moments while events come, and started again over the same data."""
    random, number, kills = Random(), 3000, 3
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stop = threading.Event()
    sent = 0
    with running(tmp_path, port=port) as server:
        key = server.key
        sender = Hurried(key, server.url, batch_events=25, flush_seconds=0.01, queue_events=number)

        def send() -> None:
            nonlocal sent
            for each in range(number):
                sender.send({"kind": "embeddings", "timestamp": 1_730_419_200 + each, "input_tokens": each + 1})
                sent += 1
                stop.wait(0.0005)

        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(random.uniform(0.2, 0.5))
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    for kill in range(kills):
        with running(tmp_path, port=port) as server:
            if kill < kills - 1:
                time.sleep(random.uniform(0.1, 0.6))
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
                continue
            thread.join()
            assert sender.flush(60)
            sender.close()
            assert sender.counts == SenderCounts(offered=number, delivered=number, retries=sender.counts.retries)
            assert sender.counts.retries > 0
            with UsageAPI(key, f"{server.url}/v1") as client:
                page = client.usage_embeddings(start_time=1_730_419_200, end_time=1_730_505_600)
            (result,) = page.data[0].results
            assert (result.num_model_requests, result.input_tokens) == (number, number * (number + 1) // 2)
            server.stop()
    ledger = open_ledger(Settings(data=tmp_path).ledger_url)
    assert count(ledger) == number
    ledger.close()
