"""A rollout in simulated time: real holds, whose events are moved back through the soak that they stand for.

Nothing that anybody may call takes a time: the database's owner moves what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from holds_core import HoldClient, HoldRequest, QuoteRequest, Table, quote_tables_for_booking
from holds_core.database.settings import Environment
from holds_core.events.spool import EventSpool
from holds_core.flags import Flag, Setting
from holds_core.flags.changes import FlagChange, Wish
from holds_core.flags.rollouts import RolloutStatus, read_rollouts
from holds_core.flags.snapshot import read_snapshot
from holds_core.rollout import rollout_bucket
from tests.dbt_project.loading import insert_event, insert_windows
from tests.dbt_project.oracle import Window
from tests.holds_core.flags.conftest import Team, database_url, logins, team

__all__ = ["database_url", "logins", "team"]

STRICT = Flag.STRICT_CONFLICTS
EVENING = datetime.now(UTC).replace(hour=18, minute=0, second=0, microsecond=0) + timedelta(days=3)
SOAK_HOURS = 48


def in_bucket(least: int, most: int) -> UUID:
    """A restaurant whose bucket for strict conflicts is between these."""
    return next(one for one in iter(uuid4, None) if least <= rollout_bucket(STRICT, one) <= most)


@dataclass(frozen=True)
class Ramp:
    """Staging, where strict conflicts go up by stages.

    Attributes:
        team: Who asks and approves.
        client: Places holds.
        first: A restaurant of the cohort that is in from 10 % on.
        second: One that is in from 50 % on.
        third: One that is in at 100 %.
        outside: One that would be in from 10 % on, and takes no part.
    """

    team: Team
    client: HoldClient
    first: UUID = field(default_factory=lambda: in_bucket(0, 9))
    second: UUID = field(default_factory=lambda: in_bucket(10, 49))
    third: UUID = field(default_factory=lambda: in_bucket(50, 99))
    outside: UUID = field(default_factory=lambda: in_bucket(0, 9))

    @property
    def restaurants(self) -> tuple[UUID, ...]:
        """All of them."""
        return self.first, self.second, self.third, self.outside

    def set_directly(self, percentage: int) -> None:
        """Begin somewhere, as the database's owner."""
        with self.team.owner.transaction():
            self.team.owner.execute("select holds.set_hold_conflict_rollout(%s, 'a test')", (percentage,))

    def status(self, environment: Environment = Environment.STAGING) -> RolloutStatus:
        """Where it is, as the database says."""
        (found,) = read_rollouts(self.team.connect("ann"), flag=STRICT, environment=environment)
        return found

    def ask(self, percentage: int, **wish: object) -> FlagChange:
        """Let ann ask for a share."""
        setting = Setting(False) if not percentage else Setting(True, None if percentage == 100 else percentage)
        return self.team.as_("ann").request(STRICT, Wish(setting=setting, reason="a stage", **wish))  # type: ignore[arg-type]

    def approve(self, change: FlagChange, *, apply: bool = True) -> FlagChange:
        """Let bob approve it."""
        return self.team.as_("bob").approve(change.id, change.revision, apply=apply)

    def book(self, restaurants: Sequence[UUID], count: int) -> None:
        """Seat so many parties, each at a table of its own."""
        for number in range(count):
            request = QuoteRequest(
                restaurant_id=restaurants[number % len(restaurants)],
                tables=[Table(id=uuid4(), capacity=2)],
                party_size=2,
                starts_at=EVENING,
                ends_at=EVENING + timedelta(hours=2),
            )
            assert quote_tables_for_booking(self.client, request).hold is not None

    def turn_away(self, restaurant_id: UUID, count: int) -> None:
        """Let so many parties get no table, just now."""
        for _ in range(count):
            insert_event(
                self.team.owner, "capacity.selector.skipped", '{"timing": {"totalMs": 20}}',
                restaurant_id=restaurant_id, environment="staging",
            )  # fmt: skip

    def soak(self, hours: float = SOAK_HOURS + 1, *, parties: int = 204, times: int = 1) -> None:
        """Let so many hours pass in which parties are seated, most at one restaurant, and the pipeline runs.

        Args:
            hours: How many.
            parties: How many are seated at the first restaurant.
            times: How often each of them comes: its event is stored so many times, and placing it once is enough.
        """
        began_at = datetime.now(UTC)
        self.book([self.first], parties)
        for _ in range(times - 1):
            self.team.owner.execute(
                "insert into holds.observability_events (occurred_at, environment, source, event_type, severity,"
                " restaurant_id, context) select occurred_at, environment, source, event_type, severity, restaurant_id,"
                " context from holds.observability_events where event_type = 'capacity.selector.assignment'"
                " and restaurant_id = %s and occurred_at >= %s limit %s",
                (self.first, began_at, parties),
            )
        self.book(self.restaurants[1:], 9)
        self.pass_by(hours, since=began_at)

    def pass_by(self, hours: float, since: datetime) -> None:
        """Move what happened since then over these hours, and what was before that back beyond them.

        Not into the last, which is judged by itself, nor into the first: of that the minutes are gone after two days.
        """
        owner = self.team.owner
        parameters = {"hours": hours, "since": since}
        with owner.transaction():
            owner.execute(
                "update holds.observability_events set occurred_at = occurred_at - interval '1 hour' *"
                " case when occurred_at < %(since)s then %(hours)s else 1.1 + random() * (%(hours)s - 2.2) end",
                parameters,
            )
            owner.execute(
                "update holds.flag_overrides set changed_at = changed_at - interval '1 hour' * %(hours)s", parameters
            )
            owner.execute(
                "update holds.flag_definitions set synced_at = synced_at - interval '1 hour' * %(hours)s", parameters
            )
            owner.execute(
                "update holds.table_hold_windows set created_at = created_at - interval '1 hour' * %(hours)s"
                " where created_at < %(since)s",
                parameters,
            )
        self.freshen()

    def freshen(self) -> None:
        """Let the newest event, and the newest run of the pipeline, be of now."""
        self.book([self.third], 1)
        environment = read_snapshot(self.team.owner).environment
        insert_event(self.team.owner, "pipeline.run.succeeded", '{"job": "refresh"}', environment=environment)

    def double_book(self, restaurant_id: UUID) -> None:
        """Let two parties have one table, in spite of everything."""
        table, now = uuid4(), datetime.now(UTC)
        windows = [
            Window(
                hold_id=(hold := uuid4()), restaurant_id=restaurant_id, table_id=table, owner_id=hold,
                starts_at=EVENING, ends_at=EVENING + timedelta(hours=2), created_at=now, expires_at=None,
                released_at=None, is_enforced=False,
            )
            for _ in range(2)
        ]  # fmt: skip
        insert_windows(self.team.owner, windows)

    def overlap(self, restaurant_id: UUID) -> bool:
        """Ask for one table twice; tell whether both got it."""
        table = uuid4()
        for _ in range(2):
            self.client.place(
                HoldRequest(
                    restaurant_id=restaurant_id,
                    table_ids=(table,),
                    starts_at=EVENING,
                    ends_at=EVENING + timedelta(hours=1),
                    booking_id=uuid4(),
                )
            )
        return True

    def strict(self) -> list[bool]:
        """Of each restaurant, whether its overlapping holds are refused."""
        rows = [
            self.team.owner.execute("select holds.is_hold_strict_for(%s)", (restaurant_id,)).fetchone()
            for restaurant_id in self.restaurants
        ]
        return [row[0] for row in rows if row is not None]

    def events(self, event_type: str) -> list[tuple[str, str, dict[str, object]]]:
        """Severity, environment and context of the events of a type."""
        return self.team.owner.execute(
            "select severity, environment, context from holds.observability_events where event_type = %s"
            " order by recorded_at",
            (event_type,),
        ).fetchall()


@pytest.fixture(scope="session")
def flags_url(views_template: Callable[[], str]) -> str:
    """One database with the views and ninety days of room, for all of these tests."""
    return views_template()


@pytest.fixture
def ramp(team: Team, database_url: str, tmp_path: Path) -> Iterator[Ramp]:
    """Staging, strict for everybody by default, with nobody booked yet."""
    team.owner.execute("update holds.settings set environment = 'staging'")
    with ExitStack() as opened:
        spool = EventSpool(tmp_path / "spool")
        yield Ramp(team, opened.enter_context(HoldClient.connect(database_url, max_connections=1, spool=spool)))


def end_all_holds(connection: psycopg.Connection) -> None:
    """Let everybody go home."""
    connection.execute("update holds.table_hold_windows set released_at = clock_timestamp() where released_at is null")
