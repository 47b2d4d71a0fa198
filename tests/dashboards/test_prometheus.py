"""The Prometheus rules say on what SQL says, example by example, and what SQL cannot say: that nobody is looking."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import yaml

import dashboards
from dashboards.alert_cases import ALERT_CASES
from dashboards.alerts import ALERTS
from dashboards.checks.check import Material
from dashboards.checks.promtool import INSTALL_AMTOOL, INSTALL_PROMTOOL, check_routes, check_rules
from dashboards.generators.prometheus import ALERTMANAGER, RULES, rule_name
from dashboards.generators.prometheus_tests import case_tests

FIRST_PERIOD = datetime(2026, 1, 1, tzinfo=UTC)

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus"
)


def passes(tests: Path) -> bool:
    """Whether the rules pass a file of tests; promtool's word for it."""
    done = subprocess.run(
        ["promtool", "test", "rules", tests.name], check=False, cwd=tests.parent, capture_output=True, text=True
    )
    assert "FAILED" in done.stdout + done.stderr or done.returncode == 0, done.stdout + done.stderr
    return done.returncode == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The Prometheus files as they are generated."""
    dashboards.write(tmp_path)
    return tmp_path / "prometheus"


def verdicts_of(connection: psycopg.Connection, **rules: str) -> dict[str, Sequence[bool]]:
    """What ``alert_history`` says of the examples' periods: its own SQL, over values that are given.

    Args:
        connection: To a database with the views.
        rules: Columns of the rules that are something else for once, in SQL.
    """
    with connection.transaction(force_rollback=True):
        connection.execute(
            "create temp table int_alert_values on commit drop as select * from analytics.int_alert_values limit 0;"
            "create temp table alert_rules on commit drop as select * from analytics.alert_rules"
        )
        for column, value in rules.items():
            connection.execute(f"update pg_temp.alert_rules set {column} = {value}")
        thresholds = {alert.name: alert.threshold.breach for alert in ALERTS}
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into pg_temp.int_alert_values (alert, environment, bucket_at, value, threshold, sample_count,"
                " fault_count, is_in_maintenance) values (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (case.alert, case.name, FIRST_PERIOD + number * timedelta(minutes=5), period.value,
                     thresholds[case.alert], period.sample, period.faults, period.is_in_maintenance)
                    for case in ALERT_CASES
                    for number, period in enumerate(case.periods)
                ],
            )  # fmt: skip
        row = connection.execute("select pg_get_viewdef('analytics.alert_history'::regclass)").fetchone()
        assert row is not None
        compiled = str(row[0])
        for name in ("int_alert_values", "alert_rules"):
            assert f"analytics.{name}" in compiled
            compiled = compiled.replace(f"analytics.{name}", f"pg_temp.{name}")
        rows = connection.execute(
            "select environment, array_agg(is_firing order by bucket_at) from"
            f" ({compiled.rstrip().removesuffix(';')}) as history group by environment"
        ).fetchall()
    return dict(rows)


@pytest.fixture(scope="module")
def views(views_template: Callable[[], str]) -> Iterator[psycopg.Connection]:
    """A connection to a database with the views."""
    with psycopg.connect(views_template(), autocommit=True) as connection:
        yield connection


@needs_promtool
def test_sql_and_rules_agree_on_every_example(views: psycopg.Connection, folder: Path) -> None:
    """What the database judges of the examples, once scraped, tells exactly those whom the examples say."""
    verdicts = verdicts_of(views)
    tests = folder / "tests" / "parity.yaml"
    tests.write_text(yaml.safe_dump(case_tests(verdicts)), encoding="utf-8")

    assert verdicts == {case.name: [period.is_firing for period in case.periods] for case in ALERT_CASES}
    assert passes(tests)


@needs_promtool
def test_sql_that_judges_otherwise_is_caught(views: psycopg.Connection, folder: Path) -> None:
    """One period instead of two, and no time to go on for: the rules then tell whom they should not."""
    for otherwise in ({"periods_to_fire": "1"}, {"periods_kept_firing": "0"}, {"is_muted_by_maintenance": "true"}):
        tests = folder / "tests" / "parity.yaml"
        tests.write_text(yaml.safe_dump(case_tests(verdicts_of(views, **otherwise))), encoding="utf-8")
        assert not passes(tests), otherwise


@needs_promtool
def test_the_rules_pass_the_tests_beside_them(folder: Path) -> None:
    """As generated, which is as committed."""
    assert {path.stem for path in (folder / "tests").iterdir()} == {"alerts", "blindness"}
    assert all(passes(path) for path in (folder / "tests").iterdir())


def test_each_alert_has_its_rule() -> None:
    """Of its severity, firing on its verdict, and leading to its runbook."""
    groups = yaml.safe_load(dashboards.generate()[RULES])["groups"]
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}

    for alert in ALERTS:
        rule = rules[rule_name(alert)]
        assert rule["labels"] == {"severity": str(alert.severity)}
        assert f'{{alert="{alert.name}"}} == 1' in rule["expr"]
        assert "for" not in rule
        assert rule["annotations"]["runbook_url"].endswith(f"/{alert.signal.runbook}.md#first-five-minutes")


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is missing: apt-get install prometheus-alertmanager")
@pytest.mark.parametrize("severity", ["page", "ticket"])
def test_the_severity_decides_who_is_told(folder: Path, severity: str) -> None:
    """Alertmanager's own reading of the routes."""
    done = subprocess.run(
        ["amtool", "config", "routes", "test", f"--config.file={folder.parent / ALERTMANAGER}", f"severity={severity}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == severity


@needs_promtool
def test_the_check_names_the_example_that_fails(folder: Path) -> None:
    """And the file; a rule that cannot be read is found as such."""
    rules = folder / "rules" / "holdwatch.yaml"
    right = rules.read_text(encoding="utf-8")
    material = Material(folder.parent)
    assert check_rules(material).findings == []
    rules.write_text(right.replace('{alert="cutoff_spike"} == 1', '{alert="cutoff_spike"} == 2'), encoding="utf-8")
    (finding,) = check_rules(material).findings
    assert (finding.file, finding.place) == (
        "prometheus/tests/alerts.yaml",
        "cutoffs_above_the_usual_fire, HoldwatchCutoffSpike at 11m",
    )
    rules.write_text(right.replace("max by (", "max bye (", 1), encoding="utf-8")

    findings = check_rules(material).findings

    assert {finding.file for finding in findings} == {"prometheus/rules/holdwatch.yaml", "prometheus/scrape.yaml"}
    assert "parse error" in findings[0].problem


def test_a_check_without_its_program_is_skipped_and_says_what_installs_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never silently."""
    monkeypatch.setenv("PATH", str(folder))

    for check, install in ((check_rules, INSTALL_PROMTOOL), (check_routes, INSTALL_AMTOOL)):
        skipped = check(Material(folder.parent)).skipped
        assert skipped is not None
        assert skipped.install == install
