"""The server that a command talks to, and the key for it: from options, profiles and the environment."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from usageledger.cli.profile_store import Profile, complete_profile, load_profiles
from usageledger.cli.terminal.output import CommandError

OWN_URL = "USAGELEDGER_URL"
OWN_KEYS = ("USAGELEDGER_API_KEY", "USAGELEDGER_ADMIN_KEY")
PROFILE = "USAGELEDGER_PROFILE"
OPENAI_URL, OPENAI_KEY = "OPENAI_BASE_URL", "OPENAI_ADMIN_KEY"
VARIABLES = (OWN_URL, *OWN_KEYS, PROFILE, OPENAI_URL, OPENAI_KEY)

LOCAL = "http://127.0.0.1:8080/v1"
OPENAI = "https://api.openai.com/v1"
PORT_MAX = 65535


def url_option(panel: str | None = None) -> Any:
    """`--url`."""
    return typer.Option(
        "--url",
        metavar="<url>",
        help=f"The server. \\[env var: {OWN_URL}]",
        show_default="the current profile's, or http://127.0.0.1:8080",
        rich_help_panel=panel,
    )


def key_option(panel: str | None = None) -> Any:
    """`--key`."""
    return typer.Option(
        "--key",
        metavar="<key>",
        help="An API key. The environment, or a profile, keeps it out of the process list. "
        f"\\[env var: {', '.join(OWN_KEYS)}]",
        rich_help_panel=panel,
    )


def profile_option(panel: str | None = None) -> Any:
    """`--profile`."""
    return typer.Option(
        "--profile",
        metavar="<name>",
        help=f"Take address and key from this profile of 'usageledger login'. \\[env var: {PROFILE}]",
        autocompletion=complete_profile,
        rich_help_panel=panel,
    )


Url = Annotated[str | None, url_option()]
Key = Annotated[str | None, key_option()]
ProfileName = Annotated[str | None, profile_option()]


@dataclass(frozen=True, slots=True)
class Connection:
    """A server's address, with `/v1`, and the key for it."""

    url: str
    key: str = field(repr=False)


def connect_to(url: str | None, key: str | None, profile: str | None, *, openai: bool) -> Connection:
    """The server and the key that a command line, the environment and the profiles name.

    A key goes only to the address that it was kept for: one from a profile or from `OPENAI_ADMIN_KEY` is never sent to
    another `--url`. Only `USAGELEDGER_API_KEY`, which has no address of its own, goes to any.

    `openai` says whether `OPENAI_ADMIN_KEY` and `OPENAI_BASE_URL` count, which they do for what only asks.

    Raises:
        CommandError: an address or a key that cannot be one, an unknown profile, or no key at all.
    """
    profile = profile or (None if url or key else os.environ.get(PROFILE))
    if profile:
        if url or key:
            raise CommandError("--profile has an address and a key: give it without --url and --key.", exit_code=2)
        found = load_profiles().get(profile)
        return Connection(found.url, found.key)
    profiles = load_profiles()
    places = list(_places(profiles.by_name.get(profiles.current or ""), openai=openai))
    address = api_url("--url", url) if url else places[0][0]
    known = [*places, *((each.url, each.key) for each in profiles.by_name.values())]
    key = key or next((kept for place, kept in known if kept and place == address), None) or _own_key()
    if not key:
        ways = ["run 'usageledger login'", f"set {OWN_KEYS[0]}", "or give --key"]
        raise CommandError(f"There is no API key for {address}: {', '.join(ways)}.", exit_code=2)
    return Connection(address, checked_key("--key", key))


def _places(current: Profile | None, *, openai: bool) -> Iterator[tuple[str, str | None]]:
    """(address, key) of each place that names a server, the one that counts first."""
    if os.environ.get(OWN_URL):
        yield api_url(OWN_URL, os.environ[OWN_URL]), _own_key()
    elif _own_key():
        yield LOCAL, _own_key()
    if current:
        yield current.url, current.key
    if openai and os.environ.get(OPENAI_KEY):
        yield api_url(OPENAI_URL, os.environ.get(OPENAI_URL) or OPENAI), os.environ[OPENAI_KEY]
    yield LOCAL, None


def _own_key() -> str | None:
    return next((os.environ[name] for name in OWN_KEYS if os.environ.get(name)), None)


def api_url(option: str, address: str) -> str:
    """The address of the API, for a server's address with or without the `/v1` that clients are given.

    Raises:
        CommandError: it is no address of a server; names `option` and the address.
    """
    import httpx

    try:
        url = httpx.URL(address.strip().rstrip("/").removesuffix("/v1") + "/v1")
    except httpx.InvalidURL:
        url = httpx.URL()
    sound = url.scheme in ("http", "https") and url.host and (url.port or 0) <= PORT_MAX
    if not sound or url.query or url.fragment:
        raise CommandError(f"{option}: expected http://HOST:PORT or https://HOST, got {address!r}.", exit_code=2)
    return str(url)


def checked_key(option: str, key: str) -> str:
    """`key`, where it can be one.

    Raises:
        CommandError: it cannot; names `option` and never the key.
    """
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise CommandError(f"{option}: an API key is visible ASCII characters without spaces.", exit_code=2)
    return key
