"""docs/alerting.md says what the catalogue says."""

from __future__ import annotations

import pytest

from dashboards.alerts import ALERTS, Alert
from orchestration.paths import PROJECT_ROOT

PAGE = (PROJECT_ROOT / "docs" / "alerting.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_page_has_the_alert_as_it_is(alert: Alert) -> None:
    """Whom it tells, when, and where to read on; what breaches, of how large a sample, how often."""
    runbook, threshold = alert.signal.runbook, alert.threshold
    breaches = f"{'above' if threshold.is_bad_above else 'below'} {threshold.breach:g}"
    if threshold.recovery != threshold.breach:
        breaches += f", until {threshold.recovery:g}"
    sample = str(threshold.minimum_sample or "")
    if alert.minimum_faults:
        sample += f", {alert.minimum_faults} of them faults"

    assert f"| `{alert.name}` | {alert.severity} | {alert.condition} | [{runbook}](runbooks/{runbook}.md) |\n" in PAGE
    _, judged = [line for line in PAGE.splitlines() if line.startswith(f"| `{alert.name}` |")]
    assert judged.endswith(f" | {breaches} | {sample} | {alert.periods} |")


def test_double_booking_alone_is_told_of_in_maintenance() -> None:
    """As the page says."""
    assert [alert.name for alert in ALERTS if not alert.is_muted_by_maintenance] == ["double_booking"]
    assert "mutes all alerts but `double_booking`" in PAGE
