"""The sweep's figures as SVG: a small plot for each, both axes logarithmic, with the target as a dashed line.

Written by hand, since it is lines and texts; it follows the reader's light or dark scheme on a ground of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from bench.queries import QUESTIONS

COLUMNS, WIDTH, HEIGHT, GAP = 3, 300, 190, 18
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 34, 26  # around the lines of one plot
HEAD = 64
STYLE = """
.ground{fill:#ffffff;stroke:#d5dbe0}.name{font-size:13px;font-weight:600;fill:#1c2730}
.axis,.legend{font-size:10.5px;fill:#5b6872}.title{font-size:17px;font-weight:600;fill:#1c2730}
.grid{stroke:#e4e9ed;stroke-width:1}.target{stroke:#c2410c;stroke-width:1.3;stroke-dasharray:5 4}
.goal{font-size:10.5px;fill:#c2410c;paint-order:stroke;stroke:#ffffff;stroke-width:3px}
.p50,.one{stroke:#00796b}.p99{stroke:#5e5adb}.first{stroke:#9aa5ad}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.dot{stroke:none}
.dot.p50,.dot.one{fill:#00796b}.dot.p99{fill:#5e5adb}.dot.first{fill:#9aa5ad}
@media (prefers-color-scheme: dark){
.ground{fill:#14191e;stroke:#303a43}.name,.title{fill:#e8edf1}.axis,.legend{fill:#9aa8b3}.grid{stroke:#28313a}
.target{stroke:#fb923c}.goal{fill:#fb923c;stroke:#14191e}.p50,.one{stroke:#2dd4bf}.p99{stroke:#a5a1ff}.first{stroke:#6b7780}
.dot.p50,.dot.one{fill:#2dd4bf}.dot.p99{fill:#a5a1ff}.dot.first{fill:#6b7780}}
"""


@dataclass(frozen=True)
class Panel:
    """One plot: lines by their class, and targets with what they are of."""

    name: str
    unit: str
    lines: dict[str, Sequence[float]]
    targets: dict[str, float]


def plot(sizes: Sequence[dict[str, Any]]) -> str:
    """The picture of these sizes, one or more, as `bench.sweep` writes them."""
    events = [size["events"] for size in sizes]
    panels = _panels(sizes)
    rows = math.ceil(len(panels) / COLUMNS)
    width, height = COLUMNS * (WIDTH + GAP) + GAP, HEAD + rows * (HEIGHT + GAP)
    drawn = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" font-family="system-ui, sans-serif"><title>How figures grow with the ledger</title>'
            f"<style>{STYLE}</style>"
            f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10"/>'
            f'<text class="title" x="{GAP}" y="28">From {_short(events[0])} to {_short(events[-1])} events</text>'
        ),
        *_legend(),
    ]
    for number, panel in enumerate(panels):
        x = GAP + number % COLUMNS * (WIDTH + GAP)
        y = HEAD + number // COLUMNS * (HEIGHT + GAP)
        drawn += [f'<g transform="translate({x} {y})">', *_drawn(panel, events), "</g>"]
    return "\n".join([*drawn, "</svg>\n"])


def _panels(sizes: Sequence[dict[str, Any]]) -> list[Panel]:
    panels = [
        Panel(
            question.name,
            "ms",
            {name: [size["pages"][question.name][f"{name}_ms"] for size in sizes] for name in ("first", "p99", "p50")},
            {name: goal for name, goal in (("p99", question.p99), ("p50", question.p50)) if goal},
        )
        for question in QUESTIONS
        if question.p99
    ]
    for name, unit, key, target in (
        ("Disk, rollups included", "bytes/event", "bytes_per_event", 60),
        ("Resident memory while serving", "MiB", "resident_mib", 1024),
        ("Start to ready", "s", "start_seconds", 1.5),
    ):
        panels.append(Panel(name, unit, {"one": [size[key] for size in sizes]}, {"target": target}))
    return panels


def _legend() -> list[str]:
    drawn: list[str] = []
    x = GAP
    for name, text in (
        ("p50", "p50 of a page asked for again"),
        ("p99", "p99"),
        ("first", "the first time, when nothing is remembered"),
        ("target", "target"),
    ):
        drawn.append(
            f'<path class="line {name}" d="M{x} 47h20"/><text class="legend" x="{x + 25}" y="51">{text}</text>'
        )
        x += 48 + 6 * len(text)
    return drawn


def _drawn(panel: Panel, events: Sequence[int]) -> list[str]:
    """The plot of one panel, its left upper corner at 0 0."""
    values = [*(value for line in panel.lines.values() for value in line), *panel.targets.values()]
    low, high = _decades(values)
    first, last = events[0], max(events[-1], events[0] + 1)

    def x(count: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(count / first) / math.log(last / first)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(value / low) / math.log(high / low)

    drawn = [
        f'<text class="name" x="0" y="14">{escape(panel.name)}<tspan class="axis" dx="6">{panel.unit}</tspan></text>'
    ]
    for tick in _ticks(low, high):
        drawn.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/>')
        drawn.append(
            f'<text class="axis" x="{LEFT - 6}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{_short(tick)}</text>'
        )
    drawn += [
        f'<text class="axis" x="{x(count):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{_short(count)}</text>'
        for count in events
    ]
    drawn += [f'<path class="target" d="M{LEFT} {y(goal):.1f}H{WIDTH - RIGHT}"/>' for goal in panel.targets.values()]
    for name, line in panel.lines.items():
        points = [(x(count), y(value)) for count, value in zip(events, line, strict=True)]
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        drawn.append(f'<path class="line {name}" d="M{path}"/>')
        drawn += [f'<circle class="dot {name}" cx="{a:.1f}" cy="{b:.1f}" r="2.6"/>' for a, b in points]
    for name, goal in panel.targets.items():
        label = f"{name} {_short(goal)}" if len(panel.targets) > 1 else _short(goal)
        drawn.append(f'<text class="goal" x="{WIDTH - RIGHT}" y="{y(goal) - 4:.1f}" text-anchor="end">{label}</text>')
    return drawn


STEPS = (1, 2, 5)


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """The nearest 1, 2 or 5 times a power of ten below the least and above the largest value."""
    marks = [step * 10.0**power for power in range(-4, 10) for step in STEPS]
    low = max(mark for mark in marks if mark <= min(values))
    high = min(mark for mark in marks if mark >= 1.15 * max(values))  # room for a target's label
    return low, high


def _ticks(low: float, high: float) -> list[float]:
    """Where the grid is: powers of ten, and between them where there are few."""
    steps = STEPS if high / low <= 60 else (1,)
    marks = [step * 10.0**power for power in range(-4, 10) for step in steps]
    return [mark for mark in marks if 0.999 * low <= mark <= 1.001 * high]


def _short(value: float) -> str:
    """1500000 as 1.5M; 1024 as it is."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size and value % (size / 10) == 0:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
