"""``holdwatch rollout``: flags go up by stages, each after its soak and with guardrails that hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import psycopg
import typer
from rich.table import Table

from holds_core.database.connections import connect
from holds_core.database.settings import Environment
from holds_core.errors import FlagRequestError, HoldsError, first_line
from holds_core.flags.changes import FlagChange, Wish
from holds_core.flags.model import Flag, FlagDefinition
from holds_core.flags.rollouts import GuardrailVerdict, RolloutStatus, read_cohort, read_rollouts
from holds_core.flags.snapshot import read_snapshot
from holds_core.flags.trail import Entry, last_rollback, read_trail
from holds_core.flags.values import Setting
from orchestration.cli import completion
from orchestration.cli.acting import AsOption, ForOption, acting, named_database, reading
from orchestration.cli.flag_changes import EnvironmentOption, OverlapsOption, ReasonOption, UnsafeOption, say_requested
from orchestration.cli.flag_words import DEFAULT, as_object, definition_named, guardrail_words, moment, what
from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.cli.progress import working
from orchestration.cli.tables import print_table

app = typer.Typer(no_args_is_help=True, help="Staged rollout: flags go up by stages, guarded by evidence.")

FlagOption = Annotated[str, typer.Option("--flag", help="The flag.", autocompletion=completion.staged_flags)]
_STRICT = Flag.STRICT_CONFLICTS.value
_COLOURS = {GuardrailVerdict.BROKEN: "red", GuardrailVerdict.WAITS: "yellow"}


@app.command()
def status(
    flag: Annotated[str | None, typer.Option(help="Only this flag.", autocompletion=completion.staged_flags)] = None,
    database: Annotated[
        list[str] | None,
        typer.Option(
            "--database", metavar="ENV=URL", help="Another environment's database; give it again for another."
        ),
    ] = None,
    person: AsOption = None,
    json: JsonOption = False,
) -> None:
    """Show each rollout: the stage in force, its soak, every guardrail, and what the next stage still needs.

    Example: holdwatch rollout status

    Example: holdwatch rollout status --database staging=postgresql://ann@staging-db/holdwatch --json
    """
    if flag is not None:
        definition_named(flag)
    others = [named_database(text, "--database") for text in database or []]
    with reading(person) as desk:
        found = _with_rollbacks(desk.connection, read_rollouts(desk.connection, flag=flag))
        here = desk.environment
    elsewhere: list[tuple[RolloutStatus, Entry | None]] = []
    for environment, url in others:
        try:
            with working(f"asking {environment}"), connect(url) as connection:
                statuses = read_rollouts(connection, flag=flag, environment=environment)
                elsewhere += _with_rollbacks(connection, statuses)
        except (psycopg.Error, HoldsError) as error:
            notes.print(f"{environment} cannot be asked: {first_line(error)}")
    if json:
        print_json({"rollouts": [_status_object(*one) for one in [*found, *elsewhere]]})
        return
    for one, rollback in found:
        _print_status(one, rollback, "" if one.environment == here else f" --environment {one.environment}")
    for one, rollback in elsewhere:
        _print_status(one, rollback, f", in the database of {one.environment}")
    if not found and not elsewhere:
        typer.echo("No flag has stages in the environment of this database.")


@app.command()
def advance(
    reason: ReasonOption,
    flag: FlagOption = _STRICT,
    environment: EnvironmentOption = None,
    evidence_from: Annotated[
        str | None,
        typer.Option(
            metavar="ENV=URL", help="The database of the environment before, whose rollout must have finished."
        ),
    ] = None,
    unsafe_because: UnsafeOption = None,
    overlaps: OverlapsOption = "refuse",
    person: AsOption = None,
    acting_for: ForOption = None,
    json: JsonOption = False,
) -> None:
    """Ask for the next stage. Refused while the soak lasts or a guardrail does not hold.

    Nothing changes until somebody else approves it, and the guardrails are judged again then.

    Example: holdwatch rollout advance --reason "48 hours without a conflict" --as ann

    Example: holdwatch rollout advance --evidence-from staging=postgresql://… --reason "staging is through" --as ann
    """
    before = None if evidence_from is None else _evidence_from(flag, *named_database(evidence_from, "--evidence-from"))
    with acting(person, acting_for) as changes:
        place = environment or read_snapshot(changes.connection).environment
        now = _rollout(changes.connection, flag, place)
        if now.next_stage is None:
            raise FlagRequestError(f"{flag} is on for everybody in {place}: there is no next stage.")
        wish = Wish(
            setting=Setting(True, None if now.next_stage == 100 else now.next_stage),
            reason=reason,
            unsafe_because=unsafe_because,
            on_overlap=overlaps,
            evidence=None if before is None else {"from": before.source},
        )
        _say(changes.request(flag, wish, environment=place), json=json)


@app.command()
def start(
    reason: ReasonOption,
    flag: FlagOption = _STRICT,
    at: Annotated[int, typer.Option(min=0, max=99, help="Where to begin, in percent; 0 is off.")] = 0,
    environment: EnvironmentOption = None,
    person: AsOption = None,
    acting_for: ForOption = None,
    json: JsonOption = False,
) -> None:
    """Ask to begin a rollout: from on for everybody down to 0 %, or to the first stage. Somebody else approves it.

    At 0 % nothing is refused, and what strict conflicts would refuse is recorded: the first soak is over that.

    Example: holdwatch rollout start --reason "coming from the old platform" --as ann
    """
    with acting(person, acting_for) as changes:
        place = environment or read_snapshot(changes.connection).environment
        now = _rollout(changes.connection, flag, place)
        if at not in (0, now.stages[0]):
            raise typer.BadParameter(f"a rollout begins at 0 or at {now.stages[0]}", param_hint="--at")
        if now.stage <= at:
            raise FlagRequestError(
                f"{flag} is at {now.stage} % in {place} already; go on with: holdwatch rollout advance --flag {flag}"
            )
        wish = Wish(setting=Setting(True, at) if at else Setting(False), reason=reason)
        change = changes.request(flag, wish, environment=place)
    _say(change, json=json)
    if not json:
        typer.echo(_between(definition_named(flag), now, at))


@app.command("roll-back")
def roll_back(
    reason: ReasonOption,
    flag: FlagOption = _STRICT,
    environment: EnvironmentOption = None,
    person: AsOption = None,
    acting_for: ForOption = None,
    json: JsonOption = False,
) -> None:
    """Take a flag back to the stage before, at once and alone. It is on the trail, and the soak begins anew.

    Example: holdwatch rollout roll-back --reason "guests at the door" --as ann
    """
    with acting(person, acting_for) as changes:
        change = changes.roll_back(flag, reason, environment=environment)
    if json:
        print_json(as_object(change))
    else:
        typer.echo(f"Rolled back: {what(change)}.")


@app.command()
def cohort(
    flag: FlagOption = _STRICT,
    add: Annotated[
        list[UUID] | None,
        typer.Option(help="A restaurant that takes part; give it again.", autocompletion=completion.restaurants),
    ] = None,
    remove: Annotated[
        list[UUID] | None,
        typer.Option(help="One that no longer does; give it again.", autocompletion=completion.restaurants),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Ids of those that take part, one a line.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; it stays on the trail.")] = None,
    person: AsOption = None,
    acting_for: ForOption = None,
    json: JsonOption = False,
) -> None:
    """List the restaurants that take part in a flag's stages, or name others. None named: all take part.

    Changes while the flag is off or on for everybody, and no stage is asked for: who approves a stage approves it for
    those who are in it.

    Example: holdwatch rollout cohort --file pilots.txt --reason "they agreed" --as ann
    """
    definition_named(flag)
    added = [*(add or []), *([] if file is None else _ids_in(file))]
    if added or remove:
        if reason is None:
            raise typer.BadParameter("say why", param_hint="--reason")
        with acting(person, acting_for) as changes:
            changes.change_cohort(flag, reason, add=added, remove=remove or [])
            found = read_cohort(changes.connection, flag)
    else:
        with reading(person) as desk:
            found = read_cohort(desk.connection, flag)
    if json:
        print_json({"flag": flag, "restaurants": found})
        return
    for restaurant_id in found:
        typer.echo(restaurant_id)
    who = {0: "All restaurants take", 1: "1 restaurant takes"}.get(len(found), f"{len(found)} restaurants take")
    notes.print(f"{who} part in {flag}.")


def _rollout(connection: psycopg.Connection[Any], flag: str, environment: Environment) -> RolloutStatus:
    definition_named(flag)
    found = read_rollouts(connection, flag=flag, environment=environment)
    if not found:
        raise FlagRequestError(f"{flag} has no stages in {environment}, or this database does not decide it there.")
    return found[0]


def _evidence_from(flag: str, environment: Environment, url: str) -> RolloutStatus:
    with working(f"asking {environment}"), connect(url) as connection:
        return _rollout(connection, flag, environment)


def _ids_in(file: Path) -> Sequence[UUID]:
    ids = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if line.strip():
            try:
                ids.append(UUID(line.strip()))
            except ValueError:
                raise typer.BadParameter(
                    f"{file}:{number}: {line.strip()!r} is no restaurant's id", param_hint="--file"
                ) from None
    return ids


def _say(change: FlagChange, *, json: bool) -> None:
    if json:
        print_json(as_object(change))
        return
    say_requested(change)


def _between(definition: FlagDefinition, now: RolloutStatus, at: int) -> str:
    """Say what it is like from the approval on, until the next stage."""
    if definition.name == _STRICT and at:
        like = f"overlapping holds are refused for {at} % of those that take part, and recorded for all others"
    elif definition.name == _STRICT:
        like = "overlapping holds are recorded, not refused, for all restaurants"
    else:
        like = f"it is on for {at} % of the restaurants that take part" if at else "it is off for all restaurants"
    after = next(stage for stage in now.stages if stage > at)
    soak = definition.rollout.soak_hours if definition.rollout is not None else 0
    return (
        f"Once it is approved, {like}. {after} % can be asked for after {soak} hours of that, "
        "with guardrails that hold, and takes two people again."
    )


def _with_rollbacks(
    connection: psycopg.Connection[Any], statuses: Sequence[RolloutStatus]
) -> list[tuple[RolloutStatus, Entry | None]]:
    """Give each rollout the entry of the trail that took it back to where it is; None where it came otherwise."""
    entries = read_trail(connection) if statuses else []
    return [(one, last_rollback(entries, one.flag, one.environment)) for one in statuses]


def _status_object(one: RolloutStatus, rollback: Entry | None) -> dict[str, object]:
    found = None
    if rollback is not None:
        found = {
            "at": rollback.at,
            "by": rollback.person or rollback.login,
            "from": None if rollback.from_setting is None else str(rollback.from_setting),
            "to": str(rollback.to_setting),
            "reason": rollback.reason,
        }
    return {**one.source, "missing": one.missing, "rolled_back": found}


def _print_status(one: RolloutStatus, rollback: Entry | None, where: str) -> None:
    """Print where a rollout is; ``where`` is what the command for the next stage needs to act in the same place."""
    stages = " → ".join(f"[{stage} %]" if stage == one.stage else f"{stage} %" for stage in one.stages)
    who = f"of {one.cohort_count} named restaurants" if one.cohort_count else "of all restaurants"
    left = f"soak left {_hours(one.soak_left)}" if one.soak_left else "soaked"
    state = one.verdict if one.is_running or one.verdict == "finished" else f"not on its way ({one.verdict})"
    results.print(f"{one.flag} in {one.environment}: {state}")
    results.print(f"  {one.stage} % {who} since {moment(one.began_at)}, {left}; stages {stages}")
    if rollback is not None:
        way = f"from {rollback.from_setting or DEFAULT} to {rollback.to_setting}"
        results.print(
            f"  Rolled back {way}, {moment(rollback.at)}, by {rollback.person or rollback.login}: {rollback.reason}",
            style="red",
        )
    table = Table("guardrail", "over", "value", "has to be", "verdict")
    for guardrail in one.guardrails:
        table.add_row(*guardrail_words(guardrail), guardrail.verdict, style=_COLOURS.get(guardrail.verdict))
    print_table(table)
    if one.next_stage is not None:
        needs = "needs:" if one.missing else f"can be asked for: holdwatch rollout advance --flag {one.flag}{where}"
        results.print(f"  The next stage, {one.next_stage} %, {needs}")
    elif one.missing:
        results.print("  On for everybody; it counts as finished once there is no more of this:")
    for missing in one.missing:
        results.print(f"  - {missing}")
    if one.waiting_change is not None:
        results.print(f"  Change {one.waiting_change} waits: holdwatch flags pending {one.waiting_change}")


def _hours(left: timedelta) -> str:
    hours, rest = divmod(int(left.total_seconds()), 3600)
    return f"{hours} h {rest // 60} min"
