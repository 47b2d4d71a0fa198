"""``holdwatch flags``: what flags are, who has set them, and whether the trail of that holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated

import typer

from holds_core.flags.changes import FlagChanges, list_changes, tend_flags
from holds_core.flags.matrix import Row, StoredOverride, build_matrix, read_overrides
from holds_core.flags.model import FlagDefinition
from holds_core.flags.prospects import read_prospects
from holds_core.flags.registry import rollout_text
from holds_core.flags.reports import as_csv, as_markdown, as_object
from holds_core.flags.trail import Entry, read_trail, verify_trail
from orchestration.cli import completion, flag_actors, flag_changes, flag_registry
from orchestration.cli.acting import AsOption, Desk, named_database, reading
from orchestration.cli.flag_tables import print_changes, print_entries, print_rows
from orchestration.cli.flag_words import as_object as change_object
from orchestration.cli.flag_words import definition_named, in_full, moment
from orchestration.cli.output import JsonOption, notes, print_json, results, say_left_out
from orchestration.cli.tables import print_facts
from orchestration.flag_sources import all_sources, own_source

app = typer.Typer(no_args_is_help=True, help="Feature flags: what they are, and changes that take two people.")
flag_changes.add_to(app)
app.add_typer(flag_actors.app, name="actors")

FlagArgument = Annotated[
    str, typer.Argument(metavar="FLAG", help="For example holds.strictConflicts.", autocompletion=completion.flags)
]
OnlyFlagOption = Annotated[
    str | None, typer.Option("--flag", help="Only this flag's.", autocompletion=completion.flags)
]
DatabaseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--database",
        metavar="ENV=URL",
        help="Another database that holds the flags of an environment; give it again for another one.",
    ),
]


class Format(StrEnum):
    """How the audit is written."""

    TABLE = "table"
    CSV = "csv"
    MARKDOWN = "markdown"
    JSON = "json"


@app.command("list")
def list_flags(person: AsOption = None, json: JsonOption = False) -> None:
    """List the flags of this database's environment: what is in force, and why.

    Example: holdwatch flags list
    """
    with reading(person) as desk:
        rows = _own_rows(desk)
    if json:
        found = {"environment": desk.environment, "flags": [as_object(row) for row in rows]}
        print_json(found | {"unused_variables": desk.variables.problems})
    else:
        print_rows(rows)
        _print_unused(desk)


@app.command()
def show(flag: FlagArgument, person: AsOption = None, json: JsonOption = False) -> None:
    """Show one flag: its definition, what is set, which changes wait, and what happened to it last.

    Example: holdwatch flags show holds.strictConflicts
    """
    definition = definition_named(flag)
    with reading(person) as desk:
        rows = [row for row in _own_rows(desk) if row.flag == flag]
        waiting = list_changes(desk.connection, flag=flag)
        prospects = read_prospects(desk.connection, waiting, desk.own_settings)
        entries = [entry for entry in read_trail(desk.connection) if entry.flag == flag][-10:]
    if json:
        print_json(
            {
                "flag": flag,
                "definition": definition.as_json() | {"variable": definition.variable},
                "in_force": [as_object(row) for row in rows],
                "waiting": [change_object(change) for change in waiting],
                "trail": [_entry_object(entry) for entry in entries],
            }
        )
        return
    print_facts(_facts(definition))
    print_rows(rows)
    _print_unused(desk)
    if waiting:
        results.print("Waiting:")
        print_changes(waiting, prospects)
    print_entries(entries)


@app.command()
def audit(
    database: DatabaseOption = None,
    output_format: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.TABLE,
    person: AsOption = None,
    json: JsonOption = False,
) -> None:
    """Dump every flag in every environment: default, variable, override, what is in force, why, since when, by whom.

    Covers the environments whose flags this database holds; --database adds others, and one that cannot be asked is
    shown so. Unsafe combinations, break-glass changes and expired flags are marked.

    Example: holdwatch flags audit --format csv > flags.csv

    Example: holdwatch flags audit --format markdown --database staging=postgresql://reader@staging-db/holdwatch
    """
    others = [named_database(text, "--database") for text in database or []]
    with reading(person) as desk:
        sources = all_sources(desk.connection, desk.variables, desk.process_environment, others)
    rows = build_matrix(sources, _today())
    match Format.JSON if json else output_format:
        case Format.JSON:
            print_json({"flags": [as_object(row) for row in rows], "unused_variables": desk.variables.problems})
        case Format.CSV:
            typer.echo(as_csv(rows), nl=False)
        case Format.MARKDOWN:
            typer.echo(as_markdown(rows, datetime.now(UTC)), nl=False)
        case Format.TABLE:
            print_rows(rows)
            _print_unused(desk)
            notes.print("Variables are those of this process, for its own environment.")


@app.command()
def pending(
    change_id: Annotated[int | None, typer.Argument(metavar="ID", help="Show this change in full.")] = None,
    flag: OnlyFlagOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    person: AsOption = None,
    json: JsonOption = False,
) -> None:
    """List the changes that wait for somebody: for an approval, to be applied, to end, to be reviewed.

    Says which of them cannot be approved any more, and which kill switches wait to be taken back.

    Example: holdwatch flags pending

    Example: holdwatch flags pending 12
    """
    killed = []
    with reading(person) as desk:
        if change_id is not None:
            found = [FlagChanges(desk.connection).show(change_id)]
        else:
            found = list_changes(desk.connection, only_open=not everything, flag=flag)
            killed = [one for one in read_overrides(desk.connection) if one.is_killed and flag in (None, one.flag)]
        shown = found[:limit]
        prospects = read_prospects(desk.connection, shown, desk.own_settings)
    left_out = len(found) - len(shown)
    if json:
        changes = [change_object(change, prospects.get(change.id)) for change in shown]
        print_json({"changes": changes, "left_out": left_out, "kill_switches": [_switch_object(one) for one in killed]})
    elif change_id is not None:
        print_facts(in_full(found[0], prospects.get(change_id)))
    elif not found and not killed:
        typer.echo("Nothing waits.")
    elif found:
        print_changes(shown, prospects)
        say_left_out(left_out, "changes")
    for one in [] if json else killed:
        results.print(
            f"The kill switch of {one.flag} is on{_where(one)} since {moment(one.changed_at)}, by {one.changed_by}. "
            f"Why: holdwatch flags trail --flag {one.flag}. To take it back: holdwatch enforcement on"
            + ("" if one.restaurant_id is None else f" --restaurant {one.restaurant_id}"),
            style="red",
        )


@app.command()
def trail(
    flag: OnlyFlagOption = None,
    limit: Annotated[int, typer.Option(min=1, help="The last so many entries.")] = 50,
    person: AsOption = None,
    json: JsonOption = False,
) -> None:
    """Show the trail: everything that happened to flags, oldest first.

    Example: holdwatch flags trail --flag holds.strictConflicts
    """
    with reading(person) as desk:
        found = [entry for entry in read_trail(desk.connection) if flag in (None, entry.flag)]
    entries = found[-limit:]
    left_out = len(found) - len(entries)
    if json:
        print_json({"entries": [_entry_object(entry) for entry in entries], "left_out": left_out})
    else:
        print_entries(entries)
        say_left_out(left_out, "entries, all of them older,")


@app.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option(metavar="POSITION:HASH", help="A head that was kept elsewhere: the chain has to contain it."),
    ] = None,
    person: AsOption = None,
    json: JsonOption = False,
) -> None:
    """Walk the trail's chain of hashes, and compare its last words with what is in force.

    Names the first link that is broken, and exits 1. Keep the head that it prints where nobody who may write to this
    database can: with it, even a trail that was written anew from some point on is found.

    Example: holdwatch flags verify

    Example: holdwatch flags verify --head "$(cat trail-head.txt)"
    """
    anchor = None if head is None else _anchor(head)
    with reading(person) as desk:
        tend_flags(desk.connection)
        verdict = verify_trail(desk.connection, anchor)
    if json:
        print_json(
            {
                "is_whole": not verdict.problems,
                "entries": verdict.entries,
                "head": None if verdict.head is None else f"{verdict.head[0]}:{verdict.head[1]}",
                "problems": verdict.problems,
            }
        )
    elif verdict.problems:
        typer.echo("The trail is BROKEN:\n" + "\n".join(f"- {problem}" for problem in verdict.problems))
    else:
        typer.echo(f"The trail is whole: {verdict.entries} entries, and what is in force is what it says.")
    if verdict.head is not None and not json:
        typer.echo(f"head: {verdict.head[0]}:{verdict.head[1]}")
    if verdict.problems:
        raise typer.Exit(1)


flag_registry.add_to(app)


def _today() -> date:
    return datetime.now(UTC).date()


def _own_rows(desk: Desk) -> list[Row]:
    variables = desk.variables if desk.environment == desk.process_environment else None
    return build_matrix([own_source(desk.connection, desk.environment, variables)], _today())


def _print_unused(desk: Desk) -> None:
    """Say which variables of this process are meant for flags, and set nothing."""
    for problem in desk.variables.problems:
        results.print(problem, style="yellow")


def _where(override: StoredOverride) -> str:
    """Write where something is set."""
    whom = "" if override.restaurant_id is None else f" for restaurant {override.restaurant_id}"
    return f" in {override.environment}{whom}"


def _switch_object(override: StoredOverride) -> dict[str, object]:
    return {
        "environment": override.environment,
        "flag": override.flag,
        "restaurant_id": override.restaurant_id,
        "since": override.changed_at,
        "by": override.changed_by,
    }


def _facts(definition: FlagDefinition) -> Iterator[tuple[str, str]]:
    yield "flag", definition.name
    yield "what", definition.description
    yield "why", definition.rationale
    yield "owner", f"{definition.owner}; {definition.kind}, expires {definition.expires}"
    yield "defaults", ", ".join(f"{environment} {setting}" for environment, setting in definition.default.items())
    yield "variable", definition.variable
    if definition.rollout is not None:
        yield "rollout", rollout_text(definition.rollout)
    for rule in definition.rules:
        yield "unsafe", f"{rule} ({rule.name}): {rule.because}"


def _entry_object(entry: Entry) -> dict[str, object]:
    return vars(entry) | {
        "from_setting": None if entry.from_setting is None else str(entry.from_setting),
        "to_setting": None if entry.to_setting is None else str(entry.to_setting),
        "previous_hash": None if entry.previous_hash is None else entry.previous_hash.hex(),
        "hash": None if entry.hash is None else entry.hash.hex(),
    }


def _anchor(head: str) -> tuple[int, str]:
    position, _, digest = head.partition(":")
    if not position.isdigit() or len(digest) != 64:
        raise typer.BadParameter(f"{head!r} is not POSITION:HASH, as verify prints it", param_hint="--head")
    return int(position), digest.lower()
