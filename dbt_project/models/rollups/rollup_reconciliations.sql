{# Written by the reconcile job, which compares the rollups of a day with its events; this model only makes the table. #}
{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false, on_schema_change='fail') }}

select
    null::timestamptz as reconciled_at,
    null::date as day,
    null::text as rollup,
    null::bigint as row_count,
    null::bigint as differing_count,
    null::bigint as event_count,
    null::bigint as rolled_up_event_count
where false
