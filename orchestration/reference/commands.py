"""docs/reference/commands.md: every command with its arguments and options, as its own --help says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
import typer.main

from dashboards.anchors import anchor
from orchestration.cli.app import app
from orchestration.cli.teaching import examples, explanation
from orchestration.markdown import first_sentence, head, prose, table

_PROGRAM = "holdwatch"


def page() -> str:
    """Return the page."""
    commands = list(_commands(typer.main.get_command(app), _PROGRAM))
    lines = head("Commands", "the commands themselves")
    lines += [
        "The program is `.venv/bin/holdwatch`; `holdwatch COMMAND --help` says the same as this page. Report commands "
        "take `--json`: one object on standard output, and nothing else.",
        "",
        "Exit status of every command: 0 done, 1 it fell short or failed (one clear line on standard error), 2 the "
        "call was wrong, 130 and 143 interrupted by Ctrl-C and SIGTERM.",
        "",
    ]
    lines += table(
        ("command", "does"),
        ((f"[`{name}`](#{anchor(name)})", first_sentence(command.help)) for name, command in commands),
    )
    for name, command in commands:
        lines += [f"## {name}", "", *_page(name, command)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield all that do something, with their full names, in the order in which --help lists them."""
    for verb, subcommand in getattr(command, "commands", {}).items():
        if hasattr(subcommand, "commands"):
            yield from _commands(subcommand, f"{name} {verb}")
        elif not subcommand.hidden:
            yield f"{name} {verb}", subcommand


def _page(name: str, command: Any) -> Iterator[str]:
    context = typer.Context(command, info_name=name)
    yield from ("```text", " ".join([name, *command.collect_usage_pieces(context)]), "```", "")
    for paragraph in explanation(command):
        yield from (prose(" ".join(paragraph.split())), "")
    for example in examples(command):
        yield from ("```sh", example, "```", "")
    for kind in ("argument", "option"):
        parameters = (parameter for parameter in command.params if parameter.param_type_name == kind)
        records = [record for parameter in parameters if (record := parameter.get_help_record(context)) is not None]
        if records:
            yield from table((kind, "means"), ((f"`{said}`", _meaning(help_)) for said, help_ in records))


def _meaning(help_: str) -> str:
    """Return what --help says of a parameter, its brackets (default, range, required) set off."""
    meaning, _, brackets = help_.rpartition("  [") if help_.endswith("]") else (help_, "", "")
    said = prose(meaning or help_)
    return f"{said} *({prose(brackets.removesuffix(']'))})*" if brackets else said
