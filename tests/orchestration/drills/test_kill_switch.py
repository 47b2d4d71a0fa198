"""The kill switch by its runbook: the page's own commands do what it says, at a client that is placing holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holds_core.database.connections import connect
from holds_core.database.queries import query
from holds_core.enforcement import enforcement_problems, set_hold_conflict_enforcement
from holds_core.events.spool import EventSpool
from holds_core.flags.trail import read_trail, verify_trail
from holds_core.sweeper import sweep_holds
from orchestration.drills.kill_switch import IN_FORCE_WITHIN_SECONDS, RUNBOOK, run_kill_switch_drill
from orchestration.drills.run import DrillError
from tests.orchestration.drills.test_drills import Drilling, one, verdict

PAGE = " ".join(RUNBOOK.read_text("utf-8").split())


@pytest.fixture(scope="module")
def reports(new_database: Callable[..., str], small_template: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Of one restaurant's switch and of everyone's, at once: the database's URL and the report."""
    drillings = {
        option: Drilling.start(new_database(small_template), "kill-switch", *option.split(), "--json")
        for option in ("", "--everyone")
    }
    return {option: (drilling.url, drilling.report()) for option, drilling in drillings.items()}


@pytest.mark.parametrize("option", ["", "--everyone"])
def test_page_switches_off_and_on_within_seconds_and_leaves_the_trail(
    reports: dict[str, tuple[str, dict[str, Any]]], option: str
) -> None:
    """What was run stands in the runbook; whoever places holds noticed in time; everything is as it was."""
    url, report = reports[option]

    assert report["problems"] == []
    assert [command.split()[2] for command in report["commands"]] == ["off", "status", "on"]
    for command in report["commands"]:
        assert command.partition(" --r")[0] in PAGE, command
        assert ("--restaurant" in command) is (option == "" and "status" not in command)
    for switched in ("off", "on"):
        assert 0 < report["seconds"][switched]["client"] < IN_FORCE_WITHIN_SECONDS
        assert set(report["seconds"][switched]) == {"client", "flags", "command"}
    assert 0 < report["let_through"] < report["attempts"]
    with connect(url) as connection:
        assert enforcement_problems(connection) == []
        assert verify_trail(connection).problems == ()
        done = [entry.action for entry in read_trail(connection) if entry.reason == "drill kill-switch"]
    assert done == ["killed", "kill switch taken back"]
    assert one(url, "select count(*) from holds.table_holds where status not in ('released', 'expired')") == 0
    assert one(url, "select count(*) from holds.maintenance_windows where reason = 'drill kill-switch'") == 1


def test_what_got_through_pages_nobody(small_views_template: Callable[[], str], tmp_path: Path) -> None:
    """Neither live, nor recorded by the sweep that comes next; the alert, which one double booking fires, is quiet."""
    url = small_views_template()

    report = run_kill_switch_drill(url)

    assert report.let_through > 0
    assert (report.problems, report.double_bookings) == ([], 0)
    with connect(url) as connection:
        assert connection.execute(query("double_bookings"), {"since": None, "limit": 1}).fetchone() is None
        assert sweep_holds(connection, EventSpool(tmp_path)).double_bookings == 0
    assert verdict(url, "double_booking") == (0, False)


def test_page_that_is_wrong_is_found_and_nothing_stays_switched(
    new_database: Callable[..., str], small_template: str, tmp_path: Path
) -> None:
    """A command that does not exist is named; so are a page without its section, no page, and a switch that is off."""
    url, page = new_database(small_template), tmp_path / "page.md"
    text = RUNBOOK.read_text("utf-8")
    page.write_text(text.replace("enforcement on", "enforcement on --now"), "utf-8")
    failed, lacking = run_kill_switch_drill(url, runbook=page).problems
    page.write_text(text.replace("## The kill switch", "## Another"), "utf-8")
    with pytest.raises(DrillError, match=r"The section 'The kill switch' of .* has to say once"):
        run_kill_switch_drill(url, runbook=page)
    with pytest.raises(DrillError, match="is not here, whose commands this drill runs"):
        run_kill_switch_drill(url, runbook=tmp_path / "none.md")

    assert failed.startswith("holdwatch enforcement on --now --restaurant ")
    assert "status 2: No such option: --now" in failed
    assert lacking == "The trail has killed of the two switches."
    with connect(url) as connection:
        assert enforcement_problems(connection) == []
        set_hold_conflict_enforcement(connection, enabled=False, reason="for real")
    with pytest.raises(DrillError, match="off already; whoever switched them off is no drill"):
        run_kill_switch_drill(url)
