{{ config(materialized='table') }}

select
    day,
    count(*) as event_count,
    max(ingest_pos) as newest_position
from {{ source('holds', 'observability_events') }}
group by day
