"""The report says what the views say, in words that hold, on a page that loads and runs nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from typer.testing import CliRunner, Result

from dashboards.alerts import ALERTS
from dashboards.errors import MissingViewsError, ReaderRoleError
from dashboards.report import Report, ReportError, Wanted, make_report
from dashboards.report.judging import Figure, State
from dashboards.report.plots import Goal, Plot, Series, draw, summary
from dashboards.report.words import percent
from holds_core.database.connections import connect
from holds_core.database.migrations import ensure_event_partitions
from orchestration.cli.app import app
from tests.dashboards.seed import RESTAURANTS, seed_double_booking
from tests.orchestration.cli.test_commands import EXTRAS

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


# What it says is what the views say.


def test_figures_are_what_the_views_say(seeded: psycopg.Connection, report: Report) -> None:
    """Each is asked for again, straight from its view; sums of the days are those of 90 days."""
    days = "grain = 'day' and environment = 'dev' and restaurant_key"
    assigned, refused = one_row(
        seeded,
        "select sum(assignment_count), sum(skipped_count) "
        f"from analytics.assignment_success_rate where {days} = '(all)'",
    )
    (nameless,) = one_row(
        seeded,
        f"select sum(assignment_count + skipped_count) from analytics.assignment_success_rate where {days} = '(none)'",
    )
    good, judged = one_row(seeded, "select sum(good_count), sum(request_count) from analytics.objective_counts "
                           "where grain = 'day' and environment = 'dev'")  # fmt: skip
    (exhausted,) = one_row(
        seeded, f"select sum(exhausted_count) from analytics.hold_retry_exhaustion where {days} = '(all)'"
    )
    (worst,) = one_row(seeded, f"select max(latency_ms) from analytics.reservation_latency_ms where {days} = '(all)' "
                       "and phase = 'total' and percentile = 0.95 and sample_count >= 20")  # fmt: skip
    cutoffs, by_hand = one_row(
        seeded,
        "select sum(trigger_count) filter (where cutoff_kind <> 'MANUAL'), "
        "sum(trigger_count) filter (where cutoff_kind = 'MANUAL') "
        f"from analytics.cutoff_triggers where {days} = '(all)'",
    )
    activities: dict[str, int] = dict(
        seeded.execute("select activity, sum(event_count) from analytics.hold_activity "
                       "where grain = 'day' and environment = 'dev' and restaurant_key = '(all)' group by activity")
    )  # fmt: skip

    values = {one.name: one.value for one in report.figures}
    assert values["requests"] == assigned + refused > 2_000
    assert values["assignment_success_rate"] == pytest.approx(float(good / judged))
    assert values["unattributed_share"] == pytest.approx(float(nameless / (assigned + refused)))
    assert values["hold_retry_exhaustion"] == pytest.approx(float(exhausted / (assigned + refused)))
    assert values["reservation_latency_ms"] == worst
    assert values["cutoffs"] == cutoffs > 0
    assert values["manual_steps"] == by_hand > 0
    assert values["holds"] == activities["created"]
    assert values["conflicts_refused"] == activities["conflict refused"]
    assert values["conflicts_let_through"] == activities["conflict let through"]
    assert values["double_bookings"] == 1
    # Which of them fire is of a moment that has passed.
    assert [one.alert for one in report.evidence.verdicts] == sorted(alert.name for alert in ALERTS)


def test_goals_are_judged(report: Report) -> None:
    """The seeded success (90 %) and retries (5 %) miss theirs, latencies below half a second do not."""
    states = {one.name: one.state for one in report.figures}

    assert states["assignment_success_rate"] is State.MISSED
    assert states["hold_retry_exhaustion"] is State.MISSED
    assert states["reservation_latency_ms"] is State.MET
    assert states["double_bookings"] is State.MISSED
    assert states["requests"] is State.INFORMATION
    assert "of the requests that a table was free for got it (goal: at least 95 %)" in report.answer.second
    assert report.answer.state is State.MISSED


def test_figures_say_whether_it_gets_worse(seeded: psycopg.Connection, report: Report) -> None:
    """The newest 30 whole days beside the 30 before; a report that is too short for that says nothing of it."""
    spans = [
        one_row(
            seeded,
            "select 100 * sum(good_count) / sum(request_count) from analytics.objective_counts "
            "where grain = 'day' and environment = 'dev' "
            f"and bucket_at >= date_trunc('day', now(), 'UTC') - interval '{begins} days' "
            f"and bucket_at < date_trunc('day', now(), 'UTC') - interval '{ends} days'",
        )[0]
        for begins, ends in ((30, 0), (60, 30))
    ]

    said = re.search(r"In the last 30 days ([\d.]+) %, in the 30 before ([\d.]+) %\.",
                     figure(report, "assignment_success_rate").note)  # fmt: skip
    assert said is not None
    assert [float(one) for one in said.groups()] == [pytest.approx(float(one), abs=0.05) for one in spans]
    assert "Of the last 30 days on 0, of the 30 before on 0." in figure(report, "reservation_latency_ms").note
    shorter = make_report(seeded, Wanted("now-59d", "dev"))
    assert "30 before" not in " ".join(one.note for one in shorter.figures)


def test_each_day_of_90_is_there(report: Report, page: Page) -> None:
    """Plots have a point for each of the days, tables a row."""
    assert len(report.evidence.days) == 91
    points = re.findall(r'data-name="Of all requests" data-points="(\d+)"', page.html)
    known = sum(one.requests > 0 for one in report.evidence.days)
    assert known >= 90
    assert points == [str(known)] * 2, "one for wide and one for narrow pages"
    table = page.html.split("<caption>Waiting time, by day")[1].split("</table>")[0]
    assert table.count("<tr>") == 92


def test_one_restaurant_and_a_later_start(seeded: psycopg.Connection) -> None:
    """Only its requests count, from the start of the day on; what is about all restaurants is left out."""
    made = make_report(seeded, Wanted("now-7d", "dev", RESTAURANTS[1]))
    (expected,) = one_row(
        seeded,
        "select sum(assignment_count + skipped_count) from analytics.assignment_success_rate where grain = 'day' "
        f"and restaurant_key = '{RESTAURANTS[1]}' and bucket_at >= date_trunc('day', now(), 'UTC') - interval '7 days'",
    )

    assert len(made.evidence.days) == 8
    assert figure(made, "requests").value == expected
    assert "unattributed_share" not in {one.name for one in made.figures}
    assert figure(made, "double_bookings").value == 0, "the table that is booked twice is another restaurant's"
    assert made.answer.first == (
        f"No table was booked twice since {made.evidence.days[0].day.day} {made.evidence.days[0].day:%b %Y} "
        f"at the restaurant {RESTAURANTS[1]}."
    )


FULL = """
insert into holds.observability_events
    (occurred_at, environment, source, event_type, severity, restaurant_id, context)
select now() - interval '1 second' * n, 'dev', 'capacity.selector', 'capacity.selector.skipped', 'info', %s,
    '{"skipReason": "no_capacity"}'
from generate_series(1, 91) as n
"""


def test_success_leaves_full_restaurants_out_and_says_of_what_it_is(empty: psycopg.Connection) -> None:
    """Of one restaurant as of all together; the tile's figures are those that its share is of."""
    empty.execute(REQUESTS.encode(), {"refused": 2, "ms": 200, "id": RESTAURANTS[0]})
    empty.execute(REQUESTS.encode(), {"refused": 0, "ms": 200, "id": RESTAURANTS[1]})
    plain = figure(make_report(empty, Wanted()), "assignment_success_rate")
    assert plain.note == "198 of 200 requests got tables; a full restaurant refused none."
    empty.execute(FULL.encode(), (RESTAURANTS[0],))

    together = figure(make_report(empty, Wanted()), "assignment_success_rate")
    alone = figure(make_report(empty, Wanted(restaurant=RESTAURANTS[0])), "assignment_success_rate")

    assert (together.value, together.state) == (0.99, State.MET)
    assert together.title == "Success rate, full restaurants left out"
    assert together.note == (
        "198 of the 200 requests that a full restaurant did not refuse got tables. Of all 291: 68 %."
    )
    assert (alone.value, alone.state, alone.goal) == (0.98, State.MET, together.goal)
    assert alone.note == (
        "98 of the 100 requests that a full restaurant did not refuse got tables. Of all 191: 51.3 %."
    )


def test_age_is_of_the_event_and_judged_where_bookings_can_be_seen(empty: psycopg.Connection) -> None:
    """What is imported today is as old as it is; that no booking came since is known of the holds' own environment."""
    # The first run is at work: else it is the pipeline that is silent.
    empty.execute("update analytics.rollup_positions set refreshed_at = now()")
    for environment in ("prod", "dev"):
        empty.execute(
            "insert into holds.observability_events (occurred_at, environment, source, event_type, severity, context) "
            "values (now() - interval '3 hours', %s, 'x', 'capacity.selector.assignment', 'info', '{}')",
            (environment,),
        )

    imported = figure(make_report(empty, Wanted(environment="prod")), "pipeline_freshness")
    own = figure(make_report(empty, Wanted(environment="dev")), "pipeline_freshness")

    assert imported.value == pytest.approx(3 * 3600, abs=60)
    assert (imported.text, imported.state) == ("3 hours", State.UNKNOWN)
    assert "cannot be said from here" in imported.note
    assert (own.text, own.state) == ("3 hours", State.MET), "a quiet night"


# The first sentence.


def test_answer_turns_with_a_double_booking(empty: psycopg.Connection) -> None:
    """Nothing recorded is no good news, holds without a pair are; a pair comes first, and is never forgotten."""
    assert make_report(empty, Wanted()).answer.first == (
        "No hold was recorded in the last 90 days, so nothing can be said of double bookings."
    )
    empty.execute(HOLDS.encode(), (RESTAURANTS[0],))
    good = make_report(empty, Wanted())
    assert good.answer.first == "No table was booked twice in the last 90 days."
    assert figure(good, "double_bookings").state is State.MET

    seed_double_booking(empty)
    standing = make_report(empty, Wanted())
    assert standing.answer.first == (
        "Tables are booked twice: 1 pair of bookings holds the same table right now; "
        "1 double booking began in the last 90 days."
    )
    assert standing.answer.state is State.MISSED

    assert empty.execute("select holds.detect_double_bookings()").fetchone() == (1,)
    assert make_report(empty, Wanted()).evidence.total("double_bookings") == 1, "pair and event are one"
    empty.execute("update holds.table_hold_windows set released_at = now()")
    ended = make_report(empty, Wanted())
    assert ended.answer.first == "A table was booked twice once in the last 90 days; none is right now."
    assert ended.answer.state is State.MISSED


def test_answer_names_what_else_is_wrong(empty: psycopg.Connection) -> None:
    """Refusals, waiting and a switch that is off are said; that all is well is said as well."""
    empty.execute(RUNS.encode())
    empty.execute(HOLDS.encode(), (RESTAURANTS[0],))
    empty.execute(REQUESTS.encode(), {"refused": 3, "ms": 200, "id": RESTAURANTS[0]})
    assert re.fullmatch(
        r"The other \d goals that can be judged are met\.", make_report(empty, Wanted()).answer.second
    ), make_report(empty, Wanted()).answer.second

    empty.execute(REQUESTS.encode(), {"refused": 20, "ms": 4000, "id": None})
    empty.execute("select holds.set_hold_conflict_enforcement(false, 'a test')")
    made = make_report(empty, Wanted())
    assert "88.5 % of the requests that a table was free for got it (goal: at least 95 %)" in made.answer.second
    assert "one guest in 20 waited longer than 3 s" in made.answer.second
    assert "50 % of the requests name no restaurant (goal: at most 10 %)" in made.answer.second
    assert "refusing second bookings is switched OFF" in made.answer.second


def test_holds_of_another_environment_are_not_judged(empty: psycopg.Connection) -> None:
    """Imported events of prod say nothing of the holds in a database of dev, whose double booking is not theirs."""
    seed_double_booking(empty)
    empty.execute(HOLDS.replace("'dev'", "'prod'").encode(), (RESTAURANTS[0],))

    made = make_report(empty, Wanted(environment="prod"))

    assert made.answer.first.startswith("Whether a table was booked twice cannot be said from here")
    assert figure(made, "double_bookings").state is State.UNKNOWN
    assert figure(made, "double_bookings").note == "This database keeps the holds of another environment."
    assert figure(made, "strict_conflicts").state is State.UNKNOWN
    assert figure(made, "holds").value == 2
    assert made.evidence.standing == ()


# The page.


def test_page_loads_and_runs_nothing(page: Page) -> None:
    """No script, no address, no style from elsewhere: whoever gets it alone has all of it."""
    assert page.count("script") == page.count("link") == page.count("img") == page.count("iframe") == 0
    for tag, attributes in page.tags:
        assert not {"src", "href", "action"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")], tag
    assert not re.findall(r"@import|url\((?!#)", page.html)
    assert set(re.findall(r"https?://[^\"' <]+", page.html)) == {"http://www.w3.org/2000/svg"}
    policy = next(attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_page_can_be_read_without_seeing_it(page: Page) -> None:
    """Headings in their order, a sentence for each plot and a table behind it, and names of rows and columns."""
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    pictures = [attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("role") == "img"]
    assert len(pictures) == 2 * page.count("figure") == 18
    assert all(re.search(r" by day, \d+ \w+ 20\d\d to ", str(one["aria-label"])) for one in pictures)
    assert (
        page.count("details")
        >= page.count("figure")
        == page.count("summary") - (page.count("details") - page.count("figure"))
    )
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in page.tags if tag == "th")
    assert page.count("caption") == page.count("table")
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_page_begins_with_the_answer(page: Page, report: Report) -> None:
    """Before any figure; every figure is on it, with a word for whether its goal is met."""
    text = " ".join(page.texts).replace("\N{NO-BREAK SPACE}", " ")
    assert text.index(report.answer.first) < text.index("Figures and goals") < text.index("Day by day")
    for one in report.figures:
        assert f'data-figure="{one.name}"' in page.html
    assert "✓ Goal met: at most 3 s on every day" in text
    assert "✕ Goal missed: at least 95 %" in text
    assert "All days and times are in UTC" in text


def test_hostile_texts_are_texts(empty: psycopg.Connection, tmp_path: Path) -> None:
    """What events say comes onto the page as it was written, and does nothing."""
    empty.execute(
        "insert into holds.observability_events (occurred_at, environment, source, event_type, severity, context) "
        "values (now(), %(x)s, 'x', 'deploy.finished', 'info', "
        "jsonb_build_object('service', %(x)s::text, 'reason', %(x)s::text, 'deployedBy', %(x)s::text)), "
        "(now(), %(x)s, 'x', 'capacity.rpc.conflict', 'error', '{}')",
        {"x": HOSTILE},
    )

    page = written(make_report(empty, Wanted(environment=HOSTILE)), tmp_path / "report.html")

    assert page.count("script") == 0
    assert [one for one in page.texts if one.startswith(HOSTILE) and one.endswith("was deployed")]
    assert page.texts.count(HOSTILE) >= 3, "environment, reason and who"


def test_page_of_nothing_says_so(empty: psycopg.Connection, tmp_path: Path) -> None:
    """No data is written where there is none, and no zero that looks like good news."""
    made = make_report(empty, Wanted())
    page = written(made, tmp_path / "new" / "report.html")

    drawn = re.findall(r'class="narrow">.*?>No data<', page.html)
    assert len(drawn) == page.count("figure") - 1, "changes alone can be none"
    for name in ("double_bookings", "assignment_success_rate", "reservation_latency_ms", "requests"):
        assert (figure(made, name).value, figure(made, name).text) == (None, "no data")
    assert State.MET not in {figure(made, name).state for name in ("double_bookings", "hold_retry_exhaustion")}


def test_second_report_replaces_the_first(report: Report, tmp_path: Path) -> None:
    """Whole: nothing of what stood there is left, and nothing beside it."""
    path = tmp_path / "report.html"
    path.write_text("x" * 2_000_000, "utf-8")
    report.write(path)

    assert path.read_text("utf-8").endswith("</html>\n")
    assert list(tmp_path.iterdir()) == [path]


def test_figures_and_plots_judge_the_same_days(empty: psycopg.Connection, tmp_path: Path) -> None:
    """One slow request that got no table on a day of its own misses no goal, on either half of the page."""
    ensure_event_partitions(empty)
    empty.execute(REQUESTS.encode(), {"refused": 0, "ms": 200, "id": RESTAURANTS[0]})
    empty.execute(
        "insert into holds.observability_events "
        "(occurred_at, environment, source, event_type, severity, restaurant_id, context) "
        "values (now() - interval '3 days', 'dev', 'capacity.selector', 'capacity.selector.skipped', 'info', %s, "
        """'{"retryExhausted": true, "timing": {"totalMs": 5000}}')""",
        (RESTAURANTS[0],),
    )

    made = make_report(empty, Wanted())
    page = written(made, tmp_path / "report.html")

    slow = [one for one in made.evidence.days if one.requests == 1]
    assert [(one.refused, one.exhausted) for one in slow] == [(1, 1)]
    assert slow[0].p95_ms == pytest.approx(5000, rel=0.02), "read from a histogram"
    assert figure(made, "reservation_latency_ms").state is State.MET
    assert "Goal missed on" not in page.html
    assert [one for tag, one in page.tags if tag == "path" and one.get("class") == "missed"] == []
    assert page.html.count("Days of fewer than 20 requests are not judged.") == 3


# Plots and words.


def plot(*values: float | None, goal: Goal | None = None) -> Plot:
    days = tuple(date(2030, 5, 1) + timedelta(days=number) for number in range(len(values)))
    return Plot("x", "Success", "", "lines", days, (Series("a", values),), "percentunit", percent, goal,
                samples=(20,) * len(values))  # fmt: skip


def test_line_breaks_on_days_without_data() -> None:
    """A gap in the data is a gap in the line, and a lonely day is a point."""
    broken = draw(plot(0.9, 0.9, None, 0.9, *([None] * 40), 0.9), 760)

    (path,) = re.findall(r'<path d="([^"]+)" fill="none"', broken)
    assert path.count("M") == 3
    assert broken.count('class="point"') == 2


def test_missed_days_are_crossed_and_said() -> None:
    """Without colours: a cross on each, and their number in words."""
    made = plot(0.99, 0.9, 0.95, goal=Goal(0.95, "at least 95 %", is_bad_above=False))

    assert draw(made, 330).count('class="missed"') == 1
    assert "the goal, at least 95 %, was missed on 1 of 3 days" in summary(made)
    assert "lowest 90 % on 2 May 2030" in summary(made)


def test_day_of_too_few_requests_is_not_crossed() -> None:
    """A day that the figures do not judge, the plot does not judge either; with one more request it does."""
    goal = Goal(0.95, "at least 95 %", is_bad_above=False)
    few = replace(plot(0.99, 0.0, goal=goal), samples=(500, 19))
    assert 'class="missed"' not in draw(few, 330)
    assert "was missed on 0 of 1 day." in summary(few)
    none = replace(few, samples=(1, 19))
    assert "is judged on no day: none has 20 requests" in summary(none)
    enough = replace(few, samples=(500, 20))
    assert (draw(enough, 330).count('class="missed"'), enough.missed_days) == (1, 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "50 %"), (0.99996, "99.996 %"), (1.0, "100 %"), (0.94999, "94.999 %"), (0.95, "95 %"), (0.0004, "0.04 %")],
)
def test_share_is_told_from_what_it_is_not(value: float, text: str) -> None:
    """Rounding makes no 100 % of less, and no met goal of a missed one."""
    assert percent(value, apart_from=(0.0, 1.0, 0.95)) == text


# The command, and the asset.


def run(url: str, *arguments: str) -> Result:
    return CliRunner(env={"HOLDWATCH_DATABASE_URL": url}).invoke(app, ["report", *arguments])


def test_command_writes_the_page_and_its_figures(seeded_url: str, report: Report, tmp_path: Path) -> None:
    """One JSON object on standard output, with what is on the page."""
    path = tmp_path / "sent.html"
    done = run(seeded_url, "--output", str(path), "--json")

    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["file"] == str(path)
    assert found["environment"] == "dev"
    assert found["answer"].startswith("Tables are booked twice: 1 pair")
    assert {one["name"]: one["value"] for one in found["figures"]}["holds"] == figure(report, "holds").value
    assert found["answer"].split(".")[0] in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "yesterday"), "is no day: write 2030-05-17, or now-30d (now-1d is yesterday)"),
        (("--from", "now-91d"), "the views keep 90 days"),
        (("--from", "2999-01-01"), "in the future"),
        (("--restaurant", "Chez Nous"), "no restaurant's id"),
    ],
)
def test_command_refuses_what_makes_no_sense(seeded_url: str, arguments: tuple[str, ...], words: str) -> None:
    """Exit 2, before anything is read."""
    done = run(seeded_url, *arguments)

    assert done.exit_code == 2
    assert words in " ".join(re.sub(r"[│╭╰─╮╯]", " ", done.output).split())


def test_unknown_environment_names_those_there_are(seeded: psycopg.Connection) -> None:
    """A typo must not make a page without data."""
    with pytest.raises(ReportError, match=r"no environment 'prd'; they have: dev"):
        make_report(seeded, Wanted(environment="prd"))


def test_views_that_are_missing_are_said(new_database: Callable[..., str], small_template: str) -> None:
    """With what builds them."""
    with connect(new_database(small_template)) as connection, pytest.raises(MissingViewsError, match="pipeline run"):
        make_report(connection, Wanted())


def test_command_needs_no_extra(seeded_url: str, tmp_path: Path) -> None:
    """Whoever embeds the core can report: plots are drawn without a library."""
    code = f"import sys; sys.modules |= dict.fromkeys({EXTRAS}); from orchestration.cli import main; main()"
    path = tmp_path / "report.html"
    done = subprocess.run(
        [sys.executable, "-c", code, "report", "--output", str(path)],
        env=os.environ | {"HOLDWATCH_DATABASE_URL": seeded_url},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert path.read_text("utf-8").count("<figure") == 9


@pytest.fixture
def stranger_url(seeded_url: str) -> Iterator[str]:
    """The URL of a login that may connect, and nothing else."""
    name, parts = f"stranger_{uuid4().hex[:8]}", urlsplit(seeded_url)
    with connect(seeded_url) as connection:
        connection.execute(f"create role {name} login password '{name}'".encode())
        yield urlunsplit(parts._replace(netloc=f"{name}:{name}@{parts.hostname}:{parts.port}"))
        connection.execute(f"drop role {name}".encode())


def test_missing_rights_are_said(stranger_url: str) -> None:
    """Whose, and what grants them."""
    with (
        connect(stranger_url) as connection,
        pytest.raises(ReaderRoleError, match="grant analytics_reader to stranger"),
    ):
        make_report(connection, Wanted())


@pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning")
def test_asset_writes_the_page_and_shows_a_plot(
    seeded_url: str, stranger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the answer, the figures as numbers, and a plot; where the login is no reader, the pass goes on."""
    import dagster as dg  # noqa: PLC0415  takes seconds

    from orchestration.defs.dashboards.report import report as asset  # noqa: PLC0415
    from orchestration.resources import DatabaseResource  # noqa: PLC0415

    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))

    def materialize(url: str) -> dict[str, Any]:
        with dg.DagsterInstance.ephemeral() as instance:
            done = dg.materialize([asset], instance=instance, resources={"database": DatabaseResource(url=url)})
        (event,) = done.get_asset_materialization_events()
        return {name: one.value for name, one in event.materialization.metadata.items()}

    assert str(materialize(stranger_url)["answer"]).startswith("There is no report: The login stranger_")
    assert list(tmp_path.iterdir()) == []
    metadata = materialize(seeded_url)

    assert Path(str(metadata["page"])) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert str(metadata["answer"]).startswith("Tables are booked twice")
    assert metadata["double_bookings"] == 1
    # In words first: Dagster shows the picture alone, without the text that stands for it.
    plot = r"(?s)Requests that got tables by day, .*!\[[^\]]+\]\(data:image/png;base64,iVBOR"
    assert re.match(plot, str(metadata["plot"]))
