"""Shows the Grafana dashboards without Grafana: one HTML page and PNGs, drawn from the database's own data.

Read a dashboard (``board``), ask its queries (``asking``, ``frames``), say how each field is shown (``fields``,
``units``, ``colours``), draw its panels (``panels``), and put them onto a page or into a picture (``layout``, ``page``,
``picture``).
"""

from __future__ import annotations

from dashboards.preview.asking import BoardAnswer, Wanted
from dashboards.preview.board import Board, read_board
from dashboards.preview.writing import Preview, write_preview

__all__ = ["Board", "BoardAnswer", "Preview", "Wanted", "read_board", "write_preview"]
