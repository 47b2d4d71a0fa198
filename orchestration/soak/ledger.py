"""Check what callers were told against what the database has, trusting neither the constraint nor the core.

The rows are read as they are and compared here, in plain Python: a fault in the core's SQL cannot hide in the check.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from holds_core import QuoteRequest
from orchestration.soak.load import Told

_FOREVER = datetime.max.replace(tzinfo=UTC)
_MOST_EXAMPLES = 5

Row = dict[str, Any]


@dataclass(frozen=True)
class LedgerFindings:
    """What does not add up; every count is 0 when all is well.

    Attributes:
        double_bookings: Pairs of windows on one table, of different owners, that overlap in their windows *and* in
            their lifetimes; by the database's rows, and by what callers were told (whichever finds more).
        lost: Holds that a caller was told of and that the database does not have as told.
        duplicated: Holds that nobody was told of, or more than one for one key.
        missing_events: Holds without their event, events without their cause, refusals not recorded exactly once.
        examples: The first few of each, for people.
    """

    double_bookings: int
    lost: int
    duplicated: int
    missing_events: int
    examples: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether everything adds up."""
        return not (self.double_bookings or self.lost or self.duplicated or self.missing_events)


@dataclass(frozen=True)
class _Claim:
    """A table, held by an owner for a window during a lifetime."""

    table_id: UUID
    owner: UUID
    starts_at: datetime
    ends_at: datetime
    lives_from: Any
    lives_until: Any


def check_ledger(
    connection: psycopg.Connection[Any],
    told: Sequence[Told],
    restaurant_ids: Sequence[UUID],
    *,
    lost_answers: int = 0,
) -> LedgerFindings:
    """Compare what callers were told with the rows of these restaurants.

    Args:
        connection: To the database, as a role that may read the hold tables and the events.
        told: What every caller was told.
        restaurant_ids: All restaurants that the load may have touched, and nobody else.
        lost_answers: How many answers were lost on purpose. A refusal whose answer was lost is recorded, and may be a
            hold when it is asked for again: so many more refusals may be recorded than callers were told of.
    """
    parameters = {"restaurant_ids": list(restaurant_ids)}
    with connection.cursor(row_factory=dict_row) as cursor:
        holds = cursor.execute(_HOLDS, parameters).fetchall()
        windows = cursor.execute(_WINDOWS, parameters).fetchall()
        events = cursor.execute(_EVENTS, parameters).fetchall()

    stored = [*_overlapping(_stored_claims(windows))]
    believed = [*_overlapping(_believed_claims(told))]
    lost = [*_lost(told, holds, windows)]
    duplicated = [*_duplicated(told, holds)]
    missing = [*_missing_events(told, holds, events, lost_answers)]
    examples = [
        message for messages in (stored, believed, lost, duplicated, missing) for message in messages[:_MOST_EXAMPLES]
    ]
    return LedgerFindings(max(len(stored), len(believed)), len(lost), len(duplicated), len(missing), tuple(examples))


_HOLDS = """
    select id, restaurant_id, booking_id, idempotency_key, table_ids, status,
        lower(held_during) as starts_at, upper(held_during) as ends_at, expires_at
    from holds.table_holds
    where restaurant_id = any(%(restaurant_ids)s)
"""

_WINDOWS = """
    select hold_id, table_id, owner_id, lower(held_during) as starts_at, upper(held_during) as ends_at,
        created_at, expires_at, released_at
    from holds.table_hold_windows
    where restaurant_id = any(%(restaurant_ids)s)
"""

_EVENTS = """
    select event_type, context ->> 'holdId' as hold_id
    from holds.observability_events
    where restaurant_id = any(%(restaurant_ids)s)
"""


def _stored_claims(windows: Iterable[Row]) -> list[_Claim]:
    return [
        _Claim(
            row["table_id"],
            row["owner_id"],
            row["starts_at"],
            row["ends_at"],
            row["created_at"],
            min(row["released_at"] or _FOREVER, row["expires_at"] or _FOREVER),
        )
        for row in windows
    ]


def _believed_claims(told: Iterable[Told]) -> list[_Claim]:
    """Return what callers believe to hold: carefully, from the answer to the first reason to doubt."""
    claims: list[_Claim] = []
    for entry in told:
        if entry.hold is None or entry.held_at is None:
            continue
        until = float("inf")
        if entry.let_go_at is not None:
            until = entry.let_go_at
        elif entry.final_status != "confirmed":
            # The database started the clock after the caller asked, so the hold lasts at least this long.
            until = entry.asked_at + entry.request.ask.time_to_live.total_seconds()
        claims.extend(
            _Claim(
                table_id,
                entry.request.ask.booking_id or entry.hold.id,
                entry.hold.starts_at,
                entry.hold.ends_at,
                entry.held_at,
                until,
            )
            for table_id in entry.hold.table_ids
        )
    return claims


def _overlapping(claims: Iterable[_Claim]) -> Iterable[str]:
    by_table = defaultdict(list)
    for claim in claims:
        by_table[claim.table_id].append(claim)
    for table_id, others in by_table.items():
        for one, two in combinations(others, 2):
            if (
                one.owner != two.owner
                and one.starts_at < two.ends_at
                and two.starts_at < one.ends_at
                and one.lives_from < two.lives_until
                and two.lives_from < one.lives_until
            ):
                yield (
                    f"double booking: table {table_id}: {one.owner} ({one.starts_at:%H:%M}-{one.ends_at:%H:%M}) "
                    f"and {two.owner} ({two.starts_at:%H:%M}-{two.ends_at:%H:%M}) at the same time"
                )


def _lost(told: Iterable[Told], holds: Iterable[Row], windows: Iterable[Row]) -> Iterable[str]:
    by_id: dict[UUID, Row] = {row["id"]: row for row in holds}
    tables_of = defaultdict(set)
    for window in windows:
        tables_of[window["hold_id"]].add((window["table_id"], window["starts_at"], window["ends_at"]))
    for entry in told:
        if entry.hold is None:
            continue
        hold = entry.hold
        row = by_id.get(hold.id)
        if row is None:
            yield f"lost: hold {hold.id} was acknowledged and is not there"
        elif tables_of[hold.id] != {(table_id, hold.starts_at, hold.ends_at) for table_id in hold.table_ids}:
            yield f"lost: the windows of hold {hold.id} are not those that were acknowledged"
        elif not isinstance(entry.request.ask, QuoteRequest) and set(entry.request.ask.table_ids) != set(
            hold.table_ids
        ):
            yield f"lost: hold {hold.id} is not on the tables that were asked for"
        elif entry.final_status in ("confirmed", "released") and row["status"] != entry.final_status:
            yield f"lost: hold {hold.id} was acknowledged as {entry.final_status} and is {row['status']}"
        elif row["status"] == "released" and entry.final_status != "released" and entry.error is None:
            yield f"lost: hold {hold.id} was released though nobody asked"


def _duplicated(told: Iterable[Told], holds: Sequence[Row]) -> Iterable[str]:
    acknowledged = Counter(entry.hold.id for entry in told if entry.hold is not None)
    for hold_id, count in acknowledged.items():
        if count > 1:
            yield f"duplicated: hold {hold_id} was given to {count} callers"
    for key, count in Counter((row["restaurant_id"], row["idempotency_key"]) for row in holds).items():
        if count > 1:
            yield f"duplicated: {count} holds for the key {key[1]}"
    # Whoever was told that nobody knows may have a hold; it is one, under the key that was asked with.
    unknown = {
        (entry.request.ask.restaurant_id, entry.request.ask.idempotency_key)
        for entry in told
        if entry.is_outcome_unknown
    }
    for row in holds:
        if row["id"] not in acknowledged and (row["restaurant_id"], row["idempotency_key"]) not in unknown:
            yield f"duplicated: hold {row['id']} was acknowledged to nobody"


def _missing_events(
    told: Sequence[Told], holds: Sequence[Row], events: Sequence[Row], lost_answers: int
) -> Iterable[str]:
    counts = Counter((row["event_type"], row["hold_id"]) for row in events)
    totals = Counter(row["event_type"] for row in events)
    hold_ids = {str(row["id"]) for row in holds}
    by_status = {
        "confirmed": "capacity.hold.confirmed",
        "released": "capacity.hold.released",
        "expired": "capacity.hold.expired",
    }
    for row in holds:
        hold_id = str(row["id"])
        expected = ["capacity.hold.created"]
        if (event_type := by_status.get(row["status"])) is not None:
            expected.append(event_type)
        for event_type in expected:
            if counts[event_type, hold_id] != 1:
                yield f"events: hold {hold_id} has {counts[event_type, hold_id]} of {event_type}, not 1"
    for (event_type, hold_id), count in counts.items():
        if event_type == "capacity.hold.created" and hold_id not in hold_ids:
            yield f"events: {count} of {event_type} for hold {hold_id}, which does not exist"

    # Tries that ended in an error may or may not have got as far as their event.
    errors = sum(entry.outcome == "error" for entry in told)
    searches = sum(isinstance(entry.request.ask, QuoteRequest) for entry in told)
    refusals = sum(entry.refusals for entry in told)
    limited = sum(entry.outcome == "limited" for entry in told)
    selector = totals["capacity.selector.assignment"] + totals["capacity.selector.skipped"]
    for name, found, wanted in (
        ("selector events", selector, searches),
        ("capacity.hold.strict_conflict", totals["capacity.hold.strict_conflict"], refusals),
        ("capacity.rpc.conflict", totals["capacity.rpc.conflict"], refusals + limited),
    ):
        if not wanted - errors <= found <= wanted + errors + lost_answers:
            yield f"events: {found} {name} for {wanted} causes"
