with

rules as (
    select * from {{ ref('alert_rules') }}
),

values_by_period as (
    select * from {{ ref('int_alert_values') }}
),

-- Beyond the threshold, back on the good side of the recovery, or neither. Too little to judge by is good.
compared as (
    select
        values_by_period.*,
        rules.severity,
        rules.periods_to_fire,
        rules.periods_kept_firing,
        values_by_period.is_in_maintenance and rules.is_muted_by_maintenance as is_muted,
        coalesce(
            values_by_period.value is not null
            and coalesce(values_by_period.sample_count, rules.minimum_sample) >= rules.minimum_sample
            and coalesce(values_by_period.fault_count, rules.minimum_faults) >= rules.minimum_faults,
            false
        ) as is_judged,
        case
            when rules.is_bad_above then values_by_period.value > values_by_period.threshold
            else values_by_period.value < values_by_period.threshold
        end as is_beyond,
        case
            when rules.breach = rules.recovery or values_by_period.threshold <> rules.breach
                then
                    not case
                        when rules.is_bad_above then values_by_period.value > values_by_period.threshold
                        else values_by_period.value < values_by_period.threshold
                    end
            when rules.is_bad_above then values_by_period.value <= rules.recovery
            else values_by_period.value >= rules.recovery
        end as is_recovered
    from values_by_period
    inner join rules on values_by_period.alert = rules.alert
),

decided as (
    select
        *,
        case
            when not is_judged then false
            when is_beyond then true
            when is_recovered then false
        end as verdict
    from compared
),

-- What is between the two is as it was before.
stretches as (
    select
        *,
        count(verdict) over (partition by alert, environment order by bucket_at) as stretch
    from decided
),

breaching as (
    select
        *,
        coalesce(
            first_value(verdict) over (partition by alert, environment, stretch order by bucket_at), false
        ) as is_breaching
    from stretches
),

runs as (
    select
        *,
        is_breaching and not is_muted as counts_as_breach,
        count(*) filter (where not is_breaching or is_muted) over (
            partition by alert, environment order by bucket_at
        ) as run
    from breaching
),

counted as (
    select
        *,
        cast(count(*) filter (where counts_as_breach) over (
            partition by alert, environment, run order by bucket_at
        ) as integer) as consecutive_breaches
    from runs
),

numbered as (
    select
        *,
        row_number() over (partition by alert, environment order by bucket_at) as period_number
    from counted
),

fired as (
    select
        *,
        max(period_number) filter (where consecutive_breaches >= periods_to_fire) over (
            partition by alert, environment order by bucket_at
        ) as fired_in
    from numbered
),

final as (
    select
        alert,
        severity,
        environment,
        bucket_at,
        value,
        threshold,
        sample_count,
        is_in_maintenance,
        is_breaching,
        consecutive_breaches,
        -- It goes on firing for some periods after it is over, so that what comes back at once is one alert.
        not is_muted and coalesce(period_number - fired_in <= periods_kept_firing, false) as is_firing,
        periods_to_fire
    from fired
)

select * from final
