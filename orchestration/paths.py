"""Where holdwatch finds its own files and keeps its state."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE_PARENT = Path(__file__).resolve().parents[1]

PROJECT_ROOT = _PACKAGE_PARENT if (_PACKAGE_PARENT / "pyproject.toml").is_file() else Path.cwd()
"""The checkout; where holdwatch was installed from a wheel, the current folder."""

STATE_DIR = Path(os.environ.get("HOLDWATCH_STATE_DIR") or PROJECT_ROOT / ".holdwatch").absolute()
"""Everything that holdwatch keeps between runs; deleting it starts afresh."""

REPORT_FILE = "report.html"
"""The report's name in the state folder."""

DATA_DOCS = "data-docs"
"""The folder of Great Expectations' Data Docs in the state folder."""

DBT_PROJECT_DIR = _PACKAGE_PARENT / "dbt_project"


def state_dir() -> Path:
    """Return the state folder, made if it is missing, readable by its owner only."""
    STATE_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    return STATE_DIR
