"""`usageledger import`: files and stores of others to a server."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usageledger.cli.options import AsJson
from usageledger.cli.sending import BatchSize, Retries, check_files, print_tally, progress, send_files, walk_files
from usageledger.cli.server_connection import Key, ProfileName, Url, connect_to
from usageledger.cli.terminal.output import CommandError, counted, listed, print_data, print_json
from usageledger.hints import did_you_mean

if TYPE_CHECKING:
    from usageledger.cli.delivery import Tally
    from usageledger.cli.importing import Import
    from usageledger.sources.files import Folder, Format

SOURCES = (
    *("claude-code", "codex", "gemini-cli", "openai-batch", "anthropic-batch", "bedrock", "litellm"),
    *("langfuse", "langsmith", "cloudevents", "cloudflare", "portkey", "helicone", "kong"),
)
EPILOG = """\
[bold]Examples[/]

  usageledger import claude-code --dry-run
  usageledger import codex --user ada@example.com --project platform
  usageledger import claude-code ~/backup/laptop/.claude
  usageledger import openai-batch batch_abc_output.jsonl --project evaluation
  usageledger import litellm postgresql://litellm:…@db/litellm
  zstdcat rollout.jsonl.zst | usageledger import codex -

Importing a file again is safe: every call counts once. Exit code 1 where
anything in the files could not be read, or was refused.
"""


def import_files(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=f"Whose files they are: {listed(SOURCES)}.")],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Its files, plain, gzip or Zstandard, or its folder; - for stdin. Coding agents' are found where "
            "there is none; LiteLLM's may be an address of PostgreSQL.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be sent.")] = False,
    project: Annotated[
        str | None,
        typer.Option("--project", metavar="<name>", help="The project, in place of what the files say."),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            "--user",
            metavar="<name>",
            help="The user, in place of what the files say. Of coding agents' files, who runs this, by default.",
            show_default=False,
        ),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option("--provider", metavar="<name>", help="The provider of what the files say none of."),
    ] = None,
    url: Url = None,
    key: Key = None,
    profile: ProfileName = None,
    batch: BatchSize = 1000,
    retries: Retries = 6,
    as_json: AsJson = False,
) -> None:
    """Send usage from files of others: coding agents, gateways, vendors.

    A table shows what was found, by model. What is not counted is said with
    the reason and the id of one of it. Prompts and answers are not sent.
    """
    from usageledger.cli.importing import Import

    format_ = _format(source)
    names = _files(source, format_.folder, files or [])
    if format_.folder and user is None:
        user = _own_name()
    said = {"project_id": project, "user_id": user}
    found = Import(format_, {name: value for name, value in said.items() if value}, provider)

    if dry_run:
        with progress(names) as (advance, _):
            walk_files(names, found.records, batch, lambda _: None, advance)
        _report(found, None, as_json=as_json)
    else:
        server = connect_to(url, key, profile, openai=False)
        send_files(
            names,
            found.records,
            server,
            lambda tally: _report(found, tally, as_json=as_json),
            batch_size=batch,
            retries=retries,
            as_json=as_json,
        )
    if not found.is_whole:
        raise typer.Exit(1)


def _format(source: str) -> "Format":
    from usageledger.sources.files import FORMATS

    if source not in FORMATS:
        raise CommandError(
            f"There is no source {source!r}.{did_you_mean(source, SOURCES)} Known are {listed(SOURCES, 'and')}.",
            exit_code=2,
        )
    return FORMATS[source]


def _report(found: "Import", tally: "Tally | None", *, as_json: bool) -> None:
    """Shows what was found, and what became of it where it was sent."""
    if as_json:
        print_json(found.as_json() | ({"dry_run": True} if tally is None else asdict(tally)))
        return
    found.print()
    if tally is None:
        print_data(f"{counted(sum(each.events for each in found.sums.values()), 'event')} found, nothing sent")
    else:
        print_tally(tally, as_json=False)


def _files(source: str, folder: "Folder | None", given: Sequence[str]) -> list[str]:
    """The files that are named, those in folders that are named, or those where the source writes them."""
    from usageledger.cli.spend_logs import ADDRESSES

    if folder is None:
        if not given:
            raise CommandError("Name the files to import, or - for stdin.", exit_code=2)
        check_files([name for name in given if source != "litellm" or not name.startswith(ADDRESSES)])
        return list(given)
    at = given or [os.environ.get(folder.variable) or str(Path(folder.path).expanduser())]
    check_files([name for name in given if not Path(name).is_dir()])
    names = [file for name in at for file in _within(name, folder)]
    if not names:
        raise CommandError(f"There are no files of {source} in {listed(at, 'and')}.", exit_code=2)
    return names


def _within(name: str, folder: "Folder") -> Iterator[str]:
    """The file itself, or those of a folder, which is the source's or one inside of it."""
    if name == "-" or not Path(name).is_dir():
        yield from [name] if name == "-" or Path(name).exists() else []
        return
    found = {path for pattern in folder.patterns for path in Path(name).glob(pattern)}
    endings = {Path(pattern).suffix for pattern in folder.patterns}
    found = found or {path for path in Path(name).rglob("*") if path.suffix in endings}
    yield from sorted(str(path) for path in found if path.is_file())


def _own_name() -> str | None:
    """The name of who runs this; None where the machine does not know it."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None
