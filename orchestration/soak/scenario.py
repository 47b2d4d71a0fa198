"""What the soak asks for: a seeded mix of requests that contend for a few tables on synthetic restaurants."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from holds_core import HoldRequest, QuoteRequest, Table

TABLES_PER_RESTAURANT = 12
REQUESTS_PER_RESTAURANT = 100
FEWEST_RESTAURANTS = 4
HOT_TABLES = 2

_LASTING = timedelta(minutes=30)
_FLEETING = timedelta(milliseconds=150)
_CAPACITIES = (2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 8, 8)
_EVENINGS = (0, 0, 1, 2)  # the first is in demand
_SLOTS = 6  # half an hour apart and two hours long, so that neighbours overlap


class FollowUp(StrEnum):
    """What the caller does once it has its hold."""

    KEEP = "keep"
    CONFIRM = "confirm"
    RELEASE = "release"
    LET_EXPIRE = "let_expire"
    REPEAT = "repeat"


@dataclass(frozen=True)
class SoakRequest:
    """One request of the load.

    Attributes:
        number: Its place in the load, from 0.
        ask: Tables that were chosen already (placed directly), or a booking that needs tables (through the selector).
        follow_up: What happens after it was held.
        is_taken_up_by_staff: Whether somebody looks into it by hand where it is refused.
    """

    number: int
    ask: HoldRequest | QuoteRequest
    follow_up: FollowUp
    is_taken_up_by_staff: bool


@dataclass(frozen=True)
class Restaurant:
    """A synthetic restaurant."""

    id: UUID
    tables: tuple[Table, ...]


def make_restaurants(soak_id: UUID, requests: int) -> list[Restaurant]:
    """Return the soak's own restaurants, more of them for a larger load so that contention stays alike."""
    count = max(FEWEST_RESTAURANTS, requests // REQUESTS_PER_RESTAURANT)
    restaurants = []
    for number in range(count):
        restaurant_id = uuid5(soak_id, f"restaurant {number}")
        ids = [uuid5(restaurant_id, f"table {table}") for table in range(TABLES_PER_RESTAURANT)]
        # Tables stand in a row: each can be pushed to the next.
        tables = tuple(
            Table(id=ids[index], capacity=_CAPACITIES[index], combinable_with=frozenset(ids[index + 1 : index + 2]))
            for index in range(TABLES_PER_RESTAURANT)
        )
        restaurants.append(Restaurant(restaurant_id, tables))
    return restaurants


def make_requests(soak_id: UUID, count: int, seed: int) -> Iterator[SoakRequest]:
    """Yield the load: hot tables, combinations in any order, same-booking repeats, releases and expiries.

    The same seed asks the same questions; which of them win is up to the race.
    """
    chance = random.Random(seed)  # noqa: S311  reproducible load, not a secret
    restaurants = make_restaurants(soak_id, count)
    # A week ahead, so that nobody's real evening is in the way.
    evening = datetime.now(UTC).replace(hour=17, minute=0, second=0, microsecond=0) + timedelta(days=7)
    context = {"soakId": str(soak_id)}
    recent: list[HoldRequest] = []

    for number in range(count):
        restaurant = chance.choice(restaurants)
        starts_at = evening + timedelta(days=chance.choice(_EVENINGS), minutes=30 * chance.randrange(_SLOTS))
        ends_at = starts_at + timedelta(hours=2)
        booking_id = uuid5(soak_id, f"booking {number}")
        follow_up = chance.choices(list(FollowUp), weights=(30, 20, 25, 15, 10))[0]
        # Some confirm so late that another may have taken the table over: never both.
        is_fleeting = follow_up is FollowUp.LET_EXPIRE or (follow_up is FollowUp.CONFIRM and chance.random() < 0.2)
        time_to_live = _FLEETING if is_fleeting else _LASTING

        ask: HoldRequest | QuoteRequest
        kind = chance.random()
        if kind < 0.40:
            ask = QuoteRequest(
                restaurant_id=restaurant.id,
                tables=restaurant.tables,
                party_size=chance.choice((1, 2, 2, 2, 3, 4, 4, 5, 6, 8, 10)),
                starts_at=starts_at,
                ends_at=ends_at,
                booking_id=booking_id,
                time_to_live=time_to_live,
                # Some give up early, so that exhausted searches are seen too.
                maximum_attempts=chance.choices((20, 2), weights=(9, 1))[0],
                # However contended, each search is to end by an answer, not by the clock.
                deadline=timedelta(minutes=5),
                idempotency_key=f"request {number}",
                event_context=context,
            )
        elif kind < 0.45 and recent:
            # The same booking again, under a new key: never in its own way.
            earlier = chance.choice(recent)
            ask = HoldRequest(
                restaurant_id=earlier.restaurant_id,
                table_ids=tuple(reversed(earlier.table_ids)),
                starts_at=earlier.starts_at,
                ends_at=earlier.ends_at,
                booking_id=earlier.booking_id,
                time_to_live=time_to_live,
                idempotency_key=f"request {number}",
                event_context=context,
            )
        else:
            table_ids = [table.id for table in restaurant.tables]
            if kind < 0.70:
                chosen = [chance.choice(table_ids[:HOT_TABLES])]
            else:
                chosen = chance.sample(table_ids, k=chance.choice((1, 2, 3)))
                if chance.random() < 0.1:
                    chosen.append(chosen[0])
            ask = HoldRequest(
                restaurant_id=restaurant.id,
                table_ids=tuple(chosen),
                starts_at=starts_at,
                ends_at=ends_at,
                # Some hold without a booking: each such hold stands for itself.
                booking_id=booking_id if chance.random() < 0.9 else None,
                time_to_live=time_to_live,
                idempotency_key=f"request {number}",
                event_context=context,
            )
            recent = [*recent[-20:], ask]
        yield SoakRequest(number, ask, follow_up, is_taken_up_by_staff=chance.random() < 0.03)
