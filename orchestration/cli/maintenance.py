"""``holdwatch maintenance``: make known what is out of order on purpose, so that nobody is woken for it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from holds_core.database.settings import Environment
from holds_core.maintenance import (
    MaintenanceWindow,
    Weekly,
    add_maintenance_window,
    end_maintenance_window,
    in_time_zone,
    list_maintenance_windows,
)
from orchestration.cli import completion
from orchestration.cli.acting import AsOption, connected, require_reason
from orchestration.cli.durations import duration_text, read_duration
from orchestration.cli.output import JsonOption, print_json, results

app = typer.Typer(
    no_args_is_help=True,
    help="Known maintenance: alerts are quiet about it, except that of double bookings.",
    epilog="Example: holdwatch maintenance add --for 2h --reason 'moving to the new floor plan'",
)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_TIME_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S%z"]


def _time_of_day(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007  the time zone is an option of its own
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time of day such as 02:00") from None


@app.command()
def add(
    reason: Annotated[str, typer.Option(help="Why; whoever looks for an alert that did not come reads it.")],
    lasts: Annotated[
        timedelta | None, typer.Option("--for", parser=read_duration, metavar="2h", help="How long: 2h, 90m, 1h30m.")
    ] = None,
    starts_at: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=_TIME_FORMATS, metavar="2030-01-31T22:00", help="When it starts. Unless given: now."
        ),
    ] = None,
    ends_at: Annotated[
        datetime | None,
        typer.Option(
            "--until",
            formats=_TIME_FORMATS,
            metavar="2030-01-31T22:00",
            help="When it ends; of a weekly one, after which none begins.",
        ),
    ] = None,
    weekly: Annotated[
        str | None, typer.Option(metavar="mon,thu", help="Every week on these days; needs --at and --for.")
    ] = None,
    at: Annotated[
        time | None, typer.Option(parser=_time_of_day, metavar="HH:MM", help="When on those days it begins.")
    ] = None,
    time_zone: Annotated[
        str,
        typer.Option(
            help="Whose clocks --from, --until and --at are of; a weekly one keeps its hour when they change."
        ),
    ] = "UTC",
    environment: Annotated[
        Environment | None, typer.Option(help="Whose alerts are quiet. Unless given: this database's.")
    ] = None,
    restaurant: Annotated[
        UUID | None, typer.Option(help="Only what is of this restaurant.", autocompletion=completion.restaurants)
    ] = None,
    person: AsOption = None,
    json: JsonOption = False,
) -> None:
    """Make maintenance known: once, or every week.

    What happens in it counts for no alert and burns no error budget. Double bookings are told all the same.

    Example: holdwatch maintenance add --for 2h --reason 'database upgrade'

    Example: holdwatch maintenance add --from 2030-01-31T22:00 --until 2030-02-01T01:00 --reason 'new floor plan'

    Example: holdwatch maintenance add --weekly mon,thu --at 02:00 --for 2h --time-zone Europe/Berlin --reason backups

    Example: holdwatch maintenance add --for 1h --restaurant 6e0c6a3e-6f5e-4b57-9c1e-3f3a5a7c9d10 --reason closed
    """
    require_reason(reason)
    recurs = _recurs(weekly, at, lasts)
    with connected(person) as connection:
        begins, ends = (
            None if moment is None else in_time_zone(connection, moment, time_zone) for moment in (starts_at, ends_at)
        )
        if recurs is None and lasts is None:
            if ends is None:
                raise typer.BadParameter("say how long: --for 2h, or --until a time", param_hint="--for")
            begins = begins or datetime.now(UTC)
            if ends <= begins:
                whose = "--from" if starts_at is not None else "now"
                raise typer.BadParameter(f"--until is before {whose}", param_hint="--until")
            lasts, ends = ends - begins, None
        elif recurs is None and ends is not None:
            raise typer.BadParameter("give --for or --until, not both", param_hint="--until")
        assert lasts is not None
        window = add_maintenance_window(
            connection,
            lasts=lasts,
            reason=reason,
            starts_at=begins,
            weekly=recurs,
            time_zone=time_zone,
            ends_at=ends,
            environment=environment,
            restaurant_id=restaurant,
        )
    if json:
        print_json(_as_json(window))
        return
    typer.echo(
        f"Known from now on: maintenance of {_whose(window)}, {_when(window)}, for {duration_text(window.lasts)}."
    )
    remedy = "" if window.is_over else f" To end it: holdwatch maintenance end {window.id}"
    typer.echo(f"It is {_state(window)}.{remedy}")


@app.command("list")
def list_windows(
    with_ended: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    person: AsOption = None,
    json: JsonOption = False,
) -> None:
    """List known maintenance: what is active, what comes next, who added it and why. Times are UTC.

    Example: holdwatch maintenance list --json
    """
    with connected(person) as connection:
        windows = list_maintenance_windows(connection, with_ended=with_ended)
    if json:
        print_json({"maintenance_windows": [_as_json(window) for window in windows]})
        return
    if not windows:
        typer.echo("No known maintenance.")
        return
    for window in windows:
        results.print(
            f"{window.id}  {_state(window)}\n"
            f"    {_whose(window)}, {_when(window)}, for {duration_text(window.lasts)}\n"
            f"    {window.reason} (added by {window.created_by}, {window.created_at:%Y-%m-%d %H:%M} UTC)"
        )


@app.command()
def end(
    window_id: Annotated[UUID, typer.Argument(help="As holdwatch maintenance list shows it.")],
    person: AsOption = None,
    json: JsonOption = False,
) -> None:
    """End maintenance at once: alerts are judged again from now on. Repeating it is harmless.

    Example: holdwatch maintenance end 0d4a6a7e-0c4f-4b6e-9f0e-4c1f6f0a2b11
    """
    with connected(person) as connection:
        was_ended = end_maintenance_window(connection, window_id)
    if json:
        print_json({"id": window_id, "was_ended": was_ended})
        return
    typer.echo("Ended: alerts are judged again from now on." if was_ended else "It was over already.")


def _recurs(weekly: str | None, at: time | None, lasts: timedelta | None) -> Weekly | None:
    if weekly is None:
        if at is not None:
            raise typer.BadParameter("it is for --weekly; what comes once starts --from a time", param_hint="--at")
        return None
    if at is None or lasts is None:
        raise typer.BadParameter("it also needs --at 02:00 and --for 2h", param_hint="--weekly")
    names = [name.strip().lower() for name in weekly.split(",")]
    if unknown := [name for name in names if name not in DAYS]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(DAYS)}; write mon,thu", param_hint="--weekly")
    return Weekly(weekdays={DAYS.index(name) + 1 for name in names}, begins_at=at)


def _whose(window: MaintenanceWindow) -> str:
    whole = window.restaurant_id is None
    return f"all of {window.environment}" if whole else f"{window.environment}, restaurant {window.restaurant_id}"


def _when(window: MaintenanceWindow) -> str:
    if window.weekdays is None or window.begins_at is None:
        return f"once, from {window.starts_at:%Y-%m-%d %H:%M} UTC"
    days = ", ".join(DAYS[day - 1] for day in window.weekdays)
    return f"every {days} {window.begins_at:%H:%M} {window.time_zone}"


def _state(window: MaintenanceWindow) -> str:
    if window.ended_by is not None:
        return f"ended by {window.ended_by} at {window.ends_at:%Y-%m-%d %H:%M} UTC"
    if window.active_until is not None:
        return f"ACTIVE until {window.active_until:%Y-%m-%d %H:%M} UTC"
    if window.next_starts_at is not None:
        return f"next at {window.next_starts_at:%Y-%m-%d %H:%M} UTC"
    return "over already"


def _as_json(window: MaintenanceWindow) -> dict[str, Any]:
    values = asdict(window)
    return values | {
        "lasts_seconds": values.pop("lasts").total_seconds(),
        "weekdays": None if window.weekdays is None else [DAYS[day - 1] for day in window.weekdays],
        "is_active": window.active_until is not None,
    }
