"""`usageledger ingest`: events from files to a server."""

from typing import Annotated

import typer

from usageledger.cli.options import AsJson
from usageledger.cli.sending import BatchSize, Retries, check_files, print_tally, send_files
from usageledger.cli.server_connection import Key, ProfileName, Url, connect_to

EPILOG = """\
[bold]Examples[/]

  usageledger ingest events.ndjson
  usageledger ingest --profile ledger.example.com 2026-11-*.ndjson.gz
  zstdcat backup.zst | usageledger ingest --json -

The key needs the scope api.usage.write. Sending a file again is safe: an event
that is there already is counted as a duplicate and changes nothing. Exit code 1
where any event was refused.
"""


def ingest(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Files of events; - for stdin. NDJSON, a JSON array or one JSON object, plain, gzip or Zstandard.",
        ),
    ],
    url: Url = None,
    key: Key = None,
    profile: ProfileName = None,
    batch: BatchSize = 1000,
    retries: Retries = 6,
    as_json: AsJson = False,
) -> None:
    """Send files of usage events to a server.

    Batches are sent until the server has answered that they are on disk.
    Events that it refuses are named with their file and line; the others of
    their batch are kept.
    """
    from usageledger.cli.event_files import read_records

    check_files(files)
    server = connect_to(url, key, profile, openai=False)
    send_files(
        files,
        read_records,
        server,
        lambda tally: print_tally(tally, as_json=as_json),
        batch_size=batch,
        retries=retries,
        as_json=as_json,
    )
