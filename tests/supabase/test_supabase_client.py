"""The holds core over the API: the same holds, the same errors, nothing for a stranger."""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core import (
    Event,
    EventType,
    HoldAccessError,
    HoldConflictError,
    HoldCutoffError,
    HoldExpiredError,
    HoldNotFoundError,
    HoldOutcomeUnknownError,
    HoldRateLimitError,
    HoldRequest,
    HoldRequestError,
    HoldUnavailableError,
    IdempotencyKeyReusedError,
    MigrationError,
    QuoteRequest,
    Table,
    quote_tables_for_booking,
)
from holds_core.database.connections import connect
from holds_core.enforcement import set_hold_conflict_enforcement, set_hold_rate_limit
from holds_core.errors import meaning_of
from holds_core.events.spool import EventSpool
from holds_core.supabase import SupabaseHoldClient
from tests.supabase.postgrest_server import PostgrestServer, token

EVENING = datetime.now(UTC).replace(hour=18, minute=0, second=0, microsecond=0) + timedelta(days=3)
BEHIND = [
    (400, {"code": "PGRST204", "message": "Could not find the 'event_context' column in the schema cache"}),
    (404, {"code": "PGRST202", "message": "Could not find the function in the schema cache"}),
    (400, {"code": "42703", "message": 'column "event_context" does not exist'}),
]


def make_request(*table_ids: UUID, **changes: object) -> HoldRequest:
    """These tables, from 18:00 to 20:00, some booking."""
    values = {
        "restaurant_id": uuid4(),
        "table_ids": table_ids or (uuid4(),),
        "starts_at": EVENING,
        "ends_at": EVENING + timedelta(hours=2),
        "booking_id": uuid4(),
        "event_context": {"channel": "web"},
    }
    return HoldRequest(**(values | changes))  # type: ignore[arg-type]


def test_life_of_a_hold_over_the_api(client: SupabaseHoldClient, connection: psycopg.Connection) -> None:
    """Placed, extended, moved, confirmed, released: each answer is a hold as the other clients have it."""
    request = make_request()
    hold = client.place(request)
    assert (hold.table_ids, hold.starts_at, hold.status) == (request.table_ids, EVENING, "held")
    assert client.place(request).is_replay
    extended = client.extend(hold.id, timedelta(minutes=30))
    assert extended.expires_at is not None
    assert hold.expires_at is not None
    assert extended.expires_at > hold.expires_at
    elsewhere = uuid4()
    assert client.move(hold.id, table_ids=[elsewhere]).table_ids == (elsewhere,)
    assert client.confirm(hold.id).expires_at is None
    assert [window.table_id for window in client.find_conflicts([elsewhere], EVENING, hold.ends_at)] == [elsewhere]
    assert client.release(hold.id).status == "released"
    assert connection.execute("select count(*) from holds.observability_events").fetchone() == (5,)
    with pytest.raises(HoldExpiredError):
        client.confirm(hold.id)
    with pytest.raises(HoldNotFoundError):
        client.release(uuid4())


def test_refusals_are_the_same_errors(client: SupabaseHoldClient, connection: psycopg.Connection) -> None:
    """Conflict, reused key, impossible request, limit."""
    first = make_request()
    client.place(first)
    with pytest.raises(HoldConflictError) as conflict:
        client.place(make_request(*first.table_ids))
    assert [window.table_id for window in conflict.value.conflicts] == list(first.table_ids)
    with pytest.raises((IdempotencyKeyReusedError, HoldRequestError)):
        client.place(
            make_request(restaurant_id=first.restaurant_id, idempotency_key=first.idempotency_key)
        )  # fmt: skip
    with pytest.raises(HoldRequestError, match="begin before it ends"):
        client.place(make_request(ends_at=EVENING))
    set_hold_rate_limit(connection, max_holds=1, per_seconds=3600)
    limited = uuid4()
    client.place(make_request(restaurant_id=limited))
    with pytest.raises(HoldRateLimitError) as limit:
        client.place(make_request(restaurant_id=limited))
    assert limit.value.retry_after is not None


@pytest.mark.parametrize(("status", "body"), BEHIND, ids=["PGRST204", "PGRST202", "42703"])
def test_schema_that_is_behind_places_without_the_nested_part(
    client: SupabaseHoldClient, server: PostgrestServer, status: int, body: dict[str, object]
) -> None:
    """Held all the same; and on a taken table it is a conflict, with its windows."""
    request = make_request()
    server.fail_next(status, body)
    assert client.place(request).status == "held"
    sent = [sorted(arguments) for name, arguments in server.calls if name == "create_table_hold"]
    assert "p_event_context" in sent[0]
    assert "p_event_context" not in sent[1]

    server.fail_next(status, body)
    with pytest.raises(HoldConflictError) as conflict:
        client.place(make_request(*request.table_ids))
    assert [window.table_id for window in conflict.value.conflicts] == list(request.table_ids)


def test_stale_schema_cache_is_lived_with(
    client: SupabaseHoldClient, server: PostgrestServer, connection: psycopg.Connection
) -> None:
    """The migration is there and PostgREST has not heard of it: holds go on until it is told to reload."""
    server.forget_parameters("create_table_hold", "p_request_fingerprint", "p_event_context")
    assert client.place(make_request()).status == "held"
    server.reload_schema_cache()
    client.place(make_request())
    contexts = connection.execute(
        "select context ->> 'channel' from holds.observability_events order by recorded_at"
    ).fetchall()
    assert contexts == [(None,), ("web",)]


def test_raised_conflict_is_named_by_a_second_look(client: SupabaseHoldClient, server: PostgrestServer) -> None:
    """An older function raises 23P01 where ours answers: a conflict all the same, and the other booking is not told."""
    taken = make_request()
    client.place(taken)
    other = str(taken.booking_id)
    body = {"code": "23P01", "message": "conflicting key value", "details": f"Key (owner_id)=({other}) conflicts"}
    server.fail_next(409, body)
    with pytest.raises(HoldConflictError) as conflict:
        client.place(make_request(*taken.table_ids))

    assert [window.table_id for window in conflict.value.conflicts] == list(taken.table_ids)
    assert other not in "".join(traceback.format_exception(conflict.value))


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (400, {"code": "P0001", "message": "HOLD_RATE_LIMIT: 120 a minute"}, HoldRateLimitError),
        (400, {"code": "P0001", "message": "CUTOFF"}, HoldCutoffError),
        (500, {"code": "55P03", "message": "lock timeout"}, HoldCutoffError),
        (500, {"code": "57014", "message": "statement timeout"}, HoldCutoffError),
        (403, {"code": "42501", "message": "permission denied"}, HoldAccessError),
        (404, {"code": "42883", "message": "no function"}, MigrationError),
        (400, {"code": "22023", "message": "nonsense"}, HoldRequestError),
    ],
    ids=lambda value: value.get("code") if isinstance(value, dict) else None,
)
def test_error_bodies_are_translated_by_the_same_table(
    client: SupabaseHoldClient, server: PostgrestServer, status: int, body: dict[str, object], meaning: type[Exception]
) -> None:
    """By code; where the code only says that somebody raised, by the name that stands first."""
    server.fail_next(status, body)
    with pytest.raises(meaning):
        client.place(make_request())


def test_transient_failures_are_tried_again(
    client: SupabaseHoldClient, server: PostgrestServer, connection: psycopg.Connection
) -> None:
    """A deadlock, a gateway's error page, a rate limit before the API, an exhausted pool: one hold in the end."""
    for status, body in (
        (500, {"code": "40P01", "message": "deadlock detected"}),
        (502, None),
        (429, None),
        (504, {"code": "PGRST003", "message": "Timed out acquiring connection from connection pool."}),
    ):
        server.fail_next(status, body)
    assert client.place(make_request()).status == "held"
    assert len(server.calls) == 5
    assert len({arguments["p_idempotency_key"] for _, arguments in server.calls}) == 1
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (1,)


def test_lost_answer_is_asked_for_again(
    client: SupabaseHoldClient, server: PostgrestServer, connection: psycopg.Connection
) -> None:
    """The connection breaks after the commit: the second try gets the hold of the first."""
    server.lose_answers(2)
    hold = client.place(make_request())

    assert hold.is_replay
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (1,)


def test_api_that_is_away_is_said_within_the_deadline(server: PostgrestServer, spool: EventSpool) -> None:
    """Nobody listens: nothing was sent. Somebody listens and never answers: nobody knows. Both are events."""
    nowhere = SupabaseHoldClient.connect(
        "http://127.0.0.1:9", token("service_role"), deadline=timedelta(seconds=0.5), spool=spool
    )
    with nowhere as client:
        started = time.monotonic()
        with pytest.raises(HoldUnavailableError):
            client.place(make_request())
        assert time.monotonic() - started < 2
    assert spool.depth() == 1

    hasty = SupabaseHoldClient.connect(server.url, token("service_role"), deadline=timedelta(seconds=0.5), spool=spool)
    with connect(server.database_url, autocommit=False) as blocker, hasty as client:
        blocker.execute("lock table holds.table_holds in access exclusive mode")
        with pytest.raises((HoldOutcomeUnknownError, HoldCutoffError)):
            client.place(make_request())


def test_events_are_recorded_or_wait(
    client: SupabaseHoldClient, server: PostgrestServer, connection: psycopg.Connection, spool: EventSpool
) -> None:
    """Telemetry never raises, and what waits is brought over the API later."""
    event = Event(event_type=EventType.MANUAL_VALIDATE, source="staff", context={"note": "ä"})
    server.fail_next(403, {"code": "42501", "message": "permission denied"})
    assert client.record(event)
    assert spool.depth() == 1
    client.drain()
    assert spool.depth() == 0
    assert connection.execute("select id, context from holds.observability_events").fetchall() == [
        (event.id, {"note": "ä"})
    ]


def test_quote_works_over_the_api(client: SupabaseHoldClient, connection: psycopg.Connection) -> None:
    """The selector does not mind who carries its calls."""
    request = QuoteRequest(
        restaurant_id=uuid4(),
        tables=[Table(id=uuid4(), capacity=2)],
        party_size=2,
        starts_at=EVENING,
        ends_at=EVENING + timedelta(hours=2),
    )
    quote = quote_tables_for_booking(client, request)
    assert quote.hold is not None
    assert quote_tables_for_booking(client, request).hold.id == quote.hold.id  # type: ignore[union-attr]


def test_switch_is_seen_over_the_api(client: SupabaseHoldClient, connection: psycopg.Connection) -> None:
    """On, then off."""
    assert client.is_strict_conflicts_enabled()
    set_hold_conflict_enforcement(connection, enabled=False, reason="drill")
    assert not client.is_strict_conflicts_enabled()


@pytest.mark.parametrize("key", [token("anon"), token("authenticated")], ids=["anon", "authenticated"])
def test_stranger_can_do_nothing(
    server: PostgrestServer, spool: EventSpool, connection: psycopg.Connection, key: str
) -> None:
    """Every function is refused, and a forged token too, though the schema is exposed."""
    executable = connection.execute(
        "select proname from pg_proc where pronamespace = 'holds'::regnamespace"
        " and (has_function_privilege('anon', oid, 'execute')"
        " or has_function_privilege('authenticated', oid, 'execute'))"
    ).fetchall()
    assert executable == []
    with SupabaseHoldClient.connect(server.url, key, spool=spool) as stranger:
        for call in (
            lambda: stranger.place(make_request()),
            lambda: stranger.release(uuid4()),
            lambda: stranger.find_conflicts([uuid4()], EVENING, EVENING + timedelta(hours=1)),
            stranger.is_strict_conflicts_enabled,
        ):
            with pytest.raises(HoldAccessError):
                call()
    forged = token("service_role", secret=b"guessed")
    with SupabaseHoldClient.connect(server.url, forged, spool=spool) as forger, pytest.raises(HoldAccessError):
        forger.place(make_request())
    with pytest.raises(HoldAccessError, match="empty"), SupabaseHoldClient.connect(server.url, " ", spool=spool):
        pass


def test_row_level_security_hides_what_is_granted_by_accident(
    server: PostgrestServer, connection: psycopg.Connection
) -> None:
    """Somebody grants the tables to the world: there is still nothing to see and nothing to write."""
    connection.execute("insert into holds.double_booking_checks values (true, now()) on conflict do nothing")
    connection.execute("grant select, insert, update, delete on all tables in schema holds to anon")
    connection.execute("set role anon")
    tables = connection.execute(
        "select oid::regclass::text from pg_class where relkind in ('r', 'p') and relnamespace = 'holds'::regnamespace"
    ).fetchall()
    assert len(tables) > 8
    for (name,) in tables:
        assert connection.execute(f"select count(*) from {name}").fetchone() == (0,), name
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("insert into holds.restaurant_settings (restaurant_id) values (gen_random_uuid())")
    assert connection.execute("update holds.settings set is_strict_conflicts_enabled = false").rowcount == 0


def test_real_supabase_answers() -> None:
    """A smoke test against a real project: set HOLDWATCH_SUPABASE_URL and HOLDWATCH_SUPABASE_KEY."""
    url, key = os.environ.get("HOLDWATCH_SUPABASE_URL"), os.environ.get("HOLDWATCH_SUPABASE_KEY")
    if not url or not key:
        pytest.skip("HOLDWATCH_SUPABASE_URL and HOLDWATCH_SUPABASE_KEY name no project")
    with SupabaseHoldClient.connect(url, key) as client:
        assert client.is_strict_conflicts_enabled()
        hold = client.place(make_request(time_to_live=timedelta(seconds=30)))
        assert client.release(hold.id).status == "released"


@contextmanager
def dripping_server(seconds_between: float) -> Iterator[str]:
    """A server that takes connections and answers a byte at a time, for ever; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        is_over = threading.Event()

        def drip(client: socket.socket) -> None:
            with client, suppress(OSError):
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n")
                while not is_over.wait(seconds_between):
                    client.sendall(b" ")

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        is_over.set()


def test_answer_that_drips_ends_with_the_deadline(spool: EventSpool) -> None:
    """Every byte comes in time, the whole of it never."""
    with (
        dripping_server(0.05) as url,
        SupabaseHoldClient.connect(url, token("service_role"), deadline=timedelta(seconds=0.6), spool=spool) as client,
    ):
        started = time.monotonic()
        with pytest.raises(HoldOutcomeUnknownError):
            client.place(make_request())
        assert time.monotonic() - started < 3


def test_lost_connection_of_the_api_means_that_nobody_knows(
    client: SupabaseHoldClient, server: PostgrestServer
) -> None:
    """PGRST001 comes too where the database's connection broke while the call was running."""
    server.fail_next(503, {"code": "PGRST001", "message": "Database client error"})
    assert client.place(make_request()).status == "held"
    assert isinstance(meaning_of("PGRST001"), HoldOutcomeUnknownError)


def test_schema_that_is_behind_keeps_what_a_quotes_key_stands_for(
    client: SupabaseHoldClient, server: PostgrestServer
) -> None:
    """Two candidates under one key: the second is no other request."""
    tables = [Table(id=uuid4(), capacity=2), Table(id=uuid4(), capacity=2)]
    first, second = sorted(table.id for table in tables)
    client.place(make_request(first))
    server.forget_parameters("create_table_hold", "p_event_context")
    quote = quote_tables_for_booking(
        client,
        QuoteRequest(
            restaurant_id=uuid4(), tables=tables, party_size=2, starts_at=EVENING, ends_at=EVENING + timedelta(hours=1)
        ),
    )
    assert quote.hold is not None
    assert quote.hold.table_ids == (second,)


def test_spool_is_drained_while_the_client_lives(
    server: PostgrestServer, connection: psycopg.Connection, spool: EventSpool
) -> None:
    """A server that runs for weeks does not keep its events for weeks."""
    spool.append(Event(event_type=EventType.MANUAL_VALIDATE, source="staff"))
    with SupabaseHoldClient.connect(server.url, token("service_role"), spool=spool):
        connection.execute(
            "do $$ begin for i in 1..400 loop exit when exists (select from holds.observability_events);"
            " perform pg_sleep(0.025); end loop; end $$"
        )
        assert connection.execute("select count(*) from holds.observability_events").fetchone() == (1,)
