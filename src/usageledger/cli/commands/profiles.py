"""`usageledger profiles`: the servers that `usageledger login` keeps, and which one is used."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from usageledger.cli.options import AsJson
from usageledger.cli.profile_store import Profiles, complete_profile, load_profiles, save_profiles
from usageledger.cli.terminal.output import note, print_json, print_table

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    help="List the servers that you logged in to, and choose the one to use.\n\n"
    "For one command another is named with --profile, for a shell with\n"
    "USAGELEDGER_PROFILE.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command(
    "list",
    epilog="[bold]Examples[/]\n\n"
    "  usageledger profiles list\n"
    "  usageledger profiles list --json | jq -r '.[].profile'\n\n"
    "A star marks the profile in use. Of keys only the end is shown.",
)
def list_profiles(as_json: AsJson = False) -> None:
    """List the profiles."""
    profiles = load_profiles()
    if as_json:
        print_json(
            [
                {"profile": name, "url": kept.url, "key": kept.redacted_key, "current": name == profiles.current}
                for name, kept in profiles.by_name.items()
            ]
        )
    elif not profiles.by_name:
        note("There are no profiles: make one with 'usageledger login'.")
    else:
        print_table(lambda _console: _table(profiles))


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "  usageledger profiles use ledger.example.com\n\n"
    "Options and environment variables that name a server go before the profile."
)
def use(
    profile: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="The profile, from 'usageledger profiles list'.",
            autocompletion=complete_profile,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Use a profile from now on, where no other is named."""
    profiles = load_profiles()
    chosen = profiles.get(profile)
    save_profiles(replace(profiles, current=profile))
    if as_json:
        print_json({"profile": profile, "url": chosen.url})
    else:
        note(f"Profile {profile!r} is used from now on: {chosen.url}")


def _table(profiles: Profiles) -> "Table":
    from usageledger.cli.terminal.text_table import plain_table

    table = plain_table("", "Profile", "Server", "Key")
    for name, kept in profiles.by_name.items():
        table.add_row("*" if name == profiles.current else "", name, kept.url, kept.redacted_key)
    return table
