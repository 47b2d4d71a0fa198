"""Which tables could seat a party, and when they leave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations, islice
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holds_core import HoldRequestError, Table, plan_candidates, seating
from holds_core.seating import MOST_STEPS, MOST_STEPS_EACH, PAGE, CandidatePlan, later, seating_ends_at
from tests.holds_core.conftest import EVENING
from tests.holds_core.restaurants import IDS, restaurants

MANY = [UUID(int=number) for number in range(200)]


def is_connected(group: tuple[Table, ...]) -> bool:
    """Tell whether every table is reached from the first over tables of the group."""
    reached, waiting = {group[0].id}, [group[0]]
    while waiting:
        one = waiting.pop()
        for other in group:
            touches = other.id in one.combinable_with or one.id in other.combinable_with
            if other.id not in reached and touches:
                reached.add(other.id)
                waiting.append(other)
    return len(reached) == len(group)


@given(restaurants(), st.integers(1, 16), st.integers(1, 5), st.sets(st.sampled_from(IDS)), st.randoms())
def test_plan_is_what_trying_everything_finds(
    tables: list[Table], party: int, maximum: int, blocked: set[UUID], chance: object
) -> None:
    """Every set of tables, judged one by one: nothing more, nothing less, in one order whatever the input's."""
    free = [table for table in tables if table.id not in blocked]
    expected = []
    for size in range(1, maximum + 1):
        for group in combinations(sorted(free, key=lambda table: table.id), size):
            capacity = sum(table.capacity for table in group)
            if size == 1:
                fits = group[0].minimum_party <= party <= capacity
            else:
                is_needed = capacity - min(table.capacity for table in group) < party <= capacity
                is_wanted = party >= max(table.minimum_combined_party for table in group)
                fits = is_needed and is_wanted and is_connected(group)
            if fits:
                expected.append((capacity - party, size, tuple(table.id for table in group)))

    shuffled = list(tables)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    plan = CandidatePlan(shuffled, party, maximum, blocked)
    assert [(one.capacity - party, len(one.table_ids), one.table_ids) for one in plan] == sorted(expected)
    assert plan.is_complete


@given(st.sets(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)), min_size=6), st.integers(2, 6))
def test_every_connected_group_is_given_once(pairs: set[tuple[UUID, UUID]], party: int) -> None:
    """Stools, one seat each: as many as there are guests, all of whom sit together."""
    stools = [Table(id=one, capacity=1, combinable_with=frozenset(b for a, b in pairs if a == one)) for one in IDS]

    expected = [tuple(one.id for one in group) for group in combinations(stools, party) if is_connected(group)]
    assert [one.table_ids for one in plan_candidates(stools, party, 6)] == expected


@given(restaurants(), st.integers(1, 16), st.integers(0, 5), st.sets(st.sampled_from(IDS)))
def test_tables_left_out_on_the_way_are_as_if_blocked(
    tables: list[Table], party: int, given_before: int, taken: set[UUID]
) -> None:
    """Whenever that turns out, what is still given is what has none of them, in the same order."""
    plan = CandidatePlan(tables, party, 4)
    before = list(islice(plan, given_before))
    plan.leave_out(taken)

    rest = plan_candidates(tables, party, 4)[len(before) :]
    assert list(plan) == [candidate for candidate in rest if taken.isdisjoint(candidate.table_ids)]


def test_combinations_have_a_minimum_of_their_own() -> None:
    """The pair by the window is for five and more; each table alone is for anybody."""
    pair = [
        Table(id=IDS[0], capacity=4, minimum_combined_party=5, combinable_with=frozenset(IDS[1:3])),
        Table(id=IDS[1], capacity=2),
        Table(id=IDS[2], capacity=1),
    ]

    assert [one.table_ids for one in plan_candidates(pair, 4)] == [(IDS[0],)]
    assert [one.table_ids for one in plan_candidates(pair, 5)] == [(IDS[0], IDS[2]), (IDS[0], IDS[1])]


@pytest.mark.parametrize("party", range(1, 9))
@pytest.mark.parametrize("capacities", [(2,), (2, 2, 4, 6), tuple(range(1, 21))], ids=["twos", "usual", "all sorts"])
def test_big_restaurant_costs_bounded_work(capacities: tuple[int, ...], party: int) -> None:
    """Two hundred tables that can all be pushed together, 66 million sets of four: a party that fits gets its plan."""
    tables = [
        Table(id=one, capacity=capacities[n % len(capacities)], combinable_with=frozenset(MANY))
        for n, one in enumerate(MANY)
    ]

    plan = CandidatePlan(tables, party, 4)
    first = list(islice(plan, 20))
    assert len(first) == 20
    assert plan.steps <= MOST_STEPS_EACH
    assert first == list(islice(CandidatePlan(reversed(tables), party, 4), 20))
    all_of_them = [*first, *plan]
    assert plan.steps <= MOST_STEPS
    wastes = [(one.capacity, len(one.table_ids)) for one in all_of_them]
    assert wastes == sorted(wastes)
    assert len(set(all_of_them)) == len(all_of_them)


def test_plan_says_where_it_stopped() -> None:
    """All pairs are looked at; all triples are not, and it is not hidden."""
    tables = [Table(id=one, capacity=2, combinable_with=frozenset(MANY)) for one in MANY]
    pairs, triples = CandidatePlan(tables, 4, 4), CandidatePlan(tables, 5, 4)

    assert len(list(pairs)) == 200 * 199 // 2
    assert pairs.is_complete
    assert 0 < len(list(triples)) <= MOST_STEPS_EACH
    assert not triples.is_complete


def test_taken_tables_do_not_use_up_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try tells of four: so many tries as that takes, although over a million sets have the first in them."""
    tables = [Table(id=one, capacity=2, combinable_with=frozenset(MANY)) for one in MANY]
    taken = set(MANY[:100])
    monkeypatch.setattr(seating, "MOST_STEPS_EACH", 2 * PAGE)
    plan = CandidatePlan(tables, 7, 4)
    tries = 1
    while not taken.isdisjoint((candidate := next(plan)).table_ids):
        plan.leave_out(taken & set(candidate.table_ids))
        tries += 1

    assert candidate.table_ids == tuple(MANY[100:104])
    assert tries == 100 // 4 + 1
    assert plan.steps <= tries * PAGE * 2


def test_turn_times_follow_the_party() -> None:
    """The smallest entry that the party fits into; the largest for whoever is larger."""
    turn_times = {4: timedelta(hours=2), 2: timedelta(minutes=90)}
    expected = {1: 90, 2: 90, 3: 120, 4: 120, 9: 120}
    for party, minutes in expected.items():
        assert seating_ends_at(EVENING, party, None, turn_times) == EVENING + timedelta(minutes=minutes)
    with pytest.raises(HoldRequestError, match="Give ends_at"):
        seating_ends_at(EVENING, 2, None, {})
    with pytest.raises(HoldRequestError, match="longer than nothing"):
        seating_ends_at(EVENING, 2, None, {2: timedelta(0)})
    with pytest.raises(HoldRequestError, match="time zone"):
        seating_ends_at(datetime(2030, 1, 1), 2, None, turn_times)  # noqa: DTZ001
    with pytest.raises(HoldRequestError, match="end after it starts"):
        seating_ends_at(EVENING, 2, EVENING, turn_times)


def test_dinner_lasts_as_long_when_clocks_change() -> None:
    """The night that has an hour twice: two hours are two hours, and fifteen minutes fifteen minutes."""
    berlin = ZoneInfo("Europe/Berlin")
    starts_at = datetime(2026, 10, 25, 1, 30, tzinfo=berlin)
    ends_at = seating_ends_at(starts_at, 2, None, {2: timedelta(minutes=80)})

    assert ends_at.astimezone(UTC) - starts_at.astimezone(UTC) == timedelta(minutes=80)
    clear_at = later(ends_at, timedelta(minutes=15))
    assert clear_at.astimezone(UTC) - ends_at.astimezone(UTC) == timedelta(minutes=15)
    # By the clocks on the wall it ends before it starts.
    assert seating_ends_at(ends_at, 2, clear_at, {}) == clear_at


def test_end_that_only_looks_earlier_is_an_end() -> None:
    """From 2:50 before the clocks go back to 2:10 after: twenty minutes."""
    berlin = ZoneInfo("Europe/Berlin")
    starts_at = datetime(2026, 10, 25, 2, 50, tzinfo=berlin)
    ends_at = datetime(2026, 10, 25, 2, 10, tzinfo=berlin, fold=1)

    assert seating_ends_at(starts_at, 2, ends_at, {}) == ends_at
    with pytest.raises(HoldRequestError, match="end after it starts"):
        seating_ends_at(ends_at, 2, starts_at, {})
