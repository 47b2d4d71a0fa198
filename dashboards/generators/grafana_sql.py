"""The conditions that the Grafana queries share, with Grafana's macros and variables in them.

Rules that all queries keep:

- They read the schema ``analytics`` only, and only the macros that ``dashboards.checks.macros`` can expand.
- The views have rows for each restaurant and rows ``(all)`` for all of them together. A panel reads one kind or the
  other, never both: percentiles cannot be averaged, and counts would be counted twice.
- A variable always stands as ``${name:sqlstring}``, which quotes each value as a literal.
"""

from __future__ import annotations

from dashboards.catalogue import HOUR_GRAIN_MAX_DAYS, MINUTE_GRAIN_HOURS

RANGE_STARTS = "$__timeFrom()::timestamptz"
RANGE_ENDS = "$__timeTo()::timestamptz"

IS_LONG_RANGE = f"{RANGE_ENDS} - {RANGE_STARTS} > interval '{HOUR_GRAIN_MAX_DAYS} days'"

GRAIN = f"""case
        -- Some slack: "the last 2 days" began a moment before the query runs.
        when {RANGE_STARTS} >= now() - interval '{MINUTE_GRAIN_HOURS} hours 5 minutes' then 'minute'
        when {IS_LONG_RANGE} then 'day'
        else 'hour'
    end"""

# The bucket in which the range starts belongs to it: who zooms into ten minutes of last week sees their hour.
SINCE_START = f"""bucket_at >= date_trunc(grain, {RANGE_STARTS}, 'UTC')
    and bucket_at <= {RANGE_ENDS}"""

IN_RANGE = f"""grain = {GRAIN}
    and {SINCE_START}"""

BY_DAY = f"""grain = 'day'
    and {SINCE_START}"""

IN_ENVIRONMENT = "environment in (${environment:sqlstring})"

IS_ALL_CHOSEN = "'__all__' in (${restaurant:sqlstring})"

# One series under All, one for each restaurant otherwise.
ALL_OR_CHOSEN = f"((restaurant_key = '(all)' and {IS_ALL_CHOSEN}) or restaurant_key in (${{restaurant:sqlstring}}))"

# One row for each restaurant.
EACH_CHOSEN = f"restaurant_key <> '(all)'\n    and ({IS_ALL_CHOSEN} or restaurant_key in (${{restaurant:sqlstring}}))"

# What is for all restaurants concerns the chosen ones too.
CONCERNS_CHOSEN = f"(restaurant_key = '(all)' or {IS_ALL_CHOSEN} or restaurant_key in (${{restaurant:sqlstring}}))"

# Minutes over hours are more points than a panel has pixels, and a single refusal at night is a minute of 0 %: what can
# be added up is shown by five minutes, as alerts judge it, where the range is longer than this.
_SLOTS_FROM = "interval '6 hours'"
SLOT = f"""case
        when grain = 'minute' and {RANGE_ENDS} - {RANGE_STARTS} > {_SLOTS_FROM}
            then date_bin('5 minutes', bucket_at, '2000-01-01 00:00:00+00')
        else bucket_at
    end"""

# Per-restaurant errors are kept by the day only.
ERRORS_IN_RANGE = f"""grain = case when not ({IS_ALL_CHOSEN}) then 'day' else {GRAIN} end
    and {SINCE_START}"""


def series(name: str) -> str:
    """Name a series: plainly under All, after its restaurant otherwise."""
    return f"case restaurant_key when '(all)' then {name} else restaurant_key || ' ' || {name} end"


def literal(text: str) -> str:
    """Quote a constant of the catalogue."""
    return "'" + text.replace("'", "''") + "'"
