"""The event types of the platform, and what holds for all events of a type."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """What happened. Types match exactly, case included; unknown ones are stored all the same."""

    SELECTOR_ASSIGNMENT = "capacity.selector.assignment"
    """A booking got its tables."""
    SELECTOR_SKIPPED = "capacity.selector.skipped"
    """A booking got none; `skipReason` says why."""
    HOLD_CREATED = "capacity.hold.created"
    """A hold was placed."""
    HOLD_CONFIRMED = "capacity.hold.confirmed"
    """A hold was made lasting."""
    HOLD_EXTENDED = "capacity.hold.extended"
    """A hold got more time."""
    HOLD_MOVED = "capacity.hold.moved"
    """A hold went to other tables, another window or both."""
    HOLD_RELEASED = "capacity.hold.released"
    """A hold was ended, its tables freed."""
    HOLD_EXPIRED = "capacity.hold.expired"
    """A hold's time was over."""
    HOLD_STRICT_CONFLICT = "capacity.hold.strict_conflict"
    """The constraint refused a hold or, with `isShadow`, would have in strict mode."""
    HOLD_DOUBLE_BOOKING = "capacity.hold.double_booking"
    """Two bookings' live windows overlap on one table; once for each pair."""
    RPC_CONFLICT = "capacity.rpc.conflict"
    """A call ended in a conflict, a limit or a cutoff, or got no answer."""
    MANUAL_VALIDATE = "capacity.manual.validate"
    """Staff validated or forced an assignment by hand."""
    ENFORCEMENT_CHANGED = "capacity.enforcement.changed"
    """Strict conflicts were switched; who and why is in the context."""
    FLAGS_CONTRADICTION = "capacity.flags.contradiction"
    """Flags are in an unsafe combination; again every quarter of an hour for as long as it stands."""
    FLAGS_CHANGED = "capacity.flags.changed"
    """A change of a feature flag was requested, approved, applied, and so on: one for each entry of the trail."""
    ROLLOUT_ADVANCED = "capacity.rollout.advanced"
    """A staged rollout of a flag reached its next stage."""
    ROLLOUT_BLOCKED = "capacity.rollout.blocked"
    """Guardrails held a staged rollout of a flag back, or took it back."""
    DEPLOY_FINISHED = "deploy.finished"
    """A service was deployed."""
    PIPELINE_SUCCEEDED = "pipeline.run.succeeded"
    """A pipeline run ended, and all was well."""
    PIPELINE_FAILED = "pipeline.run.failed"
    """A pipeline run failed, or was blocked by a check."""


class Severity(StrEnum):
    """How bad an event is."""

    DEBUG = "debug"
    """For whoever develops."""
    INFO = "info"
    """In order."""
    WARNING = "warning"
    """Worth a look."""
    ERROR = "error"
    """Something failed."""
    CRITICAL = "critical"
    """Guests are hurt, or will be."""


EVENT_TYPES: tuple[str, ...] = tuple(EventType)
SEVERITIES: tuple[str, ...] = tuple(Severity)

MAY_LACK_RESTAURANT: tuple[str, ...] = (
    "capacity.manual.validate",
    "capacity.enforcement.",
    "capacity.flags.",
    "capacity.rollout.",
    "deploy.",
    "pipeline.",
)
"""Types, or beginnings of types where they end in a dot, that staff or the system cause without a restaurant."""


def may_lack_restaurant(event_type: str) -> bool:
    """Tell whether an event of this type is in order without a restaurant."""
    return any(
        event_type.startswith(entry) if entry.endswith(".") else event_type == entry for entry in MAY_LACK_RESTAURANT
    )
