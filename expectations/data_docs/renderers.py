"""Decides what stands on each page. Great Expectations makes these classes by the names in the site's configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from expectations.data_docs.history import kept
from expectations.model import SAMPLE_ROWS, Severity

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite, ExpectationSuiteValidationResult

GATES = {"events": "The gate at the events", "views": "The gate at the views"}
"""What a suite is called on the pages."""

_ABOUT = {
    "events": "What must hold of the raw events before anything is built from them.",
    "views": "What must hold of what analysts and dashboards read, before anything is generated from it.",
}

_BLOCKED, _WARNED, _PASSED = "blocked", "warned", "passed"
_WORDS = {_BLOCKED: "Blocked", _WARNED: "Passed with warnings", _PASSED: "Passed"}


@dataclass(frozen=True)
class Page:
    """What a template needs.

    Attributes:
        template: Its name.
        title: What stands at the top.
        home: The way from the page to the index.
        values: What else the template names.
    """

    template: str
    title: str
    home: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """An expectation as pages show it, and how it came out where it was checked."""

    title: str
    description: str
    severity: str
    owner: str
    remedy: str
    guide: str
    query: str
    examples: str | None
    passed: bool = True
    error: str | None = None
    affected: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Mapping[str, str]] = ()
    group_columns: Sequence[str] = ()
    groups: Sequence[Mapping[str, str]] = ()

    @property
    def anchor(self) -> str:
        """Its place on a page."""
        return self.title.replace(": ", "-").replace(" ", "-").replace("_", "-")

    @property
    def which(self) -> str:
        """How many of the rows at fault are shown."""
        if len(self.rows) < SAMPLE_ROWS:
            return f"Which: all {len(self.rows)}" if len(self.rows) > 1 else "Which"
        return f"Which: {len(self.rows)} of them, {'the newest' if self.examples else 'the worst'}"

    @property
    def is_blocking(self) -> bool:
        """Whether it stops what is downstream when it fails."""
        return self.severity == Severity.CRITICAL

    @property
    def state(self) -> str:
        """How it came out."""
        return _PASSED if self.passed else _BLOCKED if self.is_blocking else _WARNED


class ResultPage:
    """What one check of a gate found: first what does not hold."""

    def render(self, result: ExpectationSuiteValidationResult) -> Page:
        """Decide what stands on the page."""
        found: Mapping[str, Any] = result.to_json_dict()
        rules = [_checked(entry) for entry in found["results"]]
        run, state = found["meta"]["run_id"], _state(rules)
        return Page(
            "result",
            f"{GATES[result.suite_name]}: {_WORDS[state].lower()}",
            # validations/<suite>/<run>/<time>/all.html
            "../../../../index.html",
            {
                "about": _ABOUT[result.suite_name],
                "suite_page": f"../../../../expectations/{result.suite_name}.html",
                "state": state,
                "run": run["run_name"],
                "checked_at": _moment(datetime.fromisoformat(run["run_time"])),
                "seconds": found["meta"]["duration_seconds"],
                "failed": sorted((rule for rule in rules if not rule.passed), key=lambda rule: not rule.is_blocking),
                "passed": [rule for rule in rules if rule.passed],
                "rules": rules,
            },
        )


class SuitePage:
    """What a gate expects, whether it was checked or not."""

    def render(self, suite: ExpectationSuite) -> Page:
        """Decide what stands on the page."""
        return Page(
            "suite",
            GATES[suite.name],
            "../index.html",
            {
                "about": _ABOUT[suite.name],
                "rules": [_rule(entry.configuration.to_json_dict()) for entry in suite.expectations],
            },
        )


class IndexPage:
    """How each gate stands, and its results so far, the newest first.

    They are read as JSON from where they are kept: through Great Expectations it takes twenty times as long, and each
    check of a gate would wait for all of them.

    Args:
        results: The folders in which results are kept.
    """

    def __init__(self, results: Sequence[str]) -> None:
        self._folders = [Path(folder) for folder in results]

    def render(self, _: Mapping[str, Any]) -> Page:
        """Decide what stands on the page."""
        results = [one for path in kept(*self._folders) if (one := _read(path)) is not None]
        newest = {name: next((one for one in results if one["suite"] == name), None) for name in GATES}
        return Page(
            "index",
            "Data quality",
            "",
            {
                "gates": [
                    {"name": title, "about": _ABOUT[name], "page": f"expectations/{name}.html", "newest": newest[name]}
                    for name, title in GATES.items()
                ],
                "results": results,
                "words": _WORDS,
            },
        )


def _read(path: Path) -> dict[str, Any] | None:
    """What the index says of a result; None of one that cannot be read, of another release for instance."""
    try:
        result = json.loads(path.read_bytes())
        run, rules = result["meta"]["run_id"], [_checked(entry) for entry in result["results"]]
        return {
            "suite": result["suite_name"],
            "state": _state(rules),
            "page": quote("/".join(("validations", *path.with_suffix(".html").parts[-4:]))),
            "run": run["run_name"],
            "checked_at": _moment(datetime.fromisoformat(run["run_time"])),
            "failed": [rule for rule in rules if not rule.passed],
            "count": len(rules),
        }
    except (ValueError, KeyError):
        return None


def _state(rules: Sequence[Rule]) -> str:
    states = {rule.state for rule in rules}
    return next(state for state in (_BLOCKED, _WARNED, _PASSED) if state in states or state == _PASSED)


def _rule(configuration: Mapping[str, Any], **outcome: Any) -> Rule:
    meta = configuration["meta"]
    return Rule(
        title=meta["title"],
        description=configuration["description"],
        severity=configuration["severity"],
        owner=meta["owner"].removeprefix("team:"),
        remedy=configuration["notes"],
        guide=meta["guide"],
        query=configuration["kwargs"]["unexpected_rows_query"],
        examples=meta["examples"],
        **outcome,
    )


def _checked(entry: Mapping[str, Any]) -> Rule:
    details = entry["result"]["details"]
    return _rule(
        entry["expectation_config"],
        passed=entry["success"],
        error=entry["exception_info"]["exception_message"],
        affected=details["affected"],
        columns=details["columns"],
        rows=details["unexpected_rows"],
        group_columns=details["group_columns"],
        groups=details["groups"],
    )


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
