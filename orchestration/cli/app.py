"""The command's root: the nouns, and how every command ends."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

import psycopg
import typer

from holds_core.errors import HoldsError
from orchestration.cli import db

app = typer.Typer(
    name="holdwatch",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Makes double-booked restaurant tables impossible, and shows it.",
    epilog="Start with: make demo. Every command takes --help; report commands take --json.",
)
app.add_typer(db.app, name="db")

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class _TerminatedError(BaseException):
    """SIGTERM arrived; unwinding stops what the command started."""


def main() -> NoReturn:
    """Run the command line; exit 0 when done, 1 when it failed, 2 when the call was wrong."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        app(standalone_mode=True)
    except _TerminatedError:
        _end("Terminated.", EXIT_TERMINATED)
    except KeyboardInterrupt:
        _end("Interrupted.", EXIT_INTERRUPTED)
    except HoldsError as error:
        _end(str(error), EXIT_FAILED)
    except psycopg.Error as error:
        _end(f"The database said: {str(error).strip().splitlines()[0]}", EXIT_FAILED)
    except BrokenPipeError:
        # The reader (head, a pager) has enough; nothing is wrong.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(0)


def _on_sigterm(signal_number: int, frame: FrameType | None) -> NoReturn:
    # A second one must not interrupt the clean-up that the first one caused.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _TerminatedError


def _end(message: str, status: int) -> NoReturn:
    print(f"holdwatch: {message}", file=sys.stderr)
    sys.exit(status)
