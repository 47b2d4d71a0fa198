"""Logins for people and services, each with one of the roles of least privilege; each password in a file.

A login's file is ``.holdwatch/logins/SERVER/PERSON.ROLE.url``: its URL, readable by this user alone. SERVER is
``embedded``, or host, port and database of a real one.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from holds_core.database.connections import connect
from holds_core.errors import HoldAccessError, HoldsError
from holds_core.flags.actors import list_actors, set_actor
from orchestration.paths import state_dir

_PERSON = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Role(StrEnum):
    """What a login may do; made by the migrations, and unable to log in themselves."""

    HOLDS_APP = "holds_app"
    HOLDS_OPERATOR = "holds_operator"
    ANALYTICS_READER = "analytics_reader"


class LoginError(HoldsError):
    """A login cannot be made, or none is known here."""


@dataclass(frozen=True)
class Grant:
    """What a grant did.

    Attributes:
        person: The login.
        role: What it may do from now on.
        file: Holds its URL with the password; None where the login was there before, with a password we do not know.
    """

    person: str
    role: Role
    file: Path | None


def grant(
    connection: psycopg.Connection,
    url: str,
    role: Role,
    person: str,
    *,
    is_embedded: bool = False,
    alias_of: str | None = None,
    is_service: bool = False,
    with_new_password: bool = False,
) -> Grant:
    """Let a login have a role; make the login where there is none. Harmless to repeat: a known password stays.

    A login is the whole server's: a password that is known for another database of the server is known for this one.

    An operator is also somebody who may ask for changes of flags and approve them.

    Args:
        connection: To the database, as somebody who may create roles.
        url: The same database, as the login will see it but for user and password.
        role: What it may do.
        person: The login's name.
        is_embedded: Whether it is the embedded server, whose port may change, and whose logins are this user's alone.
        alias_of: The person whose login it is, where that is not its name: whose other logins do not approve what this
            one asks for.
        is_service: Whether an operator's login is a service's, that acts for people and says for whom.
        with_new_password: Whether a login that exists gets another password, also in the files of the server's other
            databases; whoever has the old one cannot log in any more.

    Raises:
        LoginError: The name cannot be a login's, or this connection may not create roles.
    """
    if not _PERSON.fullmatch(person) or person.startswith("pg_"):
        raise LoginError(
            f"{person!r} cannot be a login: lower-case letters, digits and _, at most 63, a letter first, no pg_…"
        )
    folder = _folder(url, is_embedded=is_embedded)
    found = connection.execute("select rolcanlogin, rolsuper from pg_roles where rolname = %s", [person]).fetchone()
    if found is not None and not found[0]:
        raise LoginError(f"{person!r} is a role that cannot log in, not a person; choose another name.")
    if found is not None and found[1]:
        raise LoginError(f"{person!r} is a superuser, who may do everything already.")
    try:
        if found is None:
            # Files of one that was dropped since hold a password that is no more.
            for stale in [*folder.glob(f"{person}.*.url"), *_files_of_siblings(folder, url, person)]:
                stale.unlink()
            password: str | None = _set_password(connection, "create role {} login password {}", person)
        else:
            password = _password_of(
                connection, url, person, is_embedded=is_embedded, with_new_password=with_new_password
            )
        connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(person)))
        if role is Role.ANALYTICS_READER:
            # For the reason that connections.py gives.
            connection.execute(sql.SQL("alter role {} set jit = off").format(sql.Identifier(person)))
            if password is not None:
                # Made here, so that it is ours to say where it looks: `\dv` lists the views, and none needs its schema.
                connection.execute(
                    sql.SQL("alter role {} in database {} set search_path = analytics, public").format(
                        sql.Identifier(person), sql.Identifier(connection.info.dbname)
                    )
                )
        connection.execute(
            sql.SQL("grant connect on database {} to {}").format(
                sql.Identifier(connection.info.dbname), sql.Identifier(role)
            )
        )
        if role is Role.HOLDS_OPERATOR:
            _make_actor(connection, person, alias_of, is_service=is_service)
    except (psycopg.errors.InsufficientPrivilege, HoldAccessError) as error:
        raise LoginError(
            f"The login {connection.info.user!r} may not do this: it needs CREATEROLE, and the role {role} with the "
            "admin option. Let an administrator of the server run the command."
        ) from error
    return Grant(person, role, None if password is None else _write(folder, url, role, person, password).absolute())


def _make_actor(connection: psycopg.Connection, login: str, alias_of: str | None, *, is_service: bool) -> None:
    known = {actor.login for actor in list_actors(connection) if actor.is_active}
    if login not in known or alias_of is not None or is_service:
        set_actor(connection, login, person=alias_of, is_service=is_service)


def url_of_person(url: str, role: Role, person: str, *, is_embedded: bool = False) -> str:
    """Return the URL of a person's login that was given a role here.

    Raises:
        LoginError: None is known.
    """
    file = _folder(url, is_embedded=is_embedded) / f"{person}.{role}.url"
    if not file.exists():
        raise LoginError(
            f"No login of {person} is known here for this database; make it with: holdwatch db grant {role} {person}"
        )
    login, _, _ = urlsplit(file.read_text().strip()).netloc.rpartition("@")
    return _with_login(url, login)


def url_of(url: str, role: Role, *, is_embedded: bool = False) -> str | None:
    """Return the URL of the login that was given this role here last; None where none was.

    Args:
        url: The owner's; the server is where this says, wherever it was when the login was made.
        role: What the login may do.
        is_embedded: See :func:`grant`.
    """
    files = sorted(_folder(url, is_embedded=is_embedded).glob(f"*.{role}.url"), key=lambda file: file.stat().st_mtime)
    if not files:
        return None
    login, _, _ = urlsplit(files[-1].read_text().strip()).netloc.rpartition("@")
    return _with_login(url, login)


def _set_password(connection: psycopg.Connection, statement: LiteralString, person: str) -> str:
    password = secrets.token_urlsafe(24)
    # Encrypted here, so that the server's log never sees it.
    scrambled = connection.pgconn.encrypt_password(password.encode(), person.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL(statement).format(sql.Identifier(person), sql.Literal(scrambled)))
    return password


def _password_of(
    connection: psycopg.Connection, url: str, person: str, *, is_embedded: bool, with_new_password: bool
) -> str | None:
    """Return the password of a login that exists: a new one, or the one that is known here; None where none is."""
    folder = _folder(url, is_embedded=is_embedded)
    own = [*folder.glob(f"{person}.*.url")]
    siblings = [] if is_embedded else _files_of_siblings(folder, url, person)
    known = _known_password(own)
    # The embedded server's files are gone, and nobody but this user has ever had them.
    if with_new_password or (known is None and is_embedded):
        password = _set_password(connection, "alter role {} password {}", person)
        for file in [*own, *siblings]:
            _store(file, _with_login(file.read_text().strip(), f"{person}:{password}"))
        return password
    return known or _known_password(file for file in siblings if _logs_in(file))


def _known_password(files: Iterable[Path]) -> str | None:
    for file in files:
        return urlsplit(file.read_text().strip()).password
    return None


def _files_of_siblings(folder: Path, url: str, person: str) -> list[Path]:
    """Return the files of a login for other databases of the same server, the newest first."""
    server = _server(url)
    files = [
        file
        for file in (state_dir() / "logins").glob(f"*/{person}.*.url")
        if file.parent not in (folder, _embedded_folder()) and _server(file.read_text().strip()) == server
    ]
    return sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)


def _server(url: str) -> tuple[str | None, int]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or 5432


def _logs_in(file: Path) -> bool:
    """Tell whether a login still has the password of its file; it may have got another one elsewhere."""
    try:
        connect(file.read_text().strip()).close()
    except (psycopg.OperationalError, HoldsError):
        return False
    return True


def _folder(url: str, *, is_embedded: bool) -> Path:
    if is_embedded:
        return _embedded_folder()
    parts = urlsplit(url)
    database = parts.path.removeprefix("/") or "postgres"
    return state_dir() / "logins" / re.sub(r"[^\w.-]", "_", f"{parts.hostname}_{parts.port or 5432}_{database}")


def _embedded_folder() -> Path:
    return state_dir() / "logins" / "embedded"


def _with_login(url: str, login: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


def _write(folder: Path, url: str, role: Role, person: str, password: str) -> Path:
    own = _with_login(url, f"{person}:{password}")  # neither has a character that a URL would read as its own
    path = folder / f"{person}.{role}.url"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _store(path, own)


def _store(path: Path, url: str) -> Path:
    """Write a URL with its password, for this user's eyes alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{url}\n")
    return path
