"""``holdwatch enforcement``: the kill switch, and the proof that overlaps are refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import psycopg
import typer

from holds_core import set_hold_conflict_enforcement
from holds_core.enforcement import (
    EnforcementStatus,
    OnOverlap,
    RestaurantApart,
    enforcement_problems,
    enforcement_status,
    guard_problems,
    switch_restaurant_enforcement,
)
from holds_core.errors import EnforcementError
from orchestration.cli import completion
from orchestration.cli.acting import AsOption, connected, require_reason
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.cli.progress import working

app = typer.Typer(
    no_args_is_help=True, help="The kill switch of strict conflicts, and the proof that they are in force."
)

_MOST_NAMED = 5
"""So many restaurants stand in a sentence; a status lists more."""

ReasonOption = Annotated[str, typer.Option(help="Why; it is recorded with who switched and when.")]
RestaurantOption = Annotated[
    UUID | None,
    typer.Option(help="Only this restaurant, whatever is approved.", autocompletion=completion.restaurants),
]
OverlapsOption = Annotated[
    OnOverlap,
    typer.Option(
        help="Where live windows overlap already: refuse to switch, or grandfather them. Those stay until they end; "
        "nothing new comes in beside them."
    ),
]


@app.command()
def status(json: JsonOption = False) -> None:
    """Say whether overlapping holds are refused, for whom, since when, by whom and why.

    Example: holdwatch enforcement status
    """
    with connected(None) as connection, working("asking the database"):
        found = enforcement_status(connection)
    if json:
        print_json(asdict(found))
        return
    typer.echo(f"Strict conflicts are {_force(found)}.")
    if found.changed_at is not None:
        results.print(f"Changed {found.changed_at:%Y-%m-%d %H:%M:%S} UTC by {found.changed_by}: {found.reason}")
    if found.unenforced_window_count:
        typer.echo(
            f"Live windows beside the constraint: {found.unenforced_window_count}, overlapping others "
            f"{found.overlap_count} times.\nList them with: holdwatch holds conflicts"
        )
    if found.apart_count:
        typer.echo(f"{_restaurants(found.apart_count)} set otherwise than the whole:")
        for one in found.restaurants_apart:
            results.print(_apart(one), soft_wrap=True)
        if (rest := found.apart_count - len(found.restaurants_apart)) > 0:
            typer.echo(f"  … and {rest} more; see: holdwatch flags show holds.strictConflicts")


@app.command()
def on(
    reason: ReasonOption,
    overlaps: OverlapsOption = "refuse",
    restaurant: RestaurantOption = None,
    person: AsOption = None,
    json: JsonOption = False,
) -> None:
    """Take the kill switch back: what is approved of holds.strictConflicts is in force again.

    Waits for holds that are being placed. Refuses while live windows overlap, unless told to grandfather them. Tries it
    afterwards: exits 1 if overlaps get in all the same, because the constraint is missing or broken.

    Example: holdwatch enforcement on --reason "the incident is over" --overlaps grandfather --as ann
    """
    with _operator(reason, person) as connection:
        if restaurant is not None:
            is_strict = switch_restaurant_enforcement(
                connection, restaurant_id=restaurant, enabled=True, reason=reason, on_overlap=overlaps
            )
        else:
            set_hold_conflict_enforcement(connection, enabled=True, reason=reason, on_overlap=overlaps)
        found = enforcement_status(connection)
        broken = guard_problems(connection)
    if broken:
        notes.print("The switch is back on, and that is not enough: docs/runbooks/double-booking.md")
        raise EnforcementError(broken)
    if restaurant is None:
        is_strict = found.is_everywhere
    # A restaurant's own switch is not touched by that of the whole.
    still_off = [one for one in found.restaurants_apart if not one.is_strict and restaurant is None]
    if json:
        ids = [one.restaurant_id for one in still_off]
        print_json({"restaurant_id": restaurant, "is_strict": is_strict, "restaurants_off": ids})
        return
    if is_strict:
        typer.echo(f"Strict conflicts are on{_for(restaurant)}: overlapping holds are refused.")
    elif still_off and found.strict_percentage == 100:
        typer.echo("Strict conflicts are on.")
    else:
        typer.echo(
            f"What is approved{_for(restaurant)} is in force again; see: holdwatch flags show holds.strictConflicts"
        )
    if still_off:
        typer.echo(_stay_off(still_off))
        if (rest := found.apart_count - len(found.restaurants_apart)) > 0:
            typer.echo(f"… and {rest} more; see: holdwatch enforcement status")


@app.command()
def off(
    reason: ReasonOption, restaurant: RestaurantOption = None, person: AsOption = None, json: JsonOption = False
) -> None:
    """The kill switch: let overlapping holds through, at once and without anybody's approval.

    Each one is recorded as what strict mode would have refused, and the switch on the trail of holds.strictConflicts.
    Another share of the restaurants takes two people: holdwatch flags request holds.strictConflicts 10% --reason …

    Example: holdwatch enforcement off --reason "bookings are refused wrongly" --as ann
    """
    with _operator(reason, person) as connection:
        if restaurant is not None:
            switch_restaurant_enforcement(connection, restaurant_id=restaurant, enabled=False, reason=reason)
        else:
            set_hold_conflict_enforcement(connection, enabled=False, reason=reason)
    if json:
        print_json({"restaurant_id": restaurant, "is_strict": False})
        return
    whose = "" if restaurant is None else f"--restaurant {restaurant} "
    typer.echo(
        f"Strict conflicts are OFF{_for(restaurant)}. Switch back with: holdwatch enforcement on {whose}--reason …\n"
        "Where bookings have come to overlap by then, add: --overlaps grandfather"
    )


@app.command()
def check(json: JsonOption = False) -> None:
    """Prove that overlapping holds are refused: constraint, index, switch, and a probe that leaves nothing behind.

    Exits 1 and names every reason to doubt it.

    Example: holdwatch enforcement check
    """
    with connected(None) as connection, working("trying it"):
        problems = enforcement_problems(connection)
    if json:
        print_json({"is_enforced": not problems, "problems": problems})
    elif problems:
        typer.echo("Overlapping holds are NOT surely refused:\n" + "\n".join(f"- {problem}" for problem in problems))
    else:
        typer.echo("Overlapping holds are refused: constraint, index and switch are in order, and a probe was refused.")
    if problems:
        raise typer.Exit(1)


@contextmanager
def _operator(reason: str, person: str | None) -> Iterator[psycopg.Connection[Any]]:
    require_reason(reason)
    with connected(person) as connection, working("waiting for holds that are being placed"):
        yield connection


def _force(found: EnforcementStatus) -> str:
    if not found.is_enabled:
        return "OFF"
    if found.strict_percentage < 100:
        return f"on for {found.strict_percentage} % of the restaurants; the others record what would be refused"
    if found.apart_count:
        return f"on, but OFF for {_restaurants(found.apart_count)}, whose overlapping holds are let through"
    return "on: overlapping holds are refused"


def _apart(one: RestaurantApart) -> str:
    """Say it on one line; ids are copied from it."""
    by = f" by {one.changed_by}: {one.reason or 'no reason was given'}" if one.changed_by else ""
    how = " (kill switch)" if one.is_killed else ""
    state = "on" if one.is_strict else "OFF"
    return f"  {one.restaurant_id} {state}{how} since {one.changed_at:%Y-%m-%d %H:%M:%S} UTC{by}"


def _stay_off(apart: Sequence[RestaurantApart]) -> str:
    """Say which restaurants the switch of the whole leaves off, and what switches them on."""
    killed = [str(one.restaurant_id) for one in apart if one.is_killed]
    others = [str(one.restaurant_id) for one in apart if not one.is_killed]
    said = []
    if killed:
        whom, one = ("it", killed[0]) if len(killed) == 1 else ("each of them", "ID")
        said.append(f"{_stays(killed)}; switch {whom} on with: holdwatch enforcement on --restaurant {one} --reason …")
    if others:
        said.append(f"{_stays(others)}, as was approved; see: holdwatch flags show holds.strictConflicts")
    return "\n".join(said)


def _stays(ids: Sequence[str]) -> str:
    named = ", ".join(ids[:_MOST_NAMED]) + (", …" if len(ids) > _MOST_NAMED else "")
    return f"{_restaurants(len(ids))} {'stays' if len(ids) == 1 else 'stay'} off: {named}"


def _restaurants(count: int) -> str:
    return "1 restaurant" if count == 1 else f"{count} restaurants"


def _for(restaurant: UUID | None) -> str:
    return "" if restaurant is None else f" for restaurant {restaurant}"
