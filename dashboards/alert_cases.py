"""How alerts are to behave, by example: what each period brings, and in which of them the alert fires.

The unit tests of ``analytics.alert_history`` and those of the Prometheus rules are both generated from these: SQL and
Prometheus are held to one and the same behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Period:
    """What one evaluation period brings.

    Attributes:
        value: What the alert compares; None where there is nothing to compare.
        is_firing: Whether the alert is to fire at its end.
        sample: What the value was worked out from.
        faults: The faults among them.
        is_in_maintenance: Whether the environment is in known maintenance.
    """

    value: float | None
    is_firing: bool
    sample: int = 1000
    faults: int = 1000
    is_in_maintenance: bool = False


@dataclass(frozen=True)
class AlertCase:
    """A stretch of periods, one after the other.

    Attributes:
        name: What it shows, as the name of a test.
        alert: The alert's name.
        periods: The oldest first.
    """

    name: str
    alert: str
    periods: tuple[Period, ...]


def _quiet(*values: float | None) -> tuple[Period, ...]:
    return tuple(Period(value, False) for value in values)


def _firing(*values: float | None) -> tuple[Period, ...]:
    return tuple(Period(value, True) for value in values)


ALERT_CASES = (
    AlertCase("one_breach_is_silent", "success_rate_low", _quiet(0.99, 0.5, 0.99, 0.99)),
    AlertCase("two_breaches_in_a_row_fire", "success_rate_low", (*_quiet(0.99, 0.9), *_firing(0.9, 0.9))),
    AlertCase(
        "it_recovers_past_the_recovery_alone_and_goes_on_for_two_periods",
        "success_rate_low",
        (*_quiet(0.99, 0.9), *_firing(0.9, 0.96, 0.969), *_firing(0.97, 0.99), *_quiet(0.99, 0.99)),
    ),
    AlertCase(
        "what_comes_back_while_it_goes_on_is_one_alert",
        "success_rate_low",
        (*_quiet(0.9), *_firing(0.9, 0.98, 0.9, 0.9, 0.98, 0.98), *_quiet(0.98)),
    ),
    AlertCase("a_value_that_breaches_every_other_time_is_silent", "success_rate_low", _quiet(*([0.9, 0.99] * 6))),
    AlertCase(
        "a_value_that_wavers_around_the_threshold_fires_once",
        "success_rate_low",
        (*_quiet(0.99, 0.949), *_firing(*([0.951, 0.949] * 5))),
    ),
    AlertCase(
        "a_value_between_threshold_and_recovery_is_no_breach", "success_rate_low", _quiet(0.99, 0.96, 0.951, 0.95)
    ),
    AlertCase(
        "low_traffic_is_silent",
        "success_rate_low",
        tuple(Period(0.0, False, sample=19) for _ in range(4)),
    ),
    AlertCase(
        "just_enough_traffic_fires",
        "success_rate_low",
        (Period(0.0, False, sample=20), Period(0.0, True, sample=20)),
    ),
    AlertCase(
        "no_data_is_no_breach_and_ends_one",
        "success_rate_low",
        (
            Period(0.5, False),
            Period(0.5, True),
            *(Period(None, True, sample=0) for _ in range(2)),
            *(Period(None, False, sample=0) for _ in range(2)),
        ),
    ),
    AlertCase(
        "a_breach_within_maintenance_is_silent",
        "success_rate_low",
        (*_quiet(0.99), *(Period(0.1, False, is_in_maintenance=True) for _ in range(4)), *_quiet(0.99, 0.99)),
    ),
    AlertCase(
        "a_breach_that_outlives_maintenance_fires_after_two_periods_of_its_own",
        "success_rate_low",
        (*(Period(0.1, False, is_in_maintenance=True) for _ in range(3)), *_quiet(0.1), *_firing(0.1, 0.1)),
    ),
    AlertCase(
        "maintenance_silences_what_fires",
        "success_rate_low",
        (*_quiet(0.1), *_firing(0.1), *(Period(0.1, False, is_in_maintenance=True) for _ in range(2))),
    ),
    AlertCase("one_double_booking_fires_at_once", "double_booking", (*_quiet(0), *_firing(1, 1, 0, 0), *_quiet(0))),
    AlertCase(
        "maintenance_silences_no_double_booking",
        "double_booking",
        (Period(0, False), Period(1, True, is_in_maintenance=True), Period(1, True, is_in_maintenance=True)),
    ),
    AlertCase(
        "a_latency_is_bad_above_and_recovers_below",
        "latency_p95_high",
        (*_quiet(2999, 3001), *_firing(3001, 2501, 2500, 2400), *_quiet(2400)),
    ),
    AlertCase("a_latency_at_the_threshold_is_no_breach", "latency_p95_high", _quiet(3000, 3000, 3000)),
    AlertCase(
        "a_budget_that_burns_fast_fires",
        "fast_burn",
        (*_quiet(1, 14.5), *_firing(20), *_firing(1, 1), *_quiet(1)),
    ),
    AlertCase(
        "four_faults_burn_no_budget",
        "fast_burn",
        tuple(Period(20, False, sample=50, faults=4) for _ in range(3)),
    ),
    AlertCase(
        "forty_nine_requests_burn_no_budget",
        "fast_burn",
        tuple(Period(20, False, sample=49, faults=49) for _ in range(3)),
    ),
    AlertCase("a_budget_that_burns_fires", "slow_burn", (*_quiet(7), *_firing(7))),
    AlertCase("a_budget_that_will_not_last_fires", "budget_burn", (*_quiet(1.1), *_firing(1.1))),
    AlertCase("exhausted_retries_fire", "retry_exhaustion", (*_quiet(0.01, 0.02), *_firing(0.02))),
    AlertCase("cutoffs_above_the_usual_fire", "cutoff_spike", (*_quiet(4, 5), *_firing(5))),
    AlertCase("unclassified_errors_fire", "unclassified_errors", (*_quiet(0.1, 0.11), *_firing(0.11))),
    AlertCase("requests_without_a_restaurant_fire", "unattributed_share", (*_quiet(0.1, 0.2), *_firing(0.2))),
    AlertCase("stale_telemetry_fires", "telemetry_stale", (*_quiet(0, 301), *_firing(601), *_firing(0, 0), *_quiet(0))),
    AlertCase("an_unsafe_flag_combination_fires", "unsafe_flag_combination", (*_quiet(1), *_firing(1))),
)
