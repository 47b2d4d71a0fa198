"""Writes a page: one HTML file with its styles in it, every text escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from expectations.data_docs.renderers import Page

_TEMPLATES = Path(__file__).with_name("templates")

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser is told: nothing is loaded, nothing runs, whatever a database's texts may hold."""


class PageView:
    """What Great Expectations calls with what a renderer returned."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, page: Page, **_: Any) -> str:
        """Write the page."""
        template = self._environment.get_template(f"{page.template}.html")
        return template.render(page.values, title=page.title, home=page.home, policy=_POLICY)
