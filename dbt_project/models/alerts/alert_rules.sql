{# Generated from dashboards/alerts.py by `holdwatch dashboards build`: change it there. #}

with

rules (
    alert, severity, breach, recovery, is_bad_above, minimum_sample, minimum_faults, periods_to_fire,
    periods_kept_firing, is_muted_by_maintenance
) as (
    values
    ('double_booking', 'page', 0, 0, true, 0, 0, 1, 2, false),
    ('fast_burn', 'page', 14.4, 14.4, true, 50, 5, 2, 2, true),
    ('slow_burn', 'page', 6, 6, true, 50, 5, 2, 2, true),
    ('budget_burn', 'ticket', 1, 1, true, 50, 5, 2, 2, true),
    ('success_rate_low', 'page', 0.95, 0.97, false, 20, 0, 2, 2, true),
    ('latency_p95_high', 'page', 3000, 2500, true, 20, 0, 2, 2, true),
    ('retry_exhaustion', 'ticket', 0.01, 0.01, true, 20, 0, 2, 2, true),
    ('cutoff_spike', 'ticket', 4, 4, true, 0, 0, 2, 2, true),
    ('unclassified_errors', 'ticket', 0.1, 0.1, true, 20, 0, 2, 2, true),
    ('unattributed_share', 'ticket', 0.1, 0.1, true, 20, 0, 2, 2, true),
    ('telemetry_stale', 'page', 300, 300, true, 0, 0, 2, 2, true),
    ('unsafe_flag_combination', 'ticket', 0, 0, true, 0, 0, 2, 2, true)
)

select
    cast(alert as text) as alert,
    cast(severity as text) as severity,
    cast(breach as float8) as breach,
    cast(recovery as float8) as recovery,
    is_bad_above,
    minimum_sample,
    minimum_faults,
    periods_to_fire,
    periods_kept_firing,
    is_muted_by_maintenance
from rules
