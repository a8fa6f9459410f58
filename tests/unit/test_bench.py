"""What the benchmark sends and draws is what it says."""

import json
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from bench.data import Generator, wire_events, wire_table
from bench.figures import collect, progress
from bench.ingestion import seconds_of_load
from bench.measure import figure
from bench.plot import plot
from bench.queries import QUESTIONS
from tests.support.samples import decode

from usageledger.events.arrow_events import decode_table
from usageledger.events.batch import join

NOW = 1_781_526_896


def test_events_by_json_and_by_arrow_are_those_that_were_generated() -> None:
    made = Generator(seed=1).table(np.arange(NOW - 3_000, NOW))
    by_arrow = decode_table(wire_table(made), latest=NOW, now=NOW)
    assert (by_arrow.count, by_arrow.refused.listed) == (3_000, [])
    decoded = decode(msgspec.json.encode(wire_events(made)), lines=False, max_events=3_000)
    by_json = join([decoded], NOW, NOW).rows
    for name in made.column_names:
        if name != "rate_id":  # given by the server
            assert by_json[name].to_pylist() == by_arrow.rows[name].to_pylist() == made[name].to_pylist(), name


@pytest.mark.parametrize("millions", [[1], [1, 2, 100]])
def test_the_plot_has_every_question_and_a_dot_for_each_figure(millions: list[int]) -> None:
    figures = {"first_ms": 300.0, "p50_ms": 2.0, "p99_ms": 90.0}
    sizes = [
        {"events": n * 10**6, "bytes_per_event": 50 + n, "resident_mib": 300, "start_seconds": 1.0}
        | {"pages": {question.name: figures for question in QUESTIONS}}
        for n in millions
    ]
    root = ET.fromstring(plot(sizes))
    tag = "{http://www.w3.org/2000/svg}"
    names = [text.text for text in root.iter(f"{tag}text") if text.get("class") == "name"]
    asked = [question.name for question in QUESTIONS if question.p99]
    assert names == [*asked, "Disk, rollups included", "Resident memory while serving", "Start to ready"]
    assert len([*root.iter(f"{tag}circle")]) == len(millions) * (3 * len(asked) + 3)
    assert len([p for p in root.iter(f"{tag}path") if p.get("class") == "target"]) == len(asked) + 1 + 3


def test_figures_of_an_interrupted_run_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def measured() -> Iterator[dict[str, Any]]:
        yield figure("first", 1.5, "ms")
        yield figure("second", 2_000.0, "events/s")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(measured(), tmp_path / "results.json", events=7)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert (kept["events"], [each["name"] for each in kept["figures"]]) == (7, ["first", "second"])
    told = capsys.readouterr().err.splitlines()
    assert [line.partition("s  ")[2] for line in told] == ["first: 1.5 ms", "second: 2,000 events/s"]


def test_a_fill_tells_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    tables = list(Generator(seed=1).tables(1_000, NOW - 3_000, NOW, 30))
    assert list(progress(tables, 1_000)) == tables
    told = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert (len(told), told[0], told[-1]) == (10, "120", "1,000")


@pytest.mark.parametrize("text", ["0.3", "-1", "nan", "inf", "0.99"])
def test_too_little_load_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=rf"^expected 0 for none, or at least 1 second, got {text}$"):
        seconds_of_load(text)


@pytest.mark.parametrize("text", ["0", "1", "10"])
def test_enough_load_or_none(text: str) -> None:
    assert seconds_of_load(text) == float(text)
