"""The root of the command line: each noun is imported when it is asked for, and a wrong call is told in one line."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any, ClassVar, NoReturn

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from orchestration.cli.teaching import Group, dress

EXIT_FAILED = 1
_WITH_PASSWORD = re.compile(r"(\w+://[^\s:/@]*:)\S*@")
"""A URL with a password, which what a wrong call is told would repeat."""


class Nouns(Group):
    """A group whose members lie in ``orchestration.cli``, a module each.

    All of them together take two CPU-seconds to import; what lists them needs their names and summaries alone.
    """

    summaries: ClassVar[Mapping[str, str]] = {}
    """What each noun is for, in the order of the help."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = _Members(self.summaries)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  typer's
        """Return the nouns."""
        return list(self.summaries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  typer's
        """Return what stands for a noun until it is called; ``commands`` has the noun itself."""
        return _Standin(cmd_name, self.summaries[cmd_name]) if cmd_name in self.summaries else None

    def main(
        self,
        args: Any = None,
        prog_name: Any = None,
        complete_var: Any = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; a wrong call ends in one line that says what was wrong and where to read on, and exit 2."""
        run = partial(
            super().main, args, prog_name, complete_var, windows_expand_args=windows_expand_args, standalone_mode=False
        )
        if not standalone_mode:
            return run(**extra)
        try:
            status = run(**extra)
        except TyperException as error:
            _end(error)
        except typer.Abort:
            print("holdwatch: Aborted.", file=sys.stderr)
            sys.exit(EXIT_FAILED)
        sys.exit(status if isinstance(status, int) else 0)


class _Standin(TyperCommand):
    """Has a noun's name and summary; who calls it calls the noun."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name, help=summary)

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        """Return a context of the noun itself, so that all that follows is its own."""
        return _load(str(self.name)).make_context(info_name, args, parent=parent, **extra)


class _Members(dict[str, Any]):
    """The nouns by name, each loaded when it is looked at."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__(dict.fromkeys(names))

    def __getitem__(self, name: str) -> Any:
        if (known := super().__getitem__(name)) is None:
            known = self[name] = _load(name)
        return known

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401  that would ask itself

    def items(self) -> Any:
        self._load_all()
        return super().items()

    def values(self) -> Any:
        self._load_all()
        return super().values()

    def _load_all(self) -> None:
        for name in self:
            self[name]


def _load(name: str) -> Any:
    """Import a noun: a module with an ``app``, or with a function of its name."""
    module = import_module(f"orchestration.cli.{name}")
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    holder.callback()(_nothing)
    if isinstance(app := getattr(module, "app", None), typer.Typer):
        holder.add_typer(app, name=name)
    else:
        holder.command(name)(getattr(module, name))
    dress(holder)
    group: Any = typer.main.get_command(holder)
    return group.commands[name]


def _nothing() -> None:
    """Make the holder a group, though it holds one command."""


def _end(error: TyperException) -> NoReturn:
    # Where a group was called without a command, its help is printed already and nothing is left to say.
    if said := " ".join(error.format_message().split()):
        from orchestration.cli.suggestions import with_suggestion  # noqa: PLC0415  only a wrong call needs it

        said = _WITH_PASSWORD.sub(r"\1…@", with_suggestion(said, error))
        print(f"holdwatch: {said}{_where(error)}", file=sys.stderr)
    sys.exit(error.exit_code)


def _where(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return "" if context is None else f" See: {context.command_path} --help"
