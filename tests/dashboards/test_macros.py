"""Grafana's variables and macros are expanded as Grafana expands them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from dashboards.checks.macros import All, TimeRange, expand, variables_of
from dashboards.errors import MacroError

_DAY = TimeRange(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, 0, 0, 0, 250_000, tzinfo=UTC))


@pytest.mark.parametrize(
    ("sql", "expanded"),
    [
        ("$__timeFilter(bucket_at)", "bucket_at BETWEEN '2026-03-01T00:00:00Z' AND '2026-03-02T00:00:00.25Z'"),
        ("$__timeFrom()::timestamptz", "'2026-03-01T00:00:00Z'::timestamptz"),
        ("$__timeTo()", "'2026-03-02T00:00:00.25Z'"),
        ("$__time(bucket_at)", 'bucket_at AS "time"'),
        ("$__timeEpoch(at)", 'extract(epoch from at) as "time"'),
        ("$__timeGroup(at, '5m')", "floor(extract(epoch from at)/300)*300"),
        ("$__timeGroupAlias(at, 1h)", 'floor(extract(epoch from at)/3600)*3600 AS "time"'),
        ("select $__timeGroup(at,'1d'), 1", 'select floor(extract(epoch from at)/86400)*86400 AS "time", 1'),
        ("$__timeGroup(at, $__interval)", "floor(extract(epoch from at)/86.4)*86.4"),
        ("$__interval_ms", "86400"),
        ("${__interval_ms}", "86400"),
        ("$__unixEpochFilter(n)", "n >= 1772323200 AND n <= 1772409600"),
        ("$__unixEpochFrom()", "1772323200"),
        # The arguments end at the first closing parenthesis, whatever was opened meanwhile.
        ("$__timeFilter(lower(span))", "lower(span BETWEEN '2026-03-01T00:00:00Z' AND '2026-03-02T00:00:00.25Z')"),
    ],
)
def test_macro_is_expanded(sql: str, expanded: str) -> None:
    """Each macro gives what Grafana's PostgreSQL data source sends."""
    assert expand(sql, _DAY, {}) == expanded


def test_times_are_sent_in_utc() -> None:
    """A range in another zone names the same moments."""
    zone = timezone(timedelta(hours=2))
    range_ = TimeRange(datetime(2026, 3, 1, 2, tzinfo=zone), datetime(2026, 3, 1, 3, tzinfo=zone))

    assert expand("$__timeFrom() $__timeTo()", range_, {}) == "'2026-03-01T00:00:00Z' '2026-03-01T01:00:00Z'"


@pytest.mark.parametrize(
    ("choice", "expanded"),
    [
        (All("'__all__'"), "in ('__all__')"),
        (["(none)"], "in ('(none)')"),
        (["a", "b"], "in ('a','b')"),
        (["Chez d'Artagnan"], "in ('Chez d''Artagnan')"),
        (["x') or true --"], "in ('x'') or true --')"),
        (['say "hi"'], "in ('say \\\"hi\\\"')"),
    ],
)
def test_variable_is_quoted_as_a_literal(choice: All | list[str], expanded: str) -> None:
    """All is inserted as it stands; every other value is a literal."""
    assert expand("in (${restaurant:sqlstring})", _DAY, {"restaurant": choice}) == expanded


@pytest.mark.parametrize(
    "sql",
    [
        "$__timeFiltre(at)",
        "$__timeFilter",
        "$__timeFilter()",
        "$__timeGroup(at)",
        "$__timeGroup(at, soon)",
        "$__from",
        "in ($restaurant)",
        "in (${restaurant})",
        "in (${restaurant:csv})",
        "in ([[restaurant]])",
        "in (${unknown:sqlstring})",
    ],
)
def test_what_grafana_would_send_broken_is_refused(sql: str) -> None:
    """An unknown macro, an unknown variable, or one that is not quoted, is an error and no guess."""
    with pytest.raises(MacroError):
        expand(sql, _DAY, {"restaurant": ["a"]})


def test_variables_are_found_in_every_spelling() -> None:
    """Built-in ones are none of the dashboard's."""
    assert variables_of("$a ${b} ${c:sqlstring} [[d]] $__interval ${__from} $1") == {"a", "b", "c", "d"}
