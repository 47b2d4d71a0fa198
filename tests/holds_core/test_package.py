"""What a platform gets when it embeds the package."""

from __future__ import annotations

import subprocess
import sys

import holds_core

HEAVY = {
    "pandas", "numpy", "dagster", "dbt", "great_expectations", "typer", "rich", "sqlalchemy", "pyarrow", "yaml",
    "postgrest", "openfeature",
}  # fmt: skip


def test_import_is_light() -> None:
    """The core pulls in psycopg and none of holdwatch's other dependencies."""
    code = "import sys, holds_core; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert "psycopg" in loaded
    assert not HEAVY & set(loaded)
    assert not {"orchestration", "dashboards", "expectations"} & set(loaded)


def test_public_names_exist_and_are_sorted() -> None:
    """Nothing in __all__ is missing, and each name has one place."""
    assert all(hasattr(holds_core, name) for name in holds_core.__all__)
    assert holds_core.__all__ == sorted(holds_core.__all__)
