"""``python -m orchestration.reference``: write docs/reference; with ``--check`` compare it, which needs no database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql

from holds_core.database.connections import connect
from holds_core.database.migrations import migrate
from holds_core.database.settings import Environment
from orchestration.paths import state_dir
from orchestration.reference import FUNCTIONS_PAGE, REFERENCE_DIR, differing, functions_page, pages_without_database
from orchestration.server.lease import ServerLease


def main(arguments: list[str]) -> int:
    """Write or compare; return 0 when the pages are as they should be, 1 when not, 2 when the call was wrong."""
    if arguments == ["--check"]:
        return _check()
    if arguments:
        print("usage: python -m orchestration.reference [--check]", file=sys.stderr)
        return 2
    _write()
    return 0


def _check() -> int:
    wrong = differing(pages_without_database(), REFERENCE_DIR)
    for name in wrong:
        print(f"docs/reference/{name} is not what the code says; write it anew: make reference", file=sys.stderr)
    return 1 if wrong else 0


def _write() -> None:
    pages = pages_without_database()
    with _migrated_database() as connection:
        pages[FUNCTIONS_PAGE] = functions_page(connection)
    REFERENCE_DIR.mkdir(exist_ok=True)
    for name in (changed := differing(pages, REFERENCE_DIR)):
        (REFERENCE_DIR / name).write_text(pages[name], encoding="utf-8")
    print(f"{len(pages)} pages in docs/reference, {len(changed)} of them changed.")


@contextmanager
def _migrated_database() -> Iterator[psycopg.Connection]:
    """Make a database of the newest schema on the embedded server, and drop it again."""
    with ServerLease(state_dir()).held() as server:
        database = f"holdwatch_reference_{uuid4().hex[:12]}"
        name = sql.Identifier(database)
        with psycopg.connect(server.url("postgres"), autocommit=True) as administrator:
            administrator.execute(sql.SQL("create database {}").format(name))
            try:
                with connect(server.url(database)) as connection:
                    migrate(connection, Environment.DEV)
                    yield connection
            finally:
                administrator.execute(sql.SQL("drop database {} with (force)").format(name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
