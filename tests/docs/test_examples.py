"""The examples of the pages, executed against a real server, and what they are said to print."""

import json
import re
from typing import Any

import pytest
from tests.docs.server import Running
from tests.support.documentation import EXECUTED, LANGUAGES, Block, blocks, differences, examples, table, tables

from usageledger.meters import METERS

KEPT = '{"object": "event.batch", "accepted": 1, "duplicates": 0, "rejected": 0, "errors": []}'
PAIR = re.compile(r"`(\w+)` (\d+)")
START = 1_730_419_200


@pytest.mark.external
@pytest.mark.parametrize("page", EXECUTED)
def test_examples_do_what_the_page_says(page: str, server: Running) -> None:
    """One test to a page: its examples build on each other. An event without an answer below it is kept."""
    found = examples(page)
    assert found
    for example in found:
        came = server.output(example.block)
        shown = example.output or Block(page, example.block.line, "json", KEPT)
        if example.block.info == "json event" or example.output:
            wrong = differences(shown.text, came, shown.info)
            assert wrong is None, f"{shown.place}: the example of line {example.block.line} answered otherwise\n{wrong}"


@pytest.mark.parametrize("page", EXECUTED)
def test_every_program_shown_has_an_output(page: str) -> None:
    """What is executed is compared with something, so that a page cannot show what never comes."""
    silent = [
        example.block.place for example in examples(page) if example.block.info in LANGUAGES and not example.output
    ]
    assert not silent


@pytest.mark.parametrize("page", EXECUTED)
def test_every_json_block_is_sent_or_compared(page: str) -> None:
    """One that stands alone would be a claim that nothing checks."""
    checked = [block.line for example in examples(page) for block in (example.block, example.output) if block]
    assert not [block.place for block in blocks(page) if block.info.startswith("json") and block.line not in checked]


def test_every_kind_has_an_example_event() -> None:
    shown = {json.loads(block.text)["kind"] for block in blocks("docs/events.md") if block.info == "json event"}
    assert shown == {meter.kind for meter in METERS}


def event_of(number: int, cell: str) -> dict[str, Any]:
    """An event with the counts that a table's cell names, in a minute of its own."""
    counts = {name: int(count) for name, count in PAIR.findall(cell)}
    return {"kind": "completions", "id": f"row_{number}", "timestamp": START + 60 * number, **counts}


def test_the_table_of_derived_tokens(server: Running) -> None:
    rows = table("docs/events.md", "an event gives", "and is reported with")
    events = [event_of(number, row[0]) for number, row in enumerate(rows)]
    window: dict[str, Any] = {
        "start_time": START,
        "end_time": START + 60 * len(rows),
        "bucket_width": "1m",
        "limit": len(rows),
    }
    with server.client as client:
        assert client.post("/v1/events", json=events).json()["accepted"] == len(rows)
        buckets = client.get(
            "/v1/organization/usage/completions", params=window | {"bucket_width": "1m", "limit": len(rows)}
        ).json()["data"]
    for event, row, bucket in zip(events, rows, buckets, strict=True):
        (result,) = bucket["results"]
        said = {name: int(count) for name, count in PAIR.findall(row[1])}
        assert said
        assert {name: result[name] for name in said} == said, row
        given = {name: count for name, count in event.items() if name.endswith("_tokens")}
        assert {name: result[name] for name in given} == given, row


def test_the_table_of_refused_tokens(server: Running) -> None:
    rows = table("docs/events.md", "an event gives", "and is refused with")
    with server.client as client:
        for number, (given, message) in enumerate(rows):
            answer = client.post("/v1/events", json=event_of(number, given)).json()
            assert answer["rejected"] == 1
            assert [error["message"] for error in answer["errors"]] == [message.strip("`")]


def test_the_tables_of_tokens_name_fields_that_exist() -> None:
    (completions,) = [meter for meter in METERS if meter.kind == "completions"]
    known = {measure.name for measure in completions.measures}
    named = {
        name
        for rows in tables("docs/events.md")
        if rows[0][-1] in {"its parts", "and is reported with", "and is refused with", "send"}
        for row in rows[1:]
        for cell in (row[1:] if rows[0][-1] in {"its parts", "send"} else row)
        for name in re.findall(r"`(\w+_tokens)`", cell)
    }
    assert named
    assert named <= known
