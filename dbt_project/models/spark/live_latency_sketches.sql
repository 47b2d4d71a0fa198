select * from {{ ref('fct_latency_sketches') }}
where {{ is_in_history('grain', 'bucket_at') }}
