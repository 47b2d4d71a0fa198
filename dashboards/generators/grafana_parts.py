"""What the Grafana dashboards are made of: queries, links, thresholds, and panels with the look they share."""

from __future__ import annotations

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
    table,
    timeseries,
)

DATASOURCE_TYPE = "grafana-postgresql-datasource"
DATASOURCE = common.DataSourceRef(type_val=DATASOURCE_TYPE, uid="${datasource}")

_GOOD, _WARN, _BAD = "green", "yellow", "red"

_Panel = TypeVar("_Panel", stat.Panel, table.Panel, timeseries.Panel)


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


class _Query(Builder[Dataquery]):
    def __init__(self, sql: str, result: str, ref_id: str) -> None:
        self._query = PostgresQuery(sql, result, ref_id)

    def build(self) -> Dataquery:
        return self._query


@dataclass(frozen=True)
class Frame:
    """What every panel has: who it is, what it is about, and where it stands.

    Attributes:
        id: Never reused for another panel: people's links hold it.
        about: What is drawn; the signal's sentence on what good looks like follows it.
        at: Column, row, width and height on the grid, which is 24 columns wide.
    """

    id: int
    title: str
    signal: Signal
    about: str
    at: tuple[int, int, int, int]

    @property
    def description(self) -> str:
        """What is drawn, and what good looks like."""
        return f"{self.about} Good: {self.signal.good}"


def stat_panel(frame: Frame, sql: str, *, result: str = "table", decimals: int = 0) -> stat.Panel:
    """One large number, on a background that turns with its threshold."""
    panel = (
        _framed(stat.Panel(), frame)
        .with_target(_Query(sql, result, "A"))
        .thresholds(thresholds(frame.signal))
        .color_mode(common.BigValueColorMode.BACKGROUND)
        .graph_mode(common.BigValueGraphMode.NONE if result == "table" else common.BigValueGraphMode.AREA)
        .reduce_options(common_builder.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("no data")
        .decimals(decimals)
    )
    return panel if result == "table" else panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME)


def table_panel(frame: Frame, sql: str, column_units: dict[str, str] | None = None) -> table.Panel:
    """Rows, with a unit for each column that is no plain number."""
    panel = _framed(table.Panel(), frame).with_target(_Query(sql, "table", "A")).no_value("none").filterable(True)
    for column, unit in (column_units or {}).items():
        panel.override_by_name(column, [dashboard.DynamicConfigValue(id_val="unit", value=unit)])
    return panel


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
    steps: list[tuple[float | None, str]]
    between: list[tuple[float | None, str]]
    if threshold is None:
        steps = [(None, _GOOD)]
    elif threshold.is_bad_above:
        # Grafana colours from a step's value upwards; a count is bad from the next whole number.
        breach = threshold.breach + 1 if signal.unit == "short" else threshold.breach
        between = [] if threshold.recovery == threshold.breach else [(threshold.recovery, _WARN)]
        steps = [(None, _GOOD), *between, (breach, _BAD)]
    else:
        between = [] if threshold.recovery == threshold.breach else [(threshold.breach, _WARN)]
        steps = [(None, _BAD), *between, (threshold.recovery, _GOOD)]
    return (
        dashboard_builder.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(value=value, color=color) for value, color in steps])
    )


def with_threshold_line(panel: timeseries.Panel, signal: Signal) -> timeseries.Panel:
    """Draw the signal's threshold as dashed lines across the panel."""
    return panel.thresholds(thresholds(signal)).thresholds_style(
        common_builder.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
    )


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
        panel.with_target(_Query(sql, "time_series", chr(ord("A") + number)))
    return panel


def _framed(panel: _Panel, frame: Frame) -> _Panel:
    link = (
        dashboard_builder.DashboardLink("Runbook")
        .type(dashboard.DashboardLinkType.LINK)
        .url(f"${{runbooks}}/{frame.signal.runbook}.md#what-it-means")
        .target_blank(True)
    )
    x, y, width, height = frame.at
    return (
        panel.id(frame.id)
        .title(frame.title)
        .description(frame.description)
        .datasource(DATASOURCE)
        .grid_pos(dashboard.GridPos(x=x, y=y, w=width, h=height))
        .unit(frame.signal.unit)
        .links([link])
    )
