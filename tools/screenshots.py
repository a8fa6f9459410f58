"""Makes the terminal screenshots of the documentation: `python -m tools.screenshots`.

Each is what the real command prints when it asks a real server full of made-up usage, drawn by Rich as an SVG. The days
are those before today, so the pictures change with every run.
"""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
PROGRAM = [sys.executable, "-m", "usageledger"]
PICTURES = {
    "costs-by-model": (90, "costs --start 30d --group-by model"),
    "completions-by-day": (90, "usage completions --start 14d"),
}
# Rich's frame without its web fonts: a page that shows a picture loads nothing from elsewhere.
FRAME = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def main() -> None:
    """Writes every picture."""
    IMAGES.mkdir(exist_ok=True)
    with demo() as environment:
        for name, (width, arguments) in PICTURES.items():
            path = IMAGES / f"{name}.svg"
            path.write_text(picture(width, arguments, environment), encoding="utf-8")
            print(f"wrote {path}")


@contextmanager
def demo() -> Generator[dict[str, str]]:
    """A server with made-up usage, and the environment in which commands ask it, in colour."""
    command = [*PROGRAM, "demo", "--days", "45", "--events", "200000", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            ready = json.loads(process.stdout.readline())
            own = {"USAGELEDGER_URL": ready["address"], "USAGELEDGER_API_KEY": ready["admin_key"]}
            yield {"PATH": os.environ["PATH"], "FORCE_COLOR": "1", "TERM": "xterm-256color", **own}
        finally:
            process.send_signal(signal.SIGTERM)


def picture(width: int, arguments: str, environment: dict[str, str]) -> str:
    """The SVG of one command and of everything that it prints."""
    done = subprocess.run(
        [*PROGRAM, *arguments.split()],
        env=environment | {"COLUMNS": str(width)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(Text.assemble(("$ ", "green"), (f"usageledger {arguments}", "bold")))
    console.print(Text.from_ansi(done.stdout))
    return console.export_svg(title="usageledger", code_format=FRAME)


if __name__ == "__main__":
    main()
