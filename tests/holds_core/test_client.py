"""Placing, confirming, releasing and expiring holds, one caller at a time."""

from __future__ import annotations

import asyncio
import traceback
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core import (
    AsyncHoldClient,
    DatabaseConnectionError,
    HoldClient,
    HoldConflictError,
    HoldCutoffError,
    HoldExpiredError,
    HoldNotFoundError,
    HoldRequestError,
    HoldRetryExhaustedError,
    HoldsError,
    HoldUnavailableError,
    IdempotencyKeyReusedError,
    SettingsError,
    find_hold_conflicts,
)
from holds_core.database.connections import connect
from holds_core.errors import raise_translated
from holds_core.events.spool import EventSpool
from tests.holds_core.conftest import EVENING, MakeRequest, event_counts

SHORT = timedelta(milliseconds=1)


def wait_until_expired(connection: psycopg.Connection, hold_id: UUID) -> None:
    """Wait for the database's clock to pass the hold's expiry."""
    connection.execute(
        "select pg_sleep_until(expires_at + interval '1 millisecond') from holds.table_holds where id = %s", (hold_id,)
    )


def test_overlap_with_another_booking_is_refused(client: HoldClient, make_request: MakeRequest) -> None:
    """The refusal carries the window in the way, and not whose it is."""
    table, other_booking = uuid4(), uuid4()
    held = client.place(make_request(table, booking_id=other_booking))

    with pytest.raises(HoldConflictError) as refused:
        client.place(make_request(table, starts=1))

    (window,) = refused.value.conflicts
    assert (window.table_id, window.starts_at, window.ends_at) == (table, held.starts_at, held.ends_at)
    everything_said = f"{refused.value!r} {refused.value} {refused.value.conflicts}"
    assert str(other_booking) not in everything_said
    assert str(held.id) not in everything_said


def test_neighbouring_windows_do_not_overlap(client: HoldClient, make_request: MakeRequest) -> None:
    """Windows are half-open: one ends as the next begins."""
    table = uuid4()
    for starts in (0, 2, -2):
        assert client.place(make_request(table, starts=starts)).status == "held"


def test_same_booking_is_not_in_its_own_way(client: HoldClient, make_request: MakeRequest) -> None:
    """A booking may hold its table twice, and longer."""
    table, booking = uuid4(), uuid4()
    first = client.place(make_request(table, booking_id=booking))
    second = client.place(make_request(table, booking_id=booking, hours=3))

    assert first.id != second.id


def test_holds_without_a_booking_stand_for_themselves(client: HoldClient, make_request: MakeRequest) -> None:
    """No booking is no common owner: the second is refused."""
    table = uuid4()
    client.place(make_request(table, booking_id=None))

    with pytest.raises(HoldConflictError):
        client.place(make_request(table, booking_id=None))


def test_several_tables_are_held_all_or_none(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Losing the last of three tables leaves nothing of the other two, and no header."""
    one, two, three = sorted(uuid4() for _ in range(3))
    client.place(make_request(three))

    with pytest.raises(HoldConflictError):
        client.place(make_request(one, two, three))

    assert connection.execute("select table_id from holds.table_hold_windows").fetchall() == [(three,)]
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (1,)


def test_repeated_tables_count_once(client: HoldClient, make_request: MakeRequest) -> None:
    """The same table twice in one request is one table."""
    one, two = sorted(uuid4() for _ in range(2))

    assert client.place(make_request(two, one, two)).table_ids == (one, two)


def test_same_key_gives_the_same_hold_in_its_current_state(client: HoldClient, make_request: MakeRequest) -> None:
    """A replay answers with what the hold has become, and makes nothing."""
    request = make_request(uuid4(), uuid4())
    hold = client.place(request)
    client.confirm(hold.id)

    again = client.place(request)

    assert (again.id, again.status, again.is_replay) == (hold.id, "confirmed", True)


@pytest.mark.parametrize("change", ["table", "window", "booking"])
def test_key_of_another_request_is_refused(client: HoldClient, make_request: MakeRequest, change: str) -> None:
    """A key stands for one request: other tables, another window or another booking need another key."""
    table, booking = uuid4(), uuid4()
    client.place(make_request(table, booking_id=booking, idempotency_key="k"))
    other = {
        "table": make_request(uuid4(), booking_id=booking, idempotency_key="k"),
        "window": make_request(table, booking_id=booking, idempotency_key="k", hours=1),
        "booking": make_request(table, booking_id=uuid4(), idempotency_key="k"),
    }[change]

    with pytest.raises(IdempotencyKeyReusedError):
        client.place(other)


def test_expired_hold_is_taken_over(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Who takes one table over ends the whole hold; its owner cannot confirm any more."""
    one, two = uuid4(), uuid4()
    old = client.place(make_request(one, two, time_to_live=SHORT))
    wait_until_expired(connection, old.id)

    new = client.place(make_request(one))

    assert new.status == "held"
    with pytest.raises(HoldExpiredError):
        client.confirm(old.id)
    client.expire()
    assert event_counts(connection) == {"capacity.hold.created": 2, "capacity.hold.expired": 1}
    assert connection.execute("select count(*) from holds.table_hold_windows where released_at is null").fetchone() == (
        1,
    )


def test_confirm_after_expiry_is_refused_though_nobody_took_over(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Time decides, not luck."""
    hold = client.place(make_request(uuid4(), time_to_live=SHORT))
    wait_until_expired(connection, hold.id)

    with pytest.raises(HoldExpiredError, match="expired"):
        client.confirm(hold.id)

    assert event_counts(connection)["capacity.hold.expired"] == 1


def test_confirmed_hold_never_expires(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Neither the sweeper nor another booking ends it."""
    table = uuid4()
    hold = client.place(make_request(table, time_to_live=timedelta(milliseconds=300)))
    confirmed = client.confirm(hold.id)
    wait_until = "select pg_sleep_until(%s)"
    connection.execute(wait_until, (hold.expires_at,))

    assert confirmed.expires_at is None
    assert client.expire() == 0
    with pytest.raises(HoldConflictError):
        client.place(make_request(table))


def test_released_table_is_free(client: HoldClient, make_request: MakeRequest) -> None:
    """Releasing frees the table, also of a confirmed hold, and can be repeated."""
    table = uuid4()
    hold = client.place(make_request(table))
    client.confirm(hold.id)

    assert client.release(hold.id).status == "released"
    assert client.release(hold.id).status == "released"
    assert client.place(make_request(table)).status == "held"


def test_sweeper_ends_what_is_over_once(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """One event for each hold, however many tables it has and however often the sweeper runs."""
    over = client.place(make_request(uuid4(), uuid4(), time_to_live=SHORT))
    client.place(make_request(uuid4()))
    wait_until_expired(connection, over.id)

    assert [client.expire(), client.expire()] == [1, 0]
    assert event_counts(connection)["capacity.hold.expired"] == 1


def test_lock_that_takes_too_long_is_a_cutoff(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, database_url: str
) -> None:
    """The caller hears CUTOFF, the event is recorded, and nothing is held."""
    with connect(database_url, autocommit=False) as blocker:
        blocker.execute("select pg_advisory_xact_lock(hashtextextended('holds.enforcement', 0))")
        with pytest.raises(HoldCutoffError):
            client.place(make_request(uuid4()))

    (context,) = connection.execute("select context from holds.observability_events").fetchone() or ()
    assert (context["code"], context["reason"]) == ("55P03", "CUTOFF")
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (0,)


def test_statement_that_takes_too_long_is_a_cutoff(
    connection: psycopg.Connection, make_request: MakeRequest, database_url: str
) -> None:
    """The server gives up within the caller's deadline; nothing is held, and the event goes over a call of its own."""
    connection.execute(
        "create function public.dawdle() returns trigger language plpgsql as"
        " $$ begin perform pg_sleep(30); return new; end $$"
    )
    connection.execute(
        "create trigger dawdle before insert on holds.table_holds for each row execute function public.dawdle()"
    )
    request = make_request(uuid4())
    with (
        HoldClient.connect(database_url, deadline=timedelta(seconds=1)) as hasty,
        pytest.raises(HoldCutoffError),
    ):
        hasty.place(request)

    (context, restaurant_id) = (
        connection.execute("select context, restaurant_id from holds.observability_events").fetchone() or ()
    )
    assert (context["code"], context["reason"], context["retryExhausted"]) == ("57014", "CUTOFF", False)
    assert restaurant_id == request.restaurant_id
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (0,)


def test_lost_connections_are_replaced_and_the_call_repeated(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """A back end that was terminated costs a try, not the hold, and never makes two."""
    client.place(make_request(uuid4()))
    connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )

    hold = client.place(make_request(uuid4()))

    assert hold.status == "held"
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (2,)


def test_unreachable_database_is_said_within_the_deadline(make_request: MakeRequest) -> None:
    """No connection, no hold, and no endless wait."""
    nobody_listens = "postgresql://nobody@127.0.0.1:1/none"
    with (
        HoldClient.connect(nobody_listens, deadline=timedelta(seconds=0.5)) as client,
        pytest.raises(HoldUnavailableError),
    ):
        client.place(make_request(uuid4()))


def test_transient_failures_are_tried_again_until_the_deadline(
    connection: psycopg.Connection, database_url: str, make_request: MakeRequest
) -> None:
    """A failure that comes back ends as exhausted, with the number of tries."""
    connection.execute(
        "create function public.fail() returns trigger language plpgsql as"
        " $$ begin raise sqlstate '40P01' using message = 'deadlock detected'; end $$"
    )
    connection.execute("create trigger fail before insert on holds.table_holds execute function public.fail()")
    with (
        HoldClient.connect(database_url, deadline=timedelta(seconds=0.5)) as client,
        pytest.raises(HoldRetryExhaustedError) as exhausted,
    ):
        client.place(make_request(uuid4()))

    assert exhausted.value.attempts > 1


@pytest.mark.parametrize(
    "changes",
    [
        {"table_ids": ()},
        {"table_ids": tuple(uuid4() for _ in range(51))},
        {"ends_at": EVENING},
        {"ends_at": EVENING - timedelta(hours=1)},
        {"starts_at": EVENING.replace(tzinfo=None)},
        {"time_to_live": timedelta(0)},
        {"time_to_live": timedelta(days=2)},
        {"idempotency_key": ""},
    ],
    ids=[
        "no tables",
        "too many tables",
        "empty window",
        "backward window",
        "no time zone",
        "no time",
        "too long",
        "no key",
    ],
)
def test_impossible_requests_are_the_callers_fault(
    client: HoldClient, make_request: MakeRequest, changes: dict[str, object]
) -> None:
    """They are ValueErrors, and say what is wrong."""
    with pytest.raises(HoldRequestError) as refused:
        client.place(make_request(uuid4(), **changes))

    assert isinstance(refused.value, ValueError)


def test_unknown_hold_is_said(client: HoldClient) -> None:
    """Confirming or releasing what is not there is a mistake, not a success."""
    for call in (client.confirm, client.release):
        with pytest.raises(HoldNotFoundError):
            call(uuid4())


def test_conflicts_can_be_looked_up(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Live windows of others, in UTC; the booking's own and ended ones left out."""
    one, two, booking = *sorted(uuid4() for _ in range(2)), uuid4()
    client.place(make_request(one))
    client.place(make_request(two, booking_id=booking))
    client.release(client.place(make_request(two, starts=4)).id)
    window = (EVENING, EVENING + timedelta(hours=8))

    found = find_hold_conflicts(connection, [two, one], *window)

    assert [conflict.table_id for conflict in found] == [one, two]
    assert found[0].starts_at == EVENING
    assert found[0].starts_at.utcoffset() == timedelta(0)
    assert client.find_conflicts([two], *window, booking) == []


def test_async_client_does_the_same(
    database_url: str, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """Place, refuse, replay, confirm and release, awaited."""

    async def run() -> list[str]:
        table = uuid4()
        request = make_request(table)
        async with AsyncHoldClient.connect(database_url) as client:
            hold = await client.place(request)
            said = [hold.status, str((await client.place(request)).is_replay)]
            try:
                await client.place(make_request(table))
            except HoldConflictError as error:
                said.append(str(error.conflicts[0].table_id == table))
            said.append((await client.confirm(hold.id)).status)
            said.append(str(len(await client.find_conflicts([table], request.starts_at, request.ends_at))))
            said.append((await client.release(hold.id)).status)
            said.append(str(await client.expire()))
        return said

    assert asyncio.run(run()) == ["held", "True", "True", "confirmed", "1", "released", "0"]
    assert event_counts(connection)["capacity.hold.strict_conflict"] == 1


def test_times_are_utc_whatever_the_callers_zone(client: HoldClient, make_request: MakeRequest) -> None:
    """A request in local time comes back as the same moment in UTC."""
    local = EVENING.astimezone(datetime.now(UTC).astimezone().tzinfo)
    hold = client.place(make_request(uuid4(), starts_at=local))

    assert hold.starts_at == EVENING
    assert hold.starts_at.utcoffset() == timedelta(0)


def test_snapshots_of_the_past_are_refused(
    client: HoldClient, database_url: str, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """At REPEATABLE READ neither the switch nor another's windows can be judged: nothing is placed."""
    with connect(database_url, autocommit=False) as stale:
        stale.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with pytest.raises(psycopg.Error, match="READ COMMITTED"):
            stale.execute(
                "select holds.create_table_hold(%s, array[%s], now(), now() + interval '1 hour', 'k')",
                (uuid4(), uuid4()),
            )
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (0,)


def test_confirm_does_not_wait_beyond_its_deadline(
    client: HoldClient, database_url: str, make_request: MakeRequest
) -> None:
    """Somebody sits on the hold: the caller hears CUTOFF."""
    hold = client.place(make_request(uuid4()))
    with (
        connect(database_url, autocommit=False) as blocker,
        HoldClient.connect(database_url, deadline=timedelta(seconds=0.5)) as hasty,
    ):
        blocker.execute("select from holds.table_holds where id = %s for update", (hold.id,))
        for call in (hasty.confirm, hasty.release):
            with pytest.raises(HoldCutoffError):
                call(hold.id)


def test_missing_settings_mean_strict(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, spool: EventSpool
) -> None:
    """What is not known to be off is on, and an event that has no environment waits until it has one."""
    connection.execute("delete from holds.settings")
    table = uuid4()

    client.place(make_request(table))
    assert spool.depth() == 1
    with pytest.raises(HoldConflictError):
        client.place(make_request(table))


def test_sweeper_finds_holds_that_lost_their_windows(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest
) -> None:
    """A take-over that could not reach the header leaves it to the sweeper."""
    hold = client.place(make_request(uuid4(), time_to_live=SHORT))
    wait_until_expired(connection, hold.id)
    connection.execute("update holds.table_hold_windows set released_at = now() where hold_id = %s", (hold.id,))

    assert client.expire() == 1
    assert event_counts(connection)["capacity.hold.expired"] == 1


def test_conflict_carries_no_trace_of_the_other(connection: psycopg.Connection, database_url: str) -> None:
    """A traceback that somebody logs names no other booking."""
    other = uuid4()
    insert = (
        "with hold as (insert into holds.table_holds (restaurant_id, booking_id, owner_id, idempotency_key,"
        " request_hash, table_ids, held_during, is_enforced, expires_at) values"
        " (%(r)s, %(b)s, %(b)s, %(b)s::text, '', array[%(t)s],"
        " tstzrange(now(), now() + interval '1 hour'), true, now()) returning *)"
        " insert into holds.table_hold_windows (hold_id, restaurant_id, table_id, owner_id, held_during)"
        " select id, restaurant_id, %(t)s, owner_id, held_during from hold"
    )
    ids = {"r": uuid4(), "t": uuid4()}
    connection.execute(insert, ids | {"b": other})
    with pytest.raises(psycopg.errors.ExclusionViolation) as violation:
        connection.execute(insert, ids | {"b": uuid4()})
    assert str(other) in str(violation.value.diag.message_detail)
    with pytest.raises(HoldConflictError) as refused:
        raise_translated(violation.value)

    assert str(other) not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("is_taken_over", [False, True])
def test_replay_of_a_hold_that_is_over_says_so(
    client: HoldClient, connection: psycopg.Connection, make_request: MakeRequest, *, is_taken_over: bool
) -> None:
    """Before any sweeper has come: held is what it was."""
    request = make_request(uuid4(), time_to_live=timedelta(milliseconds=1))
    client.place(request)
    if is_taken_over:
        client.place(make_request(*request.table_ids))

    again = client.place(request)
    assert (again.is_replay, again.status) == (True, "expired")


def test_booking_that_asks_with_two_keys_holds_twice(client: HoldClient, make_request: MakeRequest) -> None:
    """It never conflicts with itself; the table is free once both holds have ended, and others see one window."""
    table, booking = uuid4(), uuid4()
    first, second = (client.place(make_request(table, booking_id=booking)) for _ in range(2))
    assert first.id != second.id

    with pytest.raises(HoldConflictError) as refused:
        client.place(make_request(table))
    assert [window.table_id for window in refused.value.conflicts] == [table]
    client.release(first.id)
    with pytest.raises(HoldConflictError):
        client.place(make_request(table))
    client.release(second.id)
    assert client.place(make_request(table)).status == "held"


def test_refused_login_is_said_with_its_cause_and_without_its_password(database_url: str) -> None:
    """By a client's first call, within its deadline, and at once by a connection; neither says more than it may."""
    parts = urlsplit(database_url)
    url = urlunsplit(parts._replace(netloc=f"{parts.username}:wr0ng-pass@{parts.hostname}:{parts.port}"))
    with (
        HoldClient.connect(url, deadline=timedelta(seconds=1)) as client,
        pytest.raises(HoldUnavailableError, match=r"nothing has changed.*password authentication failed") as refused,
    ):
        client.confirm(uuid4())
    with pytest.raises(DatabaseConnectionError, match="password authentication failed") as at_once:
        connect(url)

    assert isinstance(at_once.value, HoldsError)
    assert isinstance(at_once.value.__cause__, psycopg.OperationalError)
    for error in (refused.value, at_once.value):
        assert "wr0ng-pass" not in "".join(traceback.format_exception(error))
        assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize(
    "url",
    ["nonsense", "postgresql://me:s3c%zz@h/d", "postgresql://me:s3c@r@h/d", "postgresql://me:s3c/r@h/d"],
    ids=["no URL", "not encoded", "with an @", "with a /"],
)
def test_address_that_cannot_be_read_is_not_repeated(url: str) -> None:
    """One clear line, wherever it is given: what libpq says of it may quote the password."""

    async def connect_async() -> None:
        async with AsyncHoldClient.connect(url):
            pytest.fail("it connects")

    def connect_client() -> None:
        with HoldClient.connect(url):
            pytest.fail("it connects")

    for opens in (lambda: connect(url), connect_client, lambda: asyncio.run(connect_async())):
        with pytest.raises(SettingsError, match="address of the database must be a URL") as refused:
            opens()
        shown = "".join(traceback.format_exception(refused.value, limit=0))
        assert url not in shown
        assert "s3c" not in shown
