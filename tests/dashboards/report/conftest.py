"""Reports of seeded events and of next to none, and their pages as a browser sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dashboards.report import Report, Wanted, make_report
from dashboards.report.judging import Figure
from holds_core.database.connections import connect

HOSTILE = """<script>alert("x")</script>'; drop table holds.table_holds; -- &amp;"""

HOLDS = """
insert into holds.observability_events
    (occurred_at, environment, source, event_type, severity, restaurant_id, context)
select now() - interval '1 day' * n, 'dev', 'holds.core', 'capacity.hold.created', 'info', %s, '{}'
from generate_series(0, 1) as n
"""

RUNS = """
insert into holds.observability_events (occurred_at, environment, source, event_type, severity, context)
select now() - interval '5 minutes' * n, 'dev', 'pipeline', 'pipeline.run.succeeded', 'info', '{"job": "refresh"}'
from generate_series(0, 40) as n
"""

REQUESTS = """
insert into holds.observability_events
    (occurred_at, environment, source, event_type, severity, restaurant_id, context)
select
    now() - interval '1 second' * n, 'dev', 'capacity.selector',
    case when n <= %(refused)s then 'capacity.selector.skipped' else 'capacity.selector.assignment' end, 'info', %(id)s,
    jsonb_build_object('timing', jsonb_build_object('totalMs', %(ms)s::int))
from generate_series(1, 100) as n
"""


@pytest.fixture(scope="module")
def report(seeded_url: str) -> Report:
    """Of the seeded events and their double booking."""
    with connect(seeded_url) as connection:
        return make_report(connection, Wanted())


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of that."""
    return written(report, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture
def empty(small_views_template: Callable[[], str]) -> Iterator[psycopg.Connection]:
    """A database with the views, and nothing to see in them."""
    with connect(small_views_template()) as connection:
        yield connection


class Page(HTMLParser):
    """A page as a browser sees it: tags with their attributes, and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def written(report: Report, path: Path) -> Page:
    report.write(path)
    return Page(path.read_text("utf-8"))


def figure(report: Report, name: str) -> Figure:
    return next(one for one in report.figures if one.name == name)


def one_row(connection: psycopg.Connection, statement: str) -> tuple[Any, ...]:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row
