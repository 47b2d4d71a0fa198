-- Holds and their windows. Two bookings never hold the same table in overlapping time while enforcement is on:
-- table_hold_windows_no_overlap says so, and nothing else is trusted to.
create table holds.table_holds (
    id uuid primary key default gen_random_uuid(),
    restaurant_id uuid not null,
    booking_id uuid,
    -- Who holds: the booking, or the hold itself where there is no booking. Holds of one owner never conflict.
    owner_id uuid not null,
    -- A caller that lost the answer asks again with the same key and gets the same hold.
    idempotency_key text not null,
    -- What was asked with that key: reusing it for another request is refused.
    request_hash bytea not null,
    table_ids uuid[] not null,
    held_during tstzrange not null,
    status text not null default 'held',
    is_enforced boolean not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    confirmed_at timestamptz,
    released_at timestamptz,
    -- Carried into the context of every event of this hold, for example the soak it belongs to.
    event_context jsonb not null default '{}',
    constraint table_holds_idempotency_key unique (restaurant_id, idempotency_key),
    constraint table_holds_known_status check (status in ('held', 'confirmed', 'released', 'expired')),
    constraint table_holds_some_table check (cardinality(table_ids) > 0),
    constraint table_holds_owner check (owner_id = coalesce(booking_id, id)),
    constraint table_holds_expiry check ((expires_at is null) = (confirmed_at is not null))
);

-- What the sweeper looks for, here and below.
create index table_holds_expires_at on holds.table_holds (expires_at) where status = 'held';

create table holds.table_hold_windows (
    id bigint generated always as identity primary key,
    hold_id uuid not null references holds.table_holds (id),
    restaurant_id uuid not null,
    table_id uuid not null,
    -- A NULL owner would opt out of the exclusion constraint without a word.
    owner_id uuid not null,
    held_during tstzrange not null,
    created_at timestamptz not null default clock_timestamp(),
    -- NULL once confirmed. now() cannot stand in a constraint's predicate, so expiry is a state: released_at is set by
    -- whoever takes the table over, or by the sweeper.
    expires_at timestamptz,
    -- Ended windows stay as long as events do: double bookings of the past can be told from them.
    released_at timestamptz,
    is_enforced boolean not null default true,
    -- Empty and unbounded ranges would pass the constraint, or block for ever; other bounds would make neighbours overlap.
    constraint table_hold_windows_bounded check (
        not isempty(held_during)
        and lower(held_during) is not null and isfinite(lower(held_during)) and lower_inc(held_during)
        and upper(held_during) is not null and isfinite(upper(held_during)) and not upper_inc(held_during)
    ),
    constraint table_hold_windows_no_overlap exclude using gist (
        table_id with =, owner_id with <>, held_during with &&
    ) where (is_enforced and released_at is null)
) with (fillfactor = 85);

create index table_hold_windows_hold_id on holds.table_hold_windows (hold_id);
create index table_hold_windows_expires_at on holds.table_hold_windows (expires_at)
where released_at is null and expires_at is not null;
-- Windows that the constraint does not watch (enforcement was off) are looked up by table too.
create index table_hold_windows_unenforced on holds.table_hold_windows using gist (table_id, held_during)
where not is_enforced and released_at is null;

comment on table holds.table_holds is 'One row per hold: what was asked, and the state it is in.';
comment on table holds.table_hold_windows is
'One row per table of a hold. Live while released_at is null and expires_at is null or ahead.';
