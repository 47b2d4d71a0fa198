\set hold random(1, 4000000000000)
\set table random(1, 4000000000000)
select *
from holds.create_table_hold(
    p_restaurant_id => '6d1c2d1e-7d5e-4f39-9d4f-3c1f6f1b0a01',
    p_table_ids => array[md5((:table)::text)::uuid],
    p_starts_at => '2030-01-31 18:00+00',
    p_ends_at => '2030-01-31 20:00+00',
    p_idempotency_key => md5((:hold)::text),
    p_booking_id => md5('b' || (:hold)::text)::uuid
);
