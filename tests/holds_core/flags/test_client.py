"""Flags in a process: kept up to date, never in the way, and heeded by clients and selector."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from psycopg_pool import ConnectionPool

from holds_core import HoldClient, HoldUnavailableError, QuoteRequest, Table, quote_tables_for_booking
from holds_core.database.settings import Environment
from holds_core.errors import HoldsError, SettingsError
from holds_core.events.record import Event
from holds_core.events.spool import EventSpool
from holds_core.flags import Flag, Flags, Reason, Setting
from holds_core.flags.changes import Wish
from holds_core.flags.contradictions import Contradiction
from tests.holds_core.conftest import EVENING
from tests.holds_core.flags.conftest import Team, url_as
from tests.holds_core.test_search import HELD, LOST, TWOS, Answering, make_request, taken

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
AGE = timedelta(seconds=600)


def wait_until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be"
        pause.wait(0.01)


@pytest.fixture
def app_url(team: Team, database_url: str) -> str:
    """The database as an application's login sees it."""
    return url_as(database_url, team.logins["clerk"])


def test_change_is_heard_of_at_once(team: Team, app_url: str) -> None:
    """Looking by itself it would see it after a minute and a half."""
    with Flags.connect(app_url, max_age=AGE, environ={}) as flags:
        assert flags.evaluate(Flag.LOOKAHEAD)[1:3] == (False, Reason.DEFAULT)
        team.apply(Flag.LOOKAHEAD, Setting(True))
        wait_until(lambda: flags.evaluate(Flag.LOOKAHEAD).value is True)
        assert flags.evaluate(Flag.LOOKAHEAD).reason is Reason.OVERRIDE
        restaurant_id = uuid4()
        team.apply(Flag.ATTEMPT_LIMIT, Setting(7), restaurant_id=restaurant_id)
        wait_until(lambda: flags.number(Flag.ATTEMPT_LIMIT, restaurant_id, default=0) == 7)
        assert flags.number(Flag.ATTEMPT_LIMIT, uuid4(), default=3) == 0


def test_broken_glass_ends_by_itself_everywhere(team: Team, app_url: str) -> None:
    """No notice comes when its time is over; the process knew when that would be."""
    with Flags.connect(app_url, max_age=AGE, environ={}) as flags:
        for_two_seconds = Wish(setting=Setting(True), reason="x", expires_in=timedelta(seconds=2))
        team.as_("ann").break_glass(Flag.LOOKAHEAD, for_two_seconds)
        wait_until(lambda: flags.evaluate(Flag.LOOKAHEAD).reason is Reason.BREAK_GLASS)
        wait_until(lambda: flags.evaluate(Flag.LOOKAHEAD).reason is Reason.DEFAULT)


def test_environment_is_that_of_the_process_else_of_the_database(team: Team, app_url: str) -> None:
    """One database may hold the flags of several."""
    team.apply(Flag.COMBINATIONS, Setting(False), environment=Environment.PROD)
    for environ, value in (({}, True), ({"HOLDWATCH_ENVIRONMENT": "prod"}, False)):
        with Flags.connect(app_url, environ=environ) as flags:
            assert flags.is_on(Flag.COMBINATIONS, default=True) is value
    with pytest.raises(SettingsError), Flags.connect(app_url, environ={"HOLDWATCH_ENVIRONMENT": "production"}):
        pass


def test_without_a_database_there_are_defaults_and_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody who asks is kept waiting, or told by an exception."""
    with caplog.at_level(logging.WARNING, "holds_core"), Flags.connect(NOWHERE, environ={}) as flags:
        for flag in Flag:
            for _ in range(3):
                assert flags.evaluate(flag, uuid4()).reason is Reason.OVERRIDES_UNAVAILABLE
        assert flags.is_on(Flag.COMBINATIONS, uuid4(), default=False) is True
        wait_until(lambda: threading.active_count() > 1)

    (record,) = caplog.records
    assert "not available (Cannot reach the database: " in record.message
    assert "the defaults are in force" in record.message


def test_database_without_flags_is_no_database(
    new_database: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    """One that was never migrated, or by an older release: the same, and it says what to do."""
    with caplog.at_level(logging.WARNING, "holds_core"), Flags.connect(new_database(), environ={}) as flags:
        assert flags.evaluate(Flag.SPOOL) == (Flag.SPOOL, True, Reason.OVERRIDES_UNAVAILABLE, None)
    assert ["holdwatch db migrate" in record.message for record in caplog.records] == [True]


def test_what_is_too_old_is_not_used(team: Team, app_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The database is away for longer than the age: defaults and one warning; when it is back, so are the overrides."""
    login = team.logins["clerk"]
    team.apply(Flag.LOOKAHEAD, Setting(True))
    with (
        caplog.at_level(logging.WARNING, "holds_core"),
        Flags.connect(app_url, max_age=timedelta(seconds=0.6), environ={}) as flags,
    ):
        assert flags.is_on(Flag.LOOKAHEAD, default=False)
        team.owner.execute(f'alter role "{login}" nologin')
        try:
            team.owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (login,))
            wait_until(lambda: flags.evaluate(Flag.LOOKAHEAD)[1:3] == (False, Reason.OVERRIDES_UNAVAILABLE))
            assert flags.state.environment is Environment.DEV
        finally:
            team.owner.execute(f'alter role "{login}" login')
        wait_until(lambda: flags.evaluate(Flag.LOOKAHEAD).reason is Reason.OVERRIDE)

    gone, back = (record.message for record in caplog.records)
    assert gone.startswith("The overrides of feature flags are not available")
    assert back == "The overrides of feature flags are available again."


def test_unsafe_combination_is_warned_of_once_and_recorded_once(
    team: Team, app_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Two processes and the sweeper say the same event; one that comes back is said again."""
    event = "select count(*) from holds.observability_events where event_type = 'capacity.flags.contradiction'"
    with (
        caplog.at_level(logging.WARNING, "holds_core"),
        Flags.connect(app_url, max_age=AGE, environ={}),
        Flags.connect(app_url, max_age=AGE, environ={}),
    ):
        team.apply(Flag.STRICT_CONFLICTS, Setting(True, 50))
        team.apply(Flag.LOOKAHEAD, Setting(True, 10), unsafe_because="a trial")
        wait_until(lambda: len(caplog.records) == 2)
        team.owner.execute("select holds.tend_flags()")
        assert team.owner.execute(event).fetchone() == (1,)

        team.apply(Flag.LOOKAHEAD, None)
        team.apply(Flag.LOOKAHEAD, Setting(True, 10), unsafe_because="again")
        wait_until(lambda: len(caplog.records) == 4)
    assert {record.message.partition(": ")[0] for record in caplog.records} == {"Unsafe combination of feature flags"}


def test_variable_without_effect_is_said_by_the_process_that_has_it(
    team: Team, app_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody else knows of it; the event names the rule."""
    environ = {"HOLDWATCH_FLAG_HOLDS_STRICT_CONFLICTS": "off", "HOLDWATCH_FLAG_ODD": "1"}
    with caplog.at_level(logging.WARNING, "holds_core"), Flags.connect(app_url, environ=environ):
        pass
    assert team.owner.execute(
        "select context ->> 'rule', environment from holds.observability_events"
        " where event_type = 'capacity.flags.contradiction'"
    ).fetchall() == [("variable-without-effect", "dev")]
    assert len(caplog.records) == 2


def test_event_of_a_contradiction_has_one_id_in_python_and_in_sql(team: Team) -> None:
    """So that it is stored once, whoever says it."""
    occurred_at = datetime(2030, 1, 31, 18, 0, 0, 123457, tzinfo=UTC)
    for restaurant_id in (None, UUID(int=9)):
        row = team.owner.execute(
            "select md5(concat_ws('|', 'some-rule', 'prod', coalesce(%s::uuid::text, ''),"
            " (extract(epoch from %s::timestamptz) * 1000000)::bigint))::uuid",
            (restaurant_id, occurred_at),
        ).fetchone()
        assert row == (Contradiction("some-rule", (), "", restaurant_id).event_id("prod", occurred_at),)


FORKING = """
import os, sys, threading
from datetime import timedelta
from holds_core.flags import Flag, Flags
with Flags.connect(sys.argv[1], max_age=timedelta(seconds=600), environ={}) as flags:
    heard = threading.Event()
    flags.watch(lambda news: heard.set())
    child = os.fork()
    os.write(1, b"ready\\n")  # in one piece: parent and child both do
    heard.wait(30)
    found = flags.evaluate(Flag.LOOKAHEAD).reason
    if child == 0:
        os._exit(0 if found == "override" else 1)
    print(found, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_forked_child_hears_of_changes_too(team: Team, app_url: str) -> None:
    """A server that forks its workers after connecting: each has a thread of its own."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", FORKING, app_url], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        team.apply(Flag.LOOKAHEAD, Setting(True))
        assert process.stdout.read().splitlines()[-1] == "override 0"


@pytest.fixture
def spool(tmp_path: Path) -> EventSpool:
    """A spool of this test's own."""
    return EventSpool(tmp_path / "spool")


@pytest.fixture
def away(spool: EventSpool) -> Iterator[Callable[[Flags | None], HoldClient]]:
    """A function that makes a client whose database is away."""
    with ConnectionPool(NOWHERE, min_size=0, max_size=1, open=True, timeout=0.1) as pool:
        yield lambda flags: HoldClient(pool, deadline=timedelta(seconds=0.2), spool=spool, flags=flags)


def test_spool_is_left_alone_where_its_flag_is_off(
    away: Callable[[Flags | None], HoldClient], spool: EventSpool, caplog: pytest.LogCaptureFixture
) -> None:
    """What the database does not take is counted, and warned of; without flags, or with them on, it waits on disk."""
    event = Event(event_type="capacity.manual.validate", source="test")
    off = away(Flags.fixed({Flag.SPOOL: Setting(False)}))
    assert off.record(event) is False
    with pytest.raises(HoldUnavailableError):
        off.release(uuid4())
    assert (spool.depth(), spool.dropped) == (0, 2)
    (said,) = (record.message for record in caplog.records if record.name == "holds_core")
    assert "telemetry.spool is off" in said

    assert away(None).record(event)
    assert away(Flags.fixed()).record(event)
    assert (spool.depth(), spool.dropped) == (2, 2)


def flags_with(**settings: Setting) -> Flags:
    """Flags of the selector with these settings."""
    return Flags.fixed({Flag[name.upper()]: setting for name, setting in settings.items()})


def test_search_with_default_flags_is_the_search_without_any() -> None:
    """The same tries in the same order; the event says with which flags."""
    answers = [taken(TWOS[0].id), LOST, LOST, LOST, HELD]
    plain, flagged = Answering(answers), Answering(answers)
    for client, flags in ((plain, None), (flagged, Flags.fixed())):
        quote_tables_for_booking(client, make_request(idempotency_key="k"), flags)

    assert [one.table_ids for one in plain.asked] == [one.table_ids for one in flagged.asked]
    assert (plain.looked_at, flagged.looked_at) == ([], [])
    assert "flags" not in plain.events[0].context
    assert flagged.events[0].context["flags"] == {
        "selector.combinations": True,
        "selector.repeatLostAnswers": True,
        "selector.lookahead": False,
        "selector.attemptLimit": 0,
    }


def test_combinations_can_be_switched_off() -> None:
    """Four guests and tables for two: nothing seats them then."""
    client = Answering([])
    quote = quote_tables_for_booking(client, make_request(party_size=4), flags_with(combinations=Setting(False)))
    assert (quote.skip_reason, client.asked) == ("no_capacity", [])


def test_attempts_can_be_limited() -> None:
    """Below what the request allows; a limit above it allows no more."""
    answers = [taken(table.id) for table in TWOS]
    limited = quote_tables_for_booking(Answering(answers), make_request(), flags_with(attempt_limit=Setting(2)))
    assert (limited.attempts, limited.skip_reason) == (2, "attempts_exhausted")
    wide = flags_with(attempt_limit=Setting(50))
    assert quote_tables_for_booking(Answering(answers), make_request(maximum_attempts=1), wide).attempts == 1


def test_lost_answers_need_not_be_asked_for_again() -> None:
    """The next candidate under the same key finds the hold that one of them may have got."""
    client = Answering([LOST, HELD])
    quote = quote_tables_for_booking(client, make_request(), flags_with(repeat_lost_answers=Setting(False)))
    assert quote.hold is not None
    assert [one.table_ids for one in client.asked] == [(TWOS[0].id,), (TWOS[1].id,)]
    assert len({one.idempotency_key for one in client.asked}) == 1


AHEAD = flags_with(lookahead=Setting(True))


def test_search_that_looks_ahead_tries_no_table_that_is_taken() -> None:
    """One question for all tables that may be had, within the search's time; the buffer is looked at too."""
    client = Answering([HELD], taken=[TWOS[0].id, TWOS[1].id])
    request = make_request(buffer=timedelta(minutes=15), blocked_table_ids=frozenset({uuid4()}), booking_id=uuid4())
    quote = quote_tables_for_booking(client, request, AHEAD)

    assert quote.hold is not None
    assert (quote.hold.table_ids, quote.attempts) == ((TWOS[2].id,), 1)
    (looked_at,) = client.looked_at
    assert looked_at == (
        tuple(table.id for table in TWOS), EVENING, EVENING + timedelta(hours=2, minutes=15), request.booking_id, True,
    )  # fmt: skip


@pytest.mark.parametrize("failure", [HoldUnavailableError(), HoldsError("odd")])
def test_search_goes_on_where_looking_ahead_fails(failure: HoldsError) -> None:
    """What it would have saved, it does not save."""
    client = Answering([taken(TWOS[0].id), HELD], taken=failure)
    assert quote_tables_for_booking(client, make_request(), AHEAD).attempts == 2


def test_repeated_quote_that_looks_ahead_finds_its_hold(database_url: str, spool: EventSpool) -> None:
    """Its own hold is what it finds taken: the key still answers, with one table in the restaurant and no booking."""
    request = QuoteRequest(
        restaurant_id=uuid4(),
        tables=[Table(id=uuid4(), capacity=2)],
        party_size=2,
        starts_at=EVENING,
        ends_at=EVENING + timedelta(hours=1),
    )
    with HoldClient.connect(database_url, spool=spool) as client:
        first, again = (quote_tables_for_booking(client, request, AHEAD) for _ in range(2))
        assert first.hold is not None
        assert again.hold is not None
        assert again.hold.id == first.hold.id
        other = QuoteRequest(**vars(request) | {"idempotency_key": "another"})
        full = quote_tables_for_booking(client, other, AHEAD)
    assert (full.skip_reason, full.attempts) == ("no_capacity", 1)
