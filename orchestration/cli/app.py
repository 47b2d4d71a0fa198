"""The command's root: the nouns, and how every command ends."""

from __future__ import annotations

import logging
import signal
import sys
from importlib.metadata import version
from types import FrameType
from typing import Annotated, NoReturn

import psycopg
import typer

from holds_core.errors import HoldsError
from orchestration.cli import (
    dashboards,
    db,
    demo,
    doctor,
    drill,
    enforcement,
    events,
    flags,
    holds,
    maintenance,
    metrics,
    pipeline,
    report,
    rollout,
    soak,
    up,
)

app = typer.Typer(
    name="holdwatch",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    help="Makes double-booked restaurant tables impossible, and shows it.",
    epilog="Start with: make demo. Every command takes --help; report commands take --json.",
)


@app.callback()
def root(
    is_version_wanted: Annotated[bool, typer.Option("--version", help="Print the version, and end.")] = False,
) -> None:
    """Makes double-booked restaurant tables impossible, and shows it."""
    if is_version_wanted:
        typer.echo(f"holdwatch {version('holdwatch')}")
        raise typer.Exit


app.command()(demo.demo)
app.command()(up.up)
app.command()(soak.soak)
app.command()(report.report)
app.command()(doctor.doctor)
app.add_typer(holds.app, name="holds")
app.add_typer(enforcement.app, name="enforcement")
app.add_typer(flags.app, name="flags")
app.add_typer(rollout.app, name="rollout")
app.add_typer(maintenance.app, name="maintenance")
app.add_typer(events.app, name="events")
app.add_typer(pipeline.app, name="pipeline")
app.add_typer(dashboards.app, name="dashboards")
app.add_typer(metrics.app, name="metrics")
app.add_typer(drill.app, name="drill")
app.add_typer(db.app, name="db")

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
_INTERRUPTIONS: dict[object, str] = {EXIT_INTERRUPTED: "Interrupted.", EXIT_TERMINATED: "Terminated."}


def main() -> NoReturn:
    """Run the command line; exit 0 when done, 1 when it failed, 2 when the call was wrong."""
    # Pools say of every connection that breaks; what comes of it is said once, by the command.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="holdwatch: %(message)s")
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        app()
    except SystemExit as end:
        if end.code in _INTERRUPTIONS:
            print(f"holdwatch: {_INTERRUPTIONS[end.code]}", file=sys.stderr)
        raise
    except Exception as error:
        if (message := _message(error)) is None:
            raise
        print(f"holdwatch: {message}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    sys.exit(0)


def _message(error: BaseException) -> str | None:
    """Return one clear line for what is the user's, or the world's, to mend; None for a bug."""
    match error:
        case BaseExceptionGroup():
            # Several tasks failed together; they failed of one cause.
            return _message(error.exceptions[0])
        case HoldsError():
            return str(error)
        case psycopg.Error():
            said = str(error).strip().splitlines()[0]
            return f"Cannot reach the database: {said}" if error.sqlstate is None else f"The database said: {said}"
        case OSError(filename=filename, strerror=strerror) if filename is not None:
            return f"{strerror}: {filename}"
        case _:
            return None


def _stop(signal_number: int, frame: FrameType | None) -> NoReturn:
    # Another one must not interrupt the clean-up that this one causes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # SystemExit, since an exception of our own would be swallowed where the signal finds an asyncio callback running.
    raise SystemExit(EXIT_INTERRUPTED if signal_number == signal.SIGINT else EXIT_TERMINATED)
