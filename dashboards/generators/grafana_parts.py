"""What the Grafana dashboards are made of: queries, links, thresholds, and panels with the look they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from dashboards.catalogue import Signal
from dashboards.generators.grafana_sdk import (
    Builder,
    Dataquery,
    common,
    common_builder,
    dashboard,
    dashboard_builder,
    stat,
    statetimeline,
    table,
    timeseries,
)

DATASOURCE_TYPE = "grafana-postgresql-datasource"
DATASOURCE = common.DataSourceRef(type_val=DATASOURCE_TYPE, uid="${datasource}")

GOOD, WARN, WORSE, BAD, CALM, GREY = "green", "yellow", "orange", "red", "blue", "text"

Steps = tuple[tuple[float | None, str], ...]
"""From which value upwards which colour; None is the lowest."""

States = Mapping[int | str, tuple[str, str]]
"""For a value the word and the colour that stand for it."""

_Panel = TypeVar("_Panel", stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel)


class PostgresQuery(Dataquery):
    """A query of Grafana's PostgreSQL data source, which the SDK has no type for."""

    def __init__(self, sql: str, result: str, ref_id: str) -> None:
        self._sql = sql
        self._result = result
        self._ref_id = ref_id

    def to_json(self) -> dict[str, object]:
        """Return the target as Grafana stores it."""
        return {
            "datasource": DATASOURCE,
            "editorMode": "code",
            "format": self._result,
            "rawQuery": True,
            "rawSql": self._sql,
            "refId": self._ref_id,
        }


class Query(Builder[Dataquery]):
    """Builds one."""

    def __init__(self, sql: str, result: str, ref_id: str) -> None:
        self._query = PostgresQuery(sql, result, ref_id)

    def build(self) -> Dataquery:
        """Return the query."""
        return self._query


@dataclass(frozen=True)
class Frame:
    """What every panel has: who it is, what it is about, and how large it is.

    Attributes:
        id: Never reused for another panel of its page: people's links hold it.
        about: What is drawn; a sentence on what good looks like follows it.
        size: Width and height on the grid, which is 24 columns wide; a line of panels fills it.
        unit: Where it is not the signal's.
        good: What good looks like, where it is not as the signal says.
        steps: Colours by value, where they are not those of the signal's threshold.
    """

    id: int
    title: str
    signal: Signal
    about: str
    size: tuple[int, int]
    unit: str | None = None
    good: str | None = None
    steps: Steps | None = None

    @property
    def description(self) -> str:
        """What is drawn, and what good looks like."""
        return f"{self.about} Good: {self.good or self.signal.good}"


# Nothing known is not good: without it a NULL would be painted as the lowest threshold is, mostly green.
_NOTHING_KNOWN = dashboard.SpecialValueMap(
    options=dashboard.DashboardSpecialValueMapOptions(
        match=dashboard.SpecialValueMatch.NULL_AND_NAN,
        result=dashboard.ValueMappingResult(text="no data", color="#6e7079", index=0),
    )
)


def stat_panel(frame: Frame, sql: str, *, result: str = "table", decimals: int = 0) -> stat.Panel:
    """One large number, on a background that turns with its threshold."""
    panel = (
        _framed(stat.Panel(), frame)
        .with_target(Query(sql, result, "A"))
        .thresholds(_colours(frame))
        .mappings([_NOTHING_KNOWN])
        .color_mode(common.BigValueColorMode.BACKGROUND)
        .graph_mode(common.BigValueGraphMode.NONE if result == "table" else common.BigValueGraphMode.AREA)
        .reduce_options(common_builder.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("no data")
        .decimals(decimals)
    )
    return panel if result == "table" else panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME)


def state_panel(frame: Frame, sql: str, states: States) -> stat.Panel:
    """A value that stands for a state, in a word and a colour; a tile for each row where there are several."""
    return (
        _framed(stat.Panel(), frame)
        .with_target(Query(sql, "table", "A"))
        .mappings([_mapping(states), _NOTHING_KNOWN])
        .color_mode(common.BigValueColorMode.BACKGROUND)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(common_builder.ReduceDataOptions().values(True).calcs([]))
        .no_value("no data")
    )


def state_history_panel(frame: Frame, sql: str, states: States) -> statetimeline.Panel:
    """States over time, a line for each thing that has them."""
    return (
        _framed(statetimeline.Panel(), frame)
        .with_target(Query(sql, "time_series", "A"))
        .mappings([_mapping(states)])
        .show_value(common.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .fill_opacity(80)
        .line_width(0)
        .legend(
            common_builder.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .calcs([])
        )
        .tooltip(common_builder.VizTooltipOptions().mode(common.TooltipDisplayMode.SINGLE).sort(common.SortOrder.NONE))
        .no_value("no data")
    )


def table_panel(frame: Frame, sql: str, column_units: dict[str, str] | None = None) -> table.Panel:
    """Rows, with a unit for each column that is no plain number."""
    panel = _framed(table.Panel(), frame).with_target(Query(sql, "table", "A")).no_value("none").filterable(True)
    for column, unit in (column_units or {}).items():
        settings = [dashboard.DynamicConfigValue(id_val="unit", value=unit)]
        if unit == "short":
            # Without a value: counts have none of the decimals that the panel gives its shares.
            settings.append(dashboard.DynamicConfigValue(id_val="decimals"))
        panel.override_by_name(column, settings)
    return panel


def with_states(panel: table.Panel, column: str, states: States) -> table.Panel:
    """Give the values of a column words, and the cells colours."""
    return panel.override_by_name(
        column,
        [
            dashboard.DynamicConfigValue(id_val="mappings", value=[_mapping(states)]),
            dashboard.DynamicConfigValue(
                id_val="custom.cellOptions", value={"type": "color-background", "mode": "basic"}
            ),
        ],
    )


def with_column_link(panel: table.Panel, column: str, title: str, url: str) -> table.Panel:
    """Let the cells of a column lead somewhere; the URL may hold Grafana's variables."""
    link = {"title": title, "url": url, "targetBlank": False}
    return panel.override_by_name(column, [dashboard.DynamicConfigValue(id_val="links", value=[link])])


def _mapping(states: States) -> dashboard.ValueMap:
    return dashboard.ValueMap(
        options={
            str(value): dashboard.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(states.items())
        }
    )


def lines_panel(frame: Frame, *queries: str) -> timeseries.Panel:
    """Lines over time."""
    return (
        _over_time(frame, *queries)
        .draw_style(common.GraphDrawStyle.LINE)
        .line_width(2)
        .fill_opacity(0)
        # A lone bucket would be no line at all.
        .show_points(common.VisibilityMode.AUTO)
    )


def stacked_bars_panel(frame: Frame, *queries: str) -> timeseries.Panel:
    """Counts over time, one kind on top of the other."""
    return (
        _over_time(frame, *queries)
        .draw_style(common.GraphDrawStyle.BARS)
        .fill_opacity(80)
        .stacking(common_builder.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    )


def thresholds(signal: Signal) -> dashboard_builder.ThresholdsConfig:
    """The signal's threshold as colours: good, between recovery and breach, bad."""
    threshold = signal.threshold
    between: Steps
    if threshold is None:
        return _thresholds(((None, GOOD),))
    if threshold.is_bad_above:
        # Grafana colours from a step's value upwards; a count is bad from the next whole number.
        breach = threshold.breach + 1 if signal.unit == "short" else threshold.breach
        between = () if threshold.recovery == threshold.breach else ((threshold.recovery, WARN),)
        return _thresholds(((None, GOOD), *between, (breach, BAD)))
    between = () if threshold.recovery == threshold.breach else ((threshold.breach, WARN),)
    return _thresholds(((None, BAD), *between, (threshold.recovery, GOOD)))


def _colours(frame: Frame) -> dashboard_builder.ThresholdsConfig:
    return thresholds(frame.signal) if frame.steps is None else _thresholds(frame.steps)


def _thresholds(steps: Steps) -> dashboard_builder.ThresholdsConfig:
    return (
        dashboard_builder.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(value=value, color=color) for value, color in steps])
    )


def with_threshold_line(panel: timeseries.Panel, frame: Frame) -> timeseries.Panel:
    """Draw where the colours of the panel change as dashed lines across it."""
    return panel.thresholds(_colours(frame)).thresholds_style(
        common_builder.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
    )


def coloured(panel: timeseries.Panel, colours: Mapping[str, str]) -> timeseries.Panel:
    """Give series a colour each by their name; those of single restaurants have others of their own."""
    for series, colour in colours.items():
        panel.override_by_name(
            series, [dashboard.DynamicConfigValue(id_val="color", value={"fixedColor": colour, "mode": "fixed"})]
        )
    return panel


def dashed(panel: timeseries.Panel, series: str) -> timeseries.Panel:
    """Draw one series as a dashed grey line: a goal, not a measurement."""
    return panel.override_by_name(
        series,
        [
            dashboard.DynamicConfigValue(id_val="custom.lineStyle", value={"dash": [10, 10], "fill": "dash"}),
            dashboard.DynamicConfigValue(id_val="custom.showPoints", value="never"),
            dashboard.DynamicConfigValue(id_val="color", value={"fixedColor": "text", "mode": "fixed"}),
        ],
    )


def bars_on_the_right(panel: timeseries.Panel, ref_id: str) -> timeseries.Panel:
    """Draw the series of one query as faint bars of counts, on an axis of their own."""
    return panel.override_by_query(
        ref_id,
        [
            dashboard.DynamicConfigValue(id_val="custom.drawStyle", value="bars"),
            dashboard.DynamicConfigValue(id_val="custom.fillOpacity", value=20),
            dashboard.DynamicConfigValue(id_val="custom.lineWidth", value=0),
            dashboard.DynamicConfigValue(id_val="custom.axisPlacement", value="right"),
            dashboard.DynamicConfigValue(id_val="unit", value="short"),
            dashboard.DynamicConfigValue(id_val="min", value=0),
            # Without a value: what the panel says of its shares is not said of counts.
            dashboard.DynamicConfigValue(id_val="max"),
            dashboard.DynamicConfigValue(id_val="decimals"),
        ],
    )


def _over_time(frame: Frame, *queries: str) -> timeseries.Panel:
    panel = (
        _framed(timeseries.Panel(), frame)
        # By name: a series keeps its colour when others come and go.
        .color_scheme(dashboard_builder.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(
            common_builder.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .calcs([])
        )
        .tooltip(
            common_builder.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
        .min(0)
        .no_value("no data")
    )
    for number, sql in enumerate(queries):
        panel.with_target(Query(sql, "time_series", chr(ord("A") + number)))
    return panel


def _framed(panel: _Panel, frame: Frame) -> _Panel:
    link = (
        dashboard_builder.DashboardLink("Runbook")
        .type(dashboard.DashboardLinkType.LINK)
        .url(f"${{runbooks}}/{frame.signal.runbook}.md#{frame.signal.heading}")
        .target_blank(True)
    )
    width, height = frame.size
    return (
        panel.id(frame.id)
        .title(frame.title)
        .description(frame.description)
        .datasource(DATASOURCE)
        # The page puts it behind the one before it.
        .grid_pos(dashboard.GridPos(x=0, y=0, w=width, h=height))
        .unit(frame.unit or frame.signal.unit)
        .links([link])
    )
