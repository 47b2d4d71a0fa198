{# Written by the rollups themselves (macros/dialect_spark.sql), each its own rows; this model only makes the table. #}
{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false, on_schema_change='fail',
          partition_by=['rollup']) }}

select
    day,
    event_count,
    newest_position,
    '' as rollup
from {{ ref('exported_days') }}
where false
