"""``holdwatch flags actors``: whose a login is, for changes of flags."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from holds_core.database.connections import connect
from holds_core.flags.actors import list_actors, set_actor
from orchestration.cli.acting import AsOption, reading
from orchestration.cli.flag_words import moment
from orchestration.cli.output import JsonOption, print_json
from orchestration.cli.progress import open_existing_database
from orchestration.cli.tables import print_table

app = typer.Typer(no_args_is_help=True, help="Whose a login is, for changes of flags.")


@app.command("list")
def list_people(person: AsOption = None, json: JsonOption = False) -> None:
    """List who may ask for changes of flags and approve them, and with which logins.

    Example: holdwatch flags actors list
    """
    with reading(person) as desk:
        found = list_actors(desk.connection)
    if json:
        print_json({"actors": [vars(actor) for actor in found]})
    elif not found:
        typer.echo("Nobody yet. Make a login with: holdwatch db grant holds_operator PERSON")
    else:
        table = Table("person", "login", "is", "since", "by")
        for actor in found:
            kind = "a service" if actor.is_service else "a person"
            table.add_row(
                actor.person, actor.login, kind if actor.is_active else "nobody any more", moment(actor.changed_at),
                actor.changed_by,
            )  # fmt: skip
        print_table(table)


@app.command("remove")
def remove_person(login: Annotated[str, typer.Argument(help="The login.")], json: JsonOption = False) -> None:
    """Let a login change no flags any more; as the owner of the database. What it did stays on the trail.

    Example: holdwatch flags actors remove ann
    """
    with open_existing_database() as database, connect(database.url) as connection:
        known = {actor.login: actor for actor in list_actors(connection)}
        if login not in known:
            raise typer.BadParameter(f"{login} is nobody's; see: holdwatch flags actors list", param_hint="LOGIN")
        actor = known[login]
        set_actor(connection, login, person=actor.person, is_service=actor.is_service, is_active=False)
    if json:
        print_json({"login": login, "person": actor.person, "is_active": False})
        return
    typer.echo(f"{login} may not change flags any more.")
