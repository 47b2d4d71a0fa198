"""Which tables could seat a party, and when: pure, and the same every time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from holds_core.errors import HoldRequestError
from holds_core.models import DEFAULT_MAXIMUM_COMBINED, Candidate, Table

MOST_COMBINATIONS = 20_000
"""Combinations that are looked at for one party. Every pair of 200 tables fits in; beyond, the largest groups of tables
are gone on with, which need the fewest further ones."""


def plan_candidates(
    tables: Iterable[Table],
    party_size: int,
    maximum_combined: int = DEFAULT_MAXIMUM_COMBINED,
    blocked_table_ids: Collection[UUID] = (),
) -> list[Candidate]:
    """Return the tables, and combinations of them, that seat a party, best first.

    Best is the smallest waste of seats, then the fewest tables, then the ids, so that the order is the same every time.
    A combination is connected (each table can be pushed to another of it) and needs every one of its tables: without
    its smallest, the party would not fit. At most :data:`MOST_COMBINATIONS` are looked at.

    Args:
        tables: The restaurant's tables.
        party_size: Guests, at least 1.
        maximum_combined: Most tables in a combination; 1 means no combinations.
        blocked_table_ids: Tables that are not to be had; nor is any combination with one of them.

    Raises:
        HoldRequestError: The party is smaller than 1, or a table appears twice.
    """
    if party_size < 1:
        raise HoldRequestError(f"A party of {party_size} cannot be seated; it needs at least one guest.")
    by_id: dict[UUID, Table] = {}
    for table in tables:
        if table.id in by_id:
            raise HoldRequestError(f"Table {table.id} is named twice.")
        by_id[table.id] = table
    by_id = {table_id: table for table_id, table in by_id.items() if table_id not in blocked_table_ids}

    candidates = [
        Candidate((table.id,), table.capacity)
        for table in by_id.values()
        if table.minimum_party <= party_size <= table.capacity
    ]
    candidates += _combinations(by_id, party_size, maximum_combined)
    return sorted(candidates, key=lambda one: (one.capacity - party_size, len(one.table_ids), one.table_ids))


def _combinations(by_id: Mapping[UUID, Table], party_size: int, maximum_combined: int) -> list[Candidate]:
    neighbours = _neighbours(by_id)
    largest = max((table.capacity for table in by_id.values()), default=0)
    found: list[Candidate] = []
    looked_at = 0
    # Groups that do not seat the party yet; one that does needs no further table.
    groups = {frozenset((table_id,)) for table_id, table in by_id.items() if table.capacity < party_size}
    for size in range(2, maximum_combined + 1):
        grown: set[frozenset[UUID]] = set()
        for group in sorted(groups, key=lambda one: (-_capacity(by_id, one), sorted(one))):
            reach = {other for table_id in group for other in neighbours[table_id]} - group
            grown |= {group | {other} for other in reach}
            if looked_at + len(grown) >= MOST_COMBINATIONS:
                break
        looked_at += len(grown)
        groups = set()
        for group in grown:
            capacity = _capacity(by_id, group)
            if capacity < party_size:
                # Not even with the largest table in each place that is left: no need to go on.
                if capacity + (maximum_combined - size) * largest >= party_size:
                    groups.add(group)
            elif capacity - min(by_id[table_id].capacity for table_id in group) < party_size:
                found.append(Candidate(tuple(sorted(group)), capacity))
        if not groups or looked_at >= MOST_COMBINATIONS:
            break
    return found


def _neighbours(by_id: Mapping[UUID, Table]) -> dict[UUID, set[UUID]]:
    neighbours: dict[UUID, set[UUID]] = {table_id: set() for table_id in by_id}
    for table in by_id.values():
        for other in table.combinable_with:
            if other in by_id and other != table.id:
                neighbours[table.id].add(other)
                neighbours[other].add(table.id)
    return neighbours


def _capacity(by_id: Mapping[UUID, Table], group: Iterable[UUID]) -> int:
    return sum(by_id[table_id].capacity for table_id in group)


def seating_ends_at(
    starts_at: datetime, party_size: int, ends_at: datetime | None, turn_times: Mapping[int, timedelta]
) -> datetime:
    """Return when the guests leave: as said, else by how long a party of their size takes.

    Args:
        starts_at: When they come. Durations are added as they pass, so that a night in which clocks change is no
            longer or shorter a dinner.
        party_size: Guests.
        ends_at: When they leave; None where the turn times say it.
        turn_times: Most guests → how long such a party takes; the largest entry counts for larger parties too.

    Raises:
        HoldRequestError: Neither says it, a turn time is not positive, or a time zone is missing.
    """
    for name, value in (("starts_at", starts_at), ("ends_at", ends_at)):
        if value is not None and value.tzinfo is None:
            raise HoldRequestError(f"{name} has no time zone; give it one, for example UTC.")
    if ends_at is not None:
        return ends_at
    if not turn_times:
        raise HoldRequestError("When does the seating end? Give ends_at, or turn_times.")
    if any(duration <= timedelta(0) for duration in turn_times.values()):
        raise HoldRequestError("A turn time must be longer than nothing.")
    fitting = min((size for size in turn_times if size >= party_size), default=max(turn_times))
    return (starts_at.astimezone(UTC) + turn_times[fitting]).astimezone(starts_at.tzinfo)
