"""Which tables could seat a party, and when: pure, and the same every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Self
from uuid import UUID

from holds_core.errors import HoldRequestError
from holds_core.models import DEFAULT_MAXIMUM_COMBINED, Candidate, Table

MOST_STEPS = 200_000
"""Tables that are looked at for one plan, each as a further one of some group."""

MOST_STEPS_EACH = 20_000
"""Of those, for one number of seats and one of tables, so that seats that hardly any group has do not use up the steps
of those that many have. Every pair of 200 tables fits in. Tables that turn out to be taken are looked past anew."""

PAGE = 250
"""Groups of the same seats and number of tables that are sorted together before the first of them is given."""


@dataclass(frozen=True)
class _Room:
    """Tables that can be pushed together, directly or over others of them; by their place in the plan's order.

    Attributes:
        seats: Each table's.
        sums: For each number of tables, the seats that so many of them can have together, wherever they stand.
    """

    seats: dict[int, int]
    sums: list[set[int]]


class CandidatePlan:
    """The tables, and combinations of them, that seat a party: best first, and found only as they are asked for.

    Best is the smallest waste of seats, then the fewest tables, then the ids, so that the order is the same every time,
    whatever the order of the tables given. (Where more than :data:`PAGE` combinations have the same seats and number of
    tables, so many at a time are sorted by their ids.) A combination is connected (each table can be pushed to another
    of it) and needs every one of its tables: without its smallest, the party would not fit.

    At most :data:`MOST_STEPS` tables are looked at as further ones of a group, of those at most
    :data:`MOST_STEPS_EACH` for the same seats and number of tables since tables were last left out. That is everything,
    unless a restaurant has hundreds of tables of which each can be pushed to most others.

    Attributes:
        steps: Tables looked at so far.
        is_complete: False once a bound was met: there may be combinations that are not given.
    """

    def __init__(
        self,
        tables: Iterable[Table],
        party_size: int,
        maximum_combined: int = DEFAULT_MAXIMUM_COMBINED,
        blocked_table_ids: Collection[UUID] = (),
    ) -> None:
        """Plan for a party; the parameters and errors are those of :func:`plan_candidates`."""
        if party_size < 1:
            raise HoldRequestError(f"A party of {party_size} cannot be seated; it needs at least one guest.")
        by_id: dict[UUID, Table] = {}
        for table in tables:
            if table.id in by_id:
                raise HoldRequestError(f"Table {table.id} is named twice.")
            by_id[table.id] = table
        self.steps = 0
        self.is_complete = True
        self._party_size = party_size
        # With more tables than guests, one would be superfluous.
        self._maximum_combined = min(maximum_combined, party_size)
        blocked = frozenset(blocked_table_ids)
        # Tables are numbers from here on: numbers are compared ten times as fast as ids, and in the same order.
        self._tables = [by_id[table_id] for table_id in sorted(by_id) if table_id not in blocked]
        self._numbers = {table.id: number for number, table in enumerate(self._tables)}
        self._left_out: set[int] = set()
        self._last_step = 0
        # What a combination may consist of: a table that seats the party alone makes the others superfluous.
        self._parts = {
            number: table.capacity
            for number, table in enumerate(self._tables)
            if table.minimum_combined_party <= party_size and 0 < table.capacity < party_size
        }
        self._neighbours = self._find_neighbours()
        self._groups = self._find_groups()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Candidate:
        for group in self._groups:
            if self._left_out.isdisjoint(group):
                chosen = [self._tables[number] for number in group]
                return Candidate(tuple(table.id for table in chosen), sum(table.capacity for table in chosen))
        raise StopIteration

    def leave_out(self, table_ids: Iterable[UUID]) -> None:
        """Give no more candidates with one of these tables: they have turned out to be taken."""
        self._left_out.update(self._numbers[table_id] for table_id in table_ids if table_id in self._numbers)
        self._grant_steps()

    def _grant_steps(self) -> None:
        self._last_step = min(self.steps + MOST_STEPS_EACH, MOST_STEPS)

    def _find_neighbours(self) -> dict[int, set[int]]:
        neighbours: dict[int, set[int]] = {number: set() for number in self._parts}
        for number in self._parts:
            for other_id in self._tables[number].combinable_with:
                other = self._numbers.get(other_id, number)
                if other != number and other in self._parts:
                    neighbours[number].add(other)
                    neighbours[other].add(number)
        return neighbours

    def _find_groups(self) -> Iterator[tuple[int, ...]]:
        """Yield what seats the party: the fewest seats that suffice first, then one more, and so on."""
        singles: dict[int, list[int]] = {}
        for number, table in enumerate(self._tables):
            if table.minimum_party <= self._party_size <= table.capacity:
                singles.setdefault(table.capacity, []).append(number)
        combined = {
            seats for sums in self._sums(self._parts.values())[2:] for seats in sums if seats >= self._party_size
        }
        for seats in sorted(combined | singles.keys()):
            for number in singles.get(seats, ()):
                yield (number,)
            if seats not in combined:
                continue
            # A group does without any table that has no more seats than it wastes.
            rooms = list(self._find_rooms(seats - self._party_size))
            for size in range(2, self._maximum_combined + 1):
                groups = self._find_combinations(rooms, seats, size)
                while page := sorted(islice(groups, PAGE)):
                    yield from page

    def _sums(self, capacities: Iterable[int]) -> list[set[int]]:
        """Return for each number of tables the seats that so many can have together; as far as any group needs them."""
        sums: list[set[int]] = [{0}, *(set() for _ in range(self._maximum_combined))]
        for capacity, count in Counter(capacities).items():
            for _ in range(min(count, self._maximum_combined)):
                for size in range(self._maximum_combined, 0, -1):
                    grown = {seats + capacity for seats in sums[size - 1]}
                    # Without its smallest table a group has too few seats for the party, so with it less than twice.
                    sums[size] |= {seats for seats in grown if seats < 2 * self._party_size}
        return sums

    def _find_rooms(self, waste: int) -> Iterator[_Room]:
        """Yield the tables with more seats than ``waste``, those apart that cannot be pushed together in any way."""
        unseen = {number for number, seats in self._parts.items() if seats > waste}
        while unseen and self.steps < MOST_STEPS:
            room: set[int] = set()
            waiting = {min(unseen)}
            while waiting:
                unseen -= waiting
                room |= waiting
                waiting = set().union(*(self._neighbours[number] for number in waiting)) & unseen
            seats = {number: self._parts[number] for number in sorted(room)}
            yield _Room(seats, self._sums(seats.values()))
        self.is_complete &= self.steps < MOST_STEPS

    def _find_combinations(self, rooms: list[_Room], seats: int, size: int) -> Iterator[tuple[int, ...]]:
        """Yield every connected group of so many tables and seats, each once."""
        self._grant_steps()
        for room in rooms:
            for first, capacity in room.seats.items():
                if seats - capacity in room.sums[size - 1] and first not in self._left_out:
                    touched = self._neighbours[first] | {first}
                    further = sorted(number for number in touched if number > first and number in room.seats)
                    yield from self._grow(room, (first,), further, touched, seats - capacity, size - 1)

    def _grow(
        self,
        room: _Room,
        group: tuple[int, ...],
        further: list[int],
        touched: set[int],
        missing_seats: int,
        missing_tables: int,
    ) -> Iterator[tuple[int, ...]]:
        """Yield the combinations that a group grows into, each once.

        That is ESU (Wernicke, "Efficient Detection of Network Motifs", 2006): a group grows by tables after its first,
        and beside those that it could have grown by already only by neighbours of the newest that no other of it has.
        """
        for position, number in enumerate(further):
            if not self._left_out.isdisjoint(group):
                return
            if self.steps >= self._last_step:
                self.is_complete = False
                return
            self.steps += 1
            missing = missing_seats - room.seats[number]
            if missing not in room.sums[missing_tables - 1]:
                continue
            if missing_tables == 1:
                yield tuple(sorted((*group, number)))
                continue
            near = self._neighbours[number]
            fresh = [other for other in near - touched if other > group[0] and other in room.seats]
            yield from self._grow(
                room,
                (*group, number),
                sorted(further[position + 1 :] + fresh),
                touched | near,
                missing,
                missing_tables - 1,
            )


def plan_candidates(
    tables: Iterable[Table],
    party_size: int,
    maximum_combined: int = DEFAULT_MAXIMUM_COMBINED,
    blocked_table_ids: Collection[UUID] = (),
) -> list[Candidate]:
    """Return the tables, and combinations of them, that seat a party, best first: all of a :class:`CandidatePlan`.

    Args:
        tables: The restaurant's tables.
        party_size: Guests, at least 1.
        maximum_combined: Most tables in a combination; 1 means no combinations.
        blocked_table_ids: Tables that are not to be had; nor is any combination with one of them.

    Raises:
        HoldRequestError: The party is smaller than 1, or a table appears twice.
    """
    return list(CandidatePlan(tables, party_size, maximum_combined, blocked_table_ids))


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
        HoldRequestError: Neither says it, it is not after the start, a turn time is not positive, or a time zone is
            missing.
    """
    for name, value in (("starts_at", starts_at), ("ends_at", ends_at)):
        if value is not None and value.tzinfo is None:
            raise HoldRequestError(f"{name} has no time zone; give it one, for example UTC.")
    if ends_at is not None:
        # In UTC: two times of one zone are compared as its clocks show them, whatever they were turned back by.
        if ends_at.astimezone(UTC) <= starts_at.astimezone(UTC):
            raise HoldRequestError("A seating must end after it starts.")
        return ends_at
    if not turn_times:
        raise HoldRequestError("When does the seating end? Give ends_at, or turn_times.")
    if any(duration <= timedelta(0) for duration in turn_times.values()):
        raise HoldRequestError("A turn time must be longer than nothing.")
    fitting = min((size for size in turn_times if size >= party_size), default=max(turn_times))
    return later(starts_at, turn_times[fitting])


def later(time: datetime, duration: timedelta) -> datetime:
    """Return the time so much later, in the same zone, as a stopwatch has it: over a change of clocks too."""
    return (time.astimezone(UTC) + duration).astimezone(time.tzinfo)
