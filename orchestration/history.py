"""Makes up a history of events that looks like a platform's: for trying, for measuring, for tests.

What makes it look real: few restaurants have most of the bookings; lunch and dinner are the rush; latencies have a
heavy tail; now and then an incident multiplies latencies, refusals and errors for an hour; some events come in late, a
few by days; some lack their restaurant, and some have latencies that are texts, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import numpy as np
import numpy.typing as npt
import psycopg

from holds_core.database.migrations import ensure_event_partitions
from holds_core.events.writer import EventWriter, WriteResult

BATCH = 20_000
"""Lines in a transaction; more is no faster."""

_NAMESPACE = UUID("6f1e3c58-6c0e-4b0c-9a55-0f6e2f6b7c11")
_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

# Shares of an ordinary day, and what an incident makes of them. Each strict_conflict has its rpc.conflict of 23P01, and
# other rpc.conflicts (limits, time-outs, lost connections) have none.
_KINDS = (
    # event type, source, severity, share, factor in an incident, share without a restaurant
    ("capacity.selector.assignment", "capacity.selector", "info", 0.40, 0.6, 0.01),
    ("capacity.selector.skipped", "capacity.selector", "warning", 0.04, 6.0, 0.01),
    ("capacity.hold.created", "holds.core", "info", 0.226, 0.8, 0.0),
    ("capacity.hold.confirmed", "holds.core", "info", 0.14, 0.7, 0.0),
    ("capacity.hold.released", "holds.core", "info", 0.08, 1.0, 0.0),
    ("capacity.hold.expired", "holds.core", "info", 0.02, 3.0, 0.0),
    ("capacity.rpc.conflict", "holds.core", "warning", 0.03, 4.0, 0.0),
    ("capacity.hold.strict_conflict", "holds.core", "warning", 0.024, 4.0, 0.0),
    ("capacity.manual.validate", "capacity.backoffice", "info", 0.035, 2.0, 0.8),
    ("pipeline.run.succeeded", "holdwatch.pipeline", "info", 0.005, 1.0, 1.0),
)
_ASSIGNMENT, _SKIPPED, _RPC, _STRICT, _MANUAL = 0, 1, 6, 7, 8
# Of a day's bookings, by the hour in UTC: lunch and dinner.
_HOURS = np.array([1, 1, 1, 1, 1, 1, 2, 3, 4, 6, 9, 16, 22, 16, 8, 8, 12, 24, 38, 40, 30, 14, 5, 2], dtype=float)
_WEEKDAYS = (0.8, 0.8, 0.9, 1.0, 1.4, 1.5, 1.1)
_REASONS = (
    ('"code":"23P01","reason":"HOLD_CONFLICT"', 0.80),  # the first: what the constraint refused
    ('"code":"P0001","reason":"HOLD_RATE_LIMIT"', 0.08),
    ('"code":"55P03","reason":"CUTOFF"', 0.06),
    ('"code":"40P01","reason":"DEADLOCK"', 0.03),
    ('"code":"08006","reason":"CONNECTION_LOST"', 0.02),
    ('"code":"PGRST204","reason":"SCHEMA_CACHE"', 0.01),
)

_GIVES_UP, _GIVES_UP_IN_AN_INCIDENT = 0.03, 0.6
"""Of the skipped: tried as often as they may. All others found the restaurant full, which is no fault."""


@dataclass(frozen=True)
class History:
    """What to make up. The same values make the same events, to the last byte.

    Attributes:
        events: How many, all in all.
        days: How many days they are spread over.
        until: Where the history ends (a time with a zone); it is part of what makes the events, and of their ids.
        seed: Another seed, another history.
        restaurants: How many restaurants there are; the first have most of the bookings.
        environment: The deployment that the events name.
    """

    events: int
    days: int
    until: datetime
    seed: int = 1
    restaurants: int = 200
    environment: str = "dev"


def write_history(
    connection: psycopg.Connection,
    history: History,
    on_progress: Callable[[int], None] = lambda lines: None,
) -> WriteResult:
    """Write a history into the database; a second time is harmless.

    Args:
        connection: Autocommit, of a user who owns the event table.
        history: What to write.
        on_progress: Called after each transaction with the lines written so far.

    Returns:
        How many events were imported, and how many were there already.
    """
    ensure_event_partitions(connection)
    total = WriteResult()
    written = 0
    with EventWriter(connection) as writer:
        for lines in copy_lines(history):
            result = writer.write(lines)
            total.imported += result.imported
            total.duplicates += result.duplicates
            written += len(lines)
            on_progress(written)
    return total


def copy_lines(history: History) -> Iterator[Sequence[bytes]]:
    """Make the events as COPY lines of ``copy_event_import``, a batch at a time, in the order in which they came in."""
    origin = history.until - timedelta(days=history.days)
    weights = _day_weights(history, origin)
    counts = np.random.default_rng(_seeds(history, 0)).multinomial(history.events, weights)
    kept: list[tuple[float, bytes]] = []
    for day, count in enumerate(counts):
        end = (day + 1) * 86_400.0
        kept.extend(_day(history, origin, day, int(count)))
        kept.sort()
        # What came in later than its day waits for the day on which it came in.
        ready = kept if day == history.days - 1 else [item for item in kept if item[0] < end]
        kept = [] if ready is kept else kept[len(ready) :]
        for start in range(0, len(ready), BATCH):
            yield [line for _, line in ready[start : start + BATCH]]


def restaurant_ids(history: History) -> list[UUID]:
    """Return the ids of the restaurants, those with the most bookings first."""
    return [uuid5(_NAMESPACE, f"restaurant {number}") for number in range(history.restaurants)]


def _seeds(history: History, day: int) -> list[int]:
    return [history.seed, int(history.until.timestamp() * 1_000_000), history.days, day]


def _day_weights(history: History, origin: datetime) -> _Floats:
    starts = [origin + timedelta(days=day) for day in range(history.days)]
    # The platform grows by half over the history.
    weights = [
        _WEEKDAYS[start.weekday()] * (1 + 0.5 * day / max(1, history.days - 1)) for day, start in enumerate(starts)
    ]
    return np.array(weights) / sum(weights)


def _day(history: History, origin: datetime, day: int, count: int) -> Iterator[tuple[float, bytes]]:
    """Make one day's events: for each the second it came in, counted from the history's start, and its line."""
    random = np.random.default_rng(_seeds(history, day + 1))
    seconds = _seconds_of_day(random, origin, count)
    is_incident = _incident(random, seconds)
    kinds = _kinds(random, is_incident)
    restaurants = _restaurants(random, history.restaurants, kinds)
    reasons = random.choice(len(_REASONS), size=count, p=[share for _, share in _REASONS])
    _pair_conflicts(kinds, reasons, seconds, restaurants)
    recorded = np.minimum(day * 86_400.0 + seconds + _lateness(random, count), history.days * 86_400.0 - 0.001)
    total_ms, planner_ms = _latencies(random, is_incident)
    gives_up = (random.random(count) < np.where(is_incident, _GIVES_UP_IN_AN_INCIDENT, _GIVES_UP)).tolist()
    oddity = random.random(count).tolist()
    identities = random.bytes(32 * count).hex()
    # The last is what -1, no restaurant, stands for.
    names = [*map(str, restaurant_ids(history)), r"\N"]
    occurred_at = _timestamps(origin, day * 86_400.0 + seconds)
    recorded_at = _timestamps(origin, recorded)
    for index, (kind, came_in, restaurant) in enumerate(
        zip(kinds.tolist(), recorded.tolist(), restaurants.tolist(), strict=True)
    ):
        event_type, source, severity, *_ = _KINDS[kind]
        event_id = identities[64 * index : 64 * index + 32]
        booking_id = r"\N" if kind > _MANUAL else identities[64 * index + 32 : 64 * index + 64]
        reason = _REASONS[reasons[index]][0]
        context = _context(
            kind,
            total_ms[index],
            planner_ms[index],
            oddity[index],
            reason,
            event_id,
            occurred_at[index],
            gives_up=gives_up[index],
        )
        yield (
            came_in,
            f"{event_id}\t{occurred_at[index]}Z\t{history.environment}\t{source}\t{event_type}\t{severity}\t"
            f"{names[restaurant]}\t{booking_id}\t{context}\t{index}\t{recorded_at[index]}Z\n".encode(),
        )


def _timestamps(origin: datetime, seconds: _Floats) -> list[str]:
    """Write moments in UTC, to the millisecond."""
    start = np.datetime64(origin.astimezone(UTC).replace(tzinfo=None), "ms")
    return np.datetime_as_string(start + np.round(seconds * 1000).astype("timedelta64[ms]")).tolist()  # type: ignore[no-any-return]


def _seconds_of_day(random: np.random.Generator, origin: datetime, count: int) -> _Floats:
    """Seconds since the day's start; a day of the history need not begin at midnight."""
    shift = origin.astimezone(UTC).hour * 3600 + origin.minute * 60 + origin.second
    hours = random.choice(24, size=count, p=_HOURS / _HOURS.sum())
    seconds: _Floats = np.sort((hours * 3600 + random.random(count) * 3600 - shift) % 86_400)
    return np.round(seconds, 3)


def _incident(random: np.random.Generator, seconds: _Floats) -> npt.NDArray[np.bool_]:
    """Tell which events fall into the day's incident; one day in five has one, of 20 to 90 minutes."""
    begins, length, happens = random.random() * 86_400, 1_200 + random.random() * 4_200, random.random() < 0.2
    affected: npt.NDArray[np.bool_] = (seconds >= begins) & (seconds < begins + length) & happens
    return affected


def _kinds(random: np.random.Generator, is_incident: npt.NDArray[np.bool_]) -> _Ints:
    shares = np.array([kind[3] for kind in _KINDS])
    in_incident = shares * np.array([kind[4] for kind in _KINDS])
    chosen = random.random(len(is_incident))
    ordinary = np.searchsorted(np.cumsum(shares / shares.sum()), chosen)
    incident = np.searchsorted(np.cumsum(in_incident / in_incident.sum()), chosen)
    kinds: _Ints = np.minimum(np.where(is_incident, incident, ordinary), len(_KINDS) - 1).astype(np.int64)
    return kinds


def _restaurants(random: np.random.Generator, restaurants: int, kinds: _Ints) -> _Ints:
    """Choose the restaurants; -1 is none."""
    popularity = 1 / np.arange(1, restaurants + 1) ** 0.9
    chosen = random.choice(restaurants, size=len(kinds), p=popularity / popularity.sum())
    lacks = random.random(len(kinds)) < np.array([kind[5] for kind in _KINDS])[kinds]
    found: _Ints = np.where(lacks, -1, chosen).astype(np.int64)
    return found


def _pair_conflicts(kinds: _Ints, reasons: _Ints, seconds: _Floats, restaurants: _Ints) -> None:
    """Give each strict_conflict the moment and the restaurant of one rpc.conflict of 23P01; the rest are holds."""
    asked, refused = np.flatnonzero((kinds == _RPC) & (reasons == 0)), np.flatnonzero(kinds == _STRICT)
    pairs = min(len(asked), len(refused))
    seconds[refused[:pairs]] = seconds[asked[:pairs]]
    restaurants[refused[:pairs]] = restaurants[asked[:pairs]]
    kinds[asked[pairs:]] = kinds[refused[pairs:]] = 2


def _lateness(random: np.random.Generator, count: int) -> _Floats:
    """Seconds from happening to being stored: a second or two, for one in a hundred minutes, for one in 2,000 days."""
    chance = random.random(count)
    late: _Floats = random.exponential(1.5, count)
    late[chance < 0.01] += random.exponential(600, int((chance < 0.01).sum()))
    late[chance < 0.0005] += random.exponential(2 * 86_400, int((chance < 0.0005).sum()))
    return late


def _latencies(random: np.random.Generator, is_incident: npt.NDArray[np.bool_]) -> tuple[list[float], list[float]]:
    """Make total and planner latencies in milliseconds: log-normal, and for one in fifty with a Pareto tail."""
    count = len(is_incident)
    total = random.lognormal(4.2, 0.5, count)
    in_tail = random.random(count) < 0.02
    total[in_tail] *= 1 + random.pareto(1.3, int(in_tail.sum())) * 3
    total[is_incident] *= 4
    planner = total * random.uniform(0.2, 0.7, count)
    return np.round(np.minimum(total, 120_000), 2).tolist(), np.round(np.minimum(planner, 120_000), 2).tolist()


def _context(
    kind: int, total_ms: float, planner_ms: float, oddity: float, reason: str, identity: str, at: str, *, gives_up: bool
) -> str:
    """Write a context as the holds core writes it, which is most of what an event takes up."""
    hold_id, table_id = _uuid(identity), _uuid(identity[::-1])
    hold = (
        f'"holdId":"{hold_id}","tableIds":["{table_id}"],'
        f'"window":{{"startsAt":"{at}+00:00","endsAt":"{at[:11]}23:00:00+00:00"}}'
    )
    if kind in (_ASSIGNMENT, _SKIPPED):
        if oddity < 0.005:
            timing = ""
        elif oddity < 0.02:
            timing = f',"timing":{{"totalMs":"{total_ms}","plannerMs":"{planner_ms}"}}'
        else:
            timing = f',"timing":{{"totalMs":{total_ms},"plannerMs":{planner_ms}}}'
        attempts = 1
        if kind == _SKIPPED:
            skip_reason, is_exhausted, attempts = (
                ("attempts_exhausted", "true", 8) if gives_up else ("no_capacity", "false", 1)
            )
            hold = f'"skipReason":"{skip_reason}","retryExhausted":{is_exhausted}'
        return f'{{"attempts":{attempts},{hold}{timing}}}'
    if kind == _RPC:
        return f'{{{reason},"attempt":1,"retryExhausted":{"true" if oddity > 0.9 else "false"},{hold}}}'
    if kind == _STRICT:
        return (
            f'{{{hold},"constraint":"table_hold_windows_no_overlap","sqlstate":"23P01",'
            f'"conflicts":[{{"tableId":"{table_id}","startsAt":"{at}+00:00","endsAt":"{at[:11]}23:00:00+00:00"}}]}}'
        )
    if kind < _MANUAL:
        return f'{{"attempt":1,"isEnforced":true,{hold}}}'
    if kind > _MANUAL:
        return '{"job":"pipeline","durationMs":9000}'
    return '{"outcome":"forced","reason":"guest at the door"}' if oddity < 0.3 else '{"outcome":"ok"}'


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
