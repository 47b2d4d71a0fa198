{#
    How the rollups are kept. A rollup is a table of closed rows, and a row in `rollup_positions` that says up to which
    position of arrival (`ingest_pos`) events are in it. What it has not taken in yet is its `unrolled_…` view, in the same
    shape. A refresh merges that view into the table; a `live_…` view merges the two when it is read.

    The row also says what the `unrolled_…` view reads. As a rule that is everything after the position. A refresh narrows
    it, in its own transaction, to what it is to take in, so that refresh and live views are one piece of SQL.
#}


{# The events that a rollup has not taken in, with the columns that it needs. #}
{% macro events_to_read(rollup, columns, where="true") %}
    {{- return(adapter.dispatch("events_to_read")(rollup, columns, where)) -}}
{% endmacro %}

{% macro postgres__events_to_read(rollup, columns, where) -%}
{%- set reading = "from " ~ ref('rollup_readings') ~ " where rollup = '" ~ rollup ~ "'" -%}
select
        {% for column in columns %}{{ column }}{{ ", " if not loop.last }}{% endfor %}
    from {{ ref('int_events_classified') }}
    where
        -- Both ends, though the upper one is as a rule beyond all: the planner takes a range between two unknowns for small,
        -- and so reads it by the index, where it would take everything above one unknown for a third of the table.
        ingest_pos > (select read_after {{ reading }})
        and ingest_pos <= (select read_until {{ reading }})
        and occurred_at >= (select read_from {{ reading }})
        and occurred_at < (select read_before {{ reading }})
        and occurred_at >= {{ history_start('day') }}
        and {{ where }}
{%- endmacro %}


{# Whether the closed rows of a rollup count: not if they came with a dump from another server, until they are rebuilt. #}
{% macro is_rolled_up_here(rollup) -%}
(select is_of_this_server from {{ ref('rollup_readings') }} where rollup = '{{ rollup }}')
{%- endmacro %}


{# Before the rows of a refresh, and alone until its transaction ends: settles what its unrolled view is to give it. #}
{% macro settle_refresh(rollup, is_new) %}
    {% set positions = ref('rollup_positions') %}
    {% set mine = "rollup = '" ~ rollup.identifier ~ "'" %}
    {% set rebuild_from, rebuild_before = var('rebuild_from', none), var('rebuild_before', none) %}
    {% if (rebuild_from is none) != (rebuild_before is none) %}
        {{ exceptions.raise_compiler_error("rebuild_from and rebuild_before belong together: the first UTC day to rebuild, and the first one after.") }}
    {% endif %}
    {% set servers = run_query("select server_id = " ~ server_id() ~ " from " ~ positions ~ " where " ~ mine).columns[0].values() %}
    {% set is_of_another_server = servers | length and not servers[0] %}

    -- Building a rollup from all of history spills to disk with the usual 4 MB, and takes half as long again.
    set local work_mem = '{{ var("refresh_work_mem", "64MB") }}';
    -- A rollup grows while it is looked up for each of its new rows, and the planner knows it as it was before: one of a page it
    -- would have read whole each time, and 200,000 events after the first few take ten minutes.
    set local enable_seqscan = off;
    -- A power cut that takes the rows of a refresh takes its position too: nobody need wait for the disk.
    set local synchronous_commit = off;
    {% if is_of_another_server %}
        -- After a restore from a dump: the events that it brought along have positions of that server, of which those that
        -- this one has yet to come to would wait for it. They count as the first; a transaction of this server that may still
        -- write has a lower one, and its events are not visible here.
        update {{ source('holds', 'observability_events') }}
        set ingest_pos = 0
        where ingest_pos >= (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint;
    {% endif %}
    {% if is_new or is_of_another_server or not servers or flags.FULL_REFRESH %}
        {% set rebuild_from = none %}
        insert into {{ positions }} (rollup, position, server_id)
        values ('{{ rollup.identifier }}', -1, {{ server_id() }})
        on conflict (rollup) do update set position = excluded.position, server_id = excluded.server_id;
        -- By DELETE: readers go on seeing the old rows meanwhile.
        {{ delete_rows(rollup) }};
    {% endif %}
    {% if rebuild_from is not none %}
        {% set first_day = "'" ~ rebuild_from ~ "'::timestamp at time zone 'UTC'" %}
        {% set day_after = "'" ~ rebuild_before ~ "'::timestamp at time zone 'UTC'" %}
        {{ delete_rows(rollup, "bucket_at >= " ~ first_day ~ " and bucket_at < " ~ day_after) }};
        -- What came in after the position is left to the next refresh.
        update {{ positions }}
        set read_after = -1, read_until = position, read_from = {{ first_day }}, read_before = {{ day_after }}
        where {{ mine }};
    {% else %}
        -- Up to the oldest transaction that may still write: one with a lower id may commit after one with a higher id has.
        update {{ positions }}
        set
            read_after = position,
            read_until = greatest(position, (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint - 1),
            read_from = '-infinity',
            read_before = 'infinity'
        where {{ mine }};
    {% endif %}
{% endmacro %}


{# After them: the position moves on, and the live views read everything after it. #}
{% macro move_on(rollup) %}
    {% set positions = ref('rollup_positions') %}
    {% set mine = "rollup = '" ~ rollup.identifier ~ "'" %}
    update {{ positions }}
    set
        position = greatest(position, read_until),
        refreshed_at = now(),
        read_after = greatest(position, read_until),
        read_until = 9223372036854775807,
        read_from = '-infinity',
        read_before = 'infinity'
    where {{ mine }};
    -- What no view shows any more; once an hour, since it reads the whole rollup.
    update {{ positions }}
    set expired_at = now()
    where {{ mine }} and coalesce(expired_at < now() - interval '1 hour', true);
    {% set is_due = "exists (select from " ~ positions ~ " where " ~ mine ~ " and expired_at = now())" %}
    {{ delete_rows(rollup, is_due ~ " and not " ~ is_in_history('grain', 'bucket_at')) }}
{% endmacro %}


{# The closed row of a rollup that has the same key. LIMIT 1 has its index probed, where a join would read all of the rollup. #}
{% macro closed_row(rollup, relation, key, where="true") -%}
(
            select * from {{ rollup }} as rolled_up
            where
                {% for column in key -%}
                rolled_up.{{ column }} = {{ relation }}.{{ column }}
                and {% endfor -%}
                {{ where }}
            limit 1
        )
{%- endmacro %}


{% macro with_closed_rows(rollup, new_rows, key) %}
    {{- return(adapter.dispatch("with_closed_rows")(rollup, new_rows, key)) -}}
{% endmacro %}

{# New rows, and the closed ones that they are to be merged with. #}
{% macro postgres__with_closed_rows(rollup, new_rows, key) -%}
select * from {{ new_rows }}
    union all
    select closed.*
    from {{ new_rows }} as touched
    cross join lateral {{ closed_row(rollup, 'touched', key) }} as closed
{%- endmacro %}


{#
    Events with the starts of the minute, hour and day that they fall into, and their restaurant's key; minute_at is NULL where
    the minutes' history does not reach.
#}
{% macro placed_in_buckets(events) -%}
select
        *,
        coalesce(cast(restaurant_id as {{ text_type() }}), '(none)') as restaurant_key,
        case when occurred_at >= {{ history_start('minute') }} then {{ bucket_start('minute', 'occurred_at') }} end as minute_at,
        {{ bucket_start('hour', 'occurred_at') }} as hour_at,
        {{ bucket_start('day', 'occurred_at') }} as day_at
    from {{ events }}
{%- endmacro %}


{#
    The GROUP BY of events that are so placed: by the given columns and by each bucket, for each restaurant and for all together.
    One pass over the events, where joining each of them with its six buckets takes three times as long.
#}
{% macro group_by_buckets(columns, grains_of_restaurants=['minute', 'hour', 'day']) -%}
group by
        {% for column in columns %}{{ column }}, {% endfor %}
        grouping sets (
            {% for grain in ['minute', 'hour', 'day'] -%}
            {% if grain in grains_of_restaurants %}({{ grain }}_at, restaurant_key), {% endif %}({{ grain }}_at){{ "," if not loop.last }}
            {% endfor -%}
        )
    having {{ is_bucket() }}
{%- endmacro %}

{% macro is_bucket() %}{{ return(adapter.dispatch("is_bucket")()) }}{% endmacro %}

{# Whether a group is one: older events have no minute. #}
{% macro postgres__is_bucket() -%}
grouping(minute_at) = 1 or minute_at is not null
{%- endmacro %}


{# What it groups by, as the rollups name it, with further columns where their keys have them. #}
{% macro bucket_key(columns) -%}
case when grouping(restaurant_key) = 1 then '(all)' else restaurant_key end as restaurant_key,
        case when grouping(minute_at) = 0 then 'minute' when grouping(hour_at) = 0 then 'hour' else 'day' end as grain,
        {% for column in columns %}{{ column }},
        {% endfor -%}
        coalesce(minute_at, hour_at, day_at) as bucket_at
{%- endmacro %}


{# From restaurant_key back to restaurant_id, which (none) and (all) do not have. #}
{% macro restaurant_id_of(restaurant_key) -%}
case when {{ restaurant_key }} not in ('(none)', '(all)') then cast({{ restaurant_key }} as {{ uuid_type() }}) end
{%- endmacro %}


{# Differs between servers, and after a restore from a base backup does not: there transaction ids go on as they were. #}
{% macro server_id() -%}
holds.server_id()
{%- endmacro %}


{# What all rollups have in common. One index for both: the key's columns in the order in which a series is looked up. #}
{% macro rollup_config(key) %}{{ return(adapter.dispatch("rollup_config")(key)) }}{% endmacro %}

{% macro postgres__rollup_config(key) %}
{# Said here because dbt does not look for it in a materialization. #}
{% do ref('rollup_positions') %}
{% do ref('expired_totals') %}
{{ config(materialized='rollup', unique_key=key) }}
{% endmacro %}


{# Whether a bucket is within the history of its grain. #}
{% macro is_in_history(grain, bucket_at) -%}
{{ bucket_at }} >= case {{ grain }} when 'minute' then {{ history_start('minute') }} else {{ history_start('day') }} end
{%- endmacro %}


{#
    What is counted of the events, by name, and which of them each count is of. Those that begin with `judged` are what alerts
    go by: without synthetic load outside dev, and with a full restaurant's refusals for no fault.
#}
{% macro counted_events() %}
    {%- set is_request = "event_type in ('capacity.selector.assignment', 'capacity.selector.skipped')" -%}
    {{- return({
        "event": "true",
        "assignment": "event_type = 'capacity.selector.assignment'",
        "skipped": "event_type = 'capacity.selector.skipped'",
        "exhausted": is_request ~ " and is_retry_exhausted",
        "exhausted_event": "is_retry_exhausted",
        "rate_limit": "cutoff_kind = 'HOLD_RATE_LIMIT'",
        "cutoff": "cutoff_kind = 'CUTOFF'",
        "manual": "cutoff_kind = 'MANUAL'",
        "hold_created": "event_type = 'capacity.hold.created'",
        "hold_confirmed": "event_type = 'capacity.hold.confirmed'",
        "hold_released": "event_type = 'capacity.hold.released'",
        "hold_expired": "event_type = 'capacity.hold.expired'",
        "conflict": "event_type = 'capacity.hold.strict_conflict' and not is_shadow",
        "shadow_conflict": "event_type = 'capacity.hold.strict_conflict' and is_shadow",
        "judged_assignment": "event_type = 'capacity.selector.assignment' and not is_beside_alerts",
        "judged_fault": "is_fault and not is_beside_alerts",
        "judged_request": is_request ~ " and not is_beside_alerts",
        "judged_exhausted": is_request ~ " and is_retry_exhausted and not is_beside_alerts",
        "judged_cutoff": "cutoff_kind is not null and not is_beside_alerts",
        "judged_error": "is_error and not is_beside_alerts",
        "judged_unclassified": "is_error and error_class = 'unclassified' and not is_beside_alerts",
        "judged_double_booking": "event_type = 'capacity.hold.double_booking' and not is_beside_alerts",
        "judged_contradiction": "event_type = 'capacity.flags.contradiction'",
    }) -}}
{% endmacro %}

{# Each of them, counted. #}
{% macro event_counts() -%}
{% for name, condition in counted_events().items() -%}
        cast(count(*) filter (where {{ condition }}) as integer) as {{ name }}_count{{ "," if not loop.last }}
        {% endfor -%}
{%- endmacro %}


{# Rows of event counts, added up. #}
{% macro summed_event_counts(relation) -%}
select
        restaurant_key,
        grain,
        environment,
        bucket_at,
        {% for count in counted_events() -%}
        cast(sum({{ count }}_count) as integer) as {{ count }}_count,
        {% endfor -%}
        max(newest_event_at) as newest_event_at,
        max(newest_recorded_at) as newest_recorded_at,
        max(newest_capacity_event_at) as newest_capacity_event_at
    from {{ relation }}
    group by restaurant_key, grain, environment, bucket_at
{%- endmacro %}


{# Rows of error counts, added up. #}
{% macro summed_error_counts(relation) -%}
select
        restaurant_key,
        grain,
        environment,
        bucket_at,
        error_class,
        error_code,
        source,
        severity,
        cast(sum(error_count) as integer) as error_count
    from {{ relation }}
    group by restaurant_key, grain, environment, bucket_at, error_class, error_code, source, severity
{%- endmacro %}
