"""`make test-generated`: clients that generators make of the server's own description are asked, and must be right."""

import sys
import tempfile
from pathlib import Path

from tests.generated.clients import CLIENTS
from tests.generated.questions import ask, serving


def main() -> int:
    """Makes those that are named, or all; returns 1 where one answers otherwise."""
    wrong = 0
    with tempfile.TemporaryDirectory() as made, serving(Path(made)) as server:
        for name in sys.argv[1:] or CLIENTS:
            answered, right = ask(name, server, Path(made) / "openapi.json", Path(made) / name)
            print(f"{name}: {'right' if answered == right else f'WRONG: {answered}, expected {right}'}", flush=True)
            wrong += answered != right
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
