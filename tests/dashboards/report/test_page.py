"""The page of the report: it loads and runs nothing, and can be read without being seen."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from dashboards.report import Report, Wanted, make_report
from dashboards.report.judging import State
from dashboards.report.plots import Goal, Plot, Series, draw, summary
from dashboards.report.words import percent
from holds_core.database.migrations import ensure_event_partitions
from tests.dashboards.report.conftest import HOSTILE, REQUESTS, Page, figure, written
from tests.dashboards.seed import RESTAURANTS


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
