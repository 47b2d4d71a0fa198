"""Ways to place the same hold, each measured as requests a second and as milliseconds to the answer."""

from __future__ import annotations

import asyncio
import cProfile
import io
import json
import math
import os
import pstats
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

import psutil
import psycopg
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from holds_core import AsyncHoldClient, HoldClient, HoldConflictError, HoldRequest
from holds_core.calls import as_texts, hold_from, place_parameters, row_from
from holds_core.database.queries import query
from orchestration.paths import state_dir
from orchestration.server.layout import ServerLayout

HERE = Path(__file__).parent
RESTAURANT = UUID("6d1c2d1e-7d5e-4f39-9d4f-3c1f6f1b0a01")
EVENING = datetime(2030, 1, 31, 18, tzinfo=UTC)


@dataclass(frozen=True)
class Measurement:
    """How one way did.

    Attributes:
        per_second: Requests answered in a second.
        p50_ms: Half of the requests were answered within so many milliseconds; the next two likewise.
        p95_ms: 95 %.
        p99_ms: 99 %.
        client_us: Processor time that the asking process took for a request, in microseconds.
        server_us: What the server's processes took; nan where they run on another machine.
    """

    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    client_us: float = math.nan
    server_us: float = math.nan


def measured(latencies_ms: Sequence[float], seconds: float) -> Measurement:
    """Put latencies together; percentiles by nearest rank."""
    ordered = sorted(latencies_ms)
    ranks = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.95, 0.99))
    return Measurement(len(ordered) / seconds, *ranks)


def with_processor_time(way: Callable[[], Measurement], url: str) -> Measurement:
    """Measure a way, and what it takes of the processors on both sides; opening the connections counts too."""
    postmaster = postmaster_of(url)
    client_before, server_before = _client_seconds(), server_seconds(postmaster)
    started = time.perf_counter()
    measurement = way()
    seconds = time.perf_counter() - started
    microseconds_each = 1e6 / (measurement.per_second * seconds)
    return replace(
        measurement,
        client_us=(_client_seconds() - client_before) * microseconds_each,
        server_us=(server_seconds(postmaster) - server_before) * microseconds_each,
    )


def _client_seconds() -> float:
    # pgbench is a child that has ended by the time this is asked.
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def postmaster_of(url: str) -> psutil.Process | None:
    """Return the server's first process; None where it runs on another machine."""
    with psycopg.connect(url) as connection, suppress(psutil.NoSuchProcess):
        parent = psutil.Process(connection.info.backend_pid).parent()
        if parent is not None and "postgres" in parent.name():
            return parent
    return None


def server_seconds(postmaster: psutil.Process | None) -> float:
    """Return the processor time of the server's processes, those that have ended included."""
    if postmaster is None:
        return math.nan
    # A back end that is ending now is in neither account: wait until none has ended while we read.
    while True:
        before = postmaster.children()
        own = postmaster.cpu_times()
        seconds = own.user + own.system + own.children_user + own.children_system
        with suppress(psutil.NoSuchProcess):
            for times in [child.cpu_times() for child in before]:
                seconds += times.user + times.system
            if postmaster.children() == before:
                return float(seconds)


def pgbench(url: str, script: str, connections: int, seconds: float) -> Measurement:
    """Let pgbench run a script over prepared statements."""
    parts = urlsplit(url)
    with TemporaryDirectory() as folder:
        subprocess.run(
            [
                _pgbench_program(), "--no-vacuum", "--protocol=prepared", f"--client={connections}", "--jobs=2",
                f"--time={seconds:.0f}", "--log", f"--log-prefix={folder}/log", f"--file={HERE / script}",
                f"--host={parts.hostname}", f"--port={parts.port or 5432}", f"--username={parts.username}",
                parts.path.removeprefix("/"),
            ],
            check=True, capture_output=True, env=os.environ | {"PGPASSWORD": unquote(parts.password or "")},
        )  # fmt: skip
        latencies = [
            int(line.split()[2]) / 1000 for log in Path(folder).iterdir() for line in log.read_text().splitlines()
        ]
    return measured(latencies, seconds)


def _pgbench_program() -> str:
    own = ServerLayout.of(state_dir()).binary("pgbench")
    program = str(own) if own.exists() else shutil.which("pgbench")
    if program is None:
        raise SystemExit("pgbench is not installed; it comes with the embedded server, or with postgresql-contrib.")
    return program


def some_request() -> HoldRequest:
    """A hold on a table that nobody else wants."""
    return HoldRequest(
        restaurant_id=RESTAURANT,
        table_ids=(uuid4(),),
        starts_at=EVENING,
        ends_at=EVENING + timedelta(hours=2),
        booking_id=uuid4(),
    )


def async_client(url: str, connections: int, seconds: float) -> Measurement:
    """``AsyncHoldClient``, as many callers as connections."""

    async def run() -> Measurement:
        async with AsyncHoldClient.connect(url, max_connections=connections) as client:
            return await _async_for(seconds, [lambda: client.place(some_request())] * connections)

    return asyncio.run(run())


def threaded_client(url: str, connections: int, seconds: float) -> Measurement:
    """``HoldClient``, a thread for each connection."""
    latencies: list[float] = []
    with HoldClient.connect(url, max_connections=connections) as client:
        # Every connection is open and has prepared its statement before the clock starts.
        barrier = threading.Barrier(connections + 1)
        ends_at = math.inf

        def caller() -> None:
            barrier.wait()
            while (asked_at := time.perf_counter()) < ends_at:
                client.place(some_request())
                latencies.append((time.perf_counter() - asked_at) * 1000)

        threads = [threading.Thread(target=caller) for _ in range(connections)]
        for thread in threads:
            thread.start()
        started = time.perf_counter()
        ends_at = started + seconds
        barrier.wait()
        for thread in threads:
            thread.join()
    return measured(latencies, time.perf_counter() - started)


def separate_statements(url: str, connections: int, seconds: float) -> Measurement:
    """The same rows by separate statements from Python, prepared and in one transaction: five round trips."""

    async def run() -> Measurement:
        async with AsyncConnectionPool(
            url, min_size=connections, max_size=connections, open=False, kwargs={"autocommit": True}
        ) as pool:

            async def place() -> None:
                async with pool.connection() as connection:
                    await _place_by_statements(connection)

            return await _async_for(seconds, [place] * connections)

    return asyncio.run(run())


def bare_driver(url: str, connections: int, seconds: float, *, is_typed: bool) -> Measurement:
    """psycopg alone calling the function: no pool, no deadline, no error handling. The client's upper bound.

    Args:
        url: The database.
        connections: As many callers.
        seconds: How long.
        is_typed: Whether parameters go as uuid, timestamptz and so on, and the answer comes as a row of typed columns;
            else both are text, as the clients have them.
    """
    statement = query("create_table_hold")
    if is_typed:
        statement = statement.replace("select to_json(", "select * from ").replace("))::text", ")")

    async def run() -> Measurement:
        opened = [await psycopg.AsyncConnection.connect(url, autocommit=True) for _ in range(connections)]

        def caller(connection: psycopg.AsyncConnection) -> Callable[[], Awaitable[object]]:
            async def ask() -> object:
                parameters = place_parameters(some_request(), 1) | {"lock_timeout_ms": 2000}
                if is_typed:
                    typed = parameters | {"event_context": Jsonb(parameters["event_context"])}
                    return await (await connection.execute(statement, typed)).fetchone()
                row = await (await connection.execute(statement, as_texts(parameters))).fetchone()
                assert row is not None
                return hold_from(row_from(json.loads(row[0])))

            return ask

        try:
            return await _async_for(seconds, [caller(connection) for connection in opened])
        finally:
            for connection in opened:
                await connection.close()

    return asyncio.run(run())


async def _place_by_statements(connection: psycopg.AsyncConnection) -> None:
    hold_id, table_id, booking_id = uuid4(), uuid4(), uuid4()
    window = (EVENING, EVENING + timedelta(hours=2))
    async with connection.transaction():
        await connection.execute("set local lock_timeout = '2s'")
        found = await connection.execute(
            "select 1 from holds.table_hold_windows where table_id = %s and held_during && tstzrange(%s, %s)"
            " and is_enforced and released_at is null and owner_id <> %s",
            (table_id, *window, booking_id),
        )
        if await found.fetchone() is not None:
            raise HoldConflictError
        await connection.execute(
            "insert into holds.table_holds (id, restaurant_id, booking_id, owner_id, idempotency_key, request_hash,"
            " table_ids, held_during, is_enforced, expires_at)"
            " values (%s, %s, %s, %s, %s, '', %s, tstzrange(%s, %s), true, clock_timestamp() + interval '5 minutes')",
            (hold_id, RESTAURANT, booking_id, booking_id, str(hold_id), [table_id], *window),
        )
        await connection.execute(
            "insert into holds.table_hold_windows (hold_id, restaurant_id, table_id, owner_id, held_during, expires_at)"
            " values (%s, %s, %s, %s, tstzrange(%s, %s), clock_timestamp() + interval '5 minutes')"
            " on conflict do nothing",
            (hold_id, RESTAURANT, table_id, booking_id, *window),
        )
        await connection.execute(
            "insert into holds.observability_events"
            " (id, occurred_at, environment, source, event_type, restaurant_id, booking_id, context)"
            " values (%s, clock_timestamp(), 'dev', 'holds.core', 'capacity.hold.created', %s, %s, %s)",
            (
                uuid4(),
                RESTAURANT,
                booking_id,
                Jsonb({"holdId": str(hold_id), "tableIds": [str(table_id)], "attempt": 1}),
            ),
        )


async def _async_for(seconds: float, asks: Sequence[Callable[[], Awaitable[object]]]) -> Measurement:
    """Let as many callers as there are ways to ask go on asking."""
    latencies: list[float] = []
    started = time.perf_counter()

    async def caller(ask: Callable[[], Awaitable[object]]) -> None:
        while (asked_at := time.perf_counter()) - started < seconds:
            await ask()
            latencies.append((time.perf_counter() - asked_at) * 1000)

    await asyncio.gather(*(caller(ask) for ask in asks))
    return measured(latencies, time.perf_counter() - started)


def contended(url: str, requests: int, connections: int) -> Measurement:
    """So many requests for one table in one window, as many in flight as there are connections: one gets it."""

    async def run() -> Measurement:
        table_id = uuid4()
        latencies: list[float] = []
        held = 0
        async with AsyncHoldClient.connect(url, max_connections=connections) as client:
            # What is measured is the contention, not the making of connections, nor their first call, for which a back
            # end plans everything.
            await client._pool.resize(connections, connections)
            await client._pool.wait()
            await _async_for(1, [lambda: client.place(some_request())] * connections)
            waiting = iter(range(requests))

            async def caller() -> None:
                nonlocal held
                for _ in waiting:
                    asked_at = time.perf_counter()
                    try:
                        await client.place(
                            HoldRequest(
                                restaurant_id=RESTAURANT,
                                table_ids=(table_id,),
                                starts_at=EVENING,
                                ends_at=EVENING + timedelta(hours=2),
                                booking_id=uuid4(),
                            )
                        )
                        held += 1
                    except HoldConflictError:
                        pass
                    latencies.append((time.perf_counter() - asked_at) * 1000)

            started = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(connections)))
            seconds = time.perf_counter() - started
        assert held == 1, f"{held} of {requests} got the same table"
        return measured(latencies, seconds)

    return asyncio.run(run())


def profiles(url: str, connections: int, seconds: float) -> str:
    """Where ``AsyncHoldClient`` spends its time: by the clock, then by the processor. The difference is waiting."""
    report = io.StringIO()
    for name, clock in (("elapsed", time.perf_counter), ("processor", time.process_time)):
        profile = cProfile.Profile(clock)
        measurement = profile.runcall(async_client, url, connections, seconds)
        report.write(f"AsyncHoldClient under the profiler, {measurement.per_second:,.0f} requests/s: {name} time\n")
        pstats.Stats(profile, stream=report).strip_dirs().sort_stats("tottime").print_stats(12)
    return report.getvalue()
