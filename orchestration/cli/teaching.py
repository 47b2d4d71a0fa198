"""How ``--help`` looks: plain text, whole sentences, and examples at the end that can be copied."""

from __future__ import annotations

import inspect
import re
import shlex
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_EXAMPLE = "Example: "
_PARAGRAPHS = re.compile(r"\n[ \t]*\n")
_CONTINUED = " \\"


class Command(TyperCommand):
    """A command whose help ends with the paragraphs of its docstring that begin with "Example: "."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  typer's
        """Write what is no example."""
        _write_text(self, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  typer's
        """Write the examples."""
        _write_examples(examples(self), formatter)


class Group(TyperGroup):
    """A group with the same help, which says in whole sentences what each of its commands is for."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  typer's
        """Write what is no example."""
        _write_text(self, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the first paragraph of each command, never cut short."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, summary(command)))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  typer's
        """Write the examples."""
        _write_examples(examples(self), formatter)


def dress(app: typer.Typer) -> None:
    """Have all commands and groups of an app, and of those below it, show their help so."""
    for command in app.registered_commands:
        if command.cls in (None, TyperCommand):
            command.cls = Command
    for group in app.registered_groups:
        group.cls = Group
        if group.typer_instance is not None:
            dress(group.typer_instance)


def summary(command: Any) -> str:
    """Return the first paragraph of a command's help, on one line."""
    return " ".join(_paragraphs(command.short_help or command.help)[0].split())


def examples(command: Any) -> list[str]:
    """Return the examples of a command, each on one line as a shell takes it; a group without its first command's."""
    paragraphs = [*_paragraphs(command.help), *_paragraphs(command.epilog)]
    own = [" ".join(one.removeprefix(_EXAMPLE).split()) for one in paragraphs if one.startswith(_EXAMPLE)]
    if own or not isinstance(command, TyperGroup):
        return own
    return next((found[:1] for member in command.commands.values() if (found := examples(member))), [])


def explanation(command: Any) -> list[str]:
    """Return the paragraphs of a command's help that are no example."""
    return [paragraph for paragraph in _paragraphs(command.help) if not paragraph.startswith(_EXAMPLE)]


def _paragraphs(text: str | None) -> list[str]:
    return _PARAGRAPHS.split(inspect.cleandoc(text or ""))


def _write_text(command: Any, formatter: Any) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text("\n\n".join(explanation(command)))


def _write_examples(lines: list[str], formatter: Any) -> None:
    if not lines:
        return
    with formatter.section("Examples" if len(lines) > 1 else "Example"):
        for line in lines:
            width = formatter.width - formatter.current_indent
            for part in broken(line, width):
                formatter.write(f"{'':>{formatter.current_indent}}{part}\n")


def broken(line: str, width: int) -> list[str]:
    r"""Break a command over several lines, each but the last ending in ``\``: a shell reads it as one."""
    lines: list[str] = []
    current = ""
    for word in _words(line):
        if current and len(current) + 1 + len(word) + len(_CONTINUED) > width:
            lines.append(current + _CONTINUED)
            current = f"    {word}"
        else:
            current = f"{current} {word}" if current else word
    return [*lines, current]


def _words(line: str) -> list[str]:
    """Return what stays together: words, quotes and all, and an option with its value."""
    lexer = shlex.shlex(line, posix=False, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    kept: list[str] = []
    for word in lexer:
        if kept and kept[-1].startswith("--") and " " not in kept[-1] and not word.startswith("-"):
            kept[-1] += f" {word}"
        else:
            kept.append(word)
    return kept
