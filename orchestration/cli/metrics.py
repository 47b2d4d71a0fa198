"""``holdwatch metrics``: what the views say, for tools that collect metrics."""

from __future__ import annotations

import typer

from orchestration.cli.metrics_push import push

app = typer.Typer(no_args_is_help=True, help="Metrics for Datadog.")

app.command()(push)
