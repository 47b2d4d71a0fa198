"""How people write flags on the command line, and how commands write changes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import typer

from holds_core.flags.changes import FlagChange, edit_command
from holds_core.flags.evaluation import Reason
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.matrix import review_mark
from holds_core.flags.model import Flag, FlagDefinition, Measure
from holds_core.flags.prospects import Prospect, is_open
from holds_core.flags.rollouts import GuardrailSpan, GuardrailVerdict, JudgedGuardrail, RolloutStatus
from holds_core.flags.values import Setting, parse_setting
from orchestration.cli.suggestions import closest, meant

DEFAULT = "default"
_JUDGED = {
    "rollout": "worked out by the database, {at}: {status.stage} % since {since}",
    "rollback": "worked out by the database, {at}: {status.stage} % since {since}",
    "from": "handed in by whoever asked, NOT known to this database: {status.environment} is {status.verdict} at "
    "{status.stage} % since {since}, {at}",
}
"""What evidence of rollouts says, by where it comes from."""


def definition_named(flag: str) -> FlagDefinition:
    """Return a flag's definition.

    Raises:
        BadParameter: There is no such flag.
    """
    definitions = packaged_definitions()
    if flag not in definitions:
        hint = meant(closest(flag, [*definitions])) or f" There are {', '.join(definitions)}."
        raise typer.BadParameter(f"there is no flag {flag}.{hint}", param_hint="FLAG")
    return definitions[flag]


def read_setting(flag: str, value: str) -> Setting | None:
    """Read what a flag is to be set to; None takes away what is set.

    Raises:
        BadParameter: The flag cannot be set so.
    """
    definition = definition_named(flag)
    if value.strip().lower() == DEFAULT:
        return None
    try:
        setting = parse_setting(value, definition.type)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; or default, to take away what is set", param_hint="VALUE") from None
    if (problem := definition.problem_of(setting)) is not None:
        raise typer.BadParameter(f"{flag}: {problem}", param_hint="VALUE")
    return setting


def moment(at: datetime | None) -> str:
    """Write a time."""
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def place_of(change: FlagChange) -> str:
    """Write what a change is about: the flag, and where."""
    whom = "" if change.restaurant_id is None else f" for restaurant {change.restaurant_id}"
    return f"{change.flag} in {change.environment}{whom}"


def what(change: FlagChange, prospect: Prospect | None = None) -> str:
    """Write what a change does: the flag, where, from what is in force now (where that is known), and to what."""
    if prospect is None:
        return f"{place_of(change)}: {change.setting or DEFAULT}"
    layer = {Reason.KILL_SWITCH: " (kill switch)", Reason.BREAK_GLASS: " (break-glass)"}.get(prospect.reason, "")
    to = change.setting or f"{DEFAULT} ({prospect.default})"
    stays = ", once the kill switch is taken back" if prospect.is_killed else ""
    return f"{place_of(change)}: {prospect.before}{layer} → {to}{stays}"


def effect(change: FlagChange, prospect: Prospect) -> str | None:
    """Write what a change takes away from guests; None where it takes nothing."""
    fall = prospect.before.level - prospect.after.level
    if change.flag != Flag.STRICT_CONFLICTS or fall <= 0:
        return None
    if change.restaurant_id is not None:
        whom = "this restaurant"
    elif fall >= 100 or (prospect.before.level >= 100 and prospect.has_cohort):
        whom = "up to all restaurants"
    else:
        whom = f"up to {fall:.0f} % of the restaurants"
    return f"overlapping holds will no longer be refused for {whom}"


def obstacles(change: FlagChange, prospect: Prospect) -> list[str]:
    """Write why a change cannot be approved as it is, and what helps; nothing where it can."""
    command = edit_command(change)
    found = []
    if prospect.is_out_of_date:
        found.append(f"OUT OF DATE: the flag has changed since; whoever asked takes it up again with: {command}")
    if prospect.unsafe and change.unsafe_because is None:
        rules = ", ".join(dict.fromkeys(one.rule for one in prospect.unsafe))
        found.append(f'would be UNSAFE: {rules}; whoever asked says why it is right: {command} --unsafe-because "…"')
    return found


def state_of(change: FlagChange) -> str:
    """Write how far a change has come; of a break-glass one, whether somebody else has looked at it."""
    if not change.is_break_glass:
        return change.state
    return f"{change.state}, {review_mark(change.id, change.reviewed_by)}"


def as_object(change: FlagChange, prospect: Prospect | None = None) -> dict[str, object]:
    """Return a change for JSON; with what it would do now, where that is known."""
    found = vars(change) | {"setting": None if change.setting is None else str(change.setting)}
    if prospect is None:
        return found
    return found | {
        "in_force": str(prospect.before),
        "effect": effect(change, prospect),
        "is_out_of_date": prospect.is_out_of_date,
        "unsafe": list(dict.fromkeys(one.rule for one in prospect.unsafe)),
    }


def in_full(change: FlagChange, prospect: Prospect | None = None) -> list[tuple[str, str]]:
    """Return everything about a change that a person decides by.

    Args:
        change: The change.
        prospect: What it would do now, where it is open.
    """
    rows = [
        ("change", f"{change.id}, revision {change.revision}, {state_of(change)}"),
        ("what", what(change, prospect)),
        *(_weighed(change, prospect) if prospect is not None else []),
        ("why", change.reason),
        ("asked for by", f"{_who(change.requested_by, change.requested_login)}, {moment(change.requested_at)}"),
    ]
    if change.is_rollback:
        rows.append(("rolled back", "to the stage before; needs no approval"))
    if change.is_break_glass:
        rows.append(("break-glass", f"by one person alone; ends {moment(change.expires_at)}"))
    elif is_open(change):
        rows.append(("expires", moment(change.expires_at)))
    if change.unsafe_because is not None:
        rows.append(("UNSAFE, because", change.unsafe_because))
    rows += _evidence(change.evidence)
    if change.approved_by is not None:
        rows.append(("approved by", f"{_who(change.approved_by, change.approved_login)}, {moment(change.approved_at)}"))
    if change.applied_at is not None:
        rows.append(("in force since", f"{moment(change.applied_at)}, as version {change.applied_version}"))
    if change.ended_at is not None:
        rows.append(("ended", moment(change.ended_at)))
    if change.reviewed_by is not None:
        rows.append(("reviewed by", f"{change.reviewed_by}, {moment(change.reviewed_at)}"))
    if change.remark is not None:
        rows.append(("remark", change.remark))
    return rows


def _weighed(change: FlagChange, prospect: Prospect) -> Iterator[tuple[str, str]]:
    """Write what speaks against a change, and what it takes away."""
    if (taken := effect(change, prospect)) is not None:
        yield "EFFECT", taken
    for obstacle in obstacles(change, prospect):
        yield "NOT YET", obstacle
    for rule in dict.fromkeys((one.rule, ", ".join(one.flags), one.because) for one in prospect.unsafe):
        yield "UNSAFE", "{} ({}): {}".format(*rule)


def guardrail_words(guardrail: JudgedGuardrail) -> tuple[str, str, str, str]:
    """Write a guardrail: what, over what, its value, what it has to be."""
    bounds = (("≥", guardrail.at_least), ("≤", guardrail.at_most))
    value = "-" if guardrail.value is None else f"{guardrail.value:,.4g}"
    if guardrail.sample_count is not None and guardrail.measure != Measure.REQUEST_COUNT:
        value += f" (of {guardrail.sample_count:,})"
    if guardrail.said is not None:
        value = guardrail.said if guardrail.value is None else f"{value}: {guardrail.said}"
    return (
        guardrail.measure,
        {None: "now", GuardrailSpan.STAGE: "the stage", GuardrailSpan.HOUR: "its last hour"}[guardrail.span],
        value,
        " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None) or "-",
    )


def _evidence(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Write what speaks for a change; what a rollout was judged by, a line for each guardrail."""
    for name, value in evidence.items():
        status = _status(value) if name in _JUDGED else None
        if status is None:
            yield "evidence", f"{name} {value}"
            continue
        yield (
            "evidence",
            _JUDGED[name].format(status=status, since=moment(status.began_at), at=moment(status.judged_at)),
        )
        for guardrail in status.guardrails:
            measure, span, found, bound = guardrail_words(guardrail)
            over = "" if guardrail.span is None else f" over {span}"
            yield "", f"{measure}{over}: {found}, has to be {bound}: {guardrail.verdict}"


def evidence_in_short(evidence: Mapping[str, Any]) -> str:
    """Write what a rollout was judged by, a line each; empty where it was not."""
    status = _status(evidence.get("rollout") or evidence.get("rollback"))
    if status is None:
        return ""
    return "\n".join(
        f"{guardrail.measure} {'-' if guardrail.value is None else f'{guardrail.value:.4g}'}"
        + ("" if guardrail.verdict == GuardrailVerdict.HOLDS else f" ({guardrail.verdict})")
        for guardrail in status.guardrails
    )


def _status(value: object) -> RolloutStatus | None:
    """Read evidence of a rollout; None where somebody has handed in something else."""
    try:
        return RolloutStatus.from_json(value) if isinstance(value, Mapping) else None
    except (KeyError, TypeError, ValueError):
        return None


def _who(person: str, login: str | None) -> str:
    return person if login in (None, person) else f"{person} (login {login})"
