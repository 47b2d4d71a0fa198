"""docs/reference/events.md: the event types and severities, as holds_core/events/types.py says, and the columns."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from enum import StrEnum

import yaml

from holds_core.events.types import EventType, Severity, may_lack_restaurant
from orchestration.markdown import head, prose, table
from orchestration.paths import DBT_PROJECT_DIR

_SOURCES = "staging/_holds__sources.yml"


def page() -> str:
    """Return the page."""
    lines = head("Events", f"holds_core/events/types.py and dbt_project/models/{_SOURCES}")
    lines += [
        "Rows of `holds.observability_events`; [events](../events.md) says how they get there and what views read of "
        "their context.",
        "",
        "## Types",
        "",
    ]
    rows = (
        (f"`{event}`", prose(meaning), "may be missing" if may_lack_restaurant(event) else "expected")
        for event, meaning in _members(EventType)
    )
    lines += table(("event_type", "when", "restaurant"), rows)
    lines += ["## Severities", ""]
    lines += table(
        ("severity", "means"), ((f"`{severity}`", prose(meaning)) for severity, meaning in _members(Severity))
    )
    lines += ["## Columns", ""]
    lines += table(("column", "means"), ((f"`{name}`", prose(meaning)) for name, meaning in _columns()))
    return "\n".join(lines).rstrip("\n") + "\n"


def _members(enumeration: type[StrEnum]) -> Iterator[tuple[str, str]]:
    """Yield each member's value, and the string that stands below it in the source."""
    (class_,) = ast.parse(inspect.getsource(enumeration)).body
    assert isinstance(class_, ast.ClassDef)
    for statement, next_one in zip(class_.body, [*class_.body[1:], ast.Pass()], strict=True):
        match statement, next_one:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(meaning))):
                yield enumeration[name].value, meaning
            case ast.Assign(targets=[ast.Name(id=name)]), _:
                raise ValueError(f"{enumeration.__name__}.{name} lacks the string below it that says when.")


def _columns() -> Iterator[tuple[str, str]]:
    (source,) = yaml.safe_load((DBT_PROJECT_DIR / "models" / _SOURCES).read_text(encoding="utf-8"))["sources"]
    (events,) = (entry for entry in source["tables"] if entry["name"] == "observability_events")
    for column in events["columns"]:
        yield column["name"], column["description"]
