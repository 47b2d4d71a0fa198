"""The preview draws each panel from the database's data, as Grafana would show it, on a page that loads nothing."""

from __future__ import annotations

import copy
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psycopg
import pytest
from PIL import Image

import dashboards
from dashboards.catalogue import RUNBOOK_BASE_URL
from dashboards.preview.asking import BoardAnswer, Wanted
from dashboards.preview.colours import DARK, LIGHT, colour, palette_colour_by_name, resolve, text_on
from dashboards.preview.fields import looks
from dashboards.preview.layout import Drawn, draw_board
from dashboards.preview.panels import DRAWERS
from dashboards.preview.picture import board_svg, panel_svg, png
from dashboards.preview.pictures import first_looks
from dashboards.preview.times import TimeRangeError, read_time
from dashboards.preview.units import format_number, format_tick, format_time, is_known_unit
from dashboards.preview.writing import Preview, ask_boards, write_preview
from holds_core.database.connections import connect
from tests.dashboards.seed import RESTAURANTS

Json = dict[str, Any]

BOARDS: dict[str, Json] = {
    file: json.loads(text) for file, text in dashboards.generate().items() if file.startswith("grafana/")
}

HOSTILE = """<script>alert("x")</script>'; drop table holds.table_holds; -- &amp;"""


@pytest.fixture(scope="module")
def answers(seeded_url: str) -> list[BoardAnswer]:
    """What the generated dashboards show of the seeded events."""
    with connect(seeded_url) as connection:
        return ask_boards(connection, BOARDS, Wanted())


@pytest.fixture(scope="module")
def written(answers: list[BoardAnswer], tmp_path_factory: pytest.TempPathFactory) -> Preview:
    """The page and the pictures of all that."""
    return write_preview(answers, tmp_path_factory.mktemp("preview"), 800)


def board(*panels: Json, **more: Any) -> dict[str, Json]:
    """A dashboard of these panels, one below the other."""
    placed = [
        {"id": number, "title": f"panel {number}", "gridPos": {"x": 0, "y": 8 * number, "w": 12, "h": 8}} | panel
        for number, panel in enumerate(panels, start=1)
    ]
    return {"grafana/made-up.json": {"uid": "made-up", "title": "Made up", "panels": placed} | more}


def panel(kind: str, *queries: str, result: str = "table", options: Json | None = None, **defaults: Any) -> Json:
    """A panel with these queries; ``overrides`` apart, the rest are the defaults of its fields."""
    overrides = defaults.pop("overrides", [])
    return {
        "type": kind,
        "targets": [{"refId": chr(65 + number), "rawSql": sql, "format": result} for number, sql in enumerate(queries)],
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": options or {},
    }


def drawn(seeded: psycopg.Connection, boards: dict[str, Json], wanted: Wanted | None = None) -> list[Drawn]:
    """Ask and draw one dashboard."""
    (answer,) = ask_boards(seeded, boards, wanted or Wanted())
    return list(draw_board(answer, 1600))


def svg(one: Drawn) -> str:
    """What is drawn in a panel."""
    assert one.drawing is not None
    return one.drawing.svg


def steps(*pairs: tuple[float | None, str]) -> Json:
    """Thresholds."""
    return {"mode": "absolute", "steps": [{"value": value, "color": name} for value, name in pairs]}


MINUTES = "select generate_series($__timeFrom()::timestamptz, $__timeTo()::timestamptz, '1 hour') as \"time\""


# What is drawn is what was asked for.


def test_every_panel_is_drawn_with_a_mark_for_its_data(answers: list[BoardAnswer]) -> None:
    """Each series, row and figure that the queries returned is in the drawing; a panel without any says so."""
    count = 0
    for answer in answers:
        assert answer.problems == ()
        for one in draw_board(answer, 1600):
            if one.drawing is None:
                continue
            count += 1
            content, frames = one.drawing.svg, answer.panels[one.panel.id].frames
            place = f"{answer.board.file}, {one.panel.title}"
            assert "state-unknown" not in content, place
            if all(frame.length == 0 for frame in frames):
                assert "state-no-data" in content, place
            else:
                assert_marks(answer, one, place)
    assert count == sum(panel["type"] != "row" for board in BOARDS.values() for panel in board["panels"])


def assert_marks(answer: BoardAnswer, one: Drawn, place: str) -> None:
    """Compare a drawing with the frames that it is of."""
    assert one.drawing is not None
    content, shown = one.drawing.svg, answer.panels[one.panel.id]
    fields = list(looks(one.panel, shown.frames, answer.asked_at))
    if one.panel.type == "timeseries":
        series = re.findall(r'class="series" data-name="([^"]*)" data-style="\w+" data-points="(\d+)"', content)
        expected = [
            (look.name, str(sum(
                value is not None and shown.range.at.from_at <= at <= shown.range.at.to_at
                for at, value in zip(frame.times, field.values, strict=True)
            )))
            for frame, field, look in fields
            if field.kind == "number"
        ]  # fmt: skip
        assert sorted(series) == sorted(expected), place
        assert content.count('class="legend-entry"') == len(expected), place
    elif one.panel.type == "table":
        assert one.drawing.html is not None
        assert one.drawing.html.count("<tr>") == shown.frames[0].length + 1, place
        assert one.drawing.html.count("<th ") == len(shown.frames[0].fields), place
    elif one.panel.type == "stat":
        assert content.count('class="figure"') >= 1, place
    elif one.panel.type == "state-timeline":
        names = [look.name for _, field, look in fields if field.kind != "time"]
        assert re.findall(r'class="series" data-name="([^"]*)"', content) == names, place


def test_every_type_and_unit_is_known() -> None:
    """A type that cannot be drawn, or a unit without a rule, is found here before a reader finds it."""
    for file, dashboard in BOARDS.items():
        for one in dashboard["panels"]:
            assert one["type"] in {*DRAWERS, "row"}, f"{file}: the preview lacks {one['type']}"
            assert not one.get("transformations"), f"{file}: the preview knows no transformations"
            config = one.get("fieldConfig", {})
            properties = [setting for override in config.get("overrides", []) for setting in override["properties"]]
            units = [setting["value"] for setting in properties if setting["id"] == "unit"]
            for unit in [*units, config.get("defaults", {}).get("unit") or ""]:
                assert is_known_unit(unit), f"{file}: the preview lacks the unit {unit}"


def test_unknown_type_is_a_marked_box(seeded: psycopg.Connection) -> None:
    """Nobody can take it for data, and the other panels are drawn."""
    unknown, known = drawn(seeded, board(panel("flamegraph", "select 1 as a"), panel("stat", "select 1 as a")))

    assert "The preview cannot draw panels of the type &#x27;flamegraph&#x27;." in svg(unknown)
    assert 'data-value="1"' in svg(known)


def test_lines_break_where_a_value_is_missing(seeded: psycopg.Connection) -> None:
    """As in Grafana: a gap in the data is a gap in the line, unless the panel spans it."""
    gap = "select time, nullif(extract(hour from time), 12) as value from (" + MINUTES + ") as times order by time"
    broken, spanned = drawn(
        seeded,
        board(
            panel("timeseries", gap, result="time_series"),
            panel("timeseries", gap, result="time_series", custom={"spanNulls": True}),
        ),
        Wanted("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"),
    )

    assert len(re.findall(r'<path d="M', svg(broken))) == 2
    assert len(re.findall(r'<path d="M', svg(spanned))) == 1


def test_stacked_bars_stand_on_each_other(seeded: psycopg.Connection) -> None:
    """The second series begins where the first one ends, and their axis reaches to the sum."""
    sql = (
        "select time, name as metric, 10 as value from ("
        + MINUTES
        + ") as t, (values ('a'), ('b')) as n (name) order by 1"
    )
    custom = {"drawStyle": "bars", "stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 80}
    (one,) = drawn(seeded, board(panel("timeseries", sql, result="time_series", custom=custom)), Wanted("now-6h"))
    lower, upper = re.findall(r'class="series" data-name="[ab]".*?</g></g>', svg(one))
    first, second = (
        [tuple(map(float, match)) for match in re.findall(r'y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', part)]
        for part in (lower, upper)
    )

    assert len(first) == len(second) >= 6
    assert all(abs(top - (y + height)) < 0.02 for (top, _), (y, height) in zip(first, second, strict=True))
    assert ">20<" in svg(one)


# How values look.


def test_thresholds_colour_figures_cells_and_plots(seeded: psycopg.Connection) -> None:
    """A value has the colour of the last step that it reaches."""
    colours = steps((None, "red"), (0.95, "yellow"), (0.97, "green"))
    values = "select * from (values (0.94), (0.95), (0.98)) as v (share)"
    stat, table, plot = drawn(
        seeded,
        board(
            panel("stat", values, thresholds=colours,
                  options={"reduceOptions": {"values": True}, "colorMode": "background"}),
            panel("table", values, thresholds=colours, custom={"cellOptions": {"type": "color-background"}}),
            panel("timeseries", f"{MINUTES}, 0.9 as share", result="time_series", thresholds=colours, min=0,
                  custom={"thresholdsStyle": {"mode": "dashed+area"}}),
        ),
    )  # fmt: skip

    expected = ["var(--red)", "var(--yellow)", "var(--green)"]
    assert re.findall(r'data-colour="([^"]+)"', svg(stat)) == expected
    assert table.drawing is not None
    assert re.findall(r"background:([^;\"]+)", table.drawing.html or "") == expected
    assert re.findall(r'stroke="([^"]+)"[^>]*class="threshold"', svg(plot)) == ["var(--yellow)", "var(--green)"]
    assert svg(plot).count('class="threshold-area"') == 3


def test_overrides_and_mappings_change_single_fields(seeded: psycopg.Connection) -> None:
    """By name, by query and by pattern; a mapped value has the mapping's words and colour."""
    overrides = [
        {"matcher": {"id": "byName", "options": "age"}, "properties": [{"id": "unit", "value": "s"}]},
        {"matcher": {"id": "byRegexp", "options": "/^st/"}, "properties": [
            {"id": "displayName", "value": "State"},
            {"id": "mappings", "value": [{"type": "value", "options": {"bad": {"text": "FIRING", "color": "red"}}}]},
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
        ]},
    ]  # fmt: skip
    (one,) = drawn(seeded, board(panel("table", "select 'bad' as state, 90 as age, 0.5 as share", overrides=overrides)))

    assert one.drawing is not None
    assert '<td style="color:var(--red)">FIRING</td>' in (one.drawing.html or "")
    assert ">1.5 min<" in (one.drawing.html or "")
    assert ">State<" in (one.drawing.html or "")
    assert ">0.5<" in (one.drawing.html or "")


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "written"),
    [
        (0.9724, "percentunit", 1, "97.2%"),
        (0.5, "percentunit", None, "50%"),
        (0.00414, "percentunit", None, "0.414%"),
        (12, "percent", None, "12%"),
        (0.0024, "ms", 4, "0.0024 ms"),
        (100, "ms", 0, "100 ms"),
        (1250, "ms", 2, "1.25 s"),
        (1250, "ms", None, "1.25 s"),
        (1200, "ms", 0, "1 s"),
        (10000086.123, "ms", 1, "2.8 hour"),
        (0, "s", None, "0 s"),
        (0.25, "s", None, "250 ms"),
        (40.2, "s", 0, "40 s"),
        (300, "s", None, "5 min"),
        (7776000, "s", None, "12.9 week"),
        (999, "short", None, "999"),
        (1000, "short", None, "1 K"),
        (1436, "short", 1, "1.4 K"),
        (98765, "short", 2, "98.77 K"),
        (2500000, "short", None, "2.5 Mil"),
        (0, "short", 1, "0.0"),
        (-1500, "short", None, "-1.5 K"),
        (10485760, "bytes", None, "10 MiB"),
        (1234567.891, "locale", None, "1,234,567.891"),
        (100.5, "", None, "101"),
        (2.345, "", None, "2.35"),
        (5, "dtdurations", 1, "5 seconds, 0 milliseconds"),
        (7500, "dtdurations", 1, "2 hours, 5 minutes"),
        (3, "suffix:guests", None, "3 guests"),
        (3, "furlongs", None, "3 furlongs"),
        (float("nan"), "short", None, "NaN"),
        (float("inf"), "s", None, "∞ year"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_grafana_writes_them(
    value: float, unit: str, decimals: int | None, written: str
) -> None:
    """The examples of Grafana's own tests, and what the dashboards show."""
    assert str(format_number(value, unit, decimals)) == written


@pytest.mark.parametrize(
    ("unit", "written"),
    [
        ("dateTimeAsIso", "2030-05-17 19:00:00"),
        ("dateTimeAsIsoNoDateIfToday", "19:00:00"),
        ("", "2030-05-17 19:00:00"),
        ("dateTimeFromNow", "3 hours ago"),
        ("time:YYYY-MM-DD HH:mm", "2030-05-17 19:00"),
    ],
)
def test_times_are_written_as_grafana_writes_them(unit: str, written: str) -> None:
    """In UTC, the dashboards' zone."""
    at = datetime.fromisoformat("2030-05-17T21:00:00+02:00")

    assert format_time(at, unit, datetime(2030, 5, 17, 22, 0, tzinfo=UTC)) == written


def test_ticks_have_the_digits_that_tell_them_apart() -> None:
    """A quarter of a second is a quarter of a second, and round numbers have no zeros behind them."""
    assert [format_tick(tick, "s", None, 0.25) for tick in (0, 0.25, 1.0, 1.25)] == ["0 s", "250 ms", "1 s", "1.25 s"]
    assert format_tick(0.95, "percentunit", 1, 0.05) == "95.0%"
    assert format_tick(2500, "ms", None, 500) == "2.5 s"


def test_series_have_the_colours_of_their_names() -> None:
    """By npm's string-hash, over what is visible on each theme's ground."""
    assert resolve(palette_colour_by_name("success"), DARK) == "#AEA2E0"
    assert resolve(palette_colour_by_name("success"), LIGHT) != "#AEA2E0"
    assert resolve(colour("dark-red"), LIGHT) == "#AD0317"
    assert colour("javascript:alert(1)") == "#808080"
    assert (text_on("var(--red)"), text_on("var(--yellow)")) == ("#ffffff", "#202226")


# The states: no data, and errors.


def test_empty_database_shows_no_data_and_no_error(views_template: Callable[[], str]) -> None:
    """Before the first event: the panel's own words where it has some, else Grafana's."""
    with connect(views_template()) as connection:
        answers = ask_boards(connection, {"grafana/overview.json": BOARDS["grafana/overview.json"]}, Wanted())
        (plain,) = drawn(
            connection, board(panel("timeseries", "select now() as time, 1.0 as a where false", result="time_series"))
        )

    assert [problem for answer in answers for problem in answer.problems] == []
    contents = [svg(one) for answer in answers for one in draw_board(answer, 1600) if one.drawing is not None]
    assert sum("state-no-data" in content for content in contents) > 5
    assert ">No data<" in svg(plain)


def test_failing_query_is_shown_in_its_panel_alone(seeded: psycopg.Connection, tmp_path: Path) -> None:
    """In one line, and nothing else is lost; the page and the picture are written all the same."""
    boards = board(panel("stat", "select count(*) as a from holds.table_holds"), panel("stat", "select 2 as a"))
    answers = ask_boards(seeded, boards, Wanted())
    broken, sound = draw_board(answers[0], 1600)
    written = write_preview(answers, tmp_path, 800)

    assert "state-error" in svg(broken)
    assert "permission denied for schema holds" in svg(broken)
    assert 'data-value="2"' in svg(sound)
    assert written.problems == ("Made up, panel 1 'panel 1': permission denied for schema holds",)
    assert "permission denied" in (tmp_path / "index.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "made-up.png"]


def test_shapes_that_grafana_could_not_draw_are_said(seeded: psycopg.Connection) -> None:
    """A time series without times is the panel's error."""
    (one,) = drawn(seeded, board(panel("timeseries", "select 1.0 as a", result="time_series")))

    assert "needs a column of times" in svg(one)


# What happened, and what is chosen.


def test_annotations_are_lines_and_shaded_stretches_with_their_words(seeded: psycopg.Connection) -> None:
    """A moment is a dashed line, a stretch is shaded; both say what they are."""
    sql = """select now() - interval '3 hours' as time, null::timestamptz as timeend, '2.14.0 was deployed' as text
        union all select now() - interval '2 hours', now() - interval '1 hour', 'maintenance'
        union all select now() - interval '9 days', null, 'long ago'"""
    annotations = {"list": [{"name": "Changes", "enable": True, "iconColor": "red", "target": {"rawSql": sql}}]}
    boards = board(panel("timeseries", f"{MINUTES}, 1.0 as a", result="time_series"), annotations=annotations)
    (one,) = drawn(seeded, boards, Wanted("now-6h"))

    assert re.findall(r'data-kind="(\w+)" data-text="([^"]*)"', svg(one)) == [
        ("moment", "2.14.0 was deployed"),
        ("stretch", "maintenance"),
    ]
    assert ">2.14.0 was deployed<" in svg(one)
    assert 'fill="var(--red)" fill-opacity="0.18"' in svg(one)


def test_choices_narrow_what_is_asked(seeded_url: str, answers: list[BoardAnswer]) -> None:
    """A restaurant's own series stand in the place of all of them; what nobody offers is noted."""
    chosen = Wanted(choices={"restaurant": [RESTAURANTS[0], "nowhere"]})
    with connect(seeded_url) as connection:
        (narrowed,) = ask_boards(connection, {"grafana/overview.json": BOARDS["grafana/overview.json"]}, chosen)
    names = {field.display_name for frame in narrowed.panels[7].frames for field in frame.fields}

    assert narrowed.chosen["Restaurant"] == f"{RESTAURANTS[0]} + nowhere"
    assert names == {"time", "objective", f"{RESTAURANTS[0]} success"}
    assert narrowed.notes == ("The database offers no restaurant 'nowhere'.",)
    assert answers[0].chosen["Restaurant"] == "All"


def test_collapsed_rows_are_unfolded(seeded: psycopg.Connection) -> None:
    """What is inside is drawn, and what is below makes room."""
    boards = board(panel("stat", "select 1 as a"))
    dashboard = boards["grafana/made-up.json"]
    inside = [copy.deepcopy(dashboard["panels"][0]) | {"id": 7, "gridPos": {"x": 0, "y": 1, "w": 12, "h": 5}}]
    row = {"id": 9, "type": "row", "title": "More", "collapsed": True, "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}}
    dashboard["panels"] = [
        row | {"panels": inside},
        dashboard["panels"][0] | {"gridPos": {"x": 0, "y": 1, "w": 12, "h": 8}},
    ]
    places = {one.panel.id: one.panel.at[1] for one in drawn(seeded, boards)}

    assert places == {9: 0, 7: 1, 1: 6}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("now", "2030-05-17T19:34:56"),
        ("now-24h", "2030-05-16T19:34:56"),
        ("now-90d/d", "2030-02-16T00:00:00"),
        ("now/w", "2030-05-12T00:00:00"),
        ("2030-05-17T21:00:00+02:00", "2030-05-17T19:00:00"),
        ("2030-05-17", "2030-05-17T00:00:00"),
    ],
)
def test_times_are_read_as_grafana_reads_them(text: str, read: str) -> None:
    """Relative, rounded down, or absolute."""
    now = datetime(2030, 5, 17, 19, 34, 56, tzinfo=UTC)

    assert read_time(text, now) == datetime.fromisoformat(f"{read}+00:00")


@pytest.mark.parametrize("text", ["", "yesterday", "now-5x", "now-99999999999d", "2030-13-01"])
def test_what_is_no_time_is_said_so(text: str) -> None:
    """With what to write instead."""
    with pytest.raises(TimeRangeError, match=r"is no time: write now-24h|out of range"):
        read_time(text, datetime.now(UTC))


# The page and the pictures.


class _References(HTMLParser):
    """Collects what a page would load, and where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.suspicious: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "href":
                self.links.add(value or "")
            elif name == "id":
                self.ids.add(value or "")
            elif name.startswith("on") or name in ("src", "srcset", "action", "data", "xlink:href"):
                self.suspicious.append((name, value))


def test_page_loads_nothing_and_runs_nothing(answers: list[BoardAnswer], written: Preview) -> None:
    """It leads to runbooks and to its own dashboards, and nowhere else."""
    page = written.files[0].read_text()
    found = _References()
    found.feed(page)

    assert found.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "base", "form"})
    assert found.suspicious == []
    inside = {link.removeprefix("#") for link in found.links if link.startswith("#")}
    assert inside <= found.ids
    assert {answer.board.uid for answer in answers} <= inside
    outside = {link for link in found.links if not link.startswith("#")}
    assert outside
    assert all(link.startswith(f"{RUNBOOK_BASE_URL}/") for link in outside)
    assert set(re.findall(r"url\(([^)]*)\)", page)) <= {"#shade"}
    assert 'Content-Security-Policy" content="default-src &#x27;none&#x27;' in page
    for answer in answers:
        for one in answer.board.panels:
            assert one.type == "row" or f'data-panel="{one.id}"' in page


def test_hostile_texts_stay_texts(seeded: psycopg.Connection, tmp_path: Path) -> None:
    """Whatever stands in the data, in a choice or in an annotation is shown, and is no markup."""
    quoted = HOSTILE.replace("'", "''")
    annotations = {
        "list": [
            {
                "name": HOSTILE,
                "iconColor": 'red" onload="x',
                "target": {"rawSql": f"select now() as time, '{quoted}' as text"},
            }
        ]
    }
    boards = board(
        panel("table", f"select '{quoted}' as \"<b>name</b>\""),
        panel("stat", f"select '{quoted}' as a", options={"reduceOptions": {"fields": "/.*/"}}),
        panel("timeseries", f"{MINUTES}, '{quoted}' as metric, 1.0 as value", result="time_series"),
        panel("state-timeline", f"{MINUTES}, '{quoted}' as state"),
        panel("bargauge", f"select '{quoted}' as name, 5 as value", options={"reduceOptions": {"values": True}}),
        panel("text", options={"content": HOSTILE}) | {"title": HOSTILE, "description": HOSTILE},
        annotations=annotations,
        templating={"list": [{"name": "restaurant", "type": "query", "query": "select 'x'", "multi": True}]},
        links=[{"title": HOSTILE, "url": "javascript:alert(1)"}],
    )  # fmt: skip
    answers = ask_boards(seeded, boards, Wanted("now-6h", choices={"restaurant": [HOSTILE]}))
    written = write_preview(answers, tmp_path, 1600)
    page = (tmp_path / "index.html").read_text()
    found = _References()
    found.feed(page)

    assert written.problems == ()
    assert "state-unknown" not in page
    assert found.tags.isdisjoint({"script", "b"})
    assert found.suspicious == []
    assert found.links == {"#made-up"}
    assert page.count("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;") >= 8


def test_pictures_show_the_dashboards_in_their_colours(answers: list[BoardAnswer], written: Preview) -> None:
    """One of each dashboard, as wide as asked for; a double booking is red in it."""
    pictures = {path.stem: Image.open(io.BytesIO(path.read_bytes())) for path in written.files[1:]}

    assert [path.name for path in written.files[:2]] == ["index.html", "overview.png"]
    assert set(pictures) == {answer.board.name for answer in answers}
    assert {picture.width for picture in pictures.values()} == {800}
    overview = pictures["overview"].convert("RGB")
    pixels = {overview.getpixel((x, y)) for x in range(0, 800, 8) for y in range(0, overview.height, 8)}
    red = tuple(bytes.fromhex(DARK["red"][1:]))
    assert min(_distance(pixel, red) for pixel in pixels) < 60
    assert len(pixels) > 50


def _distance(one: Any, other: Any) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def test_words_are_drawn_by_the_fonts_that_come_along(seeded: psycopg.Connection) -> None:
    """A picture has letters in it although the machine may have no fonts."""
    (answer,) = ask_boards(seeded, board(panel("text", options={"content": "Letters"}) | {"title": ""}), Wanted())
    picture = Image.open(io.BytesIO(png(panel_svg(answer, answer.board.panels[0], 800)))).convert("L")
    brightness: set[Any] = {picture.getpixel((x, y)) for x in range(8, 80) for y in range(8, 32)}

    assert max(brightness) > 150 > min(brightness)


def test_runbooks_have_a_panel_that_shows_best_what_they_are_about(answers: list[BoardAnswer]) -> None:
    """The picture of a runbook is a plot where there is one."""
    kinds = {page: one.type for page, (_, one) in first_looks(answers).items()}

    assert kinds["latency"] == kinds["success-rate"] == "timeseries"
    assert kinds["double-booking"] == "table"


def test_picture_can_end_after_some_sections(answers: list[BoardAnswer]) -> None:
    """For a page that has no room for all of it."""
    shown = list(draw_board(answers[0], 1600))
    whole, top = board_svg(answers[0], shown, 1600), board_svg(answers[0], shown, 1600, sections=1)
    ids = re.findall(r'data-panel="(\d+)"', top)

    assert 0 < len(ids) < len(re.findall(r'data-panel="(\d+)"', whole))
    assert float(re.findall(r'height="([\d.]+)"', top)[0]) < float(re.findall(r'height="([\d.]+)"', whole)[0]) / 2
