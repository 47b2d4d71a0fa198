select * from {{ ref('fct_error_counts') }}
where {{ is_in_history('grain', 'bucket_at') }}
