select * from {{ ref('fct_event_counts') }}
where {{ is_in_history('grain', 'bucket_at') }}
