"""docs/reference says what the code says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import psycopg
import pytest

import holds_core
from dashboards.catalogue import VIEWS
from holds_core.errors import HoldsError
from holds_core.events.types import EVENT_TYPES
from holds_core.flags.loading import packaged_definitions
from orchestration.reference import (
    FUNCTIONS_PAGE,
    REFERENCE_DIR,
    differing,
    functions_page,
    pages_without_database,
)
from orchestration.reference.__main__ import main
from orchestration.reference.settings import VARIABLES
from tests.docs.pages import ROOT

OURS = re.compile(r"\b(?:HOLDWATCH|DD|GRAFANA)_[A-Z_]*[A-Z]\b")
INTERNAL = re.compile(r"HOLDWATCH_(DBT_\w+|SPARK_EVENTS)|\w*PASSWORD_VARIABLE")
"""What one of our processes tells another."""


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """Functions alone are looked at."""
    return small_template


def test_pages_are_current() -> None:
    """What `make check` checks; write them anew: make reference."""
    assert differing(pages_without_database(), REFERENCE_DIR) == []
    assert main(["--check"]) == 0


def test_functions_page_is_current(connection: psycopg.Connection) -> None:
    """The page of a migrated database; write it anew: make reference."""
    assert differing({FUNCTIONS_PAGE: functions_page(connection)}, REFERENCE_DIR) == []


def test_a_page_that_differs_or_is_missing_is_named(tmp_path: Path) -> None:
    """One that somebody has edited, and one that nobody has made."""
    pages = pages_without_database()
    for name, text in pages.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "views.md").write_text(pages["views.md"].replace("success_ratio", "ratio"))
    (tmp_path / "events.md").unlink()

    assert differing(pages, tmp_path) == ["events.md", "views.md"]


def test_pages_name_everything_public() -> None:
    """Whoever looks for a name finds its heading, or its row."""
    pages = pages_without_database()
    errors = {name for name in holds_core.__all__ if isinstance(getattr(holds_core, name), type)
              and issubclass(getattr(holds_core, name), HoldsError)}  # fmt: skip

    assert set(re.findall(r"^## (\w+)$", pages["views.md"], re.MULTILINE)) == set(VIEWS)
    assert errors <= set(re.findall(r"^## (\w+)$", pages["errors.md"], re.MULTILINE))
    assert set(EVENT_TYPES) <= set(re.findall(r"^\| `([\w.]+)` \|", pages["events.md"], re.MULTILINE))
    assert "| `--reason <str>` | Why; it is recorded" in pages["commands.md"]


def test_every_function_that_a_role_may_execute_says_what_it_does(connection: psycopg.Connection) -> None:
    """The page is made of comments in the database."""
    page = functions_page(connection)
    silent = re.findall(r"^## (\w+)\n\n```", page, re.MULTILINE)
    assert silent == []


def _names_in_code() -> set[str]:
    """Names of variables in the code that runs: strings of Python, and Grafana's and Docker's files."""
    found: set[str] = set()
    for package in ("holds_core", "expectations", "dashboards", "orchestration"):
        for path in (ROOT / package).rglob("*.py"):
            if path.parent.name == "reference":
                continue
            strings = (
                node.value
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            )
            found |= {name for text in strings for name in OURS.findall(text)}
    for path in (ROOT / "dashboards").rglob("*.yaml"):
        found |= set(OURS.findall(path.read_text(encoding="utf-8")))
    return {name for name in found if INTERNAL.fullmatch(name) is None}


def test_settings_page_names_every_variable_that_code_reads() -> None:
    """None is secret, and none is made up."""
    known = {variable.name for variable in VARIABLES}
    flags = {definition.variable for definition in packaged_definitions().values()}
    named = _names_in_code()

    assert named - flags - known - {"HOLDWATCH_FLAG"} == set()
    outside = ROOT / "tests"
    readme = set(OURS.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert readme - flags - known - {"HOLDWATCH_FLAG"} == set()
    in_tests = {name for path in outside.rglob("*.py") for name in OURS.findall(path.read_text(encoding="utf-8"))}
    assert {name for name in known if OURS.fullmatch(name)} - named - in_tests == set()
