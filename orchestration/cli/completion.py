"""What a shell offers when somebody presses Tab. It starts nothing, and says nothing where it knows nothing."""

from __future__ import annotations

import re
from uuid import UUID

from holds_core.database.connections import connection_parameters
from holds_core.database.queries import query
from holds_core.database.settings import Settings
from holds_core.flags.loading import packaged_definitions
from orchestration.paths import state_dir

_MOST = 50
_HEXADECIMAL = re.compile(r"[0-9a-fA-F-]{0,36}")
_PATIENCE_SECONDS = 1
"""Whoever pressed Tab is waiting."""


def flags(incomplete: str) -> list[tuple[str, str]]:
    """Return the flags that begin so, each with what it is."""
    return [
        (name, definition.description)
        for name, definition in packaged_definitions().items()
        if name.startswith(incomplete)
    ]


def staged_flags(incomplete: str) -> list[tuple[str, str]]:
    """Return the flags that go up by stages, and begin so."""
    definitions = packaged_definitions()
    return [(name, said) for name, said in flags(incomplete) if definitions[name].rollout is not None]


def restaurants(incomplete: str) -> list[str]:
    """Return the restaurants with holds that begin so; none unless the database is up already, and answers at once."""
    if _HEXADECIMAL.fullmatch(incomplete) is None:
        return []
    # psycopg, and the embedded server's files: nothing that a prompt should wait for where it is not needed.
    import psycopg  # noqa: PLC0415

    from orchestration.server.lease import ServerLease  # noqa: PLC0415

    try:
        url = Settings.from_environ().database_url
        if url is None:
            server = ServerLease(state_dir()).server
            if not server.is_running():
                return []
            url = server.url()
        parameters = connection_parameters(url, connect_timeout=_PATIENCE_SECONDS)
        with psycopg.connect(url, autocommit=True, **parameters) as connection:
            connection.execute(f"set statement_timeout = '{_PATIENCE_SECONDS}s'")
            beginning = incomplete.replace("-", "")
            bounds = {"first": UUID(f"{beginning:0<32}"), "last": UUID(f"{beginning:f<32}"), "limit": _MOST}
            rows = connection.execute(query("restaurants_beginning"), bounds).fetchall()
    except Exception:  # noqa: BLE001  a shell's prompt is no place for anything that is wrong
        return []
    return [shown for row in rows if (shown := str(row[0])).startswith(incomplete.lower())]
