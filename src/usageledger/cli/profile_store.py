"""Profiles: servers and keys that `usageledger login` keeps, in one file that only its owner can read."""

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from usageledger.cli.terminal.output import CommandError, note

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


@dataclass(frozen=True, slots=True)
class Profile:
    """A server's address, with `/v1`, and a key for it."""

    url: str
    key: str = field(repr=False)

    @property
    def redacted_key(self) -> str:
        """The end of the key, which may be shown."""
        return "…" + self.key[-4:]


@dataclass(frozen=True, slots=True)
class Profiles:
    """Every profile by its name, and which one is used where none is named."""

    by_name: Mapping[str, Profile] = field(default_factory=dict[str, Profile])
    current: str | None = None

    def get(self, name: str) -> Profile:
        """The profile called `name`.

        Raises:
            CommandError: there is none; names those there are.
        """
        if name in self.by_name:
            return self.by_name[name]
        known = ", ".join(self.by_name)
        there = f"There are: {known}." if known else "Make one with 'usageledger login'."
        raise CommandError(f"There is no profile {name!r}. {there}", exit_code=2)


def profiles_file() -> Path:
    """`usageledger/profiles.json` in the user's folder of settings (`XDG_CONFIG_HOME`, or `~/.config`)."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (folder if folder.is_absolute() else Path.home() / ".config") / "usageledger" / "profiles.json"


def load_profiles() -> Profiles:
    """The profiles of this user; none where nobody logged in yet.

    Raises:
        CommandError: the file is not one that `save_profiles` wrote.
    """
    path = profiles_file()
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            profiles = _read(json.load(file))
    except FileNotFoundError:
        return Profiles()
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CommandError(
            f"{path} cannot be read as profiles: mend it, or remove it and log in again.", exit_code=2
        ) from None
    if mode & 0o077:
        note(f"Warning: {path} holds keys and others may read it: chmod 600 {path}")
    return profiles


def _read(kept: dict[str, Any]) -> Profiles:
    by_name = {name: Profile(str(each["url"]), str(each["key"])) for name, each in kept["profiles"].items()}
    return Profiles(by_name, kept["current"] if kept["current"] in by_name else None)


def save_profiles(profiles: Profiles) -> None:
    """Replaces the file in one step; nobody but its owner can read it at any time."""
    path = profiles_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A temporary file is made for its owner alone.
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".profiles-", delete=False) as file:
        try:
            json.dump({"current": profiles.current, "profiles": _plain(profiles)}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _plain(profiles: Profiles) -> dict[str, Any]:
    return {name: asdict(profile) for name, profile in profiles.by_name.items()}


def complete_profile(incomplete: str) -> list[str]:
    """The names of profiles that begin so, for the tab key."""
    try:
        return [name for name in load_profiles().by_name if name.startswith(incomplete)]
    except (CommandError, OSError):
        return []
