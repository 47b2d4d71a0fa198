"""The pages on data quality: what stands on them, what does not, and that any number may write them."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from dashboards.checks.runbooks import anchors
from expectations.data_docs.history import KEPT_RESULTS
from expectations.data_docs.site import add_result, rebuild
from expectations.model import GUIDE, ExpectationResult, SuiteResult
from expectations.suites.events import events_suite
from expectations.suites.views import views_suite
from expectations.validate import validate
from tests.docs.pages import ROOT

NOW = datetime.now(UTC)
EVIL = "importer<script>alert('x')</script>"
SECRET = "Ada Lovelace, +44 20 7946 0000"

BROKEN = """
insert into holds.observability_events
    (occurred_at, recorded_at, environment, source, event_type, severity, restaurant_id, context)
select now() - number * interval '1 second', now(), 'dev', %(source)s, 'capacity.selector.assignment', 'info',
    case when number > 12 then '11111111-1111-4111-8111-111111111111'::uuid end,
    jsonb_build_object('guest', %(guest)s::text, 'timing', jsonb_build_object('totalMs', %(guest)s::text))
from generate_series(1, 60) as number
"""


class Links(HTMLParser):
    """The addresses in a page, its anchors, and whatever would load or run something."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.anchors: set[str] = set()
        self.active: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.addresses += [str(value) for name, value in attrs if name in {"href", "src"}]
        self.anchors |= {str(values["id"])} if "id" in values else set()
        if tag in {"script", "link", "img", "iframe", "object"} or any(name.startswith("on") for name, _ in attrs):
            self.active.append(tag)


def result(suite: str, *, run: int = 0) -> SuiteResult:
    """One in which all is well."""
    rules = (events_suite(NOW) if suite == "events" else views_suite()).expectations
    return SuiteResult(suite, tuple(ExpectationResult(suite, rule, True, 0, (), 0) for rule in rules), 0.1 + run)


def pages(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.html"))


def assert_whole(folder: Path) -> None:
    """Every link leads to a page and a place in it, every page is linked, and nothing else is loaded or run."""
    parsed = {page.resolve(): Links(page) for page in pages(folder)}
    linked = {(folder / "index.html").resolve()}
    for page, links in parsed.items():
        assert links.active == []
        for address in links.addresses:
            parts = urlsplit(address)
            assert (parts.scheme, parts.netloc) == ("", ""), address
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target in parsed, f"{page}: {address}"
            assert not parts.fragment or parts.fragment in parsed[target].anchors, f"{page}: {address}"
            linked.add(target)
    assert linked == set(parsed)


def text_of(page: Path) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.read_text("utf-8"))).split())


def test_page_names_rows_remedy_and_owner_and_nothing_private(
    connection: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    """Of a gate that blocks: rows by id, time and source, of how many, what to do; no login, no context, no markup."""
    connection.execute(BROKEN, {"source": EVIL, "guest": SECRET})
    (found,) = validate(database_url, [events_suite(NOW + timedelta(days=1))])
    folder = tmp_path / "data-docs"

    page = add_result(folder, found, "run-1", NOW)

    text = text_of(page)
    share = next(outcome for outcome in found.blocking)
    assert share.expectation.name == "null_restaurant_share_within_limit"
    assert "blocked" in text
    assert "12 of 60 events" in text
    for part in (
        share.expectation.description,
        share.expectation.remedy,
        share.expectation.guide,
        "The platform team",
        "Which: 10 of them, the newest",
        "20.0 percent",
        EVIL,
    ):
        assert part in text, part
    for row in share.rows:
        assert row["id"] in text
        assert row["occurred_at"] in text
    # The query that it gives finds exactly those rows.
    assert share.expectation.examples is not None
    assert len(connection.execute(share.expectation.examples.encode()).fetchall()) == 12
    # Not only the newest result's page, but the index tells.
    assert "null restaurant share within limit : 12 of 60 events" in text_of(folder / "index.html")

    parts = urlsplit(database_url)
    private = [SECRET, "Lovelace", "postgresql", str(parts.port), *([parts.password] if parts.password else [])]
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_text("utf-8")
            assert [word for word in private if word in content] == [], path
            assert path.stat().st_mode & 0o077 == 0
    assert_whole(folder)


def test_gate_that_could_not_check_says_why(connection: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    """A view that is missing fails what is expected of it; the page says so instead of showing no rows."""
    (found,) = validate(database_url, [views_suite()])

    page = add_result(tmp_path / "data-docs", found, "run-1", NOW)

    assert "Could not be checked" in text_of(page)
    assert 'relation "analytics.assignment_success_rate" does not exist' in text_of(page)


def test_old_results_are_forgotten_with_their_pages(tmp_path: Path) -> None:
    """The newest of each gate stay, whatever the other gate does; a result that cannot be read spoils nothing."""
    folder = tmp_path / "data-docs"
    for number in range(KEPT_RESULTS + 3):
        add_result(folder, result("events"), f"run-{number:02}", NOW + timedelta(minutes=number))
    add_result(folder, result("views"), "run-00", NOW - timedelta(days=1))

    assert [path.name for path in sorted((folder / "validations/events").iterdir())] == [
        f"run-{number:02}" for number in range(3, KEPT_RESULTS + 3)
    ]
    assert len(list((folder / "results").rglob("*.json"))) == KEPT_RESULTS + 1
    assert_whole(folder)

    (broken,) = (folder / "results/events/run-03").rglob("*.json")
    broken.write_text('{"results": [')
    assert rebuild(folder) == folder / "index.html"
    assert not broken.exists()
    assert_whole(folder)
    assert len(pages(folder)) == 1 + 2 + KEPT_RESULTS
    # Nothing is left of what was written first and put in place then.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data-docs", "data-docs.lock"]


def _add(folder: Path, suite: str, run: int) -> None:
    add_result(folder, result(suite, run=run), f"run-{run}", NOW + timedelta(seconds=run))


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    """Two that write at the same time, each with the lock file open for itself: all results are there, and linked."""
    folder = tmp_path / "data-docs"
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(_add, folder, suite, run) for run in range(4) for suite in ("events", "views")]:
            done.result()

    assert len(list((folder / "validations").rglob("*.html"))) == 8
    assert_whole(folder)
    assert {
        json.loads(path.read_bytes())["meta"]["run_id"]["run_name"] for path in (folder / "results").rglob("*.json")
    } == {f"run-{run}" for run in range(4)}


def test_before_the_first_run_the_pages_say_what_is_expected(tmp_path: Path) -> None:
    """Nothing was checked yet: the index says so, and every expectation has its words."""
    index = rebuild(tmp_path / "data-docs")

    assert text_of(index).count("Not checked yet") == 2
    for suite in (events_suite(NOW), views_suite()):
        text = text_of(index.parent / "expectations" / f"{suite.name}.html")
        for rule in suite.expectations:
            assert rule.description in text
            assert rule.remedy in text
    assert_whole(index.parent)


def test_every_expectation_has_a_heading_that_says_what_to_do() -> None:
    """And there is no heading of one that is gone."""
    wanted = {rule.guide for suite in (events_suite(NOW), views_suite()) for rule in suite.expectations}
    text = (ROOT / GUIDE).read_text("utf-8")
    steps = set(re.findall(r"^### (.+)$", text, re.MULTILINE))

    assert wanted == {f"{GUIDE}#{anchor}" for anchor in anchors("\n".join(f"### {step}" for step in steps))}


def test_long_names_are_cut(connection: psycopg.Connection, database_url: str) -> None:
    """What an application wrote as a source may be a novel; a page is not."""
    connection.execute(
        "insert into holds.observability_events (occurred_at, environment, source, event_type) "
        "values (now(), 'dev', repeat('x', 5000), 'capacity.rpc.conflict')"
    )
    (found,) = validate(database_url, [events_suite(NOW)])
    (unknown,) = found.warnings
    assert max(len(value) for row in (*unknown.rows, *unknown.sample_rows) for value in row.values()) == 200
    assert replace(unknown, example_rows=()).rows == unknown.sample_rows


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """The days around today are enough."""
    return small_template
