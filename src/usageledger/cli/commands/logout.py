"""`usageledger logout`: forget a profile."""

from dataclasses import replace
from typing import Annotated

import typer

from usageledger.cli.options import AsJson
from usageledger.cli.profile_store import complete_profile, load_profiles, save_profiles
from usageledger.cli.terminal.output import CommandError, note, print_json

EPILOG = """\
[bold]Examples[/]

  usageledger logout
  usageledger logout --profile ledger.example.com

The key stays valid: revoke it where it was made, with usageledger keys revoke.
"""


def logout(
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="<name>",
            help="The profile to forget.",
            show_default="the current one",
            autocompletion=complete_profile,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Forget a server's address and key."""
    profiles = load_profiles()
    name = profile or profiles.current
    if name is None:
        raise CommandError("No profile is in use: name one with --profile.", exit_code=2)
    forgotten = profiles.get(name)
    others = {other: kept for other, kept in profiles.by_name.items() if other != name}
    save_profiles(replace(profiles, by_name=others, current=None if name == profiles.current else profiles.current))
    if as_json:
        print_json({"profile": name, "url": forgotten.url})
        return
    note(f"Logged out of {forgotten.url}: profile {name!r} is forgotten. Its key is still valid.")
    if others and name == profiles.current:
        note("No profile is in use now: choose one with 'usageledger profiles use'.")
