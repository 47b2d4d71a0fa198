"""``holdwatch db``: the embedded server, and the schema on either server."""

from __future__ import annotations

from typing import Annotated

import typer

from holds_core.database.connections import connect
from holds_core.database.migrations import change_environment as store_environment
from holds_core.database.settings import Environment, Settings
from orchestration.cli.output import JsonOption, notes, print_json
from orchestration.cli.progress import open_database, open_existing_database, working
from orchestration.database import bring_up_to_date
from orchestration.errors import ServerError
from orchestration.logins import LoginError, Role, url_of
from orchestration.logins import grant as grant_role
from orchestration.paths import state_dir
from orchestration.server.lease import ServerLease

app = typer.Typer(no_args_is_help=True, help="The embedded server, and the schema on either server.")


def _embedded() -> ServerLease:
    if Settings.from_environ().database_url is not None:
        raise ServerError(
            "HOLDWATCH_DATABASE_URL names a real server; starting and stopping that one is not ours to do."
        )
    return ServerLease(state_dir())


@app.command()
def start(json: JsonOption = False) -> None:
    """Start the embedded server and leave it up until `holdwatch db stop`.

    Example: holdwatch db start
    """
    lease = _embedded()
    with working("starting the server"):
        started = lease.keep()
    if json:
        print_json({"was_started": started})
        return
    notes.print("Started." if started else "It was up already.", "It stays up until: holdwatch db stop")


@app.command()
def stop(json: JsonOption = False) -> None:
    """Stop the embedded server: now, or with the last command that is using it.

    Example: holdwatch db stop
    """
    lease = _embedded()
    was_running = lease.server.is_running()
    with working("stopping the server"):
        is_released = lease.release()
    if json:
        print_json({"was_running": was_running, "is_running": not is_released})
    elif is_released:
        notes.print("Stopped." if was_running else "It was not up.")
    else:
        notes.print("Another command is using it; it stops when that one ends.")


@app.command()
def status(json: JsonOption = False) -> None:
    """Say whether the database is up, and where it keeps its log.

    Example: holdwatch db status
    """
    settings = Settings.from_environ()
    if settings.database_url is not None:
        with connect(settings.database_url) as connection:
            report: dict[str, object] = {
                "server": "HOLDWATCH_DATABASE_URL",
                "running": True,
                "version": connection.info.parameter_status("server_version"),
            }
    else:
        lease = ServerLease(state_dir())
        report = {
            "server": "embedded",
            "running": lease.server.is_running(),
            "kept": lease.is_kept(),
            "log": str(lease.server.log),
        }
    if json:
        print_json(report)
    else:
        typer.echo("\n".join(f"{name}: {value}" for name, value in report.items()))


@app.command()
def url(
    role: Annotated[
        Role | None, typer.Option(help="As a login that has this role and no more, instead of as the owner.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print the database's URL, password included.

    With --role it is the login that `holdwatch db grant` made last for the role. On the embedded server one is made
    where there is none.

    Example: psql "$(holdwatch db url --role analytics_reader)"
    """
    settings = Settings.from_environ()
    owner_url = settings.database_url or ServerLease(state_dir()).server.url()
    is_embedded = settings.database_url is None
    if role is None:
        _print_url(owner_url, json=json)
        if is_embedded and not ServerLease(state_dir()).server.is_running():
            notes.print("The embedded server is not up, so nobody answers there; start it: holdwatch db start")
        return
    own_url = url_of(owner_url, role, is_embedded=is_embedded)
    if is_embedded and own_url is None:
        with open_database() as database, connect(database.url) as connection:
            grant_role(connection, database.url, role, f"{role}_login", is_embedded=True)
        own_url = url_of(owner_url, role, is_embedded=True)
    if own_url is None:
        raise LoginError(f"No login with the role {role} is known here; make one: holdwatch db grant {role} PERSON")
    _print_url(own_url, json=json)


def _print_url(shown: str, *, json: bool) -> None:
    if json:
        print_json({"url": shown})
    else:
        typer.echo(shown)


@app.command()
def grant(
    role: Annotated[Role, typer.Argument(help="What the login may do; docs/holds.md says what each role can call.")],
    person: Annotated[str, typer.Argument(help="The login's name: lower-case letters, digits and _.")],
    alias_of: Annotated[
        str | None,
        typer.Option(
            metavar="PERSON", help="An operator's further login: whose it is. The two do not approve each other."
        ),
    ] = None,
    service: Annotated[
        bool, typer.Option("--service", help="An operator that acts for people, and says for whom with --for.")
    ] = False,
    new_password: Annotated[
        bool,
        typer.Option(
            "--new-password", help="For a login that exists: the old password is void, wherever it is in use."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Let PERSON log in with a role and no more; a new login's password goes to a file that only you can read.

    Harmless to repeat; a login that exists keeps its password. It is the whole server's: where its file for another
    database of the server is here, this database gets one too. To take it back, in psql: drop role PERSON.

    A holds_operator may ask for changes of flags and approve those of others: holdwatch flags request … --as PERSON

    Example: holdwatch db grant holds_operator ann
    """
    if (alias_of is not None or service) and role is not Role.HOLDS_OPERATOR:
        raise typer.BadParameter("only a holds_operator is somebody's or a service", param_hint="--alias-of, --service")
    if alias_of is not None and service:
        raise typer.BadParameter("a service is nobody's alias", param_hint="--service")
    with open_existing_database() as database, connect(database.url) as connection:
        granted = grant_role(
            connection,
            database.url,
            role,
            person,
            is_embedded=database.is_embedded,
            alias_of=alias_of,
            is_service=service,
            with_new_password=new_password,
        )
    if json:
        print_json({"person": person, "role": role, "file": None if granted.file is None else str(granted.file)})
        return
    typer.echo(f"{person} has the role {role}.")
    if granted.file is None:
        typer.echo(
            "The login was there before, made elsewhere; its password is as it was, and not known here. To use it with "
            f"--as, give it a new one: holdwatch db grant {role} {person} --new-password"
        )
    else:
        typer.echo(f'Its URL, password included, is in {granted.file}: psql "$(cat {granted.file})"')


@app.command()
def migrate(
    change_environment: Annotated[
        Environment | None,
        typer.Option(help="Let the holds of this database count as those of this environment from now on."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Bring the schema up to date. Harmless to repeat; two at once are safe.

    The first migrate stores HOLDWATCH_ENVIRONMENT (dev where it is unset) as the one that the hold tables and the
    switch serve. Later ones leave it, unless told with --change-environment.

    Example: HOLDWATCH_ENVIRONMENT=prod holdwatch db migrate
    """
    with (
        open_database(migrated=False) as database,
        connect(database.url) as connection,
        working("migrating"),
    ):
        report = bring_up_to_date(connection, change_environment or database.environment)
        if change_environment is not None:
            store_environment(connection, change_environment)
    environment = change_environment or report.environment
    if json:
        print_json({"applied": report.applied, "already_applied": report.already_applied, "environment": environment})
        return
    if (wanted := Settings.from_environ().environment) != environment:
        notes.print(
            f"This database serves {environment}; HOLDWATCH_ENVIRONMENT={wanted} does not change that "
            f"(--change-environment {wanted} does)."
        )
    for name in report.applied:
        typer.echo(f"applied {name}")
    if not report.applied:
        typer.echo(f"Nothing to do: all {report.already_applied} migrations were applied before.")
    typer.echo(f"environment: {environment}")
