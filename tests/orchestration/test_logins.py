"""A person's login has one role, and its password is in one file."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from holds_core.database.connections import connect
from holds_core.flags.actors import list_actors
from orchestration import logins
from orchestration.cli.app import app
from orchestration.logins import LoginError, Role, grant, url_of, url_of_person


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """No history is needed."""
    return small_template


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of this test's own."""
    monkeypatch.setattr(logins, "state_dir", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def person(connection: psycopg.Connection) -> Iterator[str]:
    """A name that no login has; roles are the whole server's, so the login goes with the test."""
    name = f"ann_{uuid4().hex[:8]}"
    yield name
    connection.execute("reset role")
    connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(name)))


def test_login_reads_views_and_nothing_else(connection: psycopg.Connection, database_url: str, person: str) -> None:
    """The file's URL logs in, and finds views without their schema; what the role may not do, the person may not."""
    connection.execute("create table analytics.some_view ()")
    granted = grant(connection, database_url, Role.ANALYTICS_READER, person)

    assert granted.file is not None
    assert stat.S_IMODE(granted.file.stat().st_mode) == 0o600
    own_url = url_of(database_url, Role.ANALYTICS_READER)
    assert own_url == granted.file.read_text().strip()
    with connect(own_url) as own:
        assert own.execute("select current_user").fetchone() == (person,)
        own.execute("select * from some_view")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            own.execute("select 1 from holds.table_holds")


def test_an_operator_switches_by_command(
    connection: psycopg.Connection, database_url: str, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands ask for no more than the role has; what it has not is refused in one line."""
    grant(connection, database_url, Role.HOLDS_OPERATOR, person)
    own_url = url_of(database_url, Role.HOLDS_OPERATOR)
    assert own_url is not None
    monkeypatch.setenv("HOLDWATCH_DATABASE_URL", own_url)

    switched = CliRunner().invoke(app, ["enforcement", "off", "--reason", "drill"])

    assert switched.exit_code == 0, switched.output
    assert connection.execute("select is_strict_conflicts_enabled, changed_by from holds.settings").fetchone() == (
        False,
        person,
    )
    refused = CliRunner().invoke(app, ["holds", "list"])
    assert isinstance(refused.exception, psycopg.errors.InsufficientPrivilege)


def test_repeating_keeps_the_password(connection: psycopg.Connection, database_url: str, person: str) -> None:
    """A second grant is harmless; another role comes on top, under the same password."""
    first = grant(connection, database_url, Role.ANALYTICS_READER, person)
    assert first.file is not None
    before = first.file.read_text()
    again = grant(connection, database_url, Role.ANALYTICS_READER, person)
    more = grant(connection, database_url, Role.HOLDS_OPERATOR, person)

    assert again == first
    assert first.file.read_text() == before
    assert more.file is not None
    assert more.file.read_text() == before


def test_login_made_elsewhere_keeps_its_password(
    connection: psycopg.Connection, database_url: str, person: str
) -> None:
    """Whose password we do not know, we neither guess nor change."""
    connection.execute(sql.SQL("create role {} login password 'known elsewhere'").format(sql.Identifier(person)))
    before = _stored_password(connection, person)

    granted = grant(connection, database_url, Role.HOLDS_APP, person)

    assert granted.file is None
    assert url_of(database_url, Role.HOLDS_APP) is None
    assert _stored_password(connection, person) == before
    assert connection.execute("select pg_has_role(%s, 'holds_app', 'member')", [person]).fetchone() == (True,)


def test_login_of_another_database_of_the_server_is_known(
    connection: psycopg.Connection, database_url: str, new_database: Callable[..., str], template: str, person: str
) -> None:
    """Its password is the server's: the second database gets a file, and after a new password both have that."""
    sibling = new_database(template)
    first = grant(connection, database_url, Role.HOLDS_OPERATOR, person)
    with connect(sibling) as owner:
        second = grant(owner, sibling, Role.HOLDS_OPERATOR, person)
        assert first.file is not None
        assert second.file is not None
        assert (urlsplit(second.file.read_text()).password, second.file != first.file) == (
            urlsplit(first.file.read_text()).password,
            True,
        )
        with connect(url_of_person(sibling, Role.HOLDS_OPERATOR, person)) as own:
            assert own.execute("select current_database()").fetchone() == (urlsplit(sibling).path[1:],)

        before = first.file.read_text()
        grant(owner, sibling, Role.HOLDS_OPERATOR, person, with_new_password=True)
        assert first.file.read_text() != before
        for url in (database_url, sibling):
            connect(url_of_person(url, Role.HOLDS_OPERATOR, person)).close()

        # A password that is no more is not handed on.
        second.file.unlink()
        first.file.write_text(before)
        assert grant(owner, sibling, Role.HOLDS_OPERATOR, person).file is None


def test_embedded_server_may_come_back_on_another_port(
    connection: psycopg.Connection, database_url: str, person: str
) -> None:
    """The login is the server's, not the port's."""
    parts = urlsplit(database_url)
    earlier = urlunsplit(parts._replace(netloc=parts.netloc.rpartition(":")[0] + ":1"))
    grant(connection, earlier, Role.ANALYTICS_READER, person, is_embedded=True)

    own_url = url_of(database_url, Role.ANALYTICS_READER, is_embedded=True)
    assert own_url is not None
    with connect(own_url) as own:
        assert own.execute("select current_user").fetchone() == (person,)


def test_embedded_servers_login_survives_its_file(
    connection: psycopg.Connection, database_url: str, person: str
) -> None:
    """The folder was deleted and the server kept: the login gets a new password, since nobody has the old one."""
    first = grant(connection, database_url, Role.ANALYTICS_READER, person, is_embedded=True)
    assert first.file is not None
    first.file.unlink()

    grant(connection, database_url, Role.ANALYTICS_READER, person, is_embedded=True)
    own_url = url_of(database_url, Role.ANALYTICS_READER, is_embedded=True)
    assert own_url is not None
    with connect(own_url) as own:
        assert own.execute("select current_user").fetchone() == (person,)


def test_operator_is_somebody_for_flags(connection: psycopg.Connection, database_url: str, person: str) -> None:
    """By default of the login's own name; another's, or a service, where that is said; harmless to repeat."""
    grant(connection, database_url, Role.ANALYTICS_READER, person)
    assert list_actors(connection) == []
    grant(connection, database_url, Role.HOLDS_OPERATOR, person)
    grant(connection, database_url, Role.HOLDS_OPERATOR, person, alias_of="ann")
    grant(connection, database_url, Role.HOLDS_OPERATOR, person)
    (actor,) = list_actors(connection)
    assert (actor.login, actor.person, actor.is_service, actor.is_active) == (person, "ann", False, True)
    grant(connection, database_url, Role.HOLDS_OPERATOR, person, is_service=True)
    assert [(one.person, one.is_service) for one in list_actors(connection)] == [(person, True)]


def test_login_that_was_dropped_is_made_anew(connection: psycopg.Connection, database_url: str, person: str) -> None:
    """Its old files hold a password that is no more: none of them is given out again."""
    grant(connection, database_url, Role.HOLDS_OPERATOR, person)
    connection.execute(sql.SQL("drop role {}").format(sql.Identifier(person)))

    grant(connection, database_url, Role.ANALYTICS_READER, person)
    assert url_of(database_url, Role.HOLDS_OPERATOR) is None
    own_url = url_of(database_url, Role.ANALYTICS_READER)
    assert own_url is not None
    with connect(own_url) as own:
        assert own.execute("select current_user").fetchone() == (person,)


@pytest.mark.parametrize("name", ["", "Ann", 'ann"; drop role postgres; --', "pg_ann", "holds_app", "1ann", "a" * 64])
def test_name_that_cannot_be_a_login(connection: psycopg.Connection, database_url: str, name: str) -> None:
    """It is refused in words, before anything is made."""
    with pytest.raises(LoginError):
        grant(connection, database_url, Role.ANALYTICS_READER, name)


def test_who_may_not_grant_is_told_so(connection: psycopg.Connection, database_url: str, person: str) -> None:
    """An owner without CREATEROLE is told what is missing."""
    connection.execute("set role analytics_reader")
    with pytest.raises(LoginError, match="CREATEROLE"):
        grant(connection, database_url, Role.ANALYTICS_READER, person)


def _stored_password(connection: psycopg.Connection, person: str) -> str:
    row = connection.execute("select rolpassword from pg_authid where rolname = %s", [person]).fetchone()
    assert row is not None
    return str(row[0])
