with

events as (
    select
        *,
        -- What is searched for a word; a space keeps a word from arising where two of them meet.
        concat_ws(' ', reason, code, message) as wording
    from {{ ref('stg_holds__events') }}
),

classified as (
    select
        event_id,
        occurred_at,
        -- Free texts that the rollups have in their keys, which an index takes only up to a length.
        left(environment, 100) as environment,
        left(source, 100) as source,
        event_type,
        left(severity, 100) as severity,
        restaurant_id,
        total_ms,
        planner_ms,
        is_retry_exhausted,
        coalesce(nullif(left(code, 100), ''), '(none)') as error_code,
        case
            when event_type not in ('capacity.rpc.conflict', 'capacity.manual.validate') then null
            when {{ contains_word('wording', 'HOLD_RATE_LIMIT') }} then 'HOLD_RATE_LIMIT'
            when {{ contains_word('wording', 'CUTOFF') }} then 'CUTOFF'
            when event_type = 'capacity.manual.validate' then 'MANUAL'
        end as cutoff_kind,
        -- Every refused attempt writes one strict_conflict and one rpc.conflict; the latter is the one that counts.
        event_type in ('capacity.rpc.conflict', 'pipeline.run.failed')
        or (severity in ('error', 'critical') and event_type <> 'capacity.hold.strict_conflict') as is_error,
        -- The first that fits.
        case
            when {{ contains_word('wording', 'HOLD_RATE_LIMIT') }} then 'limit'
            when {{ contains_word('wording', 'CUTOFF') }} or code in ('55P03', '57014') then 'cutoff'
            when code = '23P01' or {{ contains_word('wording', 'HOLD_CONFLICT') }} then 'conflict'
            when code in ('40001', '40P01') then 'serialization'
            when code like '08%' or code like '57P0%' then 'connection'
            when code like '22%' or code like '23%' then 'validation'
            when code like '42%' or code like 'PGRST2%' then 'schema'
            when event_type like 'pipeline.%' then 'pipeline'
            else 'unclassified'
        end as error_class,
        recorded_at,
        ingest_pos,
        is_shadow,
        -- Synthetic load is for people to look at; only in dev do alerts judge by it.
        is_soak and environment <> 'dev' as is_beside_alerts,
        -- A full restaurant is no fault.
        event_type = 'capacity.selector.skipped' and coalesce(skip_reason, '') <> 'no_capacity' as is_fault
    from events
)

select * from classified
