"""Acting as ``analytics_reader``, which reads the schema ``analytics`` and nothing else."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from dashboards.catalogue import READER_ROLE
from dashboards.errors import ReaderRoleError


def become_reader(connection: psycopg.Connection[Any], *, until_commit: bool = False) -> None:
    """Act as the reader from now on, or until the transaction ends.

    Raises:
        ReaderRoleError: The login may not, or there is no such role.
    """
    statement = sql.SQL("set local role {}" if until_commit else "set role {}").format(sql.Identifier(READER_ROLE))
    try:
        connection.execute(statement)
    except psycopg.errors.InvalidParameterValue as error:
        raise ReaderRoleError(f"There is no role {READER_ROLE}: run holdwatch db migrate.") from error
    except psycopg.errors.InsufficientPrivilege as error:
        user = connection.info.user
        raise ReaderRoleError(
            f"The login {user} may not act as {READER_ROLE}; as an administrator run: grant {READER_ROLE} to {user}."
        ) from error
