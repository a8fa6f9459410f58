"""Questions to a server through the client, and the output of its answers."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import httpx

from usageledger.cli import exports
from usageledger.cli.server_connection import Connection
from usageledger.cli.terminal.output import CommandError, counted, iso_time, listed, note, print_table
from usageledger.cli.terminal.progress import progress
from usageledger.cli.terminal.tables import Drawing, usage_table
from usageledger.client import UsageAPI
from usageledger.client.errors import APIStatusError
from usageledger.client.pages import UsageBucket, UsagePage
from usageledger.client.transport import DEFAULT_TIMEOUT, tls
from usageledger.meter import Meter
from usageledger.meters import MODEL

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MODELS_NAMED_MAX = 3  # as what may be meant
UNPRICED_HEADER = "x-usageledger-unpriced"


@dataclass(frozen=True, slots=True)
class Question:
    """A question to a server; times are Unix seconds.

    Attributes:
        filters: the API's parameters and their values.
        timezone: the IANA name of the zone whose days are meant; None for UTC.
        limit: most buckets in all, over all pages; None for the whole window.
    """

    meter: Meter
    start: int
    end: int
    bucket: str
    group_by: tuple[str, ...]
    filters: dict[str, Any]
    timezone: str | None
    limit: int | None

    @property
    def zone(self) -> tzinfo:
        """The time zone in which times are shown."""
        return UTC if self.timezone is None else ZoneInfo(self.timezone)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a server.

    Attributes:
        page: every bucket that was asked for, as one page.
        unpriced: of costs: how many rate cards are without a price that they need.
    """

    page: UsagePage[Any]
    unpriced: int


def answer(connection: Connection, question: Question, *, as_json: bool, as_csv: bool, parquet: Path | None) -> None:
    """Asks, and gives the answer in the form that is wanted: a table where no other is."""
    if parquet and not parquet.parent.is_dir():
        raise CommandError(f"--parquet: there is no folder {parquet.parent}.", exit_code=2)
    answered = ask(connection, question)
    buckets = answered.page.data
    if parquet:
        exports.write_parquet(parquet, answered.page)
        note(f"Wrote {counted(sum(len(bucket.results) for bucket in buckets), 'row')} to {parquet}.")
    elif as_json or as_csv:
        rows = exports.flat_rows(buckets, question.timezone)
        if as_json:
            exports.print_rows_as_json(rows)
        else:
            exports.print_rows_as_csv(exports.columns(question.meter, rows), rows)
    elif any(bucket.results for bucket in buckets):
        _show_table(question, buckets)
    else:
        what = question.meter.title.lower()
        window = f"between {iso_time(question.start)} and {iso_time(question.end)}"
        note(f"There are no {what} {window}.{_models_meant(connection, question)}")
    _remark(question, answered)


def ask(connection: Connection, question: Question) -> Answer:
    """Every bucket that is asked for, page after page.

    Raises:
        CommandError: the server answers with an error; in its words.
        APIError: it cannot be reached, or does not answer as the API does.
    """
    unpriced = 0

    def listen(response: httpx.Response) -> None:
        nonlocal unpriced
        told = response.headers.get(UNPRICED_HEADER, "")
        unpriced = max(unpriced, int(told) if told.isdecimal() else 0)

    largest_page = question.meter.width(question.bucket).max_limit
    with (
        httpx.Client(timeout=DEFAULT_TIMEOUT, verify=tls(connection.url), event_hooks={"response": [listen]}) as http,
        client_of(connection, http) as client,
    ):
        first: UsagePage[Any] = getattr(client, f"usage_{question.meter.kind}")(
            start_time=question.start,
            end_time=question.end,
            bucket_width=question.bucket,
            group_by=question.group_by or None,
            limit=min(largest_page, question.limit or largest_page),
            timezone=question.timezone,
            **question.filters,
        )
        buckets = tuple(islice(_walked(first, question), question.limit))
        return Answer(replace(first, data=buckets, has_more=False, next_page=None), unpriced)


def _walked(first: UsagePage[Any], question: Question) -> Iterator[UsageBucket[Any]]:
    """Yields the buckets of all pages, with progress where there are several."""
    if not first.has_more:
        yield from first.data
        return
    with progress("Asking", question.end - question.start) as tell:
        for bucket in first.auto_paging_iter():
            tell(bucket.end_time - question.start)
            yield bucket


@contextmanager
def client_of(connection: Connection, http: httpx.Client | None = None) -> Generator[UsageAPI]:
    """Opens a client of the server; its errors name the server's address."""
    try:
        with UsageAPI(connection.key, connection.url, http_client=http) as client:
            yield client
    except APIStatusError as error:
        raise CommandError(f"{connection.url} answered {error}") from error


def _models_meant(connection: Connection, question: Question) -> str:
    """The models with usage in the window whose names begin as those asked for, or else are close to them."""
    asked = question.filters.get(str(MODEL.filter))
    if not asked:
        return ""
    others = {name: value for name, value in question.filters.items() if name != MODEL.filter}
    wider = replace(question, bucket="1d", group_by=(MODEL.name,), filters=others, limit=None)
    rows = [row for bucket in ask(connection, wider).page.data for row in bucket.to_rows()]
    known = sorted({str(row[MODEL.name]) for row in rows if row[MODEL.name]})
    begun = [name for name in known if name.startswith(tuple(asked))]
    meant = begun or [name for each in asked for name in get_close_matches(each, known, MODELS_NAMED_MAX)]
    return f" Did you mean --model {listed(meant[:MODELS_NAMED_MAX])}?" if meant else ""


def _show_table(question: Question, buckets: Sequence[UsageBucket[Any]]) -> None:
    left_out = 0

    def draw(console: "Console") -> "Table":
        nonlocal left_out
        drawing = Drawing(
            meter=question.meter,
            group_by=question.group_by,
            bucket_width=question.bucket,
            zone=question.zone,
            width=console.width,
            plain=console.options.ascii_only,
        )
        table, left_out = usage_table(drawing, buckets)
        return table

    print_table(draw)
    if left_out:
        note(f"{counted(left_out, 'more measure')} had no room: --json and --csv have everything.")


def _remark(question: Question, answered: Answer) -> None:
    """Prints remarks that a reader of the numbers needs, on stderr."""
    unknown = sum(len(bucket.unknown_results) for bucket in answered.page.data)
    if unknown:
        note(f"Warning: {counted(unknown, 'result')} of an unknown sort left out: a newer usageledger may know it.")
    if lacking := sum(row.get("amount", 0) is None for bucket in answered.page.data for row in bucket.to_rows()):
        note(f"Warning: {counted(lacking, 'result')} without an amount: they are in no sum.")
    if answered.unpriced:
        cards = counted(answered.unpriced, "rate card")
        note(f"Warning: {cards} without a known price: their usage is in no amount, see 'usageledger prices unpriced'.")
    buckets = answered.page.data
    last = buckets[-1].end_time if buckets else question.end
    if len(buckets) == question.limit and last < question.end:
        note(f"Stopped at {counted(len(buckets), 'bucket')} (--limit); the window goes on from {iso_time(last)}.")
