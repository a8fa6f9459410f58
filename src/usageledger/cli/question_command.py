"""Questions to the API as commands: the options of each kind follow from its row of METERS."""

import inspect
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from usageledger.buckets import zones
from usageledger.cli.options import json_option
from usageledger.cli.server_connection import connect_to, key_option, profile_option, url_option
from usageledger.cli.terminal.output import CommandError, iso_time, listed
from usageledger.cli.terminal.times import parse_moment
from usageledger.meter import Dimension, Meter

if TYPE_CHECKING:
    from usageledger.cli.asking import Question

DEFAULT_START = "7d"
DEFAULT_BUCKET = "1d"
FILTERS, OUTPUT, SERVER = "Filters", "Output", "Server"


def question_command(meter: Meter, summary: str) -> Callable[..., None]:
    """The command that asks for `meter`: the options that all kinds have, and one for each filter of its own."""

    def run(**given: Any) -> None:
        from usageledger.cli.asking import answer

        outputs = [f"--{name}" for name in ("json", "csv", "parquet") if given[name]]
        if len(outputs) > 1:
            raise CommandError(f"{' and '.join(outputs)} exclude each other.", exit_code=2)
        question = _read(meter, given, now=int(time.time()))
        connection = connect_to(given["url"], given["key"], given["profile"], openai=True)
        answer(connection, question, as_json=given["json"], as_csv=given["csv"], parquet=given["parquet"])

    parameters = [*_window(meter), *map(_filter, meter.filters), *_output(), *_server()]
    # Typer reads the one, and the hints of the other.
    command: Any = run
    command.__signature__ = inspect.Signature(parameters)
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__name__, command.__doc__ = meter.kind, summary
    return run


# --- options -----------------------------------------------------------------------------------------------------


def _parameter(name: str, kind: Any, option: Any, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _window(meter: Meter) -> list[inspect.Parameter]:
    widths = [width.name for width in meter.widths]
    groupings = [dimension.name for dimension in meter.groupings]
    start = typer.Option(
        "--start",
        metavar="<time>",
        help="Start of the window: so long ago (7d, 12h), yesterday, last-month, a year, a month, a day, a time (2026, "
        "2026-11, 2026-11-01, 2026-11-01T09:30), or Unix seconds.",
    )
    end = typer.Option(
        "--end", metavar="<time>", help="End of the window, which is not in it; as --start.", show_default="now"
    )
    bucket = typer.Option(
        "--bucket",
        metavar="<width>",
        help=f"Width of a bucket: {listed(widths)}.",
        autocompletion=_beginning(widths),
    )
    group_by = typer.Option(
        "--group-by",
        metavar="<name>",
        help=f"Tell usage apart by {listed(groupings)}; several with commas between them.",
        autocompletion=_beginning(groupings),
    )
    zone = typer.Option(
        "--timezone",
        metavar="<zone>",
        help="Whose days are meant: an IANA name such as Europe/Berlin.",
        show_default="UTC",
    )
    limit = typer.Option(
        "--limit", min=1, metavar="<int>", help="Most buckets, over all pages.", show_default="the whole window"
    )
    as_of = typer.Option("--as-of", metavar="<time>", help="By the prices that held at this time; as --start.")
    return [
        _parameter("start", str, start, DEFAULT_START),
        _parameter("end", str | None, end),
        _parameter("bucket", str, bucket, DEFAULT_BUCKET),
        _parameter("group_by", list[str] | None, group_by),
        _parameter("timezone", str | None, zone),
        _parameter("limit", int | None, limit),
        *([_parameter("as_of", str | None, as_of)] if meter.priced else []),
    ]


def _filter(dimension: Dimension) -> inspect.Parameter:
    name = dimension.name.replace("_", "-")
    if dimension.flag:
        flag = typer.Option(
            f"--{name}/--no-{name}",
            help=f"{dimension.doc} Without either, both.",
            rich_help_panel=FILTERS,
            show_default=False,
        )
        return _parameter(dimension.name, bool | None, flag)
    values = f" {', '.join(dimension.values)}." if dimension.values else ""
    option = typer.Option(
        f"--{name}",
        metavar="<text>",
        help=f"{dimension.doc}{values}",
        rich_help_panel=FILTERS,
        autocompletion=_beginning(dimension.values),
    )
    return _parameter(dimension.name, list[str] | None, option)


def _output() -> list[inspect.Parameter]:
    csv = typer.Option("--csv", help="Print CSV on stdout, for spreadsheets.", rich_help_panel=OUTPUT)
    parquet = typer.Option("--parquet", metavar="<file>", help="Write a Parquet file.", rich_help_panel=OUTPUT)
    return [
        _parameter("json", bool, json_option(OUTPUT), default=False),
        _parameter("csv", bool, csv, default=False),
        _parameter("parquet", Path | None, parquet),
    ]


def _server() -> list[inspect.Parameter]:
    return [
        _parameter("profile", str | None, profile_option(SERVER)),
        _parameter("url", str | None, url_option(SERVER)),
        _parameter("key", str | None, key_option(SERVER)),
    ]


def _beginning(names: Sequence[str]) -> Callable[[str], list[str]]:
    """Completes names for the tab key, by the text typed after the last comma."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in names if name.startswith(last)]

    return complete


# --- values ------------------------------------------------------------------------------------------------------


def _read(meter: Meter, given: dict[str, Any], *, now: int) -> "Question":
    """The question that options ask.

    Raises:
        CommandError: names the option, the value given and the values allowed.
    """
    from usageledger.cli.asking import Question

    timezone = _timezone(given["timezone"])
    zone = UTC if timezone is None else ZoneInfo(timezone)
    start = parse_moment("--start", given["start"], zone=zone, now=now)
    end = now if given["end"] is None else parse_moment("--end", given["end"], zone=zone, now=now)
    if end <= start:
        shown = given["end"] or "now"
        raise CommandError(f"--end: {shown} ({iso_time(end)}) is not after the start ({iso_time(start)}).", exit_code=2)
    filters = {
        dimension.filter: given[dimension.name]
        for dimension in meter.filters
        if dimension.filter and given[dimension.name] is not None
    }
    if given.get("as_of"):
        filters["as_of"] = parse_moment("--as-of", given["as_of"], zone=zone, now=now)
    groupings = [dimension.name for dimension in meter.groupings]
    names = [name.strip() for text in given["group_by"] or [] for name in text.split(",")]
    return Question(
        meter=meter,
        start=start,
        end=end,
        bucket=_one_of("--bucket", given["bucket"], [width.name for width in meter.widths]),
        group_by=tuple(dict.fromkeys(_one_of("--group-by", name, groupings) for name in names)),
        filters=filters,
        timezone=timezone,
        limit=given["limit"],
    )


def _one_of(option: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise CommandError(
            f"{option}: expected {listed(allowed)}, got {value!r}.{_did_you_mean(value, allowed)}", exit_code=2
        )
    return value


def _timezone(name: str | None) -> str | None:
    if name is None:
        return None
    known = zones()
    if name.lower() not in known:
        raise CommandError(
            f"--timezone: expected an IANA name such as Europe/Berlin, got {name!r}."
            f"{_did_you_mean(name, sorted(known.values()))}",
            exit_code=2,
        )
    return known[name.lower()]


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""
