"""People with logins of their own, and flags that they change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from holds_core.database.connections import connect
from holds_core.flags.actors import set_actor
from holds_core.flags.changes import FlagChange, FlagChanges, Wish
from holds_core.flags.syncing import sync_definitions
from holds_core.flags.values import Setting

PASSWORD = "of-a-tests-login"
LOGINS = ("ann", "ann_too", "bob", "cyd", "desk", "stranger", "clerk")
"""ann_too is another login of ann; desk is a service; stranger has the role and is nobody's; clerk lacks the role."""


@dataclass(frozen=True)
class Team:
    """Logins of the server, known to this test's database; by their short names."""

    logins: dict[str, str]
    connect: Callable[[str], psycopg.Connection]
    owner: psycopg.Connection

    def as_(self, name: str, acting_for: str | None = None, **options: Any) -> FlagChanges:
        """Return what somebody does with flags."""
        person = None if acting_for is None else self.logins.get(acting_for, acting_for)
        return FlagChanges(self.connect(name), acting_for=person, **options)

    def apply(self, flag: str, setting: Setting | None, **options: Any) -> FlagChange:
        """Let ann ask, and bob approve."""
        place = {key: options.pop(key) for key in ("environment", "restaurant_id") if key in options}
        asked = self.as_("ann").request(flag, Wish(setting=setting, reason="a test", **options), **place)
        return self.as_("bob").approve(asked.id, asked.revision)


@pytest.fixture(scope="session")
def logins(server_url: str) -> Iterator[dict[str, str]]:
    """Short name → login; roles are the whole server's, so each run has its own."""
    made = {name: f"{name}_{uuid4().hex[:8]}" for name in LOGINS}
    with psycopg.connect(server_url, autocommit=True) as connection:
        for name, login in made.items():
            create = sql.SQL("create role {} login password {}").format(sql.Identifier(login), sql.Literal(PASSWORD))
            connection.execute(create)
            role = sql.Identifier("holds_app" if name == "clerk" else "holds_operator")
            connection.execute(sql.SQL("grant {} to {}").format(role, sql.Identifier(login)))
    yield made
    with psycopg.connect(server_url, autocommit=True) as connection:
        for login in made.values():
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))


RESET = """
alter table holds.flag_audit disable trigger user;
truncate holds.flag_audit, holds.flag_changes, holds.flag_overrides, holds.flag_actors, holds.flag_definitions,
    holds.flag_cohorts, holds.table_hold_windows, holds.table_holds, holds.restaurant_settings restart identity;
alter table holds.flag_audit enable trigger user;
delete from holds.observability_events;
update holds.settings
set environment = 'dev', is_strict_conflicts_enabled = true, strict_percentage = 100, rate_limit_holds = null,
    rate_limit_seconds = null
"""


@pytest.fixture(scope="session")
def flags_url(new_database: Callable[..., str], template: str) -> str:
    """One database for all of these tests: setting it back takes a twentieth of cloning another."""
    return new_database(template)


@pytest.fixture
def database_url(flags_url: str) -> str:
    """A database as it was after its first migrate, in place of a clone."""
    with connect(flags_url) as owner:
        owner.execute(RESET)
        sync_definitions(owner)
    return flags_url


@pytest.fixture
def team(database_url: str, logins: dict[str, str]) -> Iterator[Team]:
    """People, each with a login."""
    with ExitStack() as opened:
        owner = opened.enter_context(connect(database_url))
        for name in ("ann", "bob", "cyd", "clerk"):
            set_actor(owner, logins[name])
        set_actor(owner, logins["ann_too"], person=logins["ann"])
        set_actor(owner, logins["desk"], is_service=True)
        known: dict[str, psycopg.Connection] = {}

        def connect_as(name: str) -> psycopg.Connection:
            if name not in known:
                known[name] = opened.enter_context(connect(url_as(database_url, logins[name])))
            return known[name]

        yield Team(logins, connect_as, owner)


def url_as(url: str, login: str) -> str:
    """Return a database's URL as one of the logins sees it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}"))
