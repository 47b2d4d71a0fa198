"""The runbooks are true: their headings are there, their SQL runs, their commands and links exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer.main
import yaml

import dashboards
from dashboards.alerts import ALERTS
from dashboards.catalogue import RUNBOOK_BASE_URL, SIGNALS, VIEWS
from dashboards.checks.lint import all_panels, relations
from dashboards.checks.runbooks import anchors
from orchestration.cli.app import app
from orchestration.paths import PROJECT_ROOT

RUNBOOKS = PROJECT_ROOT / "docs" / "runbooks"
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
HEADINGS = [
    "What it means",
    "Who is hurt",
    "How to see it",
    "First five minutes",
    "Mitigation",
    "How to verify it is over",
]

OWNERS_RELATIONS = {"holds.observability_events", "pg_stat_activity"}
"""What only the owner's login reads; a page that asks for one says so."""

_SQL = re.compile(r"^ *```sql\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`(holdwatch [^`]+)`")
_LINK = re.compile(r"\]\(([\w-]+\.md)\)")


def _page_id(path: Path) -> str:
    return path.stem


def test_each_signal_has_its_page_and_each_page_its_signal() -> None:
    """No signal without a runbook; no runbook that nothing leads to."""
    assert {path.stem for path in PAGES} == {signal.runbook for signal in SIGNALS}


def test_index_names_every_page_and_every_alert() -> None:
    """Who has only an alert's name finds the page."""
    index = (RUNBOOKS / "README.md").read_text(encoding="utf-8")

    assert set(_LINK.findall(index)) == {path.name for path in PAGES}
    rows = dict(re.findall(r"^\| `(\w+)` \((?:page|ticket)\) \|.*\| \[([\w-]+)\.md\]", index, re.MULTILINE))
    assert rows == {alert.name: alert.signal.runbook for alert in ALERTS}
    assert set(re.findall(r"`(\w+)` \((page|ticket)\)", index)) == {(one.name, one.severity) for one in ALERTS}


def _links() -> dict[str, dict[str, str]]:
    """The runbook link of each alert, by whoever tells of it."""
    texts = dashboards.generate()
    (grafana,) = yaml.safe_load(texts["grafana-alerting/rules.yaml"])["groups"]
    prometheus = [
        rule
        for group in yaml.safe_load(texts["prometheus/rules/holdwatch.yaml"])["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    monitors = {file: json.loads(text)["message"] for file, text in texts.items() if "/monitors/" in file}
    return {
        "Grafana": {rule["labels"]["alert"]: rule["annotations"]["runbook_url"] for rule in grafana["rules"]},
        "Datadog": {Path(file).stem: re.findall(r"Runbook: (\S+)", said)[0] for file, said in monitors.items()},
        "Prometheus": {
            name: rule["annotations"]["runbook_url"]
            for rule in prometheus
            for name in re.findall(r'\{alert="(\w+)"\} == 1', rule["expr"])
        },
    }


@pytest.mark.parametrize("teller", ["Grafana", "Datadog", "Prometheus"])
def test_link_of_every_alert_leads_to_the_first_five_minutes_of_its_page(teller: str) -> None:
    """Whoever is woken, by whatever, is one click from what to do; the heading is there."""
    links = _links()[teller]

    assert links == {alert.name: f"{RUNBOOK_BASE_URL}/{alert.signal.runbook}.md#first-five-minutes" for alert in ALERTS}
    for url in links.values():
        page, _, anchor = url.removeprefix(f"{RUNBOOK_BASE_URL}/").partition("#")
        assert anchor in anchors((RUNBOOKS / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_page_has_the_six_headings_in_order(page: Path) -> None:
    """Whoever is woken knows where to look."""
    assert re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE) == HEADINGS
    assert {"what-it-means", "first-five-minutes"} <= anchors(page.read_text(encoding="utf-8"))


def _section(page: Path, heading: str) -> str:
    text = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    return text.partition("\n## ")[0]


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_page_is_steps_that_can_be_followed(page: Path) -> None:
    """What to do first, and then, is numbered; nobody reads prose at three in the morning."""
    for heading in ("First five minutes", "Mitigation"):
        steps = [int(number) for number in re.findall(r"^(\d+)\. ", _section(page, heading), re.MULTILINE)]
        assert len(steps) >= 2
        assert steps == list(range(1, len(steps) + 1))
    assert _CODE.search(_section(page, "First five minutes") + _section(page, "Mitigation"))


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_page_ends_with_what_judges_its_alerts(page: Path, seeded: psycopg.Connection) -> None:
    """Whether it is over is asked where it is judged: the last query gives every alert of the page, and no other."""
    statement = _SQL.findall(_section(page, "How to verify it is over"))[-1]
    named = set(re.findall(r"'(\w+)'", statement))

    assert relations(statement) == {"analytics.alert_evaluations"}
    assert named == {alert.name for alert in ALERTS if alert.signal.runbook == page.stem}
    assert len(seeded.execute(statement).fetchall()) == len(named)


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_panels_that_a_page_names_are_on_a_dashboard(page: Path) -> None:
    """Whoever is sent to a panel finds it."""
    titles = {
        panel["title"]
        for file, text in dashboards.generate().items()
        if file.startswith("grafana/")
        for panel in all_panels(json.loads(text))
    }
    text = " ".join(page.read_text(encoding="utf-8").split())
    named = re.findall(r'"([^"]+)"', " ".join(re.findall(r'\bPanels? ("[^"]+"(?:,? and "[^"]+")*)', text)))

    assert named
    assert set(named) <= titles


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """No link to a page that is not there."""
    assert {
        name for name in _LINK.findall(page.read_text(encoding="utf-8")) if not (RUNBOOKS / name).is_file()
    } == set()


@pytest.mark.parametrize("page", [*PAGES, RUNBOOKS / "README.md"], ids=_page_id)
def test_sql_runs_on_the_views(page: Path, seeded: psycopg.Connection) -> None:
    """Each page has a query, it reads the views (or, as the owner, events), and it shows something on such data."""
    statements = _SQL.findall(page.read_text(encoding="utf-8"))

    assert statements
    for statement in statements:
        read = relations(statement)
        assert read <= {*(f"analytics.{view}" for view in VIEWS), *OWNERS_RELATIONS}
        with seeded.transaction(force_rollback=True):
            seeded.execute("set transaction read only")
            if read & OWNERS_RELATIONS:
                assert "needs the owner's login" in page.read_text(encoding="utf-8")
            else:
                seeded.execute("set local role analytics_reader")
            assert seeded.execute(statement).fetchall(), statement


def _resolve(words: list[str]) -> tuple[Any, list[str]]:
    """Follow the words to their command; return it and the words that are left."""
    command: Any = typer.main.get_command(app)
    while (commands := getattr(command, "commands", None)) is not None and words:
        assert words[0] in commands, f"there is no command {words[0]!r}"
        command, words = commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("page", [*PAGES, RUNBOOKS / "README.md"], ids=_page_id)
def test_commands_exist_with_their_options(page: Path) -> None:
    """At three in the morning is no time to find out that a command is called otherwise."""
    for code in _CODE.findall(page.read_text(encoding="utf-8")):
        words = shlex.split(re.sub(r"<[^>]*>", "<value>", code))[1:]
        if words == ["..."]:
            continue
        command, rest = _resolve(words)
        assert not hasattr(command, "commands"), f"{code} lacks its verb"
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, code
