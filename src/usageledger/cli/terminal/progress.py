"""Progress of what takes long, on stderr, where that is a terminal."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

STEPS = 200  # of a whole bar


@contextmanager
def progress(words: str, total: float | None) -> Generator[Callable[[float], None]]:
    """Draws a bar, gone at its end; yields what is told how much is done. None is a total not known."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, drawn = bar.add_task(words, total=total), 0.0

        def tell(done: float) -> None:
            nonlocal drawn
            if total and done - drawn >= total / STEPS:
                drawn = done
                bar.update(task, completed=done)

        yield tell
