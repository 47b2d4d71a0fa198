"""Severing a connection ends what waits in it, and touches nothing else."""

from __future__ import annotations

import os
import random
import socket
import time

import psycopg
import pytest

from holds_core.database.connections import connect
from holds_core.database.severing import severed_after


def _is_severed(url: str) -> bool:
    """Tell whether a call that takes ten seconds is ended after a tenth of one, on a connection of its own."""
    started = time.monotonic()
    with connect(url) as connection:
        try:
            with severed_after(connection, 0.1):
                connection.execute("select pg_sleep(10)")
        except psycopg.OperationalError as error:
            return error.sqlstate is None and time.monotonic() - started < 5
    return False


def test_another_owner_of_the_descriptor_is_spared(database_url: str) -> None:
    """libpq closes a broken connection's descriptor by itself; whoever gets its number next keeps what is theirs."""
    ours, theirs = socket.socketpair()
    with ours, theirs, connect(database_url) as connection, severed_after(connection, 60) as timer:
        own = os.dup(connection.fileno())
        os.dup2(ours.fileno(), connection.fileno())
        timer.fire()
        ours.sendall(b"still ours")
        assert theirs.recv(100) == b"still ours"
        os.dup2(own, connection.fileno())
        os.close(own)
        assert connection.execute("select 1").fetchone() == (1,)
        timer.fire()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")


def test_connection_is_sound_or_closed_after_the_race(database_url: str) -> None:
    """The timer races with the end of its block: whoever wins, the connection works, or is known to be closed."""
    ended_well = severed = 0
    dice = random.Random(1)
    connection = connect(database_url)
    try:
        for _ in range(300):
            milliseconds = dice.uniform(1, 4)
            try:
                with severed_after(connection, milliseconds / 1000):
                    connection.execute("select pg_sleep(0.002)")
            except psycopg.OperationalError:
                severed += 1
                connection.close()
                connection = connect(database_url)
            else:
                ended_well += 1
                if connection.closed:
                    connection = connect(database_url)
                assert connection.execute("select 1").fetchone() == (1,)
    finally:
        connection.close()
    assert ended_well > 0
    assert severed > 0


def test_forked_child_keeps_its_deadlines(database_url: str) -> None:
    """A web server forks its workers after the parent has made calls of its own: the child's thread is its own."""
    assert _is_severed(database_url)
    child = os.fork()
    if child == 0:
        os._exit(0 if _is_severed(database_url) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
