"""`usageledger relay`: a pass-through before a vendor's API, which records usage."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from usageledger.cli.commands.serve import is_loopback, log_to_stderr
from usageledger.cli.options import AsJson
from usageledger.cli.server_connection import PORT_MAX, Key, ProfileName, Url, connect_to
from usageledger.cli.terminal.output import CommandError, counted, note, print_json

EPILOG = """\
[bold]Examples[/]

  usageledger relay --upstream https://api.openai.com
  usageledger relay --upstream https://api.anthropic.com --listen 127.0.0.1:8200
  usageledger relay --upstream http://10.0.0.7:8000 --vendor vllm --project search

Programs take the relay's address in place of the vendor's, with their own keys
for it. The headers x-usageledger-project, x-usageledger-user and
x-usageledger-api-key say for whom a call is, and go no further. The ledger's
key needs the scope api.usage.write.
"""


def relay(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    upstream: Annotated[str, typer.Option("--upstream", metavar="<url>", help="The vendor's address.")],
    listen: Annotated[
        str, typer.Option("--listen", metavar="<host:port>", help="Where programs reach the relay.")
    ] = "127.0.0.1:8100",
    vendor: Annotated[
        str | None,
        typer.Option(
            "--vendor", metavar="<name>", help="Whose answers they are.", show_default="known by the upstream's host"
        ),
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", metavar="<id>", help="The project of calls that name none.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="<id>", help="The user of calls that name none.")
    ] = None,
    api_key_id: Annotated[
        str | None, typer.Option("--api-key-id", metavar="<id>", help="The API key's id of calls that name none.")
    ] = None,
    spool: Annotated[
        Path, typer.Option("--spool", metavar="<folder>", help="Folder of the usage that is not yet delivered.")
    ] = Path("usageledger-spool"),
    allow_plain_http: Annotated[
        bool,
        typer.Option(
            "--allow-plain-http", help="Listen on other addresses than this machine's own, without TLS, all the same."
        ),
    ] = False,
    url: Url = None,
    key: Key = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Forward calls to a vendor's API, and record their usage.

    Requests and answers pass byte for byte, streams piece by piece. While the
    ledger is away the relay goes on, keeps the usage in its spool folder, and
    sends it later, each call once.
    """
    from usageledger.capturing.calls import named
    from usageledger.relay.process import RelaySettings, run

    host, port = _place(listen, allow_plain_http=allow_plain_http)
    server = connect_to(url, key, profile, openai=False)
    log_to_stderr()
    os.umask(0o077)  # the spool is its owner's alone
    fields = named(project, user, api_key_id)

    def on_ready(address: str) -> None:
        if as_json:
            print_json({"address": address, "upstream": upstream, "ledger": server.url})
        else:
            note(f"The relay to {upstream} is ready at {address}; usage goes to {server.url}")

    settings = RelaySettings(upstream, vendor, host, port, server.url, server.key, spool, fields)
    counts, sent = run(settings, on_ready)
    if as_json:
        print_json({"answers": asdict(counts), "events": asdict(sent)})
        return
    note(
        f"Stopped. {counted(counts.answers, 'answer')}, the usage of {counts.unknown:,} of them unknown; "
        f"{counted(sent.delivered, 'event')} delivered, {sent.waiting:,} kept in {spool.absolute()} for the next start."
    )


def _place(listen: str, *, allow_plain_http: bool) -> tuple[str, int]:
    """Reads where to listen; vendors' keys are not to cross a network in the clear."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > PORT_MAX:
        raise CommandError(f"--listen: expected HOST:PORT, got {listen!r}.", exit_code=2)
    if not allow_plain_http and not is_loopback(host):
        raise CommandError(
            f"--listen: {host} can be reached from other machines, and vendors' keys would cross the network in the "
            "clear. Put something that has TLS in front of the relay, and give --allow-plain-http.",
            exit_code=2,
        )
    return host, int(port)
