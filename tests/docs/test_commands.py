"""Every command that a page shows exists, with its options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from orchestration.cli.app import app
from tests.docs.pages import ROOT, all_pages, blocks, without_code

INLINE = re.compile(r"`(holdwatch [^`]+)`")
CALL = re.compile(r"(?:^(?:\w+=\S* )*|[(&] *)(holdwatch [^)|&#]*)")
SHELLS = ("console", "sh")
PAGES = [page for page in all_pages() if page.name not in ("CHANGELOG.md", "commands.md")]
"""The one says what was; the other is generated from the commands."""

PLACEHOLDER = re.compile(r"…|\.\.\.|<[^>]*>|[A-Z]+[|A-Z]*")


def shown(page: Path) -> Iterator[str]:
    """Yield the calls of ``holdwatch`` in a page's shell blocks and in its text."""
    for block in blocks(page):
        if block.language in SHELLS:
            for line in block.text.replace("\\\n", " ").splitlines():
                yield from CALL.findall(line.removeprefix("$ "))
    # One that lists its verbs (`holdwatch db start|stop`) or is broken over two lines is one call for each.
    for code in INLINE.findall(without_code(page)):
        words = " ".join(code.split()).split(" ")
        listed = next((place for place, word in enumerate(words) if "|" in word), None)
        if listed is None:
            yield " ".join(words)
        else:
            yield from (" ".join([*words[:listed], one, *words[listed + 1 :]]) for one in words[listed].split("|"))


@cache
def whole() -> Any:
    """Return the program, with all that it can do."""
    return typer.main.get_command(app)


def problem_of(call: str) -> str | None:
    """Return what is wrong with a call; None where nothing is."""
    words = shlex.split(call)[1:]
    command = whole()
    while (commands := getattr(command, "commands", None)) is not None and words and not words[0].startswith("-"):
        if words[0] not in commands:
            return None if PLACEHOLDER.fullmatch(words[0]) else f"no {words[0]}"
        command, words = commands[words[0]], words[1:]
    options = (option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts])
    known = {*options, "--help"}
    unknown = {word.partition("=")[0] for word in words if word.startswith("--")} - known
    return f"no option {', '.join(sorted(unknown))}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_the_page_exist_with_their_options(page: Path) -> None:
    """A page never teaches a command that has gone, or is called otherwise."""
    wrong = {call: problem for call in shown(page) if (problem := problem_of(call)) is not None}

    assert wrong == {}


def test_wrong_commands_are_found(tmp_path: Path) -> None:
    """The check does find what it is for."""
    page = tmp_path / "page.md"
    page.write_text(
        "`holdwatch db begin` `holdwatch db start|halt`\n\n```console\n$ X=1 holdwatch holds list --all\n```\n"
    )

    found = {call.strip(): problem for call in shown(page) if (problem := problem_of(call)) is not None}

    assert found == {
        "holdwatch holds list --all": "no option --all",
        "holdwatch db begin": "no begin",
        "holdwatch db halt": "no halt",
    }
