"""The application of docs/examples: what each error becomes over HTTP, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import httpx
import psycopg
import pytest

from holds_core import EnforcementError, Event, EventType, HoldAccessError
from holds_core.database.connections import connect
from holds_core.enforcement import set_hold_conflict_enforcement, set_hold_rate_limit
from holds_core.events.spool import EventSpool, default_spool
from tests.docs.pages import DOCS, blocks, commands
from tests.faults.proxy import faulty_proxy

EXAMPLE = DOCS / "examples" / "fastapi_app.py"
EVENING = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=3)

Ask = Callable[[httpx.AsyncClient], Awaitable[None]]


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """Holds are of today and later: no history is needed."""
    return small_template


@pytest.fixture(scope="module")
def application() -> Any:
    """The example, imported from its file."""
    spec = spec_from_file_location("fastapi_app", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # where its annotations are looked up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def spool(own_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EventSpool:
    """The spool of this test's application."""
    monkeypatch.setenv("HOLDWATCH_SPOOL_DIRECTORY", str(tmp_path / "spool"))
    return default_spool(own_url)


@pytest.fixture
def own_url(database_url: str, connection: psycopg.Connection) -> Iterator[str]:
    """The database's URL with a login that has the role holds_app, and nothing more."""
    login = f"bookings_{uuid4().hex[:8]}"
    connection.execute(f"create role {login} login password 'x' in role holds_app")
    parts = urlsplit(database_url)
    yield urlunsplit(parts._replace(netloc=f"{login}:x@{parts.netloc.rpartition('@')[2]}"))
    connection.execute(f"drop role {login}")


@pytest.fixture
def serve(application: Any, spool: EventSpool, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Ask], None]:
    """A function that starts the application on a database, asks it, and ends it."""

    @asynccontextmanager
    async def running() -> AsyncIterator[httpx.AsyncClient]:
        async with (
            application.app.router.lifespan_context(application.app),
            httpx.AsyncClient(transport=httpx.ASGITransport(application.app), base_url="http://bookings") as client,
        ):
            yield client

    def start_and_ask(url: str, ask: Ask) -> None:
        monkeypatch.setenv("BOOKING_DATABASE_URL", url)

        async def whole() -> None:
            async with running() as client:
                await ask(client)

        asyncio.run(whole())

    return start_and_ask


def wanted(**changes: object) -> dict[str, object]:
    """A guest's wish: a table that nobody else wants."""
    return {
        "restaurant_id": str(uuid4()),
        "table_ids": [str(uuid4())],
        "booking_id": str(uuid4()),
        "starts_at": EVENING.isoformat(),
        "ends_at": (EVENING + timedelta(hours=2)).isoformat(),
    } | changes


def key(name: str = "") -> dict[str, str]:
    """The header with an idempotency key."""
    return {"Idempotency-Key": name or str(uuid4())}


def test_hold_lives_and_is_answered_once(own_url: str, serve: Callable[[str, Ask], None]) -> None:
    """201, then 200 with the same hold; confirmed, released; and a key whose hold is over is 410."""

    async def ask(client: httpx.AsyncClient) -> None:
        wish = wanted()
        first = await client.post("/holds", json=wish, headers=key("k"))
        again = await client.post("/holds", json=wish, headers=key("k"))
        hold = f"/holds/{first.json()['id']}"
        confirmed = await client.post(f"{hold}/confirm")
        released = await client.delete(hold)

        assert (first.status_code, again.status_code, first.json()) == (201, 200, again.json())
        assert (confirmed.json()["status"], confirmed.json()["expires_at"]) == ("confirmed", None)
        assert released.json()["status"] == "released"
        assert (await client.post(f"{hold}/confirm")).status_code == 410
        assert (await client.post("/holds", json=wish, headers=key("k"))).status_code == 410

    serve(own_url, ask)


def test_refusals_say_what_to_do(
    own_url: str, connection: psycopg.Connection, serve: Callable[[str, Ask], None]
) -> None:
    """A conflict, a limit, a key for something else, a hold that is not there, a wish that makes no sense."""

    async def ask(client: httpx.AsyncClient) -> None:
        wish = wanted()
        await client.post("/holds", json=wish, headers=key("k"))
        conflict = await client.post("/holds", json=wish | {"booking_id": str(uuid4())}, headers=key())
        reused = await client.post("/holds", json=wish | {"table_ids": [str(uuid4())]}, headers=key("k"))
        backwards = await client.post("/holds", json=wanted(ends_at=EVENING.isoformat()), headers=key())
        set_hold_rate_limit(connection, max_holds=1, per_seconds=3600)
        busy = wanted()
        await client.post("/holds", json=busy, headers=key())
        limited = await client.post("/holds", json=busy | {"table_ids": [str(uuid4())]}, headers=key())

        assert conflict.status_code == 409
        assert [window["table_id"] for window in conflict.json()["conflicts"]] == wish["table_ids"]
        assert str(wish["booking_id"]) not in conflict.text
        assert (reused.status_code, reused.json()["error"]) == (422, "IdempotencyKeyReusedError")
        assert (backwards.status_code, backwards.json()["error"]) == (422, "HoldRequestError")
        assert (limited.status_code, 3500 < int(limited.headers["Retry-After"]) <= 3600) == (429, True)
        assert (await client.delete(f"/holds/{uuid4()}")).status_code == 404
        assert (await client.post("/holds", json=wanted())).status_code == 422, "it lacks a key"

    serve(own_url, ask)


def test_lost_answer_is_found_again_with_the_same_key(
    own_url: str, connection: psycopg.Connection, serve: Callable[[str, Ask], None], spool: EventSpool
) -> None:
    """503 within the request's own deadline, with the key; the same request again gives the hold that was made."""
    with faulty_proxy(own_url) as (proxy, url):

        async def ask(client: httpx.AsyncClient) -> None:
            wish = wanted()
            await client.delete(f"/holds/{uuid4()}")  # there is a connection by now
            proxy.go_silent()
            began = asyncio.get_running_loop().time()
            lost = await client.post("/holds", json=wish, headers=key("k") | {"X-Deadline-Ms": "500"})
            took = asyncio.get_running_loop().time() - began
            proxy.resume()
            found = await client.post("/holds", json=wish, headers=key("k"))

            assert (lost.status_code, lost.json()["error"]) == (503, "HoldOutcomeUnknownError")
            assert (lost.headers["Retry-After"], lost.headers["Idempotency-Key"]) == ("1", "k")
            assert took < 3
            assert (found.status_code, found.json()["status"]) == (200, "held")

        serve(url, ask)

    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (1,)
    assert connection.execute(
        "select count(*) from holds.observability_events where event_type = 'capacity.rpc.conflict'"
    ).fetchone() == (1,), "what was spooled meanwhile is stored at the end"
    assert spool.depth() == 0


def test_what_is_ours_to_mend_is_500(
    own_url: str, connection: psycopg.Connection, serve: Callable[[str, Ask], None]
) -> None:
    """A login that has lost its role: no caller can do anything about it, and the error is in the log."""

    async def ask(client: httpx.AsyncClient) -> None:
        connection.execute(f"revoke holds_app from {urlsplit(own_url).username}")
        with pytest.raises(HoldAccessError):  # what the server logs, and answers 500 for
            await client.post("/holds", json=wanted(), headers=key())

    serve(own_url, ask)


def test_application_does_not_start_where_overlaps_are_let_through(
    own_url: str, connection: psycopg.Connection, serve: Callable[[str, Ask], None]
) -> None:
    """It refuses, and says why."""
    set_hold_conflict_enforcement(connection, enabled=False, reason="a test")

    async def ask(client: httpx.AsyncClient) -> None:
        pytest.fail("it serves")

    with pytest.raises(EnforcementError, match="not surely refused"):
        serve(own_url, ask)


@contextmanager
def uvicorn(url: str, spool: EventSpool) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The application under its server, as the page says; yields the process and its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--app-dir",
        str(EXAMPLE.parent),
        "fastapi_app:app",
        "--port",
        str(port),
    ]
    environ = os.environ | {"BOOKING_DATABASE_URL": url, "HOLDWATCH_SPOOL_DIRECTORY": str(spool.directory.parent)}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "Uvicorn running" in line:
                    break
            else:
                pytest.fail("it does not start")
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def test_sigterm_answers_what_is_in_flight_and_drains_the_spool(
    own_url: str, database_url: str, connection: psycopg.Connection, spool: EventSpool
) -> None:
    """A request that waits for a lock when the server is told to stop gets its hold; waiting events are stored."""
    answers: list[httpx.Response] = []
    with uvicorn(own_url, spool) as (process, address), connect(database_url, autocommit=False) as gate:
        gate.execute("lock table holds.table_holds in share mode")

        def place() -> None:
            answers.append(httpx.post(f"{address}/holds", json=wanted(), headers=key(), timeout=30))

        caller = threading.Thread(target=place)
        caller.start()
        connection.execute(
            "do $$ begin while not exists (select from pg_stat_activity where datname = current_database()"
            " and wait_event_type = 'Lock') loop perform pg_sleep(0.01); perform pg_stat_clear_snapshot(); end loop;"
            " end $$"
        )
        event = Event(event_type=EventType.MANUAL_VALIDATE, source="test")
        assert spool.append(event)
        process.send_signal(signal.SIGTERM)
        gate.rollback()
        caller.join()
        process.wait(30)

    assert [answer.status_code for answer in answers] == [201]
    assert spool.depth() == 0
    assert connection.execute(
        "select count(*) from holds.observability_events where id = %s", (event.id,)
    ).fetchone() == (1,)


def test_page_ends_in_what_is_seen(own_url: str, spool: EventSpool) -> None:
    """Its calls, typed into a shell, get the answers that it shows, but for an id and a time."""
    typed = [
        one
        for block in blocks(DOCS / "how-to" / "fastapi.md")
        if block.language == "console"
        for one in commands(block.text)
    ]
    hold = ""
    with uvicorn(own_url, spool) as (_, address):
        for command, said in typed:
            call = command.replace("http://127.0.0.1:8000", address).replace("/holds/ID", f"/holds/{hold}")
            answer = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=True).stdout
            found = json.loads(answer)
            hold = hold or found["id"]
            differing = {"id": "ID", "expires_at": "EXPIRES_AT"}
            assert found | {name: differing[name] for name in differing.keys() & found.keys()} == json.loads(said)

    assert [next(iter(json.loads(said))) for _, said in typed] == ["id", "error", "id"]


def test_application_says_which_variable_it_lacks(application: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it serves, and by its name."""
    monkeypatch.delenv("BOOKING_DATABASE_URL", raising=False)

    async def start() -> None:
        async with application.app.router.lifespan_context(application.app):
            pytest.fail("it serves")

    with pytest.raises(RuntimeError, match="Set BOOKING_DATABASE_URL"):
        asyncio.run(start())


def test_absent_database_is_503_and_says_nothing_of_it(
    own_url: str, connection: psycopg.Connection, serve: Callable[[str, Ask], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Which login is refused is for the log."""
    login = urlsplit(own_url).username

    async def ask(client: httpx.AsyncClient) -> None:
        connection.execute(f"alter role {login} nologin")
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (login,))
        await client.delete(f"/holds/{uuid4()}")  # over the connection that broke
        away = await client.delete(f"/holds/{uuid4()}")
        assert (away.status_code, away.json()["error"]) == (503, "HoldUnavailableError")
        assert str(login) not in away.text
        assert f'role "{login}" is not permitted to log in' in caplog.text

    serve(own_url, ask)


def test_page_shows_the_example_as_it_is() -> None:
    """Each line of the page's Python stands in the file."""
    lines = {line.strip() for line in EXAMPLE.read_text(encoding="utf-8").splitlines()}
    shown = [block for block in blocks(DOCS / "how-to" / "fastapi.md") if block.language == "python"]

    assert shown
    assert {line.strip() for block in shown for line in block.text.splitlines()} <= lines
