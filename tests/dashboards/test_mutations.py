"""What the checks catch: one fault at a time is put into the generated files, and found by the check it is for.

A fault is a line of :data:`FAULTS`: what is wrong, the check that must say so and by which of its rules, and the text
of which file is replaced by what. Who adds a check, or a rule to one, adds a line: the last tests here see to that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

import dashboards
import dashboards.checks
from dashboards.checks import CHECKS, CheckResult, Material
from dashboards.files import DASHBOARDS_DIR
from orchestration.cli.dashboards import RUNBOOKS_DIR, SCHEMAS_DIR

OVERVIEW = "grafana/overview.json"
RESTAURANT = "grafana/restaurant.json"
RULES = "grafana-alerting/rules.yaml"
POLICIES = "grafana-alerting/notification-policies.yaml"
MONITOR = "datadog/monitors/success_rate_low.json"
BOARD = "datadog/dashboards/overview.json"
OBJECTIVE = "datadog/slos/success.json"
PROMETHEUS = "prometheus/rules/holdwatch.yaml"
EXAMPLES = "prometheus/tests/alerts.yaml"
BLINDNESS = "prometheus/tests/blindness.yaml"
SCRAPE = "prometheus/scrape.yaml"
ROUTES = "prometheus/alertmanager.yaml"

BY_LABELS = "max by (alert, environment, severity)"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with one file.

    Attributes:
        what: In words.
        check: The check that finds it, by name.
        rule: Which of its rules does.
        file: Below the generated folder.
        old: A text of the file; the first is replaced.
        new: By this.
        found_in: The file that the finding names, where that is another one.
    """

    what: str
    check: str
    rule: str
    file: str
    old: str
    new: str
    found_in: str = ""


# fmt: off
FAULTS = [Fault(*row) for row in (
    # What is committed is what is generated.
    ("edited by hand", "generated", "not-regenerated", OVERVIEW, '"editable": false', '"editable": true'),

    # Dashboards: as a whole.
    ("half a file", "grafana", "unreadable", OVERVIEW, '"editable"', ""),
    ("no uid", "grafana", "missing-uid", OVERVIEW, '"uid": "holdwatch-overview"', '"uid": ""'),
    ("another dashboard's uid", "grafana", "duplicate-uid", RESTAURANT,
     '"uid": "holdwatch-restaurant"', '"uid": "holdwatch-overview"'),
    ("an old schema", "grafana", "schema-version", OVERVIEW, '"schemaVersion": 42', '"schemaVersion": 36'),
    # Links between them.
    ("a link to no dashboard", "grafana", "dead-link", OVERVIEW, '"/d/holdwatch-restaurant"', '"/d/holdwatch-gone"'),
    ("a link that loses the time", "grafana", "forgetful-link", OVERVIEW, '"keepTime": true', '"keepTime": false'),
    ("a link that loses what is chosen", "grafana", "forgetful-link", OVERVIEW,
     '"includeVars": true', '"includeVars": false'),
    ("a cell that leads nowhere", "grafana", "dead-link", OVERVIEW, "/d/holdwatch-restaurant?", "/d/holdwatch-gone?"),
    ("a cell that loses the time", "grafana", "forgetful-link", OVERVIEW, '&${__url_time_range}"', '"'),
    ("a cell that loses the environment", "grafana", "forgetful-link", OVERVIEW, "${environment:queryparam}&", ""),
    # Panels.
    ("another panel's id", "grafana", "duplicate-id", OVERVIEW, '"id": 2,', '"id": 1,'),
    ("no id", "grafana", "duplicate-id", OVERVIEW, '"id": 2,', '"number": 2,'),
    ("a panel too wide", "grafana", "off-grid", OVERVIEW, '"w": 12,\n        "x": 12', '"w": 13,\n        "x": 12'),
    ("a panel without a place", "grafana", "off-grid", OVERVIEW, '"gridPos"', '"grid"'),
    ("a panel over another", "grafana", "overlapping-panels", OVERVIEW,
     '"w": 12,\n        "x": 12', '"w": 12,\n        "x": 11'),
    ("no title", "grafana", "missing-title", OVERVIEW, '"title": "Worst restaurants"', '"title": ""'),
    ("no description", "grafana", "missing-description", OVERVIEW, '"description": "The 20', '"help": "The 20'),
    ("no word on what is good", "grafana", "missing-description", OVERVIEW, "Good: at least", "At least"),
    ("no unit", "grafana", "missing-unit", OVERVIEW, '"unit": "percentunit"', '"unit": ""'),
    ("an unknown unit", "grafana", "unknown-unit", OVERVIEW, '"unit": "percentunit"', '"unit": "percent01"'),
    ("an unknown unit of a column", "grafana", "unknown-unit", OVERVIEW, '"value": "short"', '"value": "furlongs"'),
    ("green where nothing is known", "grafana", "nothing-is-good", OVERVIEW, '"match": "null+nan"', '"match": "empty"'),
    ("no runbook", "grafana", "missing-runbook", OVERVIEW, '"title": "Runbook"', '"title": "Help"'),
    ("a runbook at a fixed place", "grafana", "fixed-runbook", OVERVIEW, '"${runbooks}/', '"https://wiki.example/'),
    # What they ask, and whom.
    ("a panel of a fixed data source", "grafana", "fixed-datasource", OVERVIEW,
     '"uid": "${datasource}"\n      },\n      "description"', '"uid": "P1"\n      },\n      "description"'),
    ("a query of a fixed data source", "grafana", "fixed-datasource", OVERVIEW,
     'targets": [\n        {\n          "datasource": {\n            "type": "grafana-postgresql-datasource",\n'
     '            "uid": "${datasource}"',
     'targets": [\n        {\n          "datasource": {\n            "type": "grafana-postgresql-datasource",\n'
     '            "uid": "P1"'),
    ("an annotation of a fixed data source", "grafana", "fixed-datasource", OVERVIEW,
     '"uid": "${datasource}"', '"uid": "P1"'),
    ("a panel that asks nothing", "grafana", "missing-query", OVERVIEW, '"targets"', '"target"'),
    ("an annotation that asks nothing", "grafana", "missing-query", OVERVIEW,
     '"rawSql": "select\\n    occurred_at', '"sql": "select\\n    occurred_at'),
    ("raw events", "grafana", "foreign-relation", OVERVIEW,
     "from analytics.assignment_success_rate", "from holds.observability_events"),
    ("raw events, in an annotation", "grafana", "foreign-relation", OVERVIEW,
     "from analytics.operational_changes", "from holds.observability_events"),
    ("raw events, in a variable", "grafana", "foreign-relation", OVERVIEW,
     '"query": "select environment\\nfrom analytics.pipeline_freshness',
     '"query": "select environment\\nfrom holds.observability_events'),
    ("a step on the way to a view", "grafana", "foreign-relation", OVERVIEW,
     "from analytics.assignment_success_rate", "from analytics.rollup_event_counts"),
    ("a view of no schema", "grafana", "foreign-relation", OVERVIEW,
     "from analytics.double_bookings", "from double_bookings"),
    ("a second relation", "grafana", "foreign-relation", OVERVIEW,
     "from analytics.double_bookings", "from analytics.double_bookings join pg_authid on true"),
    ("a variable that is not there", "grafana", "unknown-variable", OVERVIEW,
     "in (${environment:sqlstring})", "in (${city:sqlstring})"),
    ("a variable without quotes", "grafana", "unknown-macro", OVERVIEW,
     "(restaurant_key = '(all)' and '__all__' in (${restaurant:sqlstring}))",
     "(restaurant_key = '(all)' and '__all__' in ('$restaurant'))"),
    ("a variable without quotes, in an annotation", "grafana", "unknown-macro", OVERVIEW,
     "in (${environment:sqlstring})", "in ('$environment')"),
    ("a macro that is not there", "grafana", "unknown-macro", OVERVIEW, "$__timeFrom()", "$__timeForm()"),

    # Dashboards: Grafana's types find what it would pass over.
    ("an unknown key", "grafana-types", "grafana-type", OVERVIEW, '"decimals": 1', '"decimal": 1'),
    ("a value that no list has", "grafana-types", "grafana-type", OVERVIEW, '"mode": "multi"', '"mode": "many"'),
    ("an unknown kind of panel", "grafana-types", "grafana-type", OVERVIEW, '"type": "stat"', '"type": "stats"'),
    ("an option of another kind", "grafana-types", "grafana-type", OVERVIEW, '"showHeader": true', '"legend": true'),
    ("text for a number", "grafana-types", "grafana-type", OVERVIEW, '"refresh": 1', '"refresh": "1"'),
    ("an unknown format of a query", "grafana-types", "grafana-type", OVERVIEW,
     '"format": "time_series"', '"format": "timeseries"'),
    # And the schemas of the SDK.
    ("a number of no list", "grafana-schema", "grafana-schema", OVERVIEW, '"graphTooltip": 1', '"graphTooltip": 7'),
    ("a state of no list", "grafana-schema", "grafana-schema", RULES, "execErrState: OK", "execErrState: Panic"),
    ("text for a number, in a rule's query", "grafana-schema", "grafana-schema", RULES, "from: 300", "from: 5m"),
    ("a key of no policy", "grafana-schema", "grafana-schema", POLICIES, "group_interval", "group_intervals"),

    # Alert rules of Grafana.
    ("half a file", "grafana-alerting", "unreadable", RULES, "groups:", "groups: ["),
    ("an unknown key", "grafana-alerting", "alerting-keys", RULES, "isPaused:", "paused:"),
    ("an unknown section", "grafana-alerting", "alerting-keys", RULES, "groups:", "rules: []\ngroups:"),
    ("no version", "grafana-alerting", "alerting-keys", RULES, "apiVersion: 1\n", ""),
    ("no folder", "grafana-alerting", "alerting-keys", RULES, "folder: Holdwatch", "folder: ''"),
    ("no duration of a group", "grafana-alerting", "alerting-duration", RULES, "interval: 5m", "interval: 5 minutes"),
    ("no duration of a rule", "grafana-alerting", "alerting-duration", RULES, "\n        for: 0s", "\n        for: 0"),
    ("another rule's uid", "grafana-alerting", "alerting-uid", RULES,
     "uid: holdwatch-double-booking", "uid: holdwatch-fast-burn"),
    ("a uid too long", "grafana-alerting", "alerting-uid", RULES, "uid: holdwatch-double-booking", f"uid: {'x' * 41}"),
    ("an unknown state", "grafana-alerting", "alerting-state", RULES, "noDataState: OK", "noDataState: Ok"),
    ("an unknown state on errors", "grafana-alerting", "alerting-state", RULES,
     "execErrState: OK", "execErrState: NoData"),
    ("nothing to say", "grafana-alerting", "alerting-annotations", RULES, "summary: Double", "summary2: Double"),
    ("a severity of no list", "grafana-alerting", "alerting-labels", RULES, "severity: page", "severity: critical"),
    ("a $ that Grafana replaces", "grafana-alerting", "alerting-dollar", RULES, "with .Labels", "with $labels"),
    ("a condition of no query", "grafana-alerting", "alerting-condition", RULES, "condition: fires", "condition: fire"),
    ("a condition without a threshold", "grafana-alerting", "alerting-condition", RULES,
     "condition: fires", "condition: firing"),
    ("a threshold of nothing", "grafana-alerting", "alerting-condition", RULES, "expression: firing", "expression: A"),
    ("two data sources", "grafana-alerting", "alerting-datasource", RULES,
     "datasourceUid: holdwatch", "datasourceUid: other"),
    ("a panel that is not there", "grafana-alerting", "dead-link", RULES, "panelId: 16", "panelId: 999"),
    ("a panel of another alert", "grafana-alerting", "dead-link", RULES, "__panelId__: '16'", "__panelId__: '1'"),
    ("raw events", "grafana-alerting", "foreign-relation", RULES,
     "from analytics.alert_evaluations", "from holds.observability_events"),
    ("nobody to tell", "grafana-alerting", "alerting-receiver", POLICIES,
     "receiver: holdwatch-page", "receiver: somebody"),
    ("a severity that nobody hears of", "grafana-alerting", "alerting-receiver", POLICIES, "- page", "- urgent"),
    ("a mute timing that is not there", "grafana-alerting", "alerting-receiver", POLICIES,
     "group_wait: 10s", "mute_time_intervals: [nights]\n        group_wait: 10s"),

    # Monitors of Datadog.
    ("half a file", "datadog", "unreadable", MONITOR, "{", ""),
    ("an unknown key", "datadog", "monitor-keys", MONITOR, '"require_full_window"', '"needs_full_window"'),
    ("no name", "datadog", "monitor-keys", MONITOR, '"name"', '"called"'),
    ("an unknown type", "datadog", "monitor-type", MONITOR, '"query alert"', '"log alert"'),
    ("a bare tag", "datadog", "monitor-tags", MONITOR, '"service:holdwatch"', '"holdwatch"'),
    ("a query that does not read", "datadog", "monitor-query", MONITOR, "max(last_5m):max:", "max:"),
    ("a series that nobody pushes", "datadog", "unknown-series", MONITOR, "alert.firing", "alert.fires"),
    ("an alert that is not there", "datadog", "unknown-series", MONITOR, "{alert:success_rate_low}", "{alert:success}"),
    ("a threshold that is not the query's", "datadog", "monitor-threshold", MONITOR,
     '"critical": 1,\n      "critical_recovery": 0', '"critical": 2,\n      "critical_recovery": 0'),
    ("a recovery on the bad side", "datadog", "monitor-recovery", MONITOR,
     '"critical_recovery": 0', '"critical_recovery": 4'),
    ("a recovery at the threshold", "datadog", "monitor-recovery", MONITOR,
     '"critical_recovery": 0', '"critical_recovery": 1'),
    ("no recovery", "datadog", "monitor-recovery", MONITOR, ',\n      "critical_recovery": 0', ""),
    ("bad below, recovery below", "datadog", "monitor-recovery", MONITOR, "{env} >= 1", "{env} < 1"),
    ("a maximum of counts", "datadog", "monitor-as-count", MONITOR,
     "max:holdwatch.alert.firing{alert:success_rate_low} by {env} >=",
     "sum:holdwatch.requests{restaurant:all} by {env}.as_count() >="),
    ("no word on no data", "datadog", "monitor-no-data", MONITOR, '"notify_no_data": true,', ""),
    ("no data, said too soon", "datadog", "monitor-no-data", MONITOR,
     '"no_data_timeframe": 15', '"no_data_timeframe": 6'),
    ("no runbook", "datadog", "missing-runbook", MONITOR, "Runbook: ", "See "),
    ("a block without its end", "datadog", "monitor-blocks", MONITOR, "{{/is_recovery}}", ""),
    ("nobody told", "datadog", "monitor-handle", MONITOR, "@pagerduty-holdwatch{{/is_no_data}}\\n{{#is_no_data}}@", ""),
    # Its dashboard.
    ("half a file", "datadog", "unreadable", BOARD, "{", ""),
    ("a dashboard that a push would not find", "datadog", "board-mark", BOARD,
     "managed_by:holdwatch dashboard:overview", "dashboard:overview"),
    ("a widget too wide", "datadog", "off-grid", BOARD, '"x": 6', '"x": 7'),
    ("a widget over another", "datadog", "overlapping-widgets", BOARD, '"x": 6', '"x": 5'),
    ("no title", "datadog", "missing-title", BOARD, '"title": "Success (95 % or more)"', '"title": ""'),
    ("no runbook", "datadog", "missing-runbook", BOARD, '"label": "Runbook"', '"label": "Help"'),
    ("a series that nobody pushes", "datadog", "unknown-series", BOARD, "sum:holdwatch.requests{", "sum:holdwatch.r{"),
    ("a tag that no series has", "datadog", "unknown-series", BOARD, "outcome:assigned", "result:assigned"),
    ("a variable that is not there", "datadog", "unknown-series", BOARD, "{$env,outcome", "{$city,outcome"),
    ("a count by the second", "datadog", "unknown-series", BOARD, "restaurant:all}.as_count()", "restaurant:all}"),
    ("restaurants mixed up with all of them", "datadog", "unknown-series", BOARD, ",restaurant:all}", "}"),
    ("a formula over nothing", "datadog", "widget-formula", BOARD, "100 * assigned / requests", "100 * assigned / all"),
    ("one number of many", "datadog", "widget-aggregator", BOARD, ',\n                      "aggregator": "sum"', ""),
    # Its objective.
    ("another objective", "datadog", "objective-target", OBJECTIVE, '"target": 95.0', '"target": 96.0'),
    ("a warning that comes too late", "datadog", "objective-warning", OBJECTIVE, '"warning": 97.0', '"warning": 94.0'),
    ("a series that nobody pushes", "datadog", "unknown-series", OBJECTIVE, "objective.good", "objective.fine"),
    ("an objective over no counts", "datadog", "objective-count", OBJECTIVE,
     "sum:holdwatch.objective.good{*} by {env}.as_count()", "sum:holdwatch.alert.firing{*} by {env}"),
    ("an objective that a push would not find", "datadog", "objective-mark", OBJECTIVE,
     '"managed_by:holdwatch"', '"managed_by:hand"'),
    # All three by Datadog's own description of its API.
    ("a key of no monitor", "datadog-api", "openapi", MONITOR, '"require_full_window"', '"needs_full_window"'),
    ("a type of no list", "datadog-api", "openapi", MONITOR, '"query alert"', '"metric alarm"'),
    ("text for a number", "datadog-api", "openapi", MONITOR, '"priority": 1', '"priority": "high"'),
    ("a key of no threshold", "datadog-api", "openapi", MONITOR, '"critical_recovery"', '"critical_recovers"'),
    ("a key of no widget", "datadog-api", "openapi", BOARD, '"autoscale"', '"autoscales"'),
    ("a comparison of no list", "datadog-api", "openapi", BOARD, '"comparator": "<"', '"comparator": "below"'),
    ("a time of no list", "datadog-api", "openapi", OBJECTIVE, '"timeframe": "30d"', '"timeframe": "month"'),

    # Rules of Prometheus: it must read them, and they must do what the examples say.
    ("no expression", "prometheus", "prometheus", PROMETHEUS, "max by (", "max bye ("),
    ("it fires where all is well", "prometheus", "prometheus", PROMETHEUS,
     '{alert="slow_burn"} == 1', '{alert="slow_burn"} == 0', EXAMPLES),
    ("it fires on another alert", "prometheus", "prometheus", PROMETHEUS,
     '{alert="slow_burn"} == 1', '{alert="fast_burn"} == 1', EXAMPLES),
    ("it waits where SQL has waited", "prometheus", "prometheus", PROMETHEUS,
     "labels:\n          severity: page", "for: 5m\n        labels:\n          severity: page", EXAMPLES),
    ("another severity", "prometheus", "prometheus", PROMETHEUS, "severity: ticket", "severity: page", EXAMPLES),
    ("other words", "prometheus", "prometheus", PROMETHEUS, "At this pace", "At that pace", EXAMPLES),
    ("it ends with the scrapes", "prometheus", "prometheus", PROMETHEUS,
     f" or {BY_LABELS} (last_over_time(holdwatch_alert_firing[10m]))", "", BLINDNESS),
    ("it outlives the scrapes for long", "prometheus", "prometheus", PROMETHEUS, "[10m]", "[30m]", BLINDNESS),
    ("it fires once for each exporter", "prometheus", "prometheus", PROMETHEUS,
     BY_LABELS, f"{BY_LABELS[:-1]}, instance)", BLINDNESS),
    ("it misses no exporter", "prometheus", "prometheus", PROMETHEUS, "absent(up", "absent(down", BLINDNESS),
    ("it misses no verdict", "prometheus", "prometheus", PROMETHEUS, "< 12", "< 11", BLINDNESS),
    ("a key of no configuration", "prometheus", "prometheus", SCRAPE, "scrape_configs:", "scrape_config:"),
    ("nobody to tell", "alertmanager", "prometheus", ROUTES, "receiver: page", "receiver: somebody"),

    # Runbook links, of every format.
    ("a page that is not there", "runbooks", "dead-runbook", MONITOR, "/success-rate.md#", "/success.md#"),
    ("a heading that is not there", "runbooks", "dead-runbook", OVERVIEW, "#what-it-means", "#what-it-meant"),
    ("no heading", "runbooks", "dead-runbook", RULES, ".md#first-five-minutes", ".md"),
    ("a page that is not there", "runbooks", "dead-runbook", PROMETHEUS, "/double-booking.md#", "/double.md#"),
    ("a heading that is not there", "runbooks", "dead-runbook", BOARD, "#first-five-minutes", "#first-six-minutes"),
    ("runbooks of somebody else", "runbooks", "foreign-runbook", RULES, "holdwatch.example", "wiki.example"),

    # Queries, run.
    ("no SQL", "queries", "query-fails", OVERVIEW, "success_ratio::float8 as value", "success_ratio:float8 as value"),
    ("a column that is not there", "queries", "query-fails", OVERVIEW,
     "success_ratio::float8 as value", "success_rate::float8 as value"),
    ("what Grafana's role may not read", "queries", "query-fails", OVERVIEW,
     "success_ratio::float8 as value", "(select count(*) from holds.table_holds) as value"),
    ("one that writes", "queries", "query-fails", OVERVIEW,
     '"rawSql": "select\\n    bucket_at as', '"rawSql": "create temporary table x (a int)", "was": "'),
    ("times in no order", "queries", "query-shape", OVERVIEW,
     "order by bucket_at, metric", "order by bucket_at desc, metric"),
    ("no time", "queries", "query-shape", OVERVIEW, 'bucket_at as \\"time\\"', 'bucket_at as \\"at\\"'),
    ("no numbers", "queries", "query-shape", OVERVIEW,
     "success_ratio::float8 as value", "success_ratio::text as value"),
    ("restaurants mixed up with all of them", "queries", "query-shape", OVERVIEW,
     "case restaurant_key when '(all)' then 'success' else restaurant_key || ' ' || 'success' end as metric",
     "'success' as metric"),
    ("open to injection", "queries", "query-injection", OVERVIEW,
     "'(all)' and '__all__' in (", "'(all)' and 'x'') or true --' in ("),
    ("a variable of two columns", "queries", "query-shape", OVERVIEW,
     '"query": "select environment\\n', '"query": "select environment, 1\\n'),
    ("an annotation that says nothing", "queries", "query-shape", OVERVIEW,
     "concat_ws(': ', title, reason) as text", "concat_ws(': ', title, reason) as said"),
    ("an alert of two numbers", "queries", "query-shape", RULES,
     "cast(is_firing as integer) as firing", "cast(is_firing as integer) as firing, 1 as one"),
    ("an alert without a row", "queries", "alert-no-row", RULES,
     "where alert = 'double_booking'", "where alert = 'double_bookings'"),
)]
# fmt: on

COVERED_ELSEWHERE = {"missing-views"}
"""No fault of a file: test_queries.py has it, on a database without views."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated files; a test leaves them as they were."""
    folder = tmp_path_factory.mktemp("dashboards")
    dashboards.write(folder)
    return folder


@pytest.fixture
def material(folder: Path) -> Material:
    """The files with all there is to hold them against, but a database."""
    return Material(directory=folder, runbooks=RUNBOOKS_DIR, schemas=SCHEMAS_DIR)


def _run(name: str, material: Material) -> CheckResult:
    (check,) = (check for check in CHECKS if check.name == name)
    result = check.run(material)
    if result.skipped is not None:
        pytest.skip(f"{result.skipped.reason} {result.skipped.install}")
    return result


@pytest.fixture
def mutated(folder: Path, request: pytest.FixtureRequest) -> Iterator[Fault]:
    """A fault, put into its file for as long as the test lasts."""
    fault: Fault = request.param
    path = folder / fault.file
    text = path.read_text(encoding="utf-8")
    assert fault.old in text, "the fault is of a text that is no longer there"
    path.write_text(text.replace(fault.old, fault.new, 1), encoding="utf-8")
    yield fault
    path.write_text(text, encoding="utf-8")


def _faults(*, of_queries: bool) -> pytest.MarkDecorator:
    faults = [fault for fault in FAULTS if (fault.check == "queries") is of_queries]
    ids = [f"{fault.check}: {fault.what}, {fault.file}" for fault in faults]
    return pytest.mark.parametrize("mutated", faults, indirect=True, ids=ids)


@pytest.mark.parametrize("name", [check.name for check in CHECKS if not check.needs_database])
def test_files_without_a_fault_pass(material: Material, name: str) -> None:
    """What a check finds below is the fault, and nothing that was there before."""
    result = _run(name, material)

    assert result.findings == []
    assert not result.looked_at.startswith("0 ")


@_faults(of_queries=False)
def test_fault_is_found(material: Material, mutated: Fault) -> None:
    """In its file by its own rule alone, and with a remedy. (A page without a uid is a dead link on the others.)"""
    where = mutated.found_in or mutated.file
    findings = [finding for finding in _run(mutated.check, material).findings if finding.file == where]

    assert {finding.check for finding in findings} == {mutated.rule}
    assert all(finding.problem and finding.remedy for finding in findings)


@_faults(of_queries=True)
def test_fault_is_found_by_running_it(folder: Path, mutated: Fault, tmp_path: Path, seeded: psycopg.Connection) -> None:
    """The same on a database with the views: only the panel or the rule at fault is run, for the rest is slow."""
    changed = (folder / mutated.file).read_text(encoding="utf-8")
    path = tmp_path / mutated.file
    path.parent.mkdir(parents=True)
    path.write_text(_at_fault(dashboards.generate()[mutated.file], changed), encoding="utf-8")

    findings = _run("queries", Material(directory=tmp_path, connection=seeded)).findings

    assert {finding.check for finding in findings} == {mutated.rule}
    assert {finding.file for finding in findings} == {mutated.file}


def _at_fault(sound: str, changed: str) -> str:
    """Of a file, only the panels, annotations or alert rules that differ, and the variables. JSON is YAML."""
    before, after = yaml.safe_load(sound), yaml.safe_load(changed)
    if "groups" in after:
        (old_group,), (group,) = before["groups"], after["groups"]
        group["rules"] = _that_differ(old_group["rules"], group["rules"])
        return yaml.safe_dump(after)
    panels = _that_differ(before["panels"], after["panels"])
    annotations = _that_differ(before["annotations"]["list"], after["annotations"]["list"])
    return json.dumps(after | {"panels": panels, "annotations": {"list": annotations}})


def _that_differ(before: list[Any], after: list[Any]) -> list[Any]:
    return [new for old, new in zip(before, after, strict=True) if old != new]


def test_every_check_has_a_fault_that_it_finds() -> None:
    """A check that never fails checks nothing."""
    assert {fault.check for fault in FAULTS} == {check.name for check in CHECKS}


def test_every_rule_has_a_fault_that_it_finds() -> None:
    """Likewise each of their rules, as they stand in the source."""
    source = "".join(path.read_text(encoding="utf-8") for path in Path(dashboards.checks.__file__).parent.glob("*.py"))
    rules = set(re.findall(r'\b(?:say|Finding|_finding)\(\s*(?:query,\s*)?"([\w-]+)"', source))

    assert len(rules) > 40
    assert {fault.rule for fault in FAULTS} | COVERED_ELSEWHERE == rules


def test_every_check_is_described_where_people_look() -> None:
    """The table of dashboards/README.md names each, in the order in which they run."""
    readme = (DASHBOARDS_DIR / "README.md").read_text(encoding="utf-8").partition("\n## Checks\n")[2]

    assert re.findall(r"^\| `([\w-]+)` \|", readme.partition("\n## ")[0], re.MULTILINE) == [one.name for one in CHECKS]


def test_faults_differ() -> None:
    """One line each."""
    assert len({(fault.check, fault.file, fault.old, fault.new) for fault in FAULTS}) == len(FAULTS)
