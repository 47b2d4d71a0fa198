"""What a person should know of an import beside its counts: what was read, and is in no column or in no view.

Nothing of it is an error, and nothing was lost: who named a column ``restaurant`` finds the restaurant under ``_extra``
of the context, and no view by restaurant. A silent import would have them look for it for a day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holds_core.database.settings import Environment
from holds_core.events.normalising import COLUMNS, EventRow, as_columns, reference_in
from holds_core.events.types import EVENT_TYPES, SEVERITIES, may_lack_restaurant

ENVIRONMENTS: tuple[str, ...] = tuple(Environment)

MOST_NAMES = 50
"""So many different names are counted one by one, and what comes after them together."""

OTHERS = "(others)"

_TYPES, _SEVERITIES, _ENVIRONMENTS = frozenset(EVENT_TYPES), frozenset(SEVERITIES), frozenset(ENVIRONMENTS)


@dataclass
class ImportNotices:
    """Counts of rows that are stored (or were already), by what is odd of them.

    Attributes:
        without_restaurant: Of types that should have one.
        invalid_ids: That are no UUID, by column; they are in ``_source_id`` and ``_invalid`` of the context.
        unknown_columns: That the event table does not have; they are in ``_extra`` of the context.
        unknown_event_types: That no view reads.
        unknown_severities: Other than those of the platform.
        unknown_environments: Other than dev, staging and prod.
    """

    without_restaurant: int = 0
    invalid_ids: Counter[str] = field(default_factory=Counter)
    unknown_columns: Counter[str] = field(default_factory=Counter)
    unknown_event_types: Counter[str] = field(default_factory=Counter)
    unknown_severities: Counter[str] = field(default_factory=Counter)
    unknown_environments: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}

    def note(self, line: Mapping[str, Any], row: EventRow) -> None:
        """Look at a line and the event that it became."""
        if not line.keys() <= COLUMNS:
            line = as_columns(line)
            for name in line.keys() - COLUMNS:
                _count(self.unknown_columns, name)
        for column, found in (("restaurant_id", row.restaurant_id), ("booking_id", row.booking_id)):
            if found is None and reference_in(line, column) is not None:
                self.invalid_ids[column] += 1
        if (source_id := line.get("id")) is not None and row.context.get("_source_id") is source_id:
            self.invalid_ids["id"] += 1
        if row.restaurant_id is None and not may_lack_restaurant(row.event_type):
            self.without_restaurant += 1
        if row.event_type not in _TYPES:
            _count(self.unknown_event_types, row.event_type)
        if row.severity not in _SEVERITIES:
            _count(self.unknown_severities, row.severity)
        if row.environment not in _ENVIRONMENTS:
            _count(self.unknown_environments, row.environment)


def _count(counter: Counter[str], name: str) -> None:
    counter[name if name in counter or len(counter) < MOST_NAMES else OTHERS] += 1
