"""``holdwatch dashboards push``: into Grafana or Datadog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from dashboards.errors import PushError
from dashboards.files import DASHBOARDS_DIR
from dashboards.pushing.downtimes import KnownMaintenance, read_maintenance
from dashboards.pushing.plan import Action, Change, Plan
from holds_core.database.connections import connect
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.cli.progress import open_database, working
from orchestration.errors import MissingExtraError

_SHOWN_DIFFERENCES = 8
_LOOKING = "looking at what is there"
_DONE = {Action.CREATE: "created", Action.UPDATE: "updated", Action.DELETE: "deleted"}
_TO_DO = {Action.CREATE: "to create", Action.UPDATE: "to update", Action.DELETE: "to delete"}
_SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-", Action.LEFT: "!"}


def push(
    grafana: Annotated[str | None, typer.Option(metavar="URL", help="Of the Grafana to load them into.")] = None,
    datadog: Annotated[bool, typer.Option("--datadog", help="Load them into Datadog.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what is ours there and no longer generated, and copies.")
    ] = False,
    downtimes: Annotated[
        bool,
        typer.Option(
            "--downtimes/--no-downtimes", help="For Datadog: also the maintenance that the database knows of."
        ),
    ] = True,
    directory: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="The folder with grafana/ and datadog/; default: the project's."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Load dashboards, monitors, objectives and downtimes: created or updated, never twice.

    Tokens come from the environment alone: GRAFANA_TOKEN; DD_API_KEY and DD_APP_KEY, with DD_SITE. A second push
    changes nothing, and says so.

    Example: GRAFANA_TOKEN=… holdwatch dashboards push --grafana https://grafana.example --dry-run
    """
    if (grafana is None) is not datadog:
        raise typer.BadParameter("name one of --grafana URL and --datadog.", param_hint="--grafana / --datadog")
    target = DASHBOARDS_DIR if directory is None else directory
    with _planned(grafana, target, downtimes=downtimes, prune=prune) as plan:
        done = [] if dry_run else _carry_out(plan, quiet=json)
        if json:
            print_json(_as_json(plan, done))
        elif dry_run:
            _print_plan(plan)


@contextmanager
def _planned(grafana: str | None, directory: Path, *, downtimes: bool, prune: bool) -> Iterator[Plan]:
    """Give the plan, while the connection that carries it out is open."""
    try:
        from dashboards.pushing.datadog import plan_datadog  # noqa: PLC0415  optional
        from dashboards.pushing.datadog_api import DatadogApi, DatadogSettings  # noqa: PLC0415  optional
        from dashboards.pushing.grafana import plan_grafana  # noqa: PLC0415  optional
        from dashboards.pushing.grafana_api import GrafanaApi, GrafanaSettings  # noqa: PLC0415  optional
    except ModuleNotFoundError as error:
        raise MissingExtraError("dashboards", "Loading dashboards") from error
    if grafana is not None:
        with GrafanaApi.open(GrafanaSettings.from_environ(grafana)) as grafana_api:
            with working(_LOOKING):
                plan = plan_grafana(grafana_api, directory, prune=prune)
            yield plan
        return
    settings = DatadogSettings.from_environ(with_app_key=True)
    maintenance = _maintenance() if downtimes else None
    with DatadogApi.open(settings) as datadog_api:
        with working(_LOOKING):
            plan = plan_datadog(datadog_api, directory, maintenance, prune=prune)
        yield plan


def _maintenance() -> KnownMaintenance:
    with open_database(migrated=False) as database, connect(database.url) as connection:
        return read_maintenance(connection)


def _carry_out(plan: Plan, *, quiet: bool) -> list[Change]:
    """Do it, change by change, and say so; what was done before one that fails stays done."""
    done: list[Change] = []
    pending = plan.pending()
    for change in pending:
        assert change.apply is not None
        try:
            with working(f"{change.kind} {change.name}"):
                change.apply()
        except PushError as error:
            if done:
                made = f"{len(done)} of {len(pending)} changes were made before that, and stay"
                raise PushError(f"{error} {made}; push again for the others.") from None
            raise
        done.append(change)
        if not quiet:
            results.print(f"{_DONE[change.action]} {change.kind} {change.name}", soft_wrap=True)
            _print_differences(change)
    if not quiet:
        for change in plan.changes:
            if change.action is Action.LEFT:
                results.print(f"left {change.kind} {change.name}: {change.reason}; --prune deletes it", soft_wrap=True)
        _print_summary(plan, "Done" if done else "Nothing to do", _DONE)
    return done


def _print_plan(plan: Plan) -> None:
    for change in plan.changes:
        if change.action is Action.UNCHANGED:
            continue
        reason = f": {change.reason}" if change.reason else ""
        hint = "; --prune deletes it" if change.action is Action.LEFT else ""
        results.print(
            f"{_SIGNS[change.action]} {change.action} {change.kind} {change.name}{reason}{hint}", soft_wrap=True
        )
        _print_differences(change)
    _print_summary(plan, "Nothing was changed" if plan.pending() else "Nothing to do", _TO_DO)


def _print_differences(change: Change) -> None:
    for difference in change.differences[:_SHOWN_DIFFERENCES]:
        results.print(f"    {difference}", soft_wrap=True)
    if (more := len(change.differences) - _SHOWN_DIFFERENCES) > 0:
        results.print(f"    and {more} more")


def _print_summary(plan: Plan, beginning: str, words: Mapping[Action, str]) -> None:
    counts = Counter(change.action for change in plan.changes)
    counted = ", ".join(f"{counts[action]} {words.get(action, action)}" for action in Action if counts[action])
    notes.print(f"{beginning} at {plan.target}: {counted}.", soft_wrap=True)
    for note in plan.notes:
        notes.print(note, soft_wrap=True)


def _as_json(plan: Plan, done: list[Change]) -> dict[str, Any]:
    return {
        "target": plan.target,
        "changed": len(done),
        "changes": [
            {
                "kind": change.kind,
                "name": change.name,
                "action": str(change.action),
                "is_done": change in done,
                "reason": change.reason,
                "differences": [vars(difference) for difference in change.differences],
            }
            for change in plan.changes
        ],
        "notes": list(plan.notes),
    }
