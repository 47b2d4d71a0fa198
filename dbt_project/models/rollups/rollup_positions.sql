{#
    Written by the rollups themselves (macros/rollups.sql), each its own row; this model only makes the table. It is no
    source because dbt makes it, and is never rebuilt because it says what the rollups hold.
#}
{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false, on_schema_change='fail',
          indexes=[{'columns': ['rollup'], 'unique': true}]) }}

select
    null::text as rollup,
    null::bigint as position,
    null::timestamptz as refreshed_at,
    null::timestamptz as expired_at,
    null::bigint as server_id,
    null::bigint as read_after,
    null::bigint as read_until,
    null::timestamptz as read_from,
    null::timestamptz as read_before
where false
