{#
    What the guardrails of staged rollouts are judged by: of the restaurants that a stage includes, since it came into force.
    At 0 % and at 100 % those are all of them; double bookings count where strict conflicts are to make them impossible alone.

    Whole minutes and hours, from the rollups; a stage that began within one is measured from the next minute on, and that first
    hour by its minutes for as long as there are any.
#}
{% set is_within %}
    (
        (counts.grain = 'hour' and counts.bucket_at >= spans.hours_from)
        or (counts.grain = 'minute' and counts.bucket_at >= spans.minutes_from and counts.bucket_at < spans.hours_from)
    )
{% endset %}
{% set is_single %}not in ('(all)', '(none)'){% endset %}

with

stages as materialized (
    select
        environment,
        flag,
        stage,
        -- What has stood for longer is judged by how it is of late.
        greatest(began_at, now() - interval '14 days') as measured_from
    from holds.rollout_stages()
),

scoped as materialized (
    select
        stages.*,
        case
            when stages.stage between 1 and 99
                then array(
                    select known.restaurant_key
                    from (
                        select distinct counts.restaurant_key
                        from {{ ref('live_event_counts') }} as counts
                        where
                            counts.environment = stages.environment
                            and counts.grain = 'day'
                            and counts.bucket_at >= date_trunc('day', stages.measured_from, 'UTC')
                            and counts.restaurant_key {{ is_single }}
                    ) as known
                    where holds.is_in_rollout(
                        stages.environment, stages.flag, stages.stage, cast(known.restaurant_key as uuid)
                    )
                )
            else array['(all)']
        end as restaurant_keys
    from stages
),

spans as materialized (
    select
        scoped.*,
        lengths.span,
        lengths.starts_at,
        date_trunc('minute', lengths.starts_at + interval '1 minute' - interval '1 microsecond', 'UTC') as minutes_from,
        case lengths.span
            when 'stage'
                then date_trunc('hour', lengths.starts_at + interval '1 hour' - interval '1 microsecond', 'UTC')
            else 'infinity'
        end as hours_from
    from scoped
    inner join lateral (
        values
        ('stage', scoped.measured_from),
        ('hour', greatest(scoped.measured_from, now() - interval '1 hour'))
    ) as lengths (span, starts_at) on true
),

requests as (
    select
        spans.environment,
        spans.flag,
        spans.span,
        summed.*
    from spans
    inner join lateral (
        select
            coalesce(sum(counts.assignment_count), 0) as assignment_count,
            coalesce(sum(counts.assignment_count + counts.skipped_count), 0) as request_count,
            coalesce(sum(counts.exhausted_count), 0) as exhausted_count
        from {{ ref('live_event_counts') }} as counts
        where
            counts.environment = spans.environment
            and counts.restaurant_key = any(spans.restaurant_keys)
            and {{ is_within }}
    ) as summed on true
),

found_pairs as (
    select
        spans.environment,
        spans.flag,
        spans.span,
        summed.pair_count
    from spans
    inner join lateral (
        select coalesce(sum(single.pair_count), 0) as pair_count
        from (
            select
                counts.restaurant_key,
                sum(counts.judged_double_booking_count) as pair_count
            from {{ ref('live_event_counts') }} as counts
            where
                counts.environment = spans.environment
                and counts.restaurant_key {{ is_single }}
                and {{ is_within }}
            group by counts.restaurant_key
            having sum(counts.judged_double_booking_count) > 0
        ) as single
        where holds.is_in_rollout(spans.environment, spans.flag, spans.stage, cast(single.restaurant_key as uuid))
    ) as summed on true
    where spans.stage > 0
),

-- Those that nobody has said as an event yet.
standing_pairs as (
    select
        spans.environment,
        spans.flag,
        spans.span,
        count(*) as pair_count
    from spans
    inner join {{ ref('double_bookings') }} as pairs
        on
            spans.environment = coalesce(pairs.environment, spans.environment)
            and spans.starts_at <= pairs.began_at
    where spans.stage > 0 and holds.is_in_rollout(spans.environment, spans.flag, spans.stage, pairs.restaurant_id)
    group by spans.environment, spans.flag, spans.span
),

newest as (
    {{ events_to_read('fct_latency_sketches', ['environment', 'restaurant_id', 'occurred_at', 'total_ms'], where="
        event_type in ('capacity.selector.assignment', 'capacity.selector.skipped')
        and total_ms is not null
        and " ~ happened_within_days('occurred_at', 15)) }}
),

-- Read and merged here, for the restaurants that count, where the live view would merge the new sketches of all.
cells as (
    select
        spans.environment,
        spans.flag,
        spans.span,
        taken.sketch_index,
        taken.sample_count
    from spans
    inner join lateral (
        select
            unnest(counts.sketch_indexes) as sketch_index,
            unnest(counts.sketch_counts) as sample_count
        from {{ ref('fct_latency_sketches') }} as counts
        where
            {{ is_rolled_up_here('fct_latency_sketches') }}
            and counts.environment = spans.environment
            and counts.restaurant_key = any(spans.restaurant_keys)
            and counts.phase = 'total'
            and {{ is_within }}
    ) as taken on true
    union all
    select
        spans.environment,
        spans.flag,
        spans.span,
        {{ sketch_index('newest.total_ms') }} as sketch_index,
        1 as sample_count
    from spans
    inner join newest
        on
            spans.environment = newest.environment
            and spans.minutes_from <= newest.occurred_at
            and (
                spans.restaurant_keys = array['(all)']
                or cast(newest.restaurant_id as text) = any(spans.restaurant_keys)
            )
),

{{ sketches_of('cells', ['environment', 'flag', 'span']) }},

final as (
    select
        spans.environment,
        spans.flag,
        spans.span,
        measures.measure,
        cast(measures.value as float8) as value,
        cast(measures.sample_count as bigint) as sample_count,
        spans.stage,
        spans.starts_at as measured_from,
        now() as measured_until
    from spans
    inner join requests
        on spans.environment = requests.environment and spans.flag = requests.flag and spans.span = requests.span
    left join found_pairs
        on
            spans.environment = found_pairs.environment
            and spans.flag = found_pairs.flag
            and spans.span = found_pairs.span
    left join standing_pairs
        on
            spans.environment = standing_pairs.environment
            and spans.flag = standing_pairs.flag
            and spans.span = standing_pairs.span
    left join sketches
        on spans.environment = sketches.environment and spans.flag = sketches.flag and spans.span = sketches.span
    inner join lateral (
        values
        ('double_bookings', greatest(found_pairs.pair_count, standing_pairs.pair_count, 0), null),
        ('request_count', requests.request_count, requests.request_count),
        (
            'success_ratio',
            requests.assignment_count / cast(nullif(requests.request_count, 0) as float8),
            requests.request_count
        ),
        (
            'exhausted_ratio',
            requests.exhausted_count / cast(nullif(requests.request_count, 0) as float8),
            requests.request_count
        ),
        ('latency_p95_ms', sketches.p95_ms, coalesce(sketches.sample_count, 0))
    ) as measures (measure, value, sample_count) on true
)

select * from final
