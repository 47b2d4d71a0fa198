"""What the fault tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """Holds are of today and later: no history is needed."""
    return small_template
