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


{# The hook before a rollup's model: alone until the transaction ends, it settles what the model is to take in. #}
{% macro begin_refresh() %}
{% if execute %}
    {% set rollup = this.identifier %}
    {% set exists = load_relation(this) is not none %}
    {% set rebuild_from = var('rebuild_from', none) %}
    {% set rebuild_before = var('rebuild_before', none) %}
    {% if (rebuild_from is none) != (rebuild_before is none) %}
        {{ exceptions.raise_compiler_error("rebuild_from and rebuild_before belong together: the first UTC day to rebuild, and the first one after.") }}
    {% endif %}
    select pg_advisory_xact_lock(hashtextextended('holdwatch.refresh.{{ rollup }}', 0));
    -- Building the rollup from all of history spills to disk with the usual 4 MB, and takes half as long again.
    set local work_mem = '{{ var("refresh_work_mem", "64MB") }}';
    insert into {{ ref('rollup_positions') }} (rollup, position, server_id)
    values ('{{ rollup }}', -1, {{ server_id() }})
    on conflict (rollup) do nothing;
    {% if run_query("select 1 from " ~ ref('rollup_positions') ~ " where rollup = '" ~ rollup ~ "' and server_id <> " ~ server_id()) | length %}
        -- After a restore from a dump of another server: what it brought along has positions of that server, of which those
        -- that this one has yet to come to would wait for it. They count as the first; a transaction of this server that may
        -- still write has a lower one, and its events are not visible here.
        update {{ source('holds', 'observability_events') }}
        set ingest_pos = 0
        where ingest_pos >= (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint;
    {% endif %}
    {% if not exists %}
        update {{ ref('rollup_positions') }} set position = -1 where rollup = '{{ rollup }}';
    {% endif %}
    update {{ ref('rollup_positions') }}
    set
        position = case when server_id = {{ server_id() }} {{ "and false" if flags.FULL_REFRESH }} then position else -1 end,
        server_id = {{ server_id() }}
    where rollup = '{{ rollup }}';
    {% if exists %}
        -- Rows of another server's time, or of a refresh in full. By DELETE: readers go on seeing the old ones meanwhile.
        delete from {{ this }}
        where (select position from {{ ref('rollup_positions') }} where rollup = '{{ rollup }}') = -1;
    {% endif %}
    {% if rebuild_from is not none and exists %}
        delete from {{ this }}
        where
            bucket_at >= '{{ rebuild_from }}'::timestamp at time zone 'UTC'
            and bucket_at < '{{ rebuild_before }}'::timestamp at time zone 'UTC';
        -- What came in after the position is left to the next refresh.
        update {{ ref('rollup_positions') }}
        set
            read_after = -1,
            read_until = position,
            read_from = '{{ rebuild_from }}'::timestamp at time zone 'UTC',
            read_before = '{{ rebuild_before }}'::timestamp at time zone 'UTC'
        where rollup = '{{ rollup }}';
    {% else %}
        -- Up to the oldest transaction that may still write: one with a lower id may commit after one with a higher id has.
        update {{ ref('rollup_positions') }}
        set
            read_after = position,
            read_until = greatest(position, (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint - 1),
            read_from = '-infinity',
            read_before = 'infinity'
        where rollup = '{{ rollup }}';
    {% endif %}
{% endif %}
{% endmacro %}


{# The hook after it: moves the position on, and lets the live views read everything after it. #}
{% macro end_refresh() %}
{% if execute %}
    update {{ ref('rollup_positions') }}
    set
        position = greatest(position, read_until),
        refreshed_at = now(),
        read_after = greatest(position, read_until),
        read_until = 9223372036854775807,
        read_from = '-infinity',
        read_before = 'infinity'
    where rollup = '{{ this.identifier }}';
    -- What no view shows any more; once an hour, since it reads the whole rollup.
    with due as (
        update {{ ref('rollup_positions') }}
        set expired_at = now()
        where rollup = '{{ this.identifier }}' and coalesce(expired_at < now() - interval '1 hour', true)
        returning rollup
    )
    delete from {{ this }}
    where exists (select from due) and not {{ is_in_history('grain', 'bucket_at') }};
{% endif %}
{% endmacro %}


{#
    The incremental strategy of the rollups: the model has merged what is new with the rows that it touches, so those rows
    are replaced. The index on the unique key is probed for each, where a MERGE would read the whole rollup.
#}
{% macro get_incremental_replace_rows_sql(arg_dict) %}
    {% set columns = arg_dict["dest_columns"] | map(attribute="quoted") | list %}
    {% set key = arg_dict["unique_key"] %}
    insert into {{ arg_dict["target_relation"] }} ({{ columns | join(", ") }})
    select {{ columns | join(", ") }}
    from {{ arg_dict["temp_relation"] }}
    on conflict ({{ key | join(", ") }}) do update
    set
        {% for column in columns if column | replace('"', '') not in key -%}
        {{ column }} = excluded.{{ column }}{{ "," if not loop.last }}
        {% endfor %}
{% endmacro %}


{#
    The closed rows that new ones are to be merged with. One probe of the index for each (LIMIT 1 keeps the planner from
    making a join of it that reads the whole rollup); NULL keys there are none.
#}
{% macro rows_touched(rollup, new_rows, key) -%}
select closed.*
    from (select distinct {{ key | join(", ") }} from {{ new_rows }}) as touched
    cross join lateral (
        select * from {{ rollup }} as rolled_up
        where
            {% for column in key -%}
            rolled_up.{{ column }} = touched.{{ column }}
            {{ "and " if not loop.last }}
            {%- endfor %}
        limit 1
    ) as closed
{%- endmacro %}


{# Each row once per grain (minute, hour, day) and scope (its restaurant, all restaurants), as far as history reaches. #}
{% macro in_every_bucket(relation) -%}
{%- set rows = [] -%}
{%- for grain in ('minute', 'hour', 'day') -%}
    {%- do rows.append(["'" ~ grain ~ "'", bucket_start(grain, 'happened.occurred_at'), history_start(grain)]) -%}
{%- endfor -%}
select
        buckets.grain,
        buckets.bucket_at,
        scopes.restaurant_key,
        happened.*
    from {{ relation }} as happened
    {{ cross_join_rows("buckets", ["grain", "bucket_at", "history_start_at"], rows) }}
    {{ cross_join_rows("scopes", ["restaurant_key"], [
        ["coalesce(cast(happened.restaurant_id as " ~ text_type() ~ "), '(none)')"], ["'(all)'"],
    ]) }}
    where happened.occurred_at >= buckets.history_start_at
{%- endmacro %}


{# From restaurant_key back to restaurant_id, which (none) and (all) do not have. #}
{% macro restaurant_id_of(restaurant_key) -%}
case when {{ restaurant_key }} not in ('(none)', '(all)') then cast({{ restaurant_key }} as {{ uuid_type() }}) end
{%- endmacro %}


{% macro server_id() %}{{ return(adapter.dispatch("server_id")()) }}{% endmacro %}

{# Differs between servers, and after a restore from a base backup does not: there transaction ids go on as they were. #}
{% macro postgres__server_id() -%}
holds.server_id()
{%- endmacro %}


{# What all rollups have in common. One index for both: the key's columns in the order in which a series is looked up. #}
{% macro rollup_config(key) %}
{# Said here because dbt does not look for it in the hooks. #}
{% do ref('rollup_positions') %}
{{ config(
    materialized='incremental',
    incremental_strategy='replace_rows',
    unique_key=key,
    full_refresh=false,
    on_schema_change='fail',
    indexes=[{'columns': key, 'unique': true}],
    pre_hook='{{ begin_refresh() }}',
    post_hook='{{ end_refresh() }}',
) }}
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
