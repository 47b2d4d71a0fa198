"""``holdwatch metrics``: what the views say, for tools that collect metrics."""

from __future__ import annotations

import typer

from orchestration.cli.metrics_push import push
from orchestration.cli.metrics_serve import serve

app = typer.Typer(no_args_is_help=True, help="What the views say, for tools that collect metrics.")


@app.callback()
def metrics() -> None:
    """What the views say, for tools that collect metrics."""


app.command()(serve)
app.command()(push)
