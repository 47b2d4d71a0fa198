"""The report as an asset: the page, its figures, and a plot of them for Dagster's own page."""

import base64
import os
from pathlib import Path
from typing import Any

import dagster as dg

from dashboards.errors import ReaderRoleError
from dashboards.report import Report, Wanted, make_report, picture
from expectations.suites.views import VIEW_NAMES, VIEWS_SCHEMA
from orchestration.asset_facts import Updates, docs, runbook, tags
from orchestration.jobs import PLATFORM
from orchestration.paths import REPORT_FILE
from orchestration.resources import DatabaseResource

_PLOT = "success"


@dg.asset(
    key=["dashboards", "report"],
    description="One HTML page for who has none of the tools: the answer, figures with goals, plots of 90 days.",
    deps=[[VIEWS_SCHEMA, name] for name in VIEW_NAMES],
    group_name="dashboards",
    owners=PLATFORM,
    kinds={"html"},
    tags=tags(Updates.HALF_HOUR, is_public=True),
    metadata={"docs": docs("report.md"), "runbook": runbook("README")},
)
def report(context: dg.AssetExecutionContext, database: DatabaseResource) -> dg.MaterializeResult[None]:
    """Write the page beside Dagster's home, where ``holdwatch report`` writes it as well."""
    try:
        with database.connect_in_step() as connection:
            made = make_report(connection, Wanted())
    except ReaderRoleError as error:
        # A server's owner need not be a reader, and nothing else in the pipeline is to fail of it.
        context.log.warning("There is no report: %s", error)
        return dg.MaterializeResult(metadata={"answer": f"There is no report: {error}"})
    path = Path(os.environ["DAGSTER_HOME"]).parent / REPORT_FILE
    made.write(path)
    return dg.MaterializeResult(metadata=_metadata(made, path))


def _metadata(made: Report, path: Path) -> dict[str, Any]:
    """The answer, the figures as they are told apart by name, the page, and a plot; units are in the texts."""
    metadata: dict[str, Any] = {
        "answer": f"{made.answer.first} {made.answer.second}",
        "page": dg.MetadataValue.path(path),
        "figures": dg.MetadataValue.md(_table(made)),
    }
    # As numbers too, of which Dagster draws how they go.
    metadata |= {one.name: one.value for one in made.figures if one.value is not None}
    try:
        png, words = picture(made, _PLOT)
    except ModuleNotFoundError:
        return metadata
    encoded = base64.b64encode(png).decode("ascii")
    return metadata | {"plot": dg.MetadataValue.md(f"{words}\n\n![{words}](data:image/png;base64,{encoded})")}


def _table(made: Report) -> str:
    rows = [f"| {one.title} | {one.text} | {one.goal or ''} | {one.state} |" for one in made.figures]
    return "\n".join(("| figure | value | goal | |", "| --- | ---: | --- | --- |", *rows))
