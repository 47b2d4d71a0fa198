\set hold random(1, 4000000000000)
\set table random(1, 4000000000000)
begin;
insert into holds.table_holds (
    id, restaurant_id, booking_id, owner_id, idempotency_key, request_hash, table_ids, held_during, is_enforced, expires_at
)
values (
    md5((:hold)::text)::uuid, '6d1c2d1e-7d5e-4f39-9d4f-3c1f6f1b0a01', md5('b' || (:hold)::text)::uuid,
    md5('b' || (:hold)::text)::uuid, md5((:hold)::text), '\x00', array[md5((:table)::text)::uuid],
    tstzrange('2030-01-31 18:00+00', '2030-01-31 20:00+00', '[)'), true, clock_timestamp() + interval '5 minutes'
);
insert into holds.table_hold_windows (hold_id, restaurant_id, table_id, owner_id, held_during, expires_at)
values (
    md5((:hold)::text)::uuid, '6d1c2d1e-7d5e-4f39-9d4f-3c1f6f1b0a01', md5((:table)::text)::uuid,
    md5('b' || (:hold)::text)::uuid, tstzrange('2030-01-31 18:00+00', '2030-01-31 20:00+00', '[)'),
    clock_timestamp() + interval '5 minutes'
);
insert into holds.observability_events (
    id, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, context
)
values (
    md5('e' || (:hold)::text)::uuid, clock_timestamp(), 'dev', 'holds.core', 'capacity.hold.created', 'info',
    '6d1c2d1e-7d5e-4f39-9d4f-3c1f6f1b0a01', md5('b' || (:hold)::text)::uuid,
    jsonb_build_object(
        'holdId', md5((:hold)::text)::uuid, 'tableIds', jsonb_build_array(md5((:table)::text)::uuid), 'attempt', 1,
        'window', jsonb_build_object('startsAt', '2030-01-31T18:00:00+00:00', 'endsAt', '2030-01-31T20:00:00+00:00'),
        'isEnforced', true, 'expiresAt', clock_timestamp() + interval '5 minutes'
    )
);
commit;
