"""Files of others → records of events, with a summary by model and of what is not counted."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from usageledger.cli.event_files import Record, read_records
from usageledger.cli.terminal.output import CommandError, iso_time, note, print_table
from usageledger.cli.terminal.text_table import plain_table
from usageledger.sources.explanations import NOTES, REASONS
from usageledger.sources.files import Format
from usageledger.sources.files.origin import Origin
from usageledger.sources.files.rows import UNKNOWN
from usageledger.sources.readings import Reading, Reason

if TYPE_CHECKING:
    from rich.table import Table

IDS_SEEN_MAX = 1_000_000  # beyond it the server alone knows what comes again
REFUSED_SHOWN_MAX = 20


@dataclass(slots=True)
class Sum:
    """The events of one kind and model."""

    kind: str
    provider: str
    model: str | None
    events: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    first_time: int = 0
    last_time: int = 0

    def add(self, event: Mapping[str, Any]) -> None:
        """Adds an event."""
        self.events += 1
        self.input_tokens += event.get("input_tokens", 0)
        self.output_tokens += event.get("output_tokens", 0)
        moment = event["timestamp"]
        self.first_time = min(self.first_time or moment, moment)
        self.last_time = max(self.last_time, moment)


@dataclass(slots=True)
class Import:
    """Usage found in files of one format.

    Attributes:
        format: theirs.
        given: fields of all events, in place of what the files say.
        provider: of events whose files say none.
        reading: what is not counted.
        sums: by kind, provider and model.
        unreadable: why files could not be read to their end.
    """

    format: Format
    given: Mapping[str, str]
    provider: str | None = None
    reading: Reading = field(default_factory=Reading)
    sums: dict[tuple[str, str, str | None], Sum] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)

    def records(self, file: BinaryIO, name: str) -> Iterator[Record]:
        """Reads a file: the records of its events."""
        now = int(time.time())
        path = Path(name)
        origin = Origin(name, now, int(path.stat().st_mtime) if path.is_file() else now)
        for event in self.format.read(self._texts(file, name), origin, self.reading):
            identity = hash((event["id"], event["timestamp"]))
            if identity in self._seen:
                self.reading.leave(Reason.SAME_RESPONSE, event["id"])
                continue
            if len(self._seen) < IDS_SEEN_MAX:
                self._seen.add(identity)
            whole = {**event, **self.given}
            if self.provider and whole["provider"] == UNKNOWN:
                whole["provider"] = self.provider
            key = whole["kind"], whole["provider"], whole.get("model")
            self.sums.setdefault(key, Sum(*key)).add(whole)
            yield Record(msgspec.json.encode(whole), name, 0)

    def _texts(self, file: BinaryIO, name: str) -> Iterator[bytes]:
        try:
            for record in read_records(file, name, own=False):
                yield record.text
        except CommandError as error:
            self.unreadable.append(str(error))

    @property
    def is_whole(self) -> bool:
        """Returns true where all usage in the files could be read."""
        return not self.unreadable and Reason.REFUSED not in self.reading.not_counted

    def as_json(self) -> dict[str, Any]:
        """Gives the summary for programs."""
        left = {reason.value: (REASONS[reason], tally) for reason, tally in self.reading.not_counted.items()}
        noted = {each.value: (NOTES[each], tally) for each, tally in self.reading.notes.items()}
        return {
            "models": [asdict(each) for each in self._sorted()],
            "not_counted": _explained(left),
            "notes": _explained(noted),
            "refused": [{"id": name, "message": why} for name, why in self.reading.refused],
            "unreadable": self.unreadable,
        }

    def print(self) -> None:
        """Prints the summary for a person: the models on stdout, the rest on stderr."""
        if self.sums:
            print_table(lambda _: self._table())
        for reason, tally in self.reading.not_counted.items():
            note(f"Not counted: {tally.count:,} {reason.value}, such as {tally.example}. {REASONS[reason][0]}")
        for remark, tally in self.reading.notes.items():
            note(f"Counted: {tally.count:,} {remark.value}, such as {tally.example}. {NOTES[remark][0]}")
        for name, why in self.reading.refused[:REFUSED_SHOWN_MAX]:
            note(f"{name}: {why}")
        for why in self.unreadable:
            note(why)

    def _sorted(self) -> list[Sum]:
        return sorted(self.sums.values(), key=lambda each: (-each.events, each.provider, each.model or "", each.kind))

    def _table(self) -> "Table":
        table = plain_table("Kind", "Provider", "Model", ">Events", ">Input tokens", ">Output tokens", "First", "Last")
        for each in self._sorted():
            numbers = [f"{number:,}" for number in (each.events, each.input_tokens, each.output_tokens)]
            times = [iso_time(moment) for moment in (each.first_time, each.last_time)]
            table.add_row(each.kind, each.provider, each.model or "", *numbers, *times)
        return table


def _explained(found: Mapping[str, tuple[tuple[str, str], Any]]) -> list[dict[str, Any]]:
    return [
        {"reason": name, "count": tally.count, "example": tally.example, "meaning": meaning, "remedy": remedy}
        for name, ((meaning, remedy), tally) in found.items()
    ]
