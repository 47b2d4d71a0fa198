"""``holdwatch metrics serve``: what the views say, for Prometheus."""

from __future__ import annotations

import os
import signal
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from dashboards.metrics_reader import MetricsReader
from dashboards.metrics_server import MetricsServer, metrics_app
from orchestration.cli.output import notes, results
from orchestration.cli.progress import open_existing_database

DEFAULT_PORT = 9798
PASSWORD_VARIABLE = "HOLDWATCH_METRICS_PASSWORD"  # noqa: S105  a name, no password


def serve(
    host: Annotated[str, typer.Option(help="Where to listen; loopback unless you say otherwise.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = DEFAULT_PORT,
    cache: Annotated[float, typer.Option(min=0, help="Seconds for which what was read is good.")] = 10,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that the database may take.")] = 5,
    username: Annotated[str, typer.Option(help="Who may read, where a password is set.")] = "prometheus",
    password_file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, readable=True, help="A file with the password that scrapes must bring."
        ),
    ] = None,
) -> None:
    """Answer Prometheus: /metrics, and /healthz for whether this process is alive.

    Reads as analytics_reader, over one connection. Where the database does not answer, holdwatch_up is 0 and nothing
    else is there. HOLDWATCH_METRICS_PASSWORD, or a file, sets a password. Ctrl-C, or SIGTERM, ends it.

    Example: holdwatch metrics serve --port 9798
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        # A shell that starts it in the background has Ctrl-C ignored; whoever sends one all the same means it.
        signal.signal(number, signal.default_int_handler)
    password = _password(password_file)
    try:
        with open_existing_database() as database:
            reader = MetricsReader(database.url, cache_seconds=cache, timeout_seconds=timeout)
            answers = metrics_app(reader, version=version("holdwatch"), username=username, password=password)
            with MetricsServer(host, port, answers) as server:
                shown = f"[{host}]" if ":" in host else host
                results.print(f"Metrics: http://{shown}:{server.server_port}/metrics")
                results.file.flush()
                if password is None and not _is_loopback(server.server_name):
                    notes.print("Anybody who reaches this address can read them; a password file would change that.")
                try:
                    server.serve_forever()
                finally:
                    reader.close()
    except KeyboardInterrupt:
        notes.print("Stopped.")


def _password(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(PASSWORD_VARIABLE) or None
    if not (password := file.read_text("utf-8").strip()):
        raise typer.BadParameter(f"there is no password in {file}", param_hint="--password-file")
    return password


def _is_loopback(address: str) -> bool:
    return ip_address(address).is_loopback
