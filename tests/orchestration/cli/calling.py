"""Commands, called in this process as the program's main would."""

from __future__ import annotations

import io
import json
import logging
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from orchestration import paths
from orchestration.cli.app import app, main


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


def call(*arguments: str, **variables: str) -> Done:
    """Run a command with these environment variables; an exception that main lets through is a bug, and fails here."""
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["holdwatch", *arguments])
        patch.setattr(logging.getLogger(), "handlers", [])
        for name, value in variables.items():
            patch.setenv(name, value)
        if (state := variables.get("HOLDWATCH_STATE_DIR")) is not None:
            patch.setattr(paths, "STATE_DIR", Path(state))
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return Done(status, out.getvalue(), err.getvalue())


def broken_words(narrow: str, wide: str) -> set[str]:
    """Return what only the narrower output has, digits alike: parts of words that it has broken or cut."""
    return _words(narrow) - _words(wide)


def _words(text: str) -> set[str]:
    """The words of an output, without the lines of its tables."""
    return set(re.sub(r"\d+", "0", re.sub(r"[\u2500-\u257f]", " ", text)).split())


def tree(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every group and command, the program itself first."""
    group = group or typer.main.get_command(app)
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from tree(command, (*path, name))


def leaves() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something."""
    return ((path, command) for path, command in tree() if not hasattr(command, "commands"))
