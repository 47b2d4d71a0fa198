"""Known maintenance keeps alerts quiet about what it is of, and about nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core.database.connections import connect
from holds_core.maintenance import MaintenanceWindow, add_maintenance_window, end_maintenance_window

# Each minute of the last half hour brings ten requests: half of them fail.
_REQUESTS = """
insert into holds.observability_events
    (occurred_at, environment, source, event_type, severity, restaurant_id, context)
select
    now() - make_interval(mins => minute),
    'dev',
    'capacity.selector',
    case when half = 0 then 'capacity.selector.skipped' else 'capacity.selector.assignment' end,
    'info',
    (%(restaurants)s::uuid[])[half + 1],
    '{"skipReason": "error"}'
from generate_series(0, 30) as minute, generate_series(0, 1) as half, generate_series(1, 5)
"""


@pytest.fixture(scope="module")
def failing() -> UUID:
    """A restaurant all of whose requests fail."""
    return uuid4()


@pytest.fixture
def alerts(views_template: Callable[[], str], failing: UUID) -> Iterator[psycopg.Connection]:
    """A database in which one of two restaurants turns everybody away, and the alert of it fires."""
    with connect(views_template()) as connection:
        connection.execute(_REQUESTS, {"restaurants": [failing, uuid4()]})
        yield connection


def _success(connection: psycopg.Connection) -> tuple[object, ...]:
    row = connection.execute(
        "select value, is_in_maintenance, is_firing from analytics.alert_evaluations"
        " where alert = 'success_rate_low' and environment = 'dev'"
    ).fetchone()
    assert row is not None
    return row


def _known(connection: psycopg.Connection, restaurant_id: UUID | None = None) -> MaintenanceWindow:
    begins = datetime.now(UTC) - timedelta(hours=2)
    return add_maintenance_window(
        connection, lasts=timedelta(hours=3), reason="drill", starts_at=begins, restaurant_id=restaurant_id
    )


def test_maintenance_of_the_environment_silences_it(alerts: psycopg.Connection) -> None:
    """While it is known; and what is of no environment of ours silences nothing."""
    assert _success(alerts) == (0.5, False, True)
    elsewhere = add_maintenance_window(alerts, lasts=timedelta(hours=1), reason="drill", environment="prod")
    assert _success(alerts) == (0.5, False, True)

    known = _known(alerts)

    assert _success(alerts) == (None, True, False)
    assert end_maintenance_window(alerts, known.id)
    assert end_maintenance_window(alerts, elsewhere.id)
    # The newest period that has ended was in maintenance all the same.
    assert _success(alerts) == (None, True, False)


def test_maintenance_of_a_restaurant_takes_away_its_share_once(alerts: psycopg.Connection, failing: UUID) -> None:
    """The others are judged as ever; two windows over one another take nothing away twice."""
    for _ in range(2):
        _known(alerts, failing)

        assert _success(alerts) == (1.0, False, False)


def test_maintenance_of_another_restaurant_changes_nothing(alerts: psycopg.Connection) -> None:
    """Neither what is judged nor what fires."""
    _known(alerts, uuid4())

    assert _success(alerts) == (0.5, False, True)


def test_reader_sees_what_is_known_and_why(alerts: psycopg.Connection, failing: UUID) -> None:
    """For the annotations of the dashboards: each occurrence, by the restaurant it is of."""
    _known(alerts, failing)
    with alerts.transaction(force_rollback=True):
        alerts.execute("set local role analytics_reader")
        rows = alerts.execute(
            "select environment, restaurant_key, reason from analytics.maintenance_periods"
        ).fetchall()

    assert rows == [("dev", str(failing), "drill")]
