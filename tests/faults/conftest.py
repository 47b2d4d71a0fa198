"""What the fault tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holds_core.database.connections import connect
from holds_core.database.migrations import migrate
from holds_core.database.settings import Environment
from orchestration.server.embedded import EmbeddedServer
from orchestration.server.lease import ServerLease


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """Holds are of today and later: no history is needed."""
    return small_template


@pytest.fixture
def own_server(tmp_path: Path, server_url: str) -> Iterator[EmbeddedServer]:
    """A server that may be killed: nobody else is on it. With fsync, as in production."""
    if os.environ.get("HOLDWATCH_TEST_SERVER") == "real" or "127.0.0.1" not in server_url:
        pytest.skip("a server that may be killed has to be ours")
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    with ServerLease(state, {"log_min_messages": "panic"}).held() as server:
        with connect(server.url()) as connection:
            migrate(connection, Environment.DEV)
        yield server
        # In the middle of a recovery an orderly stop may take a minute; nothing here is to be kept.
        server.stop(mode="immediate")
