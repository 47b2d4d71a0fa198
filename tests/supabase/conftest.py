"""What the tests of the API's client share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from holds_core.events.spool import EventSpool
from holds_core.supabase import SupabaseHoldClient
from tests.supabase.postgrest_server import PostgrestServer, postgrest_server, token


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """Holds are of today and later: no history is needed."""
    return small_template


@pytest.fixture
def spool(tmp_path: Path) -> EventSpool:
    """A spool of this test's own."""
    return EventSpool(tmp_path / "spool")


@pytest.fixture
def server(database_url: str, connection: psycopg.Connection) -> Iterator[PostgrestServer]:
    """The API over this test's database, with Supabase's roles."""
    for role in ("anon", "authenticated", "service_role"):
        with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            connection.execute(f"create role {role} nologin")
    connection.execute("grant holds_app to service_role")
    # What Supabase does for an exposed schema; nothing of ours may follow from it.
    connection.execute("grant usage on schema holds to anon, authenticated, service_role")
    with postgrest_server(database_url) as running:
        yield running


@pytest.fixture
def client(server: PostgrestServer, spool: EventSpool) -> Iterator[SupabaseHoldClient]:
    """A client with the service key."""
    with SupabaseHoldClient.connect(server.url, token("service_role"), spool=spool) as opened:
        yield opened
