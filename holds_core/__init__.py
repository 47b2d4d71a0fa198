"""Table holds that cannot be double-booked, on PostgreSQL.

A platform embeds this package; it needs psycopg, PyYAML, and nothing else of holdwatch. Follow a booking from top to
bottom: :mod:`~holds_core.selector` chooses tables, :mod:`~holds_core.client` holds them, the database refuses overlaps,
and each step is an event in ``holds.observability_events``. :mod:`~holds_core.flags` switches what is in force of it.
"""

from holds_core import flags
from holds_core.client import AsyncHoldClient, HoldClient, find_hold_conflicts
from holds_core.enforcement import (
    assert_enforced,
    is_holds_strict_conflicts_enabled,
    set_hold_conflict_enforcement,
)
from holds_core.errors import (
    DatabaseConnectionError,
    EnforcementError,
    FlagError,
    HoldAccessError,
    HoldConflictError,
    HoldCutoffError,
    HoldExpiredError,
    HoldNotFoundError,
    HoldOutcomeUnknownError,
    HoldRateLimitError,
    HoldRefusedError,
    HoldRequestError,
    HoldRetryExhaustedError,
    HoldsError,
    HoldUnavailableError,
    IdempotencyKeyReusedError,
    MigrationError,
    SchemaBehindError,
    SettingsError,
)
from holds_core.events.record import Event, record_event
from holds_core.events.types import EventType, Severity
from holds_core.models import Candidate, ConflictingWindow, Hold, HoldRequest, Quote, QuoteRequest, Table
from holds_core.seating import plan_candidates
from holds_core.selector import quote_tables_for_booking, quote_tables_for_booking_async

__all__ = [
    "AsyncHoldClient",
    "Candidate",
    "ConflictingWindow",
    "DatabaseConnectionError",
    "EnforcementError",
    "Event",
    "EventType",
    "FlagError",
    "Hold",
    "HoldAccessError",
    "HoldClient",
    "HoldConflictError",
    "HoldCutoffError",
    "HoldExpiredError",
    "HoldNotFoundError",
    "HoldOutcomeUnknownError",
    "HoldRateLimitError",
    "HoldRefusedError",
    "HoldRequest",
    "HoldRequestError",
    "HoldRetryExhaustedError",
    "HoldUnavailableError",
    "HoldsError",
    "IdempotencyKeyReusedError",
    "MigrationError",
    "Quote",
    "QuoteRequest",
    "SchemaBehindError",
    "SettingsError",
    "Severity",
    "Table",
    "assert_enforced",
    "find_hold_conflicts",
    "flags",
    "is_holds_strict_conflicts_enabled",
    "plan_candidates",
    "quote_tables_for_booking",
    "quote_tables_for_booking_async",
    "record_event",
    "set_hold_conflict_enforcement",
]
