"""Every command of the command line, by its words."""

from typing import Any

import typer.main

from usageledger.cli import app


def commands() -> dict[str, Any]:
    """`keys create` → its command, for every command there is."""
    found: dict[str, Any] = {}

    def walk(name: str, command: Any) -> None:
        found[name] = command
        for child, inner in getattr(command, "commands", {}).items():
            walk(f"{name} {child}".strip(), inner)

    walk("", typer.main.get_command(app))
    return found


COMMANDS = commands()
