"""Dagster without its daemon: definitions, and an instance in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dagster import DagsterInstance, Definitions


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    """An instance in memory."""
    with DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    """What Dagster loads."""
    from orchestration.definitions import defs  # noqa: PLC0415  8 seconds, for the tests that need it only

    return defs
