"""Lints Grafana dashboards: what Grafana would load without a word, and people would then stumble over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboards.catalogue import ANALYTICS_SCHEMA, VIEWS
from dashboards.checks.check import CheckResult, Material, counted
from dashboards.checks.findings import Finding, Say
from dashboards.checks.links import lint_links
from dashboards.checks.loading import load
from dashboards.checks.macros import TimeRange, expand, variables_of
from dashboards.errors import MacroError

SCHEMA_VERSION = 42
GRID_WIDTH = 24
RUNBOOKS_VARIABLE = "${runbooks}"
DATASOURCE_VARIABLE = "${datasource}"

_NOT_SQL = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|extract\s*\([^)]*\)", re.DOTALL | re.IGNORECASE)
_RELATION = re.compile(r"\b(?:from|join)\s+(?:lateral\s+|only\s+)?([a-z_][\w.\"]*)(?!\w*\s*\()", re.IGNORECASE)
_CTE = re.compile(
    r"(?:\bwith(?:\s+recursive)?|,)\s*([a-z_]\w*)\s+as\s*(?:not\s+materialized\s*|materialized\s*)?\(", re.IGNORECASE
)

Json = dict[str, Any]


def check_dashboards(material: Material) -> CheckResult:
    """Lint every dashboard, and see that no two have one uid."""
    dashboards, findings = load(material.directory, "grafana")
    known = {str(dashboard.get("uid")) for dashboard in dashboards.values()}
    uids: dict[str, str] = {}
    for file, dashboard in dashboards.items():
        findings += lint_dashboard(file, dashboard, known)
        uid = str(dashboard.get("uid"))
        if uid in uids:
            findings.append(Finding("duplicate-uid", file, "", f"{uids[uid]} has its uid.", "Give it one of its own."))
        uids.setdefault(uid, file)
    return CheckResult(findings, counted(len(dashboards), "dashboard"))


def lint_dashboard(file: str, dashboard: Json, uids: AbstractSet[str] | None = None) -> list[Finding]:
    """Return what is wrong with one dashboard.

    Args:
        file: Its path, for the findings.
        dashboard: Its parsed JSON.
        uids: Those of all dashboards; None leaves the targets of links between them unchecked.
    """

    def say(check: str, place: str, problem: str, remedy: str) -> Finding:
        return Finding(check, file, place, problem, remedy)

    panels = [panel for panel in all_panels(dashboard) if panel.get("type") != "row"]
    return [
        *_lint_whole(dashboard, say),
        *_lint_layout(all_panels(dashboard), say),
        *(finding for panel in panels for finding in _lint_panel(panel, say)),
        *(finding for panel in panels for finding in _lint_link(panel, say)),
        *(finding for annotation in annotations_in(dashboard) for finding in _lint_annotation(annotation, say)),
        *lint_links(dashboard, panels, uids, say),
        *_lint_queries(dashboard, panels, say),
    ]


def relations(sql: str) -> set[str]:
    """Return the names that a statement reads from, its own common table expressions left out."""
    text = _NOT_SQL.sub("''", sql)
    return {name.lower() for name in _RELATION.findall(text)} - {name.lower() for name in _CTE.findall(text)}


def lint_relations(place: str, sql: str, say: Say) -> Iterator[Finding]:
    """Find what a statement reads beside the views of the catalogue."""
    for relation in sorted(relations(sql)):
        schema, _, view = relation.rpartition(".")
        if schema != ANALYTICS_SCHEMA or view not in VIEWS:
            yield say(
                "foreign-relation",
                place,
                f"It reads {relation}.",
                f"Read the views of the schema {ANALYTICS_SCHEMA} that the catalogue lists, and nothing else.",
            )


def place_of(panel: Json) -> str:
    """Name a panel so that a reader finds it."""
    return f"panel {panel.get('id')} {panel.get('title') or '(no title)'!r}"


def variables_in(dashboard: Json) -> list[Json]:
    """Return the dashboard's variables."""
    return list((dashboard.get("templating") or {}).get("list") or [])


def annotations_in(dashboard: Json) -> list[Json]:
    """Return the dashboard's annotations."""
    return list((dashboard.get("annotations") or {}).get("list") or [])


def all_panels(dashboard: Json) -> list[Json]:
    """Return the panels, rows and what is inside them included."""
    panels = dashboard.get("panels", [])
    return [*panels, *(inner for panel in panels for inner in panel.get("panels") or [])]


def _lint_whole(dashboard: Json, say: Say) -> Iterator[Finding]:
    if not dashboard.get("uid"):
        yield say("missing-uid", "", "It has no uid, so every import makes another copy.", "Give it a stable one.")
    if dashboard.get("schemaVersion") != SCHEMA_VERSION:
        yield say(
            "schema-version",
            "",
            f"Its schemaVersion is {dashboard.get('schemaVersion')}.",
            f"Generate it with the pinned grafana-foundation-sdk, which emits {SCHEMA_VERSION}.",
        )


def _lint_layout(panels: list[Json], say: Say) -> Iterator[Finding]:
    seen: dict[Any, str] = {}
    placed: list[tuple[str, Json]] = []
    for panel in panels:
        place = place_of(panel)
        if panel.get("id") in seen or not isinstance(panel.get("id"), int):
            yield say(
                "duplicate-id",
                place,
                f"Its id is missing or that of {seen.get(panel.get('id'), 'no panel')}.",
                "Give it a number of its own, one that no panel had before.",
            )
        seen.setdefault(panel.get("id"), place)
        grid = panel.get("gridPos") or {}
        if not {"x", "y", "w", "h"} <= set(grid) or grid["x"] < 0 or grid["x"] + grid["w"] > GRID_WIDTH:
            yield say("off-grid", place, f"It does not fit the grid: {grid}.", f"Keep x + w within {GRID_WIDTH}.")
            continue
        for other_place, other in placed:
            if _overlap(grid, other):
                yield say("overlapping-panels", place, f"It overlaps {other_place}.", "Move one of them.")
        placed.append((place, grid))


def _overlap(one: Json, other: Json) -> bool:
    return bool(
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def _lint_panel(panel: Json, say: Say) -> Iterator[Finding]:
    place = place_of(panel)
    if not panel.get("title"):
        yield say("missing-title", place, "It has no title.", "Say what it shows, and its goal.")
    if "Good:" not in (panel.get("description") or ""):
        yield say(
            "missing-description",
            place,
            "Its description does not say what good looks like.",
            'Describe it, with a sentence that begins with "Good:".',
        )
    for what in (panel, *panel.get("targets", [])):
        if (what.get("datasource") or {}).get("uid") != DATASOURCE_VARIABLE:
            yield say(
                "fixed-datasource",
                place,
                "It, or a query of it, does not take its data source from the variable.",
                'Use {"uid": "${datasource}"}.',
            )
            break
    config = panel.get("fieldConfig") or {}
    if not (config.get("defaults") or {}).get("unit"):
        yield say("missing-unit", place, "It has no unit.", "Set fieldConfig.defaults.unit.")
    for unit in _units(config):
        if unit not in known_units():
            yield say("unknown-unit", place, f"Grafana knows no unit {unit!r}.", "Take one of the SDK's models/units.")
    if panel.get("type") == "stat" and not _says_of_nothing(config.get("defaults") or {}):
        yield say(
            "nothing-is-good",
            place,
            "Where nothing is known it has the colour of its lowest threshold.",
            "Map null and NaN to a text and a colour of their own.",
        )


def _says_of_nothing(defaults: Json) -> bool:
    """Whether a value that is not known is told apart."""
    return any(
        str((mapping.get("options") or {}).get("match")).startswith("null")
        for mapping in defaults.get("mappings") or []
    )


def _units(config: Json) -> Iterator[str]:
    if unit := (config.get("defaults") or {}).get("unit"):
        yield unit
    for override in config.get("overrides") or []:
        yield from (setting["value"] for setting in override.get("properties", []) if setting.get("id") == "unit")


def known_units() -> set[str]:
    """Return the identifiers of Grafana's units."""
    from dashboards.generators.grafana_sdk import units  # noqa: PLC0415  heavy, and optional

    return {value for name, value in vars(units).items() if not name.startswith("_") and isinstance(value, str)}


def _lint_link(panel: Json, say: Say) -> Iterator[Finding]:
    urls = [link.get("url", "") for link in panel.get("links") or [] if link.get("title") == "Runbook"]
    if not urls:
        yield say("missing-runbook", place_of(panel), "It links to no runbook.", 'Add a link with the title "Runbook".')
    for url in urls:
        # Where it leads is followed by the check of the runbooks, once for all formats.
        if not url.startswith(f"{RUNBOOKS_VARIABLE}/"):
            yield say(
                "fixed-runbook",
                place_of(panel),
                f"{url} does not begin with {RUNBOOKS_VARIABLE}/.",
                "Begin it with the variable, so that who loads the dashboard says where the runbooks are.",
            )


def _lint_annotation(annotation: Json, say: Say) -> Iterator[Finding]:
    place = f"annotation {annotation.get('name')}"
    for what in (annotation, annotation.get("target") or {}):
        if (what.get("datasource") or {}).get("uid") != DATASOURCE_VARIABLE:
            yield say(
                "fixed-datasource",
                place,
                "It, or its query, does not take its data source from the variable.",
                'Use {"uid": "${datasource}"}.',
            )
            break
    if not (annotation.get("target") or {}).get("rawSql"):
        yield say("missing-query", place, "It asks nothing.", "Give it a query, or remove it.")


def _lint_queries(dashboard: Json, panels: list[Json], say: Say) -> Iterator[Finding]:
    names = {variable["name"] for variable in variables_in(dashboard)}
    now = datetime.now(UTC)
    a_day = TimeRange(now - timedelta(days=1), now)
    queries = [
        *(
            (f"variable {variable['name']}", str(variable["query"]))
            for variable in variables_in(dashboard)
            if variable.get("type") == "query"
        ),
        *((place_of(panel), str(target.get("rawSql", ""))) for panel in panels for target in panel.get("targets", [])),
        *(
            (f"annotation {annotation.get('name')}", str((annotation.get("target") or {}).get("rawSql", "")))
            for annotation in annotations_in(dashboard)
        ),
    ]
    for panel in panels:
        if not panel.get("targets"):
            yield say("missing-query", place_of(panel), "It asks nothing.", "Give it a query, or remove it.")
    for place, sql in queries:
        yield from lint_relations(place, sql, say)
        if unknown := variables_of(sql) - names:
            yield say("unknown-variable", place, f"There is no variable {sorted(unknown)}.", "Define it, or leave it.")
            continue
        try:
            expand(sql, a_day, dict.fromkeys(names, ("x",)))
        except MacroError as error:
            yield say("unknown-macro", place, str(error), "Use what dashboards.checks.macros can expand.")
