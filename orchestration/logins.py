"""Logins for people and services, each with one of the roles of least privilege; each password in a file.

A login's file is ``.holdwatch/logins/HOST_PORT_DATABASE/PERSON.ROLE.url``: its URL, readable by this user alone.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from holds_core.errors import HoldsError
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


def grant(connection: psycopg.Connection, url: str, role: Role, person: str) -> Grant:
    """Let a login have a role; make the login where there is none. Harmless to repeat: a password never changes.

    Args:
        connection: To the database, as somebody who may create roles.
        url: The same database, as the login will see it but for user and password.
        role: What it may do.
        person: The login's name.

    Raises:
        LoginError: The name cannot be a login's, or this connection may not create roles.
    """
    if not _PERSON.fullmatch(person) or person.startswith("pg_"):
        raise LoginError(
            f"{person!r} cannot be a login: lower-case letters, digits and _, at most 63, a letter first, no pg_…"
        )
    found = connection.execute("select rolcanlogin, rolsuper from pg_roles where rolname = %s", [person]).fetchone()
    if found is not None and not found[0]:
        raise LoginError(f"{person!r} is a role that cannot log in, not a person; choose another name.")
    if found is not None and found[1]:
        raise LoginError(f"{person!r} is a superuser, who may do everything already.")
    try:
        password = _create(connection, person) if found is None else _known_password(url, person)
        connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(person)))
        connection.execute(
            sql.SQL("grant connect on database {} to {}").format(
                sql.Identifier(connection.info.dbname), sql.Identifier(role)
            )
        )
    except psycopg.errors.InsufficientPrivilege as error:
        raise LoginError(
            f"The login {connection.info.user!r} may not do this: it needs CREATEROLE, and the role {role} with the "
            "admin option. Let an administrator of the server run the command."
        ) from error
    return Grant(person, role, None if password is None else _write(url, role, person, password))


def url_of(url: str, role: Role) -> str | None:
    """Return the URL of the login that was given this role here last; None where none was."""
    files = sorted(_folder(url).glob(f"*.{role}.url"), key=lambda file: file.stat().st_mtime)
    return files[-1].read_text().strip() if files else None


def _create(connection: psycopg.Connection, person: str) -> str:
    password = secrets.token_urlsafe(24)
    # Encrypted here, so that the server's log never sees it.
    scrambled = connection.pgconn.encrypt_password(password.encode(), person.encode(), b"scram-sha-256").decode()
    connection.execute(
        sql.SQL("create role {} login password {}").format(sql.Identifier(person), sql.Literal(scrambled))
    )
    return password


def _known_password(url: str, person: str) -> str | None:
    for file in _folder(url).glob(f"{person}.*.url"):
        return urlsplit(file.read_text().strip()).password
    return None


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    database = parts.path.removeprefix("/") or "postgres"
    return state_dir() / "logins" / re.sub(r"[^\w.-]", "_", f"{parts.hostname}_{parts.port or 5432}_{database}")


def _write(url: str, role: Role, person: str, password: str) -> Path:
    parts = urlsplit(url)
    at = parts.netloc.rpartition("@")[2]
    own = urlunsplit(parts._replace(netloc=f"{quote(person)}:{quote(password, safe='')}@{at}"))
    path = _folder(url) / f"{person}.{role}.url"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{own}\n")
    return path
