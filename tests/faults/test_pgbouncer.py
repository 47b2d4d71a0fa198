"""Through PgBouncer in transaction mode, where a connection of the server is nobody's for longer than a transaction."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from holds_core import AsyncHoldClient, HoldClient, HoldConflictError, HoldRequest

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed (Debian: apt install pgbouncer)")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PgBouncer's own user may enter, which the tests' is not."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        yield Path(made)


@pytest.fixture
def pooled_url(database_url: str, folder: Path) -> Iterator[str]:
    """The URL of this test's database through a PgBouncer with three connections to the server."""
    assert PGBOUNCER is not None
    parts = urlsplit(database_url)
    port = free_port()
    config = folder / "pgbouncer.ini"
    password = f" password={unquote(parts.password)}" if parts.password else ""
    config.write_text(
        f"""
[databases]
* = host={parts.hostname} port={parts.port} user={parts.username}{password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
logfile = {folder}/log
"""
    )
    # PgBouncer does not run as root.
    as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
    command = [PGBOUNCER, "-q", *as_user, str(config)]
    process = subprocess.Popen(command)
    try:
        ends_at = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, config.read_text()
                assert time.monotonic() < ends_at
                threading.Event().wait(0.05)
        yield urlunsplit(parts._replace(netloc=f"{parts.username}:any@127.0.0.1:{port}"))
    finally:
        process.terminate()
        process.wait()


def some_request(**changes: object) -> HoldRequest:
    """A table that nobody else wants."""
    starts_at = datetime.now(UTC) + timedelta(hours=3)
    values = {
        "restaurant_id": uuid4(),
        "table_ids": (uuid4(),),
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(hours=1),
        "booking_id": uuid4(),
    }
    return HoldRequest(**(values | changes))  # type: ignore[arg-type]


def test_life_of_a_hold_through_the_pooler(pooled_url: str, connection: psycopg.Connection) -> None:
    """More calls than psycopg needs to start preparing statements, from more clients than there are connections."""
    with HoldClient.connect(pooled_url, max_connections=8, transaction_pooling=True) as client:
        for _ in range(12):
            request = some_request()
            hold = client.place(request)
            assert client.place(request).is_replay
            assert client.extend(hold.id).status == "held"
            assert client.move(hold.id, table_ids=[uuid4()]).status == "held"
            assert client.confirm(hold.id).status == "confirmed"
            assert client.release(hold.id).status == "released"
    assert connection.execute("select count(*) from holds.observability_events").fetchone() == (60,)


def test_one_of_many_gets_the_table_through_the_pooler(pooled_url: str, connection: psycopg.Connection) -> None:
    """A hundred callers over twenty client connections over three of the server's: one hold, ninety-nine conflicts."""

    async def run() -> int:
        wanted = some_request()
        async with AsyncHoldClient.connect(pooled_url, max_connections=20, transaction_pooling=True) as client:

            async def caller() -> bool:
                try:
                    await client.place(some_request(table_ids=wanted.table_ids))
                except HoldConflictError:
                    return False
                return True

            return sum(await asyncio.gather(*(caller() for _ in range(100))))

    assert asyncio.run(run()) == 1
    assert connection.execute("select count(*) from holds.table_holds").fetchone() == (1,)
