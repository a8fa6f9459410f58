"""`usageledger sources`: who sends, what of it is not counted, and what can be done about it."""

import io
import json
from pathlib import Path

import httpx
import pytest
from rich.cells import cell_len
from rich.console import Console
from tests.cli.support import KEY, NOW, Run, Server, Start, one_error

from usageledger.cli.commands.sources import source_tables
from usageledger.client import Source, SourceTally
from usageledger.registry import open_registry
from usageledger.settings import Settings

AGENT, GATEWAY = ("com.anthropic.claude_code.events", "2.1.197"), ("litellm", "1.110.2")
COUNTS = {
    (AGENT, "counted"): (12_034, "req_1"),
    (AGENT, "sent_again"): (12, "req_2"),
    (AGENT, "other_signal"): (24_001, "claude_code.token.usage"),
    (AGENT, "cache_lifetime_unknown"): (12_000, "req_3"),
    (GATEWAY, "no_usage"): (7, "chatcmpl-1"),
    (GATEWAY, "other_signal"): (1, ""),
}


@pytest.fixture
def server(start: Start, environment: dict[str, str], tmp_path: Path) -> Server:
    running = start("serve", "--data", tmp_path / "data", "--port", 0, USAGELEDGER_ADMIN_KEY=KEY)
    environment |= {"USAGELEDGER_URL": running.address, "USAGELEDGER_API_KEY": KEY}
    return running


def fill(server: Server) -> None:
    with open_registry(Settings(data=server.data).registry_url) as registry:
        registry.source_counts.add({key: count for key, count in COUNTS.items() if key[0] == AGENT}, now=NOW)
        registry.source_counts.add({key: count for key, count in COUNTS.items() if key[0] == GATEWAY}, now=NOW + 60)


def test_emitters_reasons_and_remedies(call: Run, server: Server) -> None:
    fill(server)
    done = call("sources", COLUMNS="140")
    assert (done.returncode, done.stderr) == (0, "")
    emitters, _, reasons = done.stdout.partition("\nReason ")
    lines = [line.split() for line in emitters.splitlines() if line.strip()]
    assert lines[0] == ["Emitter", "Counted", "Again", "Not", "counted", "Last", "seen"]
    assert lines[2] == ["litellm", "0", "0", "7", "no_usage", "2026-11-18", "11:07Z"]
    assert lines[3] == ["1.110.2", "1", "other_signal"]
    assert lines[4] == [AGENT[0], "12,034", "12", "24,001", "other_signal", "2026-11-18", "11:06Z"]
    assert lines[5:] == [["2.1.197"]]
    for words in (
        f"12,000 counted, of {' '.join(AGENT)}, such as req_3",
        "7 of litellm 1.110.2, such as chatcmpl-1",
        'Ask for it: `stream_options={"include_usage": true}` in chat completions.',
        f"24,001 of {' '.join(AGENT)}, such as claude_code.token.usage",
    ):
        assert words in reasons
    assert "1 of litellm 1.110.2\n" in "\n".join(line.rstrip() for line in reasons.splitlines())
    assert reasons.count("Another signal of the same emitter is the one that counts") == 1
    assert reasons.index("cache_lifetime_unknown") < reasons.index("no_usage") < reasons.index("other_signal")


def test_json_is_what_the_server_answers(call: Run, server: Server) -> None:
    fill(server)
    told = httpx.get(f"{server.address}/v1/sources", headers={"authorization": f"Bearer {KEY}"}).json()["data"]
    assert json.loads(call("sources", "--json").stdout) == told
    assert len(told) == 2


def test_nothing_yet_says_how_to_send_something(call: Run, server: Server) -> None:
    done = call("sources")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"{server.address}/sources" in done.stderr
    assert "docs/sources.md" in done.stderr
    assert call("sources", "--json").stdout == "[]\n"


def test_a_key_that_may_not_read(call: Run, server: Server) -> None:
    made = call("keys", "create", "--scope", "api.usage.write", "--data", server.data).stdout.strip()
    assert "Missing scopes: api.usage.read" in one_error(call("sources", USAGELEDGER_API_KEY=made), 1)


@pytest.mark.parametrize("width", [50, 80, 140])
def test_the_tables_fit_and_cut_nothing(width: int) -> None:
    tally = SourceTally(reason="cache_hit", count=10**6, example="y" * 256, last_at=NOW, meaning="M", remedy="R")
    ugly = ("q" * 128, "مرحبا بالعالم", "日本語 🚀🚀🚀")
    found = [
        Source(
            emitter=name,
            version="z" * 40,
            first_seen_at=NOW,
            last_seen_at=NOW,
            counted=123_456_789,
            sent_again=5_000,
            not_counted=(tally,),
            notes=(),
        )
        for name in ugly
    ]
    console = Console(width=width, highlight=False, record=True, file=io.StringIO())
    console.print(source_tables(found))
    text = console.export_text()
    assert max(map(cell_len, text.splitlines())) <= width
    assert (text.count("123,456,789"), text.count("5,000"), text.count("1,000,000")) == (3, 3, 6)
    together = "".join(text.split())
    assert (together.count("q"), together.count("y"), together.count("🚀")) == (2 * 128, 3 * 256, 2 * 3)
    assert together.count("z") == 6 * 40
