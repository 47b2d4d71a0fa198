"""Events and holds that give every panel something to show: four restaurants, events that name none, over 90 days."""

from __future__ import annotations

import psycopg

RESTAURANTS = tuple(f"0000000{number}-0000-4000-8000-000000000000" for number in range(1, 5))

# Every ten minutes for a day, every six hours for ninety; the restaurant number 5 is none at all.
_MOMENTS = """
    select now() - make_interval(mins => n * 10) as occurred_at, n from generate_series(0, 143) as n
    union all
    select now() - make_interval(hours => n * 6), n from generate_series(5, 359) as n
"""

_SELECTIONS = f"""
insert into holds.observability_events
    (occurred_at, environment, source, event_type, severity, restaurant_id, context)
select
    occurred_at,
    'dev',
    'capacity.selector',
    case when (n + r) %% 10 = 0 then 'capacity.selector.skipped' else 'capacity.selector.assignment' end,
    'info',
    (%(restaurants)s::uuid[])[r],
    jsonb_build_object(
        'timing', jsonb_build_object('totalMs', 40 + (n * 37 + r * 11) %% 400, 'plannerMs', 5 + (n * 7 + r) %% 60),
        'retryExhausted', (n + r) %% 20 = 0
    )
from ({_MOMENTS}) as moments
cross join generate_series(1, 5) as r
"""

_TROUBLE = f"""
insert into holds.observability_events
    (occurred_at, environment, source, event_type, severity, restaurant_id, context)
select
    occurred_at,
    'dev',
    'capacity.hold',
    kinds.event_type,
    'warning',
    case when kinds.event_type = 'capacity.manual.validate' then null else (%(restaurants)s::uuid[])[1 + n %% 4] end,
    kinds.context::jsonb
from ({_MOMENTS}) as moments
cross join (
    values
    ('capacity.rpc.conflict', '{{"code": "23P01", "reason": "HOLD_CONFLICT"}}'),
    ('capacity.rpc.conflict', '{{"code": "55P03", "reason": "CUTOFF", "retryExhausted": "true"}}'),
    ('capacity.rpc.conflict', '{{"reason": "HOLD_RATE_LIMIT"}}'),
    ('capacity.manual.validate', '{{"outcome": "forced"}}')
) as kinds (event_type, context)
"""

# Three moments of which each time range has one: a minute ago, yesterday and the month before last.
_SELDOM = "(values (interval '1 minute'), (interval '30 hours'), (interval '60 days')) as moments (ago)"

_HOLDS = f"""
insert into holds.observability_events
    (occurred_at, environment, source, event_type, severity, restaurant_id, context)
select
    occurred_at,
    'dev',
    'holds.core',
    kinds.event_type,
    'info',
    (%(restaurants)s::uuid[])[1 + n %% 4],
    kinds.context::jsonb
from ({_MOMENTS}) as moments
cross join (
    values
    ('capacity.hold.created', '{{}}'),
    ('capacity.hold.created', '{{}}'),
    ('capacity.hold.confirmed', '{{}}'),
    ('capacity.hold.released', '{{}}'),
    ('capacity.hold.expired', '{{}}'),
    ('capacity.hold.strict_conflict', '{{"sqlstate": "23P01"}}'),
    ('capacity.hold.strict_conflict', '{{"sqlstate": "23P01", "isShadow": true}}')
) as kinds (event_type, context)
where n %% 2 = 0 or kinds.event_type <> 'capacity.hold.strict_conflict'
"""

_CHANGES = f"""
insert into holds.observability_events (occurred_at, environment, source, event_type, severity, context)
select now() - moments.ago, 'dev', 'seed', changes.event_type, changes.severity, changes.context::jsonb
from {_SELDOM}
cross join (
    values
    ('deploy.finished', 'info', '{{"service": "selector", "version": "2026.11.3", "deployedBy": "release job"}}'),
    ('capacity.flags.changed', 'info', '{{"flag": "holds.strictConflicts", "action": "requested"}}'),
    ('capacity.flags.contradiction', 'warning', '{{"rule": "planner needs strict mode", "flags": ["a", "b"]}}'),
    ('capacity.rollout.advanced', 'info', '{{"flag": "holds.strictConflicts", "stage": "50 %%"}}'),
    ('capacity.enforcement.changed', 'info', '{{"percentage": 50, "changedBy": "ops", "enabled": true}}'),
    ('pipeline.run.succeeded', 'info', '{{"job": "refresh", "durationMs": 4200}}'),
    ('pipeline.run.failed', 'error', '{{"job": "pipeline", "durationMs": 6100, "isBlocked": true, "reason": "3 rows"}}')
) as changes (event_type, severity, context)
"""

_MAINTENANCE = f"""
select holds.add_maintenance_window('dev', starts.at, interval '5 minutes', 'new disks')
from {_SELDOM}
cross join lateral (select now() - moments.ago - interval '9 minutes' as at) as starts
"""

_OPEN_CHANGE = """
insert into holds.flag_changes
    (environment, flag, value, percentage, reason, base_version, state, requested_by, requested_login, requested_at,
     expires_at)
values (
    'dev', 'selector.lookahead', 'true', 10, 'first stage', 0, 'requested', 'ann', 'ann', now(),
    now() + interval '7 days'
)
"""

_HOLD = """
with hold as (
    insert into holds.table_holds
        (id, restaurant_id, booking_id, owner_id, idempotency_key, request_hash, table_ids, held_during, is_enforced,
         expires_at, confirmed_at, status)
    values (
        %(hold)s::uuid, %(restaurant)s, %(booking)s, %(booking)s, %(hold)s::text, '', array[%(table)s::uuid],
        tstzrange('2030-01-01 18:00+00', '2030-01-01 20:00+00', '[)'), false, null, now(), 'confirmed'
    )
    returning id, restaurant_id, owner_id, held_during
)
insert into holds.table_hold_windows (hold_id, restaurant_id, table_id, owner_id, held_during, is_enforced)
select id, restaurant_id, %(table)s, owner_id, held_during, false from hold
"""


def seed_events(connection: psycopg.Connection) -> None:
    """Insert events of each kind that a view reads, and maintenance, for 90 days; and a flag that waits."""
    for statement in (_SELECTIONS, _TROUBLE, _HOLDS, _CHANGES, _MAINTENANCE, _OPEN_CHANGE):
        connection.execute(statement, {"restaurants": list(RESTAURANTS)})
    # Two changes that leave enforcement as it was.
    for enabled in (False, True):
        connection.execute("select holds.set_hold_conflict_enforcement(%s, 'seeding')", (enabled,))


def seed_double_booking(connection: psycopg.Connection) -> None:
    """Let two bookings hold one table at the same time, which takes enforcement being off."""
    for number in (1, 2):
        connection.execute(
            _HOLD,
            {
                "hold": f"a000000{number}-0000-4000-8000-000000000000",
                "booking": f"b000000{number}-0000-4000-8000-000000000000",
                "restaurant": RESTAURANTS[0],
                "table": "c0000001-0000-4000-8000-000000000000",
            },
        )
