"""The command's root: the nouns, and how every command ends."""

from __future__ import annotations

import logging
import os
import signal
import sys
from types import FrameType
from typing import Annotated, ClassVar, NoReturn

import typer

from orchestration.cli.nouns import EXIT_FAILED, Nouns


class Holdwatch(Nouns):
    """What ``holdwatch`` knows to do. Each noun is a module beside this one; its help begins with the same words."""

    summaries: ClassVar = {
        "demo": "Run the main job once: migrate, contending holds, events, views, expectations, dashboards, report.",
        "up": "Bring everything up: the database, the Dagster UI, and the schedules of the pipeline.",
        "soak": "Load the holds core with contending requests, then check what callers were told against the database.",
        "report": (
            "Write one HTML page that says whether tables were booked twice, with figures, goals and plots of 90 days."
        ),
        "evidence": "Verify what is promised, by running it, and write down what was found.",
        "doctor": "Say what is set up, what is wrong, and how to mend it. Starts nothing and changes nothing.",
        "holds": "Look at holds, find double bookings, extend, move, release.",
        "enforcement": "The kill switch of strict conflicts, and the proof that they are in force.",
        "flags": "Feature flags: what they are, and changes that take two people.",
        "rollout": "Staged rollout: flags go up by stages, guarded by evidence.",
        "maintenance": "Known maintenance: alerts are quiet about it, except that of double bookings.",
        "events": "Events: in from files, another database or the spool; out to files.",
        "pipeline": "Events to views to dashboard files, with expectations at both ends.",
        "dashboards": "What Grafana, Datadog and Prometheus load: generate, check, draw and push.",
        "metrics": "What the views say, for tools that collect metrics.",
        "drill": (
            "Inject a regression, time its detection from the commit to the notification, and put everything back."
        ),
        "db": "The embedded server, and the schema on either server.",
    }


app = typer.Typer(
    name="holdwatch",
    cls=Holdwatch,
    rich_markup_mode=None,
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    help="Makes double-booked restaurant tables impossible, and shows it.",
    epilog="Example: holdwatch demo",
)


@app.callback()
def root(
    is_version_wanted: Annotated[bool, typer.Option("--version", help="Print the version, and end.")] = False,
) -> None:
    """Makes double-booked restaurant tables impossible, and shows it.

    Every command takes --help and shows an example there; what reports something takes --json.
    """
    if is_version_wanted:
        from importlib.metadata import version  # noqa: PLC0415  for this alone

        typer.echo(f"holdwatch {version('holdwatch')}")
        raise typer.Exit


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
        try:
            app(prog_name="holdwatch")
        finally:
            # What is printed last may find the reader gone or the disk full; Python would say so in a traceback.
            if sys.stdout is not None:
                sys.stdout.flush()
    except SystemExit as end:
        if end.code in _INTERRUPTIONS:
            print(f"holdwatch: {_INTERRUPTIONS[end.code]}", file=sys.stderr)
        raise
    except BrokenPipeError:
        # As in `holdwatch flags list | head -1`: whoever read has seen enough, and wants no word about it.
        _discard_output()
        sys.exit(EXIT_FAILED)
    except Exception as error:
        from orchestration.cli.failures import message_of  # noqa: PLC0415  what it knows takes a third of a second

        if (message := message_of(error)) is None:
            raise
        _discard_output()
        print(f"holdwatch: {message}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    sys.exit(0)


def _stop(signal_number: int, frame: FrameType | None) -> NoReturn:
    # Another one must not interrupt the clean-up that this one causes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # SystemExit, since an exception of our own would be swallowed where the signal finds an asyncio callback running.
    raise SystemExit(EXIT_INTERRUPTED if signal_number == signal.SIGINT else EXIT_TERMINATED)


def _discard_output() -> None:
    """Have what nobody can read go nowhere, so that Python does not fail once more at its end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
