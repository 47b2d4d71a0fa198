-- Strict conflicts restaurant by restaurant, and how many holds a restaurant may place.

alter table holds.settings
add column strict_percentage integer not null default 100,
add column rate_limit_holds integer,
add column rate_limit_seconds double precision,
add column changed_by text,
add column change_reason text,
add constraint settings_known_percentage check (strict_percentage between 0 and 100),
add constraint settings_rate_limit check (
    (rate_limit_holds is null) = (rate_limit_seconds is null)
    and rate_limit_holds > 0
    and rate_limit_seconds > 0 and rate_limit_seconds <= 86400
);

comment on column holds.settings.strict_percentage is
'Of all restaurants, by their bucket, those that are strict while strict conflicts are enabled.';

-- Where a restaurant differs from the settings of the database.
create table holds.restaurant_settings (
    restaurant_id uuid primary key,
    -- NULL: as its bucket says.
    is_strict boolean,
    -- NULL: as the database's settings say.
    rate_limit_holds integer,
    rate_limit_seconds double precision,
    updated_at timestamptz not null default clock_timestamp(),
    constraint restaurant_settings_rate_limit check (
        (rate_limit_holds is null) = (rate_limit_seconds is null)
        and rate_limit_holds > 0
        and rate_limit_seconds > 0 and rate_limit_seconds <= 86400
    )
);

-- How full each restaurant's bucket of holds is. Unlogged: what a crash forgets is that somebody was near the limit.
create unlogged table holds.hold_rates (
    restaurant_id uuid primary key,
    -- When the bucket will have run empty. Every hold adds its share; a hold is let through while what is in the bucket
    -- lasts no longer than the period (the generic cell rate algorithm, ITU-T I.371).
    empty_at timestamptz not null
) with (fillfactor = 50);

-- A number from 0 to 99 that a restaurant keeps for a flag: the same in holds_core/rollout.py. Raising a percentage adds
-- restaurants and removes none.
create function holds.rollout_bucket(p_flag text, p_restaurant_id uuid)
returns integer
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    -- The first 4 bytes of the hash, big-endian, as an unsigned number.
    select (
        ('x' || substr(encode(sha256(convert_to(p_flag || ':' || p_restaurant_id, 'UTF8')), 'hex'), 1, 8))::bit(32)::bigint
        % 100
    )::integer
$$;

comment on function holds.rollout_bucket(text, uuid) is
'The bucket of a restaurant, 0 to 99, for a flag: sha256 of flag:restaurant, first 4 bytes, modulo 100.';

create function holds.is_hold_strict_for(p_restaurant_id uuid)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    -- Strict where nothing is stored: what is not known to be off is on.
    select coalesce((
        select
            settings.is_strict_conflicts_enabled
            and coalesce(
                overrides.is_strict,
                settings.strict_percentage = 100
                or holds.rollout_bucket('holds.strictConflicts', p_restaurant_id) < settings.strict_percentage
            )
        from holds.settings
        left join holds.restaurant_settings as overrides on overrides.restaurant_id = p_restaurant_id
    ), true)
$$;

comment on function holds.is_hold_strict_for(uuid) is
'Whether overlapping holds of this restaurant are refused: the kill switch, its own setting, else its bucket.';

create function holds.set_hold_rate_limit(
    p_max_holds integer,
    p_per_seconds double precision default 60,
    p_restaurant_id uuid default null
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
begin
    if p_max_holds is not null
        and not coalesce(p_max_holds > 0 and p_per_seconds > 0 and p_per_seconds <= 86400, false)
    then
        raise exception 'a rate limit is 1 or more holds in more than 0 and at most 86,400 seconds' using errcode = '22023';
    end if;
    if p_max_holds is null then
        p_per_seconds := null;
    end if;
    if p_restaurant_id is null then
        update holds.settings
        set rate_limit_holds = p_max_holds, rate_limit_seconds = p_per_seconds;
    else
        insert into holds.restaurant_settings (restaurant_id, rate_limit_holds, rate_limit_seconds)
        values (p_restaurant_id, p_max_holds, p_per_seconds)
        on conflict (restaurant_id) do update
        set rate_limit_holds = excluded.rate_limit_holds, rate_limit_seconds = excluded.rate_limit_seconds,
            updated_at = clock_timestamp();
    end if;
end
$$;

comment on function holds.set_hold_rate_limit(integer, double precision, uuid) is
'Most holds that a restaurant may place in a time: of one restaurant, or the default of all; NULL takes it away.';

-- Counts one hold. It is the last thing that a create locks, for the length of a commit, so that the holds of a restaurant
-- do not queue up behind one that waits for a table; and a hold that is refused or undone counts for nothing.
create function holds.count_hold(p_restaurant_id uuid, p_max_holds integer, p_per_seconds double precision)
returns boolean
language plpgsql
as $$
begin
    insert into holds.hold_rates as rates (restaurant_id, empty_at)
    values (p_restaurant_id, clock_timestamp() + make_interval(secs => p_per_seconds / p_max_holds))
    on conflict (restaurant_id) do update
    set empty_at = greatest(rates.empty_at, clock_timestamp()) + make_interval(secs => p_per_seconds / p_max_holds)
    where holds.rate_limit_wait(rates.empty_at, p_max_holds, p_per_seconds) <= 0;
    return found;
end
$$;

-- Seconds until a bucket that runs empty at a time has room for one more hold; 0 or less where it has.
create function holds.rate_limit_wait(p_empty_at timestamptz, p_max_holds integer, p_per_seconds double precision)
returns double precision
language sql
volatile
as $$
    select extract(epoch from p_empty_at - clock_timestamp())::double precision
        - p_per_seconds * (p_max_holds - 1) / p_max_holds
$$;

revoke execute on function holds.rollout_bucket(text, uuid) from public;
revoke execute on function holds.is_hold_strict_for(uuid) from public;
revoke execute on function holds.set_hold_rate_limit(integer, double precision, uuid) from public;
revoke execute on function holds.count_hold(uuid, integer, double precision) from public;
revoke execute on function holds.rate_limit_wait(timestamptz, integer, double precision) from public;
grant execute on function holds.is_hold_strict_for(uuid) to holds_app, holds_operator;
grant execute on function holds.set_hold_rate_limit(integer, double precision, uuid) to holds_operator;
