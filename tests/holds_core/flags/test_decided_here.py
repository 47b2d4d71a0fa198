"""What the database alone decides: changes drain, refuse and grandfather; the kill switch waits for nobody."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from holds_core import (
    EnforcementError,
    HoldClient,
    HoldConflictError,
    HoldRateLimitError,
    set_hold_conflict_enforcement,
)
from holds_core.database.connections import connect
from holds_core.database.migrations import change_environment, load_migrations, migrate
from holds_core.database.queries import query
from holds_core.database.settings import Environment
from holds_core.enforcement import (
    enforcement_problems,
    set_hold_conflict_rollout,
    set_hold_rate_limit,
    set_restaurant_enforcement,
    switch_restaurant_enforcement,
)
from holds_core.errors import HoldAccessError, HoldCutoffError
from holds_core.events.spool import EventSpool
from holds_core.flags import Flag, Reason, Setting
from holds_core.flags.changes import Wish, tend_flags
from holds_core.flags.evaluation import FlagState
from holds_core.flags.snapshot import read_snapshot
from holds_core.flags.syncing import sync_definitions
from holds_core.flags.trail import read_trail, verify_trail
from holds_core.rollout import rollout_bucket
from tests.holds_core.conftest import MakeRequest
from tests.holds_core.flags.conftest import Team

STRICT, RATE = Flag.STRICT_CONFLICTS, Flag.RATE_LIMIT


@pytest.fixture
def client(database_url: str, tmp_path: Path) -> Iterator[HoldClient]:
    """A client of this test's database."""
    with HoldClient.connect(database_url, max_connections=2, spool=EventSpool(tmp_path / "spool")) as opened:
        yield opened


def words(team: Team, flag: Flag = STRICT) -> list[tuple[str, str, str]]:
    """What the trail says of a flag: what was done, from what, to what."""
    return [
        (entry.action, str(entry.from_setting or "-"), str(entry.to_setting or "-"))
        for entry in read_trail(team.owner)
        if entry.flag == flag and entry.action not in ("defined", "requested", "approved", "edited")
    ]


def test_approved_share_is_what_holds_are_placed_by(team: Team, client: HoldClient, make_request: MakeRequest) -> None:
    """Strict for those below it, in SQL, in Python and for a hold; the others record what would be refused."""
    team.apply(STRICT, Setting(True, 30))
    inside, outside = (
        next(one for one in iter(uuid4, None) if (rollout_bucket(STRICT, one) < 30) is wanted)
        for wanted in (True, False)
    )
    table = uuid4()
    for restaurant_id in (inside, outside):
        client.place(make_request(table, restaurant_id=restaurant_id, starts=0 if restaurant_id == inside else 5))

    with pytest.raises(HoldConflictError):
        client.place(make_request(table, restaurant_id=inside))
    assert not client.place(make_request(table, restaurant_id=outside, starts=5)).is_enforced
    snapshot = read_snapshot(team.owner)
    state = FlagState(snapshot.definitions, snapshot.environment, None, snapshot.overrides)
    for restaurant_id in (inside, outside, *(uuid4() for _ in range(100))):
        assert team.owner.execute("select holds.is_hold_strict_for(%s)", (restaurant_id,)).fetchone() == (
            state.evaluate(STRICT, restaurant_id).value,
        )
    assert enforcement_problems(team.owner) == ["strict conflicts are on for 30 % of the restaurants only"]


def test_raising_over_overlaps_is_refused_or_grandfathered(
    team: Team, client: HoldClient, make_request: MakeRequest
) -> None:
    """As the change says; refused, all of it is as it was, the approval too."""
    team.apply(STRICT, Setting(False))
    table = uuid4()
    for _ in range(2):
        client.place(make_request(table))
    refused = team.as_("ann").request(STRICT, Wish(setting=None, reason="back"))
    with pytest.raises(EnforcementError, match="overlaps of live windows"):
        team.as_("bob").approve(refused.id, 1)
    assert team.as_("bob").show(refused.id).state == "requested"

    team.as_("ann").edit(refused.id, 1, Wish(setting=None, reason="back", on_overlap="grandfather"))
    assert team.as_("bob").approve(refused.id, 2).state == "applied"
    with pytest.raises(HoldConflictError):
        client.place(make_request(table))
    assert words(team) == [("applied", "-", "off"), ("applied", "off", "-")]
    assert verify_trail(team.owner).problems == ()


def test_raising_waits_for_holds_in_flight(team: Team, database_url: str) -> None:
    """One that believes not to be strict must end first; one that is stuck is not waited for long."""
    team.apply(STRICT, Setting(False))
    asked = team.as_("ann").request(STRICT, Wish(setting=Setting(True), reason="back"))
    with connect(database_url, autocommit=False) as stuck:
        stuck.execute(
            "select holds.create_table_hold(%s, array[%s], now(), now() + interval '1 hour', 'k')", (uuid4(), uuid4())
        )
        with pytest.raises(HoldCutoffError):
            team.as_("bob").approve(asked.id, 1)
        stuck.rollback()
    assert team.as_("bob").approve(asked.id, 1).state == "applied"


def test_rate_limit_is_changed_like_any_flag(team: Team, client: HoldClient, make_request: MakeRequest) -> None:
    """For all, for one restaurant, and back."""
    own = uuid4()
    team.apply(RATE, Setting("1/3600"))
    team.apply(RATE, Setting("2/3600"), restaurant_id=own)
    client.place(make_request(uuid4()))
    for _ in range(2):
        client.place(make_request(uuid4(), restaurant_id=own))
    for changes in ({}, {"restaurant_id": own}):
        with pytest.raises(HoldRateLimitError):
            client.place(make_request(uuid4(), **changes))

    team.apply(RATE, None, restaurant_id=own)
    team.apply(RATE, None)
    client.place(make_request(uuid4()))
    client.place(make_request(uuid4(), restaurant_id=own))
    assert verify_trail(team.owner).problems == ()


def test_kill_switch_needs_nobody_and_leaves_the_trail(team: Team) -> None:
    """One person, at once; what was approved is in force again when it is taken back."""
    team.apply(STRICT, Setting(True, 50))
    bob = team.connect("bob")
    assert set_hold_conflict_enforcement(bob, enabled=False, reason="guests at the door") is False
    (killed,) = read_snapshot(team.owner).overrides
    assert (killed.is_killed, killed.setting) == (True, Setting(True, 50))

    team.apply(STRICT, Setting(True, 80))
    assert team.owner.execute("select holds.is_hold_strict_for(gen_random_uuid())").fetchone() == (False,)
    set_hold_conflict_enforcement(bob, enabled=True, reason="over")
    set_hold_conflict_enforcement(bob, enabled=True, reason="again: no change, no entry")

    assert team.owner.execute("select strict_percentage from holds.settings").fetchone() == (80,)
    assert words(team) == [
        ("applied", "-", "50%"),
        ("killed", "50%", "off"),
        ("applied", "50%", "80%"),
        ("kill switch taken back", "off", "80%"),
    ]
    (entry,) = [entry for entry in read_trail(team.owner) if entry.action == "killed"]
    assert (entry.person, entry.reason) == (team.logins["bob"], "guests at the door")
    assert verify_trail(team.owner).problems == ()


def test_kill_switch_waits_for_nobody(team: Team, database_url: str) -> None:
    """Neither for a hold that is stuck nor for who has the trail; its entry is sealed by whoever comes next."""
    with connect(database_url, autocommit=False) as stuck:
        stuck.execute(
            "select holds.create_table_hold(%s, array[%s], now(), now() + interval '1 hour', 'k')", (uuid4(), uuid4())
        )
        # Holds the trail's lock, and is at work.
        stuck.execute("select pg_advisory_xact_lock(hashtextextended('holds.flags', 0))")

        began = time.monotonic()
        set_hold_conflict_enforcement(team.connect("ann"), enabled=False, reason="stuck")
        assert time.monotonic() - began < 1
        assert [entry.action for entry in read_trail(team.owner) if entry.position is None] == ["killed"]
        assert tend_flags(team.owner) == (0, 0)
    tend_flags(team.owner)
    assert [entry.position is None for entry in read_trail(team.owner) if entry.action == "killed"] == [False]
    assert verify_trail(team.owner).problems == ()


def test_kill_switch_outlasts_an_approval_that_is_not_committed(team: Team, database_url: str) -> None:
    """Somebody sits in an open transaction on the very settings: they are cut off, and the switch goes through."""
    asked = team.as_("ann").request(STRICT, Wish(setting=Setting(True, 50), reason="stage"))
    with connect(database_url) as idle:
        idle.execute(sql.SQL("set session authorization {}").format(sql.Identifier(team.logins["bob"])))
        idle.execute("begin")
        idle.execute("select holds.approve_flag_change(%s, 1)", (asked.id,))

        assert set_hold_conflict_enforcement(team.connect("cyd"), enabled=False, reason="now") is False
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            idle.execute("commit")
    assert team.as_("bob").show(asked.id).state == "requested"


def test_kill_switch_of_one_restaurant_outlasts_an_approval_that_is_not_committed(
    team: Team, database_url: str
) -> None:
    """Of another flag, whose settings are in the same row."""
    restaurant_id = uuid4()
    asked = team.as_("ann").request(RATE, Wish(setting=Setting("3/60"), reason="crowd"), restaurant_id=restaurant_id)
    with connect(database_url) as idle:
        idle.execute(sql.SQL("set session authorization {}").format(sql.Identifier(team.logins["bob"])))
        idle.execute("begin")
        idle.execute("select holds.approve_flag_change(%s, 1)", (asked.id,))

        cyd = team.connect("cyd")
        assert switch_restaurant_enforcement(cyd, restaurant_id=restaurant_id, enabled=False, reason="now") is False
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            idle.execute("commit")


def test_kill_switch_left_open_is_cut_off(team: Team) -> None:
    """It would stand between everybody else and the switch, and be in force nowhere."""
    bob = team.connect("bob")
    bob.execute("begin")
    bob.execute("select holds.set_hold_conflict_enforcement(false, 'forgot to commit')")
    assert set_hold_conflict_enforcement(team.connect("cyd"), enabled=False, reason="now") is False
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        bob.execute("commit")


def test_switching_on_what_was_not_off_is_no_change(team: Team) -> None:
    """A request stays up to date, and nothing is set that was not."""
    asked = team.as_("ann").request(STRICT, Wish(setting=Setting(True, 50), reason="stage"))
    set_hold_conflict_enforcement(team.connect("cyd"), enabled=True, reason="to be sure")
    assert team.owner.execute("select count(*) from holds.flag_overrides").fetchone() == (0,)
    assert team.as_("bob").approve(asked.id, 1).state == "applied"


def test_kill_switch_of_one_restaurant(team: Team, client: HoldClient, make_request: MakeRequest) -> None:
    """Off at once for it alone; on brings back what is approved for it, and makes nobody strict before their turn."""
    request = make_request(uuid4())
    restaurant_id = request.restaurant_id
    client.place(request)
    bob = team.connect("bob")
    switch: Callable[..., bool] = switch_restaurant_enforcement
    assert switch(bob, restaurant_id=restaurant_id, enabled=False, reason="moving") is False
    overlapping = client.place(make_request(*request.table_ids))
    assert not overlapping.is_enforced
    with pytest.raises(EnforcementError):
        switch(bob, restaurant_id=restaurant_id, enabled=True, reason="moved")
    client.release(overlapping.id)
    assert switch(bob, restaurant_id=restaurant_id, enabled=True, reason="moved") is True

    team.apply(STRICT, Setting(False))
    assert switch(bob, restaurant_id=uuid4(), enabled=True, reason="before its turn") is False
    team.apply(STRICT, Setting(True), restaurant_id=restaurant_id)
    assert team.owner.execute("select holds.is_hold_strict_for(%s)", (restaurant_id,)).fetchone() == (True,)
    switch(bob, restaurant_id=restaurant_id, enabled=False, reason="moving again")
    assert switch(bob, restaurant_id=restaurant_id, enabled=True, reason="moved") is True
    assert verify_trail(team.owner).problems == ()


@pytest.mark.parametrize("name", ["ann", "clerk"])
def test_setting_directly_is_the_owners_alone(team: Team, name: str) -> None:
    """An operator asks for a change instead."""
    connection = team.connect(name)
    for attempt in (
        lambda: set_hold_conflict_rollout(connection, percentage=0, reason="x"),
        lambda: set_restaurant_enforcement(connection, restaurant_id=uuid4(), is_strict=False, reason="x"),
        lambda: set_hold_rate_limit(connection, max_holds=1),
    ):
        with pytest.raises(HoldAccessError):
            attempt()


def test_what_the_owner_sets_directly_is_on_the_trail(team: Team) -> None:
    """Without an approval, and so it is said; a request of before is out of date."""
    asked = team.as_("ann").request(STRICT, Wish(setting=Setting(True, 10), reason="stage"))
    restaurant_id = uuid4()
    set_hold_conflict_rollout(team.owner, percentage=40, reason="by hand")
    set_restaurant_enforcement(team.owner, restaurant_id=restaurant_id, is_strict=True, reason="by hand")
    set_hold_rate_limit(team.owner, max_holds=3, per_seconds=0.5)
    set_hold_rate_limit(team.owner, max_holds=3, per_seconds=0.5)

    assert words(team) == [("set directly", "-", "40%"), ("set directly", "-", "on")]
    assert words(team, RATE) == [("set directly", "-", "3/0.5")]
    with pytest.raises(Exception, match="out of date"):
        team.as_("bob").approve(asked.id, 1)
    assert verify_trail(team.owner).problems == ()


def test_broken_glass_of_a_setting_comes_back_by_the_sweeper(
    team: Team, client: HoldClient, make_request: MakeRequest
) -> None:
    """Ends with overlaps in the way as well: they stay, and nothing new comes in beside them."""
    broken = team.as_("ann").break_glass(
        STRICT, Wish(setting=Setting(False), reason="refuses everything", expires_in=timedelta(hours=1))
    )
    request = make_request(uuid4())
    for _ in range(2):
        client.place(make_request(*request.table_ids))
    snapshot = read_snapshot(team.owner)
    assert snapshot.ends_in_seconds == pytest.approx(3600, abs=60)
    state = FlagState(snapshot.definitions, snapshot.environment, None, snapshot.overrides)
    assert state.evaluate(STRICT, request.restaurant_id)[1:3] == (False, Reason.BREAK_GLASS)

    team.owner.execute("update holds.flag_changes set expires_at = clock_timestamp() where id = %s", (broken.id,))
    team.owner.execute("update holds.flag_overrides set break_glass_ends_at = clock_timestamp()")
    assert tend_flags(team.owner)[0] == 1
    with pytest.raises(HoldConflictError):
        client.place(make_request(*request.table_ids))
    assert verify_trail(team.owner).problems == ()


def test_settings_of_before_there_were_flags_stay(new_database: Callable[[], str]) -> None:
    """A database is brought up to date that was switched, limited and had restaurants apart."""
    url = new_database()
    restaurant_id = UUID(int=7)
    with connect(url) as connection:
        connection.execute(query("create_migrations_table"))
        for migration in load_migrations()[:16]:
            connection.execute(migration.statements)
        connection.execute("insert into holds.settings (environment) values ('staging')")
        connection.execute("select holds.set_hold_conflict_rollout(25, 'stage')")
        connection.execute("select holds.set_hold_rate_limit(120, 60)")
        connection.execute("select holds.set_restaurant_enforcement(%s, true, 'first')", (restaurant_id,))
        connection.execute("select holds.set_hold_rate_limit(5, 10, %s)", (restaurant_id,))
        connection.execute("select holds.set_hold_conflict_enforcement(false, 'incident')")
        for migration in load_migrations()[16:]:
            connection.execute(migration.statements)
        sync_definitions(connection)

        found = {(one.flag, one.restaurant_id): one for one in read_snapshot(connection).overrides}
        assert {place: str(one.setting) for place, one in found.items()} == {
            (STRICT, None): "25%",
            (STRICT, restaurant_id): "on",
            (RATE, None): "120/60",
            (RATE, restaurant_id): "5/10",
        }
        assert found[STRICT, None].is_killed
        assert verify_trail(connection).problems == ()
        assert connection.execute("select strict_percentage from holds.settings").fetchone() == (25,)


def test_default_of_a_definition_is_in_force_where_nothing_is_set(team: Team) -> None:
    """Also for what the database decides: its settings follow, and what is approved stands."""
    definitions = dict(read_snapshot(team.owner).definitions)
    lax = {**definitions[STRICT].default, Environment.DEV: Setting(True, 60)}
    limited = {**definitions[RATE].default, Environment.DEV: Setting("9/60")}
    team.apply(RATE, Setting("5/60"))
    definitions[STRICT] = replace(definitions[STRICT], default=lax)
    definitions[RATE] = replace(definitions[RATE], default=limited)
    sync_definitions(team.owner, definitions)

    assert team.owner.execute("select strict_percentage, rate_limit_holds from holds.settings").fetchone() == (60, 5)
    team.apply(RATE, None)
    assert team.owner.execute("select rate_limit_holds from holds.settings").fetchone() == (9,)
    assert verify_trail(team.owner).problems == ()


def test_database_that_serves_another_environment_takes_its_settings_along(team: Team) -> None:
    """What the hold tables are placed by stays; what is set of other flags is the environment's."""
    team.apply(STRICT, Setting(True, 30))
    team.apply(Flag.COMBINATIONS, Setting(False))
    change_environment(team.owner, Environment.STAGING)

    assert {one.flag: str(one.setting) for one in read_snapshot(team.owner).overrides} == {STRICT: "30%"}
    assert team.owner.execute("select environment, strict_percentage from holds.settings").fetchone() == ("staging", 30)
    change_environment(team.owner, Environment.DEV)
    assert {one.flag: str(one.setting) for one in read_snapshot(team.owner).overrides} == {
        STRICT: "30%", Flag.COMBINATIONS: "off",
    }  # fmt: skip
    assert verify_trail(team.owner).problems == ()


def test_migrating_again_changes_nothing_of_flags(team: Team) -> None:
    """A second `db migrate` adds no entry."""
    before = len(read_trail(team.owner))
    migrate(team.owner, Environment.DEV)
    assert sync_definitions(team.owner) == 0
    assert len(read_trail(team.owner)) == before


def test_glass_that_is_broken_does_not_move_to_another_environment(team: Team) -> None:
    """It was for an hour: what was approved before it moves."""
    team.apply(STRICT, Setting(True, 30))
    hour = Wish(setting=Setting(False), reason="refuses everything", expires_in=timedelta(hours=1))
    team.as_("ann").break_glass(STRICT, hour)
    change_environment(team.owner, Environment.STAGING)

    assert {one.flag: str(one.setting) for one in read_snapshot(team.owner).overrides} == {STRICT: "30%"}
    assert team.owner.execute("select strict_percentage from holds.settings").fetchone() == (30,)
    assert verify_trail(team.owner).problems == ()


def test_glass_that_is_over_and_not_tended_to_is_no_tampering(team: Team) -> None:
    """The settings follow within a minute: until then the trail's last word is what they say."""
    for flag, setting, whom in (
        (STRICT, Setting(False), None),
        (RATE, Setting("5/60"), None),
        (RATE, Setting("3/60"), uuid4()),
    ):
        hour = Wish(setting=setting, reason="x", expires_in=timedelta(hours=1))
        team.as_("ann").break_glass(flag, hour, restaurant_id=whom)
    team.owner.execute("update holds.flag_overrides set break_glass_ends_at = now() - interval '1 second'")

    assert verify_trail(team.owner).problems == ()
    team.owner.execute("update holds.settings set strict_percentage = 7")
    assert "holds.strictConflicts is 7 % in the settings" in verify_trail(team.owner).problems[0]
