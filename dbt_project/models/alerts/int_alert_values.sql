with

clock as (
    select * from {{ ref('int_alert_clock') }}
),

rules as (
    select * from {{ ref('alert_rules') }}
),

periods as materialized (
    select * from {{ ref('int_alert_periods') }}
),

finished as (
    select * from periods
    where not is_unfinished
),

counts as materialized (
    select * from {{ ref('int_alert_counts') }}
),

latencies as (
    select * from {{ ref('int_alert_latencies') }}
),

period_counts as (
    select
        environment,
        {{ alert_period_start('bucket_at') }} as bucket_at,
        sum(assignment_count) as assignment_count,
        sum(fault_count) as fault_count,
        sum(request_count) as request_count,
        sum(unattributed_count) as unattributed_count,
        sum(exhausted_count) as exhausted_count,
        sum(error_count) as error_count,
        sum(unclassified_count) as unclassified_count,
        sum(double_booking_count) as double_booking_count
    from counts
    where grain = case when {{ alert_clock('is_shorter_than_a_minute') }} then 'period' else 'minute' end
    group by environment, {{ alert_period_start('bucket_at') }}
),

{# Alerts on a share of what happened in the period: what is bad, and of what. #}
{% set shares = [
    ("success_rate_low", "assignment_count", "assignment_count + fault_count"),
    ("retry_exhaustion", "exhausted_count", "request_count"),
    ("unclassified_errors", "unclassified_count", "error_count"),
    ("unattributed_share", "unattributed_count", "request_count"),
] %}
shares as (
    {% for alert, part, whole in shares %}
        select
            '{{ alert }}' as alert,
            finished.environment,
            finished.bucket_at,
            period_counts.{{ part }} / cast(nullif({{ whole }}, 0) as float8) as value,
            coalesce({{ whole }}, 0) as sample_count,
            period_counts.fault_count,
            cast(null as float8) as threshold
        from finished
        left join period_counts
            on finished.environment = period_counts.environment and finished.bucket_at = period_counts.bucket_at
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

p95 as (
    select
        'latency_p95_high' as alert,
        finished.environment,
        finished.bucket_at,
        latencies.p95_ms as value,
        coalesce(latencies.sample_count, 0) as sample_count,
        cast(null as bigint) as fault_count,
        cast(null as float8) as threshold
    from finished
    left join latencies on finished.environment = latencies.environment and finished.bucket_at = latencies.bucket_at
),

burning as (
    select
        windows.alert,
        finished.environment,
        finished.bucket_at,
        finished.ends_at,
        date_trunc('hour', finished.ends_at, 'UTC') as hour_at,
        finished.ends_at - windows.short_window as short_from,
        case
            when windows.is_by_minute then finished.ends_at - windows.long_window
            else date_trunc('hour', finished.ends_at, 'UTC')
        end as long_minutes_from,
        case
            when windows.is_by_minute then 'infinity'
            else date_trunc('hour', finished.ends_at, 'UTC') - windows.long_window
        end as long_hours_from
    from finished
    cross join (
        values
        ('fast_burn', interval '1 hour', interval '5 minutes', true),
        ('slow_burn', interval '6 hours', interval '30 minutes', true),
        ('budget_burn', interval '3 days', interval '6 hours', false)
    ) as windows (alert, long_window, short_window, is_by_minute)
    -- These have no recovery of their own to remember, so the newest are enough.
    where finished.bucket_at >= {{ alert_clock('period_starts_at - 6 * period') }}
),

-- Windows of up to six hours end to the minute; longer ones are made of whole hours, and of minutes since the last.
burnt as (
    select
        burning.alert,
        burning.environment,
        burning.bucket_at,
        {% set is_long %}counts.grain = 'hour' or counts.bucket_at >= burning.long_minutes_from{% endset %}
        {% set is_short %}counts.grain = 'minute' and counts.bucket_at >= burning.short_from{% endset %}
        coalesce(sum(counts.assignment_count + counts.fault_count) filter (where {{ is_long }}), 0) as long_requests,
        coalesce(sum(counts.fault_count) filter (where {{ is_long }}), 0) as long_faults,
        coalesce(sum(counts.assignment_count + counts.fault_count) filter (where {{ is_short }}), 0) as short_requests,
        coalesce(sum(counts.fault_count) filter (where {{ is_short }}), 0) as short_faults
    from burning
    left join counts
        on
            burning.environment = counts.environment
            and (
                (
                    counts.grain = 'minute'
                    and least(burning.long_minutes_from, burning.short_from) <= counts.bucket_at
                    and burning.ends_at - interval '1 minute' >= counts.bucket_at
                )
                or (
                    counts.grain = 'hour'
                    and burning.long_hours_from <= counts.bucket_at
                    and burning.hour_at > counts.bucket_at
                )
            )
    group by burning.alert, burning.environment, burning.bucket_at
),

burning_alerts as (
    select
        rules.alert,
        finished.environment,
        finished.bucket_at
    from finished
    cross join rules
    where rules.alert in ('fast_burn', 'slow_burn', 'budget_burn')
),

burns as (
    select
        burning_alerts.alert,
        burning_alerts.environment,
        burning_alerts.bucket_at,
        least(
            burnt.long_faults / cast(nullif(burnt.long_requests, 0) as float8),
            -- Nothing within the short window is nothing that burns now.
            case when burnt.short_requests > 0 then burnt.short_faults / cast(burnt.short_requests as float8) else 0 end
        ) / (1 - clock.success_objective) as value,
        coalesce(burnt.long_requests, 0) as sample_count,
        coalesce(burnt.long_faults, 0) as fault_count,
        cast(null as float8) as threshold
    from burning_alerts
    cross join clock
    left join burnt
        on
            burning_alerts.alert = burnt.alert
            and burning_alerts.environment = burnt.environment
            and burning_alerts.bucket_at = burnt.bucket_at
),

-- An hour that ends with the period, beside the hours of the days before that have most of it in common.
cutoffs as (
    select
        finished.environment,
        finished.bucket_at,
        date_trunc('hour', finished.ends_at - interval '30 minutes', 'UTC') as usual_hour_at,
        coalesce(sum(counts.cutoff_count), 0) as cutoff_count
    from finished
    left join counts
        on
            finished.environment = counts.environment
            and counts.grain = 'minute'
            and counts.bucket_at >= finished.ends_at - interval '1 hour'
            and finished.ends_at > counts.bucket_at
    group by finished.environment, finished.bucket_at, finished.ends_at
),

histories as (
    select
        environment,
        min(bucket_at) as begins_at
    from counts
    where grain = 'hour'
    group by environment
),

usual_hours as (
    select distinct
        environment,
        usual_hour_at
    from cutoffs
),

-- Worked out before they are joined, so that they are looked up rather than compared with every hour.
hours_back as materialized (
    select
        usual_hours.environment,
        usual_hours.usual_hour_at,
        usual_hours.usual_hour_at - days_back.days * interval '24 hours' as hour_at
    from usual_hours
    cross join generate_series(1, 28) as days_back (days)
),

-- Days before the first event were no quiet days; with less than a week of them nothing is usual yet.
usual as (
    select
        hours_back.environment,
        hours_back.usual_hour_at,
        percentile_disc(0.5) within group (order by coalesce(counts.cutoff_count, 0)) as median_count
    from hours_back
    inner join histories
        on hours_back.environment = histories.environment and hours_back.hour_at >= histories.begins_at
    left join counts
        on
            hours_back.environment = counts.environment
            and hours_back.hour_at = counts.bucket_at
            and counts.grain = 'hour'
    group by hours_back.environment, hours_back.usual_hour_at
    having count(*) >= 7
),

spikes as (
    select
        'cutoff_spike' as alert,
        cutoffs.environment,
        cutoffs.bucket_at,
        case when usual.median_count is not null then cast(cutoffs.cutoff_count as float8) end as value,
        cutoffs.cutoff_count as sample_count,
        cast(null as bigint) as fault_count,
        greatest(cast(3 * usual.median_count as float8), rules.breach) as threshold
    from cutoffs
    inner join rules on rules.alert = 'cutoff_spike'
    left join usual
        on cutoffs.environment = usual.environment and cutoffs.usual_hour_at = usual.usual_hour_at
),

pairs as materialized (
    select
        environment,
        began_at
    from {{ ref('double_bookings') }}
),

pair_counts as (
    select
        periods.environment,
        periods.bucket_at,
        count(*) as pair_count
    from periods
    inner join pairs
        on
            -- A pair without an environment (the database lost its settings) counts in each rather than in none.
            periods.environment = coalesce(pairs.environment, periods.environment)
            and periods.ends_at > pairs.began_at
    group by periods.environment, periods.bucket_at
),

-- Pairs that stand now, whenever they began, and those that were found in the period, though they may have ended.
double_bookings as (
    select
        'double_booking' as alert,
        periods.environment,
        periods.bucket_at,
        cast(greatest(period_counts.double_booking_count, pair_counts.pair_count, 0) as float8) as value,
        cast(null as bigint) as sample_count,
        cast(null as bigint) as fault_count,
        cast(null as float8) as threshold
    from periods
    left join period_counts
        on periods.environment = period_counts.environment and periods.bucket_at = period_counts.bucket_at
    left join pair_counts
        on periods.environment = pair_counts.environment and periods.bucket_at = pair_counts.bucket_at
),

newest as (
    select
        environment,
        newest_capacity_event_at as capacity_event_at
    from periods
    where is_unfinished
),

-- Of the environment that this database's holds and pipeline belong to; of others only events are here.
unheard_holds as (
    select
        newest.environment,
        min(windows.created_at) as first_hold_at,
        max(windows.created_at) - max(newest.capacity_event_at) as hold_lag
    from newest
    inner join clock on newest.environment = clock.stored_environment
    inner join {{ ref('stg_holds__hold_windows') }} as windows
        on
            windows.created_at > coalesce(newest.capacity_event_at, '-infinity') + interval '5 minutes'
            -- Both ends, so that the planner takes it for few rows and reads the index of the newest.
            and windows.created_at <= clock.judged_at + interval '1 day'
    group by newest.environment
),

-- The newest alone is read, from the end of the index whose words these are, since nothing stands between it and the table.
ended_runs as (
    select max(occurred_at) as run_ended_at
    from {{ source('holds', 'observability_events') }}
    where
        event_type in ('pipeline.run.succeeded', 'pipeline.run.failed')
        and environment = {{ alert_clock('stored_environment') }}
),

refreshes as (
    select max(refreshed_at) as refreshed_at from {{ ref('rollup_positions') }}
),

-- Whoever looks while the first run is under way, its own report among them, finds it at work and no silence: it has just
-- refreshed the rollups. Should it never end, these grow old.
runs as (
    select coalesce(ended_runs.run_ended_at, refreshes.refreshed_at) as run_ended_at
    from ended_runs
    cross join refreshes
),

-- A silence that goes on breaches in every period that ended after it had become too long.
stale as (
    select
        'telemetry_stale' as alert,
        periods.environment,
        periods.bucket_at,
        cast(case
            when unheard_holds.first_hold_at <= case when periods.is_unfinished then 'infinity' else periods.ends_at end
                then coalesce(extract(epoch from unheard_holds.hold_lag), 'infinity')
            when
                periods.environment = clock.stored_environment
                and coalesce(runs.run_ended_at + interval '15 minutes' <= periods.judged_at, true)
                then coalesce(extract(epoch from periods.judged_at - runs.run_ended_at), 'infinity')
            else 0
        end as float8) as value,
        cast(null as bigint) as sample_count,
        cast(null as bigint) as fault_count,
        cast(null as float8) as threshold
    from periods
    cross join clock
    cross join runs
    left join unheard_holds on periods.environment = unheard_holds.environment
),

contradictions as (
    select
        'unsafe_flag_combination' as alert,
        finished.environment,
        finished.bucket_at,
        cast(coalesce(sum(counts.contradiction_count), 0) as float8) as value,
        cast(null as bigint) as sample_count,
        cast(null as bigint) as fault_count,
        cast(null as float8) as threshold
    from finished
    left join counts
        on
            finished.environment = counts.environment
            -- A minute would show what is found in it to the shorter periods before that, too.
            and counts.grain = case when {{ alert_clock('is_shorter_than_a_minute') }} then 'period' else 'minute' end
            and counts.bucket_at >= finished.ends_at - interval '1 hour'
            and finished.ends_at > counts.bucket_at
    group by finished.environment, finished.bucket_at
),

judged as (
    {% for relation in ['shares', 'p95', 'burns', 'spikes', 'double_bookings', 'stale', 'contradictions'] %}
        select * from {{ relation }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        judged.alert,
        judged.environment,
        judged.bucket_at,
        judged.value,
        coalesce(judged.threshold, rules.breach) as threshold,
        cast(judged.sample_count as bigint) as sample_count,
        cast(judged.fault_count as bigint) as fault_count,
        periods.is_in_maintenance
    from judged
    inner join rules on judged.alert = rules.alert
    inner join periods on judged.environment = periods.environment and judged.bucket_at = periods.bucket_at
)

select * from final
