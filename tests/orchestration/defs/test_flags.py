"""The reports of feature flags as Dagster makes them."""

from __future__ import annotations

import csv
from pathlib import Path

import psycopg
import pytest
from dagster import AssetKey, DagsterInstance, Definitions

from holds_core.enforcement import set_hold_conflict_rollout
from holds_core.flags import Flag
from orchestration.dagster_instance import DATABASE_URL_VARIABLE


def test_reports_say_what_is_in_force_and_checks_what_is_wrong(
    definitions: Definitions,
    instance: DagsterInstance,
    database_url: str,
    connection: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A setting of the owner's is a warning, one behind the trail an error; the reports are written all the same."""
    monkeypatch.setenv(DATABASE_URL_VARIABLE, database_url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    (tmp_path / "dagster").mkdir()

    def checks() -> dict[str, bool]:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=[AssetKey(["flags", "registry"]), AssetKey(["flags", "audit"])],
        )
        assert result.success
        return {one.check_name: one.passed for one in result.get_asset_check_evaluations()}

    assert checks() == {"trail_is_whole": True, "nothing_is_unsafe": True}
    set_hold_conflict_rollout(connection, percentage=40, reason="by hand")
    assert checks() == {"trail_is_whole": True, "nothing_is_unsafe": False}
    connection.execute("update holds.settings set strict_percentage = 100")
    assert checks() == {"trail_is_whole": False, "nothing_is_unsafe": False}

    rows = list(csv.DictReader((tmp_path / "flags" / "audit.csv").read_text().splitlines()))
    (strict,) = [row for row in rows if (row["environment"], row["flag"]) == ("dev", Flag.STRICT_CONFLICTS)]
    assert (strict["override"], strict["unsafe"]) == ("40%", "set directly, without approval")
    assert "**40% (override)**" in (tmp_path / "flags" / "audit.md").read_text()
