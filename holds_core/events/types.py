"""The event types of the platform, and what holds for all events of a type."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """What happened. Types match exactly, case included; unknown ones are stored all the same."""

    SELECTOR_ASSIGNMENT = "capacity.selector.assignment"
    SELECTOR_SKIPPED = "capacity.selector.skipped"
    HOLD_CREATED = "capacity.hold.created"
    HOLD_CONFIRMED = "capacity.hold.confirmed"
    HOLD_EXTENDED = "capacity.hold.extended"
    HOLD_MOVED = "capacity.hold.moved"
    HOLD_RELEASED = "capacity.hold.released"
    HOLD_EXPIRED = "capacity.hold.expired"
    HOLD_STRICT_CONFLICT = "capacity.hold.strict_conflict"
    HOLD_DOUBLE_BOOKING = "capacity.hold.double_booking"
    RPC_CONFLICT = "capacity.rpc.conflict"
    MANUAL_VALIDATE = "capacity.manual.validate"
    ENFORCEMENT_CHANGED = "capacity.enforcement.changed"
    FLAGS_CONTRADICTION = "capacity.flags.contradiction"
    FLAGS_CHANGED = "capacity.flags.changed"
    ROLLOUT_ADVANCED = "capacity.rollout.advanced"
    ROLLOUT_BLOCKED = "capacity.rollout.blocked"
    DEPLOY_FINISHED = "deploy.finished"
    PIPELINE_SUCCEEDED = "pipeline.run.succeeded"
    PIPELINE_FAILED = "pipeline.run.failed"


class Severity(StrEnum):
    """How bad an event is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


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
