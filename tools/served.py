"""Proofs that a server works as installed: its dashboard, migrations and prices are there; an event goes through it."""

import json
import re
import time
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

KEY = "sk-admin-of-the-proof-0000"
DAY = 1_730_419_200
EVENT = {
    "id": "evt_1",
    "kind": "completions",
    "timestamp": DAY + 5,
    "model": "gpt-4o-2024-08-06",
    "input_tokens": 1000,
    "output_tokens": 0,
}
START_SECONDS = 60


def address_of(process: "subprocess.Popen[str]") -> str:
    """Reads where a server that was started with `--json` listens.

    Raises:
        SystemExit: it ended without a word.
    """
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"the server ended with {process.wait()}")
    return str(json.loads(line)["address"])


def wait_for(address: str) -> None:
    """Waits until a server is ready."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            get(f"{address}/readyz")
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def get(url: str, body: Any = None) -> bytes:
    """Asks with the key, or sends a body of JSON."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=START_SECONDS) as answer:
        return bytes(answer.read())


def prove(address: str, accepted: int = 1) -> None:
    """Sends an event and reads its usage, its costs, and the dashboard with every script that it names.

    Args:
        address: where the server listens.
        accepted: 1, or 0 where an earlier server on the same data has the event.

    Raises:
        SystemExit: something else came.
    """
    sent = json.loads(get(f"{address}/v1/events", EVENT))
    _same("the event's answer", [sent["accepted"], sent["duplicates"]], [accepted, 1 - accepted])
    window = f"start_time={DAY}&end_time={DAY + 86_400}"
    usage = json.loads(get(f"{address}/v1/organization/usage/completions?{window}"))
    _same("the usage", _only(usage)["input_tokens"], 1000)
    costs = json.loads(get(f"{address}/v1/organization/costs?{window}"))
    _same("the costs", str(_only(costs)["amount"]["value"]), "0.0025")
    page = get(f"{address}/").decode()
    scripts = re.findall(r'(?:src|href)="(/?[^":]+\.(?:js|css))"', page)
    _same("the dashboard's scripts", bool(scripts), True)
    for script in scripts:
        _same(script, bool(get(f"{address}/{script.removeprefix('/')}")), True)


def stop(process: "subprocess.Popen[str]") -> None:
    """Ends a server as an operator does, and wants it to end cleanly.

    Raises:
        SystemExit: it ended otherwise.
    """
    process.terminate()
    _same("the server's end", process.wait(START_SECONDS), 0)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Gives a server its key, and nothing of other settings."""
    return {name: value for name, value in given.items() if not name.startswith("USAGELEDGER_")} | {
        "USAGELEDGER_ADMIN_KEY": KEY
    }


def _only(answer: dict[str, Any]) -> dict[str, Any]:
    (found,) = [result for bucket in answer["data"] for result in bucket["results"]]
    return dict(found)


def _same(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise SystemExit(f"{what}: {found!r} instead of {wanted!r}")
