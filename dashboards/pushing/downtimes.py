"""Datadog's downtimes, from the maintenance that the database knows of.

The verdicts are silent in maintenance anyway; a downtime says so on the monitors, and keeps "no data" quiet as well.
They come from a database, and so are made when they are pushed: one for each occurrence, up to 14 days ahead.
Maintenance of single restaurants has none, since it would mute the others: it is taken out of the verdicts in SQL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg

from dashboards.datadog_metrics import SERVICE
from dashboards.errors import MissingViewsError
from dashboards.generators.datadog_monitors import MANAGED_TAG, MUTED_TAG
from dashboards.reader import become_reader
from holds_core.errors import first_line

Json = dict[str, Any]

PERIODS: LiteralString = """
select
    window_id::text as window_id,
    environment,
    starts_at,
    ends_at,
    reason
from analytics.maintenance_periods
where restaurant_key = '(all)' and ends_at > now()
order by starts_at, window_id
"""

_ON_ITS_WAY = timedelta(minutes=1)
_MARK = re.compile(r"managed_by:holdwatch window:(\S+) from:(\S+)")


@dataclass(frozen=True)
class Maintenance:
    """One occurrence of known maintenance of a whole environment that has not ended."""

    window_id: str
    environment: str
    starts_at: datetime
    ends_at: datetime
    reason: str

    @property
    def key(self) -> str:
        """What tells it from every other one, for good."""
        return f"{self.window_id} {_utc(self.starts_at)}"


@dataclass(frozen=True)
class KnownMaintenance:
    """What a database knows.

    Attributes:
        environments: Those that it has verdicts on; the downtimes of others are none of its business.
        periods: The earliest first.
    """

    environments: frozenset[str]
    periods: tuple[Maintenance, ...]


def read_maintenance(connection: psycopg.Connection[Any]) -> KnownMaintenance:
    """Return the maintenance that is on, or to come.

    Args:
        connection: An autocommit connection whose role may act as ``analytics_reader``.

    Raises:
        ReaderRoleError: It may not.
        MissingViewsError: The views have not been built.
    """
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set transaction isolation level repeatable read read only")
            become_reader(connection, until_commit=True)
            rows = connection.execute(PERIODS).fetchall()
            environments = connection.execute("select environment from analytics.pipeline_freshness").fetchall()
    except psycopg.errors.UndefinedTable as error:
        raise MissingViewsError(first_line(error)) from error
    periods = tuple(Maintenance(*row) for row in rows)
    return KnownMaintenance(
        frozenset(str(row[0]) for row in environments) | {one.environment for one in periods}, periods
    )


def downtime(maintenance: Maintenance, now: datetime) -> Json:
    """Return the body of the call that creates its downtime.

    What has begun, or does so before the call may have arrived, has no start: Datadog refuses one in the past, and lets
    it begin at once instead.
    """
    schedule = {"end": _utc(maintenance.ends_at)}
    if maintenance.starts_at > now + _ON_ITS_WAY:
        schedule = {"start": _utc(maintenance.starts_at), **schedule}
    return {
        "data": {
            "type": "downtime",
            "attributes": {
                "message": (
                    f"{maintenance.reason}\n\nKnown maintenance: holdwatch maintenance list. {MANAGED_TAG} "
                    f"window:{maintenance.window_id} from:{_utc(maintenance.starts_at)}"
                ),
                "monitor_identifier": {"monitor_tags": [f"service:{SERVICE}", MUTED_TAG]},
                "scope": f"env:{maintenance.environment}",
                "schedule": schedule,
                "display_timezone": "UTC",
                "mute_first_recovery_notification": False,
                # Who was not told meanwhile is told at the end of it.
                "notify_end_states": ["alert", "no data", "warn"],
                "notify_end_types": ["canceled", "expired"],
            },
        }
    }


def key_of(attributes: Json) -> str | None:
    """Return :attr:`Maintenance.key` of a downtime that is there; None if it is not one of ours."""
    found = _MARK.search(str(attributes.get("message") or ""))
    return f"{found[1]} {found[2]}" if found else None


def comparable(attributes: Json) -> Json:
    """Return attributes with their times written as ours are, and their sets in order."""
    schedule = {
        name: _utc(datetime.fromisoformat(value)) if isinstance(value, str) else value
        for name, value in (attributes.get("schedule") or {}).items()
        if name in ("start", "end")
    }
    sets = ("notify_end_states", "notify_end_types")
    return {
        **attributes,
        "schedule": schedule,
        **{name: sorted(attributes[name]) for name in sets if isinstance(attributes.get(name), list)},
    }


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
