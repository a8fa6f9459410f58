"""`usageledger sources`: what each emitter sent, and what of it is not counted and why, asked of a server."""

from typing import TYPE_CHECKING

import typer

from usageledger.cli.options import AsJson
from usageledger.cli.server_connection import Key, ProfileName, Url, connect_to
from usageledger.cli.terminal.output import iso_time, note, print_table, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Group, RenderableType
    from rich.table import Table

    from usageledger.client import Source

EPILOG = """\
[bold]Examples[/]

  usageledger sources
  usageledger sources --json | jq '.[] | select(.not_counted != [])'

Times are UTC. Below each reason is the id of the last thing that was left out
for it.
"""


app = typer.Typer(rich_markup_mode="rich")


@app.callback(invoke_without_command=True, epilog=EPILOG)
def sources(
    context: typer.Context,
    url: Url = None,
    key: Key = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """List what sends usage, and what of it is not counted and why.

    Below the emitters it says what each reason means, and what can be done
    about it.
    """
    if context.invoked_subcommand:
        return
    from usageledger.cli.asking import client_of
    from usageledger.client.sources import read_sources

    connection = connect_to(url, key, profile, openai=False)
    with client_of(connection) as client:
        answer = client.request("GET", "/sources")
        found = read_sources(answer)
    if as_json:
        from usageledger.cli.exports import print_as_json

        print_as_json(answer["data"])
    elif not found:
        page = f"{connection.url.removesuffix('/v1')}/sources"
        note("Nothing came yet by OpenTelemetry, from LiteLLM, or as a vendor's answer.")
        note(f"How to send it: {page} in a browser, or the page Ways in of the documentation (docs/sources.md).")
    else:
        print_table(lambda _: source_tables(found))


def source_tables(found: "Sequence[Source]") -> "Group":
    """A row for each emitter, and below them one for each reason, with its remedy and an example of each emitter."""
    from rich.console import Group

    shown: list[RenderableType] = [_emitters(found)]
    if any(each.not_counted or each.notes for each in found):
        shown += ["", _reasons(found)]
    return Group(*shown)


def _emitters(found: "Sequence[Source]") -> "Table":
    from rich.text import Text

    from usageledger.cli.terminal.text_table import plain_table

    table = plain_table("Emitter", ">Counted", ">Again", "Not counted", "Last seen")
    table.leading = 1
    for source in found:
        left = "\n".join(f"{tally.count:,} {visible(tally.reason)}" for tally in source.not_counted)
        last = iso_time(source.last_seen_at)[:16].replace("T", " ") + "Z"
        table.add_row(Text(_name(source, "\n")), f"{source.counted:,}", f"{source.sent_again:,}", Text(left), last)
    return table


def _reasons(found: "Sequence[Source]") -> "Table":
    from rich.text import Text

    from usageledger.cli.terminal.text_table import plain_table

    table = plain_table("Reason", "What it means, what can be done, and an example")
    table.leading = 1
    about: dict[str, Text] = {}
    for source in found:
        for of, tallies in (("of", source.not_counted), ("counted, of", source.notes)):
            for tally in tallies:
                text = about.setdefault(tally.reason, Text(f"{visible(tally.meaning)}\n{visible(tally.remedy)}"))
                example = f", such as {visible(tally.example)}" if tally.example else ""
                text.append(f"\n{tally.count:,} {of} {_name(source, ' ')}{example}", "dim")
    for reason, text in sorted(about.items()):
        table.add_row(reason, text)
    return table


def _name(source: "Source", separator: str) -> str:
    return separator.join(visible(each) for each in (source.emitter, source.version) if each)
