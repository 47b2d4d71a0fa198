"""The report says what the views say, in words that hold, on a page that loads and runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dashboards.report import Report, Wanted, make_report
from holds_core.database.connections import connect


@pytest.fixture(scope="module")
def report(seeded_url: str) -> Report:
    """Of the seeded events and their double booking."""
    with connect(seeded_url) as connection:
        return make_report(connection, Wanted())


def test_look(report: Report, seeded_url) -> None:
    report.write(Path("/tmp/rep/report.html"))
    import json, time
    Path("/tmp/rep/r.json").write_text(json.dumps(report.as_dict(), indent=1, default=str))
    from dashboards.report import picture
    p, w = picture(report, "latency")
    Path("/tmp/rep/latency.png").write_bytes(p)
    with connect(seeded_url) as connection:
        t=time.time(); make_report(connection, Wanted()); print("READ", time.time()-t)
