"""Draws panels: one module for each of Grafana's visualizations."""

from __future__ import annotations

from collections.abc import Mapping

from dashboards.preview.frames import ShapeError
from dashboards.preview.panels.bar_gauge import draw_bar_gauge
from dashboards.preview.panels.drawing import Canvas, Draw, Drawing, message
from dashboards.preview.panels.stat import SHADE, draw_stat
from dashboards.preview.panels.state_timeline import draw_state_timeline
from dashboards.preview.panels.table import draw_table
from dashboards.preview.panels.timeseries import draw_timeseries
from dashboards.preview.panels.words import draw_text, draw_unknown

__all__ = ["DRAWERS", "SHADE", "Canvas", "Drawing", "draw"]

DRAWERS: Mapping[str, Draw] = {
    "bargauge": draw_bar_gauge,
    "stat": draw_stat,
    "state-timeline": draw_state_timeline,
    "status-history": draw_state_timeline,
    "table": draw_table,
    "text": draw_text,
    "timeseries": draw_timeseries,
}
"""What draws each type of panel; "row" is a header, and no panel."""


def draw(canvas: Canvas) -> Drawing:
    """Draw a panel in the state that it is in: data, no data, an error, or a box for what cannot be drawn."""
    panel = canvas.panel
    if panel.type not in DRAWERS:
        return draw_unknown(canvas, f"panels of the type {panel.type!r}")
    if transformations := panel.json.get("transformations"):
        names = ", ".join(str(one.get("id")) for one in transformations)
        return draw_unknown(canvas, f"what the transformation {names} makes of data")
    if canvas.answer.error is not None:
        return message(canvas, canvas.answer.error, kind="error", fill="var(--error)", size=13)
    if panel.targets and canvas.is_empty:
        is_stat = panel.type == "stat"
        return message(
            canvas, canvas.no_value, kind="no-data", fill="var(--text)" if is_stat else "var(--faint)", size=16
        )
    try:
        return DRAWERS[panel.type](canvas)
    except ShapeError as error:
        return draw_unknown(canvas, str(error))
