"""`usageledger login`: an address and a key, kept as a profile."""

import sys
import time
from dataclasses import replace
from typing import Annotated
from urllib.parse import urlsplit

import typer

from usageledger.cli.options import AsJson
from usageledger.cli.profile_store import NAME, Profile, load_profiles, profiles_file, save_profiles
from usageledger.cli.server_connection import LOCAL, Connection, api_url, checked_key
from usageledger.cli.terminal.output import CommandError, note, print_json

EPILOG = """\
[bold]Examples[/]

  usageledger login
  usageledger login --url https://ledger.example.com
  usageledger login --url https://api.openai.com --profile openai
  usageledger login --url https://ledger.example.com < key.txt

The key is asked for, or read from stdin; it is never an option. Profiles are
kept in ~/.config/usageledger/profiles.json, which only you can read.
"""


def login(
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="<url>", help="The server; asked for where it is not given.", show_default=False),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="<name>", help="What to call the profile.", show_default="the server's host"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep a server's address and an API key.

    The commands that ask and send use them from then on. The server is asked
    first whether it takes the key.
    """
    address = api_url("--url", url or _asked_address())
    name = profile or urlsplit(address).netloc
    if not NAME.fullmatch(name):
        raise CommandError(
            f"--profile: expected up to 64 letters, digits, dots, colons, hyphens and underscores, got {name!r}.",
            exit_code=2,
        )
    profiles = load_profiles()
    connection = Connection(address, checked_key("The key", _asked_key(address)))
    _check(connection)
    kept = {**profiles.by_name, name: Profile(connection.url, connection.key)}
    save_profiles(replace(profiles, by_name=kept, current=name))
    if as_json:
        print_json({"profile": name, "url": address, "file": str(profiles_file())})
    else:
        note(f"Logged in to {address}: profile {name!r} is used from now on. It is kept in {profiles_file()}.")


def _asked_address() -> str:
    if not sys.stdin.isatty():
        raise CommandError("--url is needed where nobody can be asked.", exit_code=2)
    return str(typer.prompt("Server", default=LOCAL.removesuffix("/v1"), err=True))


def _asked_key(address: str) -> str:
    """The key, typed without being shown, or the first line of stdin."""
    if sys.stdin.isatty():
        key = str(typer.prompt(f"API key for {address}", hide_input=True, err=True))
    else:
        key = sys.stdin.readline()
    if not key.strip():
        raise CommandError("There was no key on stdin.", exit_code=2)
    return key.strip()


def _check(connection: Connection) -> None:
    """Asks the server a small question; a key that may only send events is let pass.

    Raises:
        CommandError: the server refuses the key.
        APIError: it cannot be reached, or does not answer as the API does.
    """
    from usageledger.cli.asking import client_of
    from usageledger.client.errors import PermissionDeniedError

    now = int(time.time())
    with client_of(connection) as client:
        try:
            client.usage_completions(start_time=now - 60, end_time=now, bucket_width="1m", limit=1)
        except PermissionDeniedError as error:
            note(f"Warning: the key may not ask for usage: {error.message}")
