"""Buckets of results → a table for people, as wide as the terminal.

Without a grouping there is a line for each bucket, with a bar; with one there is a line for each group over the whole
window, with its share and, as a sparkline, its course. Numbers are exact, but for quantities, and never cut:
a measure that has no room is left out whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from textwrap import wrap
from typing import Any, NamedTuple

from rich import box
from rich.cells import cell_len
from rich.text import Text

from usageledger.cli.terminal.figures import Number, add, aligned, bar, sensible, share, sparkline
from usageledger.cli.terminal.output import CommandError, listed, visible
from usageledger.cli.terminal.text_table import TextTable
from usageledger.client.pages import UsageBucket
from usageledger.meter import Measure, Meter

GAP = 2  # blanks between columns
LABEL_WIDTH_MIN, GRAPH_WIDTH_MIN, GRAPH_WIDTH_MAX = 12, 8, 40
MONEY_PLACES = 2
NO_BREAK = "\N{NO-BREAK SPACE}"
NONE = "(none)"

Row = Mapping[str, Any]
Rows = Sequence[Sequence[Row]]  # the results of each bucket


@dataclass(frozen=True, slots=True)
class Drawing:
    """The subject of a table, and the terminal on which it is drawn.

    Attributes:
        group_by: the dimensions that the results are told apart by.
        zone: whose days and hours the times are shown in.
        width: columns of the terminal.
        plain: whether it knows ASCII only.
    """

    meter: Meter
    group_by: tuple[str, ...]
    bucket_width: str
    zone: tzinfo
    width: int
    plain: bool

    @property
    def first(self) -> Measure:
        """The kind's main measure, by which lines are sorted, shared out and drawn."""
        return self.meter.measures[0]


class Line(NamedTuple):
    """A line of the table: its group, and the group's results in each bucket."""

    labels: tuple[str, ...]
    rows: Rows


class Column(NamedTuple):
    """A column as text, and its footer."""

    title: str
    cells: Sequence[str]
    total: str = ""

    @property
    def width(self) -> int:
        """Columns of the terminal that it takes; its title may be wrapped."""
        return max(map(cell_len, (*self.title.split(" "), *self.cells, self.total)))

    @property
    def usual_width(self) -> int:
        """The width that is enough for nine cells in ten."""
        widths = sorted(map(cell_len, self.cells))
        return widths[(len(widths) - 1) * 9 // 10]


class Layout(NamedTuple):
    """The columns that fit: the labels' widths, the other columns in order, and the graph's width or 0."""

    label_widths: list[int]
    columns: list[Column]
    graph_width: int


def usage_table(drawing: Drawing, buckets: Sequence[UsageBucket[Any]]) -> tuple[TextTable, int]:
    """The table, and how many measures had no room in it.

    Raises:
        CommandError: the amounts are in several currencies, which have no sum.
    """
    rows = [[result.to_row() for result in bucket.results] for bucket in buckets]
    lines = _group_lines(drawing, rows) if drawing.group_by else _bucket_lines(drawing, buckets, rows)
    labels = _label_columns(drawing, lines)
    main, others = _number_columns(drawing, lines, rows)
    layout = _fit(drawing.width, labels, main, _share_columns(drawing, lines, rows), others)
    if drawing.group_by:
        layout = layout._replace(graph_width=min(layout.graph_width, len(buckets)))
    table = _frame(labels, layout)
    table.title = _heading(drawing, buckets)
    table.show_footer = len(lines) > 1
    for number, (line, graph) in enumerate(zip(lines, _graphs(drawing, lines, layout.graph_width), strict=True)):
        labelled = (Text(label, "dim") if label == NONE else label for label in line.labels)
        numbers = (column.cells[number].rjust(column.width) for column in layout.columns)
        table.add_row(*labelled, *numbers, *([graph] if layout.graph_width else []))
    shown = [column for column in layout.columns if column in main or column in others]
    return table, len(main) + len(others) - len(shown)


def total(measure: Measure, rows: Rows) -> Number | None:
    """A measure over buckets: the sum, or of a size the largest; None where no result has it.

    Where there is no result at all, nothing was used; but a size that nobody sent is not known.
    """
    given = ([row[measure.name] for row in bucket if row.get(measure.name) is not None] for bucket in rows)
    sums = [add(values) for values in given if values]
    if not sums:
        return None if measure.adds == "gauge" or any(rows) else 0
    return max(sums) if measure.adds == "gauge" else add(sums)


# --- lines -------------------------------------------------------------------------------------------------------


def _bucket_lines(drawing: Drawing, buckets: Sequence[UsageBucket[Any]], rows: Rows) -> list[Line]:
    starts = [datetime.fromtimestamp(bucket.start_time, UTC).astimezone(drawing.zone) for bucket in buckets]
    by_day = drawing.bucket_width == "1d" and all(start.hour == start.minute == 0 for start in starts)
    form = "%Y-%m-%d %a" if by_day else "%Y-%m-%d %H:%M"
    return [Line((start.strftime(form),), [results]) for start, results in zip(starts, rows, strict=True)]


def _group_lines(drawing: Drawing, rows: Rows) -> list[Line]:
    """A line for each group, the largest first."""
    groups: dict[tuple[Any, ...], dict[int, list[Row]]] = {}
    for number, results in enumerate(rows):
        for row in results:
            values = tuple(row.get(name) for name in drawing.group_by)
            groups.setdefault(values, {}).setdefault(number, []).append(row)
    lines = [
        Line(
            tuple(_label(value, plain=drawing.plain) for value in values),
            [found.get(number, []) for number in range(len(rows))],
        )
        for values, found in groups.items()
    ]
    return sorted(lines, key=lambda line: (-(total(drawing.first, line.rows) or 0), line.labels))


def _label(value: str | bool | None, *, plain: bool) -> str:
    """Formats a group's value; characters that the terminal does not know are replaced."""
    if value is None:
        return NONE
    text = visible(str(value).lower() if isinstance(value, bool) else str(value))
    return text.encode("ascii", "replace").decode() if plain else text


# --- columns -----------------------------------------------------------------------------------------------------


def _label_columns(drawing: Drawing, lines: Sequence[Line]) -> list[Column]:
    titles = [_title(name) for name in drawing.group_by] or [f"Start ({drawing.zone})"]
    titles = [title.replace(" ", NO_BREAK) for title in titles]
    below = "Peak" if drawing.first.adds == "gauge" else "Total"
    return [
        Column(title, [line.labels[number] for line in lines], "" if number else below)
        for number, title in enumerate(titles)
    ]


def _number_columns(drawing: Drawing, lines: Sequence[Line], rows: Rows) -> tuple[list[Column], list[Column]]:
    """Makes the columns of the main measures and of the others, without those that are 0."""
    main: list[Column] = []
    others: list[Column] = []
    for measure in sorted(drawing.meter.reported, key=lambda measure: measure.unit != "requests"):
        if measure is drawing.first or total(measure, rows):
            is_main = measure.required or measure is drawing.first
            (main if is_main else others).append(_number_column(measure, lines, rows))
    return main, others


def _share_columns(drawing: Drawing, lines: Sequence[Line], rows: Rows) -> list[Column]:
    """Each group's share of the whole; sizes that were not largest at the same time have no such thing."""
    if not drawing.group_by or drawing.first.adds == "gauge":
        return []
    whole = total(drawing.first, rows) or 0
    parts = [total(drawing.first, line.rows) for line in lines]
    return [Column("Share", ["" if part is None else share(part, whole) for part in parts])]


def _number_column(measure: Measure, lines: Sequence[Line], rows: Rows) -> Column:
    if measure.unit_field:
        return _quantity_column(measure, measure.unit_field, lines)
    title, places = _title(measure.name), 0
    if measure.unit == "usd":
        title, places = f"{title} {_currency(rows)}", MONEY_PLACES
    *cells, below = aligned([*(total(measure, line.rows) for line in lines), total(measure, rows)], least_places=places)
    return Column(title, cells, below)


def _quantity_column(measure: Measure, field: str, lines: Sequence[Line]) -> Column:
    """Quantities, rounded, with their units; those in several units have no sum, neither in a line nor below."""
    units = [
        sorted({visible(str(row[field])) for bucket in line.rows for row in bucket if row.get(field)}) for line in lines
    ]
    values = [total(measure, line.rows) if len(found) <= 1 else None for line, found in zip(lines, units, strict=True)]
    shown = aligned([value if value is None else sensible(value) for value in values])
    longest = max(len(unit) for found in units for unit in ["", *found])
    cells = [
        f"{number} {''.join(found).ljust(longest)}" if number else ""
        for number, found in zip(shown, units, strict=True)
    ]
    return Column(_title(measure.name), cells)


def _currency(rows: Rows) -> str:
    """The one currency of all amounts; nothing where none is known."""
    given = {row["currency"] or "" for bucket in rows for row in bucket if row["amount"] is not None}
    found = sorted(visible(each) or "no known currency" for each in given)
    if len(found) > 1:
        raise CommandError(f"The amounts are in {' and '.join(found)}, which have no sum: use --json or --csv.")
    return visible("".join(given)).upper()


def _title(name: str) -> str:
    words = _words(name)
    return words[0].upper() + words[1:]


def _words(name: str) -> str:
    """`api_key_id` → `API key ID`, `num_model_requests` → `model requests`."""
    words = name.removeprefix("num_").split("_")
    return " ".join(word.upper() if word in ("api", "id") else word for word in words)


# --- the page ----------------------------------------------------------------------------------------------------


def _fit(
    width: int, labels: Sequence[Column], main: Sequence[Column], shares: Sequence[Column], others: Sequence[Column]
) -> Layout:
    """Shares out the terminal's width: the main number, a graph, labels (usual widths first), other columns."""
    least = min(LABEL_WIDTH_MIN, max(1, (width - main[0].width) // len(labels) - GAP))
    label_widths = [min(label.width, least) for label in labels]
    room = width - sum(label_widths) - GAP * (len(labels) - 1) - main[0].width - GAP
    graph_width = GRAPH_WIDTH_MIN if room >= GRAPH_WIDTH_MIN + GAP else 0
    room -= graph_width and graph_width + GAP
    label_widths, room = _widened(label_widths, [label.usual_width for label in labels], room)
    taken, room = _take(main[1:], room)
    taken_shares, room = _take(shares, room)
    label_widths, room = _widened(label_widths, [label.width for label in labels], room)
    taken_others, room = _take(others, room)
    columns = [main[0], *taken, *taken_others, *taken_shares]
    return Layout(label_widths, columns, graph_width and min(GRAPH_WIDTH_MAX, graph_width + room))


def _widened(widths: list[int], wanted: Sequence[int], room: int) -> tuple[list[int], int]:
    """(the widths, brought as near to those wanted as there is room, the narrowest first; the room that is left)."""
    widths = list(widths)
    while room > 0 and (cut := [n for n, want in enumerate(wanted) if widths[n] < want]):
        widths[min(cut, key=widths.__getitem__)] += 1
        room -= 1
    return widths, room


def _take(columns: Iterable[Column], room: int) -> tuple[list[Column], int]:
    """(those columns for which there is room, the room that is left)."""
    taken: list[Column] = []
    for column in columns:
        if column.width + GAP <= room:
            taken.append(column)
            room -= column.width + GAP
    return taken, room


def _frame(labels: Sequence[Column], layout: Layout) -> TextTable:
    """The table without its lines. Numbers are padded here, as justifying would lose the blanks behind them."""
    table = TextTable(box=box.SIMPLE, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False, title_justify="left")
    table.title_style, table.footer_style = "bold", "bold"
    widths = [*layout.label_widths, *(column.width for column in layout.columns)]
    columns = [*labels, *layout.columns]
    titles = [wrap(column.title, width) for column, width in zip(columns, widths, strict=True)]
    height = max(map(len, titles))
    for number, (column, words, width) in enumerate(zip(columns, titles, widths, strict=True)):
        lines = [""] * (height - len(words)) + [line.replace(NO_BREAK, " ") for line in words]
        if number < len(labels):
            table.add_column("\n".join(lines), Text(column.total), width=width, overflow="fold")
        else:
            title = "\n".join(line.rjust(width) for line in lines)
            table.add_column(title, Text(column.total.rjust(width)), width=width, no_wrap=True)
    if layout.graph_width:
        table.add_column("", width=layout.graph_width, no_wrap=True, style="cyan")
    return table


def _graphs(drawing: Drawing, lines: Sequence[Line], width: int) -> list[str]:
    """For each line a bar of its size, or of a group its course."""
    plain, gauge = drawing.plain, drawing.first.adds == "gauge"
    if not drawing.group_by:
        sizes = [total(drawing.first, line.rows) or 0 for line in lines]
        return [bar(size, max(sizes), width, plain=plain) for size in sizes]
    courses = ([total(drawing.first, [results]) or 0 for results in line.rows] for line in lines)
    return [sparkline(course, width, gauge=gauge, plain=plain) for course in courses]


def _heading(drawing: Drawing, buckets: Sequence[UsageBucket[Any]]) -> str:
    """`Costs by line item, 2026-11-01 to 2026-11-25 10:20 UTC`."""
    by = f" by {listed([_words(name) for name in drawing.group_by], 'and')}" if drawing.group_by else ""
    ends = [
        datetime.fromtimestamp(seconds, UTC).astimezone(drawing.zone)
        for seconds in (buckets[0].start_time, buckets[-1].end_time)
    ]
    start, end = (end.strftime("%Y-%m-%d" if end.hour == end.minute == 0 else "%Y-%m-%d %H:%M") for end in ends)
    return f"{drawing.meter.title}{by}, {start} to {end} {drawing.zone}"
