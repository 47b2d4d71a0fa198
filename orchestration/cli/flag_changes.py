"""``holdwatch flags request|edit|approve|apply|reject|withdraw|break-glass|review``: changes that two people make."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from holds_core.database.settings import Environment
from holds_core.flags.changes import (
    FlagChange,
    FlagChanges,
    OnOverlap,
    Wish,
    list_changes,
    stored_contradictions,
)
from holds_core.flags.prospects import Prospect, is_open, read_prospects, setting_in_force
from orchestration.cli import completion
from orchestration.cli.acting import AsOption, ForOption, acting, no_placeholder
from orchestration.cli.durations import read_duration
from orchestration.cli.flag_words import as_object, in_full, moment, place_of, read_setting, what
from orchestration.cli.output import JsonOption, notes, print_json
from orchestration.cli.tables import print_facts

FlagArgument = Annotated[
    str, typer.Argument(metavar="FLAG", help="For example selector.lookahead.", autocompletion=completion.flags)
]
ValueArgument = Annotated[
    str,
    typer.Argument(
        metavar="VALUE",
        help="on, off, 30% (on for so many in a hundred restaurants), a number, 120/60 (holds in seconds), none; "
        "default takes away what is set.",
    ),
]
IdArgument = Annotated[int, typer.Argument(metavar="ID", help="The change; list them with: holdwatch flags pending")]
ReasonOption = Annotated[str, typer.Option(help="Why; it stays on the trail.", callback=no_placeholder)]
EnvironmentOption = Annotated[
    Environment | None, typer.Option(help="Where; the database's own environment unless given.")
]
RestaurantOption = Annotated[
    UUID | None, typer.Option(help="For one restaurant alone.", autocompletion=completion.restaurants)
]
UnsafeOption = Annotated[
    str | None, typer.Option(help="Where it makes an unsafe combination: why it is right all the same.")
]
OverlapsOption = Annotated[
    OnOverlap,
    typer.Option(help="Where restaurants become strict whose holds overlap already: refuse, or let those end first."),
]
ExpiresOption = Annotated[str, typer.Option(help="How long it may wait for an answer: 30m, 12h, 7d; at most 30d.")]
RevisionOption = Annotated[
    int | None, typer.Option(help="Only if it is still at this revision; else the one that is printed.")
]


def request(
    flag: FlagArgument,
    value: ValueArgument,
    reason: ReasonOption,
    environment: EnvironmentOption = None,
    restaurant: RestaurantOption = None,
    unsafe_because: UnsafeOption = None,
    overlaps: OverlapsOption = "refuse",
    expires_in: ExpiresOption = "7d",
    person: AsOption = None,
    acting_for: ForOption = None,
    json: JsonOption = False,
) -> None:
    """Ask for a change. Nothing changes until somebody else approves it.

    Example: holdwatch flags request selector.lookahead 10% --reason "first stage" --as ann

    Example: holdwatch flags request selector.combinations off --restaurant 6e0c6a3e-6f5e-4b57-9c1e-3f3a5a7c9d10
    --reason "they seat by hand" --as ann
    """
    wish = Wish(
        setting=read_setting(flag, value),
        reason=reason,
        unsafe_because=unsafe_because,
        on_overlap=overlaps,
        expires_in=read_duration(expires_in, "--expires-in"),
    )
    with acting(person, acting_for) as changes:
        change = changes.request(flag, wish, environment=environment, restaurant_id=restaurant)
        same = [one for one in list_changes(changes.connection, flag=flag) if _asks_the_same(one, change)]
    if json:
        print_json(as_object(change))
        return
    say_requested(change)
    for one in same:
        typer.echo(f"{one.requested_by} asked for the same before: holdwatch flags pending {one.id}")


def edit(
    change_id: IdArgument,
    value: ValueArgument,
    reason: ReasonOption,
    unsafe_because: UnsafeOption = None,
    overlaps: OverlapsOption = "refuse",
    expires_in: ExpiresOption = "7d",
    person: AsOption = None,
    acting_for: ForOption = None,
    json: JsonOption = False,
) -> None:
    """Ask for something else instead: your own request, anew. An approval that it had is void.

    Also takes up a request that is out of date, since the flag has changed.

    Example: holdwatch flags edit 12 20% --reason "a larger first stage" --as ann
    """
    duration = read_duration(expires_in, "--expires-in")
    with acting(person, acting_for) as changes:
        known = changes.show(change_id)
        wish = Wish(
            setting=read_setting(known.flag, value),
            reason=reason,
            unsafe_because=unsafe_because,
            on_overlap=overlaps,
            expires_in=duration,
        )
        change = changes.edit(change_id, known.revision, wish)
    void = f" The approval by {known.approved_by} is void." if known.approved_by is not None else ""
    _say(change, f"Change {change.id} is at revision {change.revision}: {what(change)}.{void}", json=json)


def approve(
    change_id: IdArgument,
    remark: Annotated[str | None, typer.Option(help="What to say with it; it stays on the trail.")] = None,
    revision: RevisionOption = None,
    later: Annotated[
        bool, typer.Option("--later", help="Approve only; `holdwatch flags apply` puts it into force.")
    ] = False,
    person: AsOption = None,
    acting_for: ForOption = None,
    json: JsonOption = False,
) -> None:
    """Approve what somebody else has asked for, and put it into force in the same moment.

    Prints the change, and approves exactly that: if it is edited meanwhile, this is refused. Look first with:
    holdwatch flags pending ID

    Example: holdwatch flags approve 12 --remark "seen on staging" --as bob
    """
    with acting(person, acting_for) as changes:
        shown = changes.show(change_id)
        if not json:
            print_facts(in_full(shown, prospect_of(changes, shown)))
        change = changes.approve(change_id, shown.revision if revision is None else revision, remark, apply=not later)
    done = "is approved; put it into force with: holdwatch flags apply" if later else "is in force:"
    _say(change, f"Change {change.id} {done} {change.id if later else what(change)}.", json=json)


def apply(
    change_id: IdArgument,
    revision: RevisionOption = None,
    person: AsOption = None,
    acting_for: ForOption = None,
    json: JsonOption = False,
) -> None:
    """Put into force what has been approved with --later.

    Example: holdwatch flags apply 12 --as ann
    """
    with acting(person, acting_for) as changes:
        shown = changes.show(change_id)
        change = changes.apply(change_id, shown.revision if revision is None else revision)
    _say(change, f"Change {change.id} is in force: {what(change)}.", json=json)


def reject(
    change_id: IdArgument,
    reason: ReasonOption,
    person: AsOption = None,
    acting_for: ForOption = None,
    json: JsonOption = False,
) -> None:
    """Say no to what somebody else has asked for.

    Example: holdwatch flags reject 12 --reason "not on a Friday" --as bob
    """
    with acting(person, acting_for) as changes:
        change = changes.reject(change_id, reason)
    _say(change, f"Change {change.id} is rejected.", json=json)


def withdraw(
    change_id: IdArgument,
    reason: ReasonOption,
    person: AsOption = None,
    acting_for: ForOption = None,
    json: JsonOption = False,
) -> None:
    """Take back what you have asked for; or end a break-glass change before its time, whoever made it.

    Example: holdwatch flags withdraw 12 --reason "superseded" --as ann
    """
    with acting(person, acting_for) as changes:
        change = changes.withdraw(change_id, reason)
        again = ""
        if change.is_break_glass:
            now = setting_in_force(changes.connection, change.environment, change.flag, change.restaurant_id)
            again = f": {place_of(change)} is {now} again"
    _say(change, f"Change {change.id} is {change.state}{again}.", json=json)


def break_glass(
    flag: FlagArgument,
    value: ValueArgument,
    reason: ReasonOption,
    lasts: Annotated[str, typer.Option(help="When it ends by itself: 30m, 12h, 3d; at most 3d.")],
    environment: EnvironmentOption = None,
    restaurant: RestaurantOption = None,
    overlaps: OverlapsOption = "refuse",
    person: AsOption = None,
    acting_for: ForOption = None,
    json: JsonOption = False,
) -> None:
    """Set a flag at once and alone, in an emergency. It ends by itself, and somebody else has to review it.

    Unsafe combinations do not stop it, and are recorded. To let overlapping holds through there is the kill switch:
    holdwatch enforcement off

    Example: holdwatch flags break-glass selector.attemptLimit 5 --lasts 2h --reason "database at its limit" --as ann
    """
    setting = read_setting(flag, value)
    if setting is None:
        raise typer.BadParameter("breaking the glass takes nothing away; say what to set it to", param_hint="VALUE")
    wish = Wish(setting=setting, reason=reason, on_overlap=overlaps, expires_in=read_duration(lasts, "--lasts"))
    with acting(person, acting_for) as changes:
        change = changes.break_glass(flag, wish, environment=environment, restaurant_id=restaurant)
        unsafe = [
            one
            for one in stored_contradictions(changes.connection, change.environment, changes.variables)
            if flag in one.flags
        ]
    for one in unsafe:
        notes.print(f"Unsafe: {one}")
    _say(change, f"In force now, by you alone: {what(change)}. It ends {moment(change.expires_at)}.", json=json)
    if not json:
        typer.echo(f"Somebody else reviews it with: holdwatch flags review {change.id} --remark … --as PERSON")


def review(
    change_id: IdArgument,
    remark: Annotated[str, typer.Option(help="What you found; it stays on the trail.")],
    person: AsOption = None,
    acting_for: ForOption = None,
    json: JsonOption = False,
) -> None:
    """Say what you found of a break-glass change that somebody else has made.

    Example: holdwatch flags review 12 --remark "it was right, and the limit stays" --as bob
    """
    with acting(person, acting_for) as changes:
        change = changes.review(change_id, remark)
    _say(change, f"Change {change.id} is reviewed.", json=json)


def add_to(app: typer.Typer) -> None:
    """Make these the app's commands."""
    for command in (request, edit, approve, apply, reject, withdraw, break_glass, review):
        app.command(command.__name__.replace("_", "-"))(command)


def say_requested(change: FlagChange) -> None:
    """Say that a change is asked for, who approves it, and until when."""
    typer.echo(f"Change {change.id} is requested: {what(change)}. Nothing has changed yet.")
    typer.echo(f"Somebody else approves it with: holdwatch flags approve {change.id} --as PERSON")
    typer.echo(f"It expires {moment(change.expires_at)}.")


def prospect_of(changes: FlagChanges, change: FlagChange) -> Prospect | None:
    """Return what a change would do now; None where it is not open any more."""
    return read_prospects(changes.connection, [change], changes.variables).get(change.id)


def _asks_the_same(one: FlagChange, change: FlagChange) -> bool:
    return (
        is_open(one)
        and one.id != change.id
        and (one.environment, one.restaurant_id, one.setting)
        == (change.environment, change.restaurant_id, change.setting)
    )


def _say(change: FlagChange, text: str, *, json: bool) -> None:
    if json:
        print_json(as_object(change))
    else:
        typer.echo(text)
