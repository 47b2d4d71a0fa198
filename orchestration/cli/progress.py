"""Whoever waits is told what for: on standard error, where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Timer

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from orchestration import database
from orchestration.cli.output import notes
from orchestration.database import Database

PATIENCE_SECONDS = 0.5
"""Whoever waits longer wonders what for; what flickers by tells nobody anything."""


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show what is being done, where the block takes longer than a moment. Results are printed after it, not within."""
    if not notes.is_terminal:
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    # Standard output is the command's own: it may go to a file while this is on the terminal.
    shown = Progress(*columns, console=notes, transient=True, redirect_stdout=False, redirect_stderr=False)
    shown.add_task(f"{what} …", total=None)
    begins = Timer(PATIENCE_SECONDS, shown.start)
    begins.daemon = True
    begins.start()
    try:
        yield
    finally:
        begins.cancel()
        begins.join()
        if shown.live.is_started:
            shown.stop()


def open_database(*, migrated: bool = True) -> AbstractContextManager[Database]:
    """Keep the database up within the block, as :func:`orchestration.database.open_database` does."""
    return _opened(database.open_database(migrated=migrated))


def open_existing_database() -> AbstractContextManager[Database]:
    """Keep it up as :func:`orchestration.database.open_existing_database` does."""
    return _opened(database.open_existing_database())


@contextmanager
def _opened(opening: AbstractContextManager[Database]) -> Iterator[Database]:
    with ExitStack() as stack:
        with working("opening the database"):
            found = stack.enter_context(opening)
        yield found
