"""The registry: a page about every flag, made of the definitions alone, so that it is the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from holds_core.database.settings import Environment
from holds_core.flags.model import DecidedIn, FlagDefinition, Kind, Rollout, Scope
from holds_core.flags.values import FlagType

_HEAD = """\
# Registry of feature flags

<!-- Generated from holds_core/flags/definitions by `holdwatch flags registry`; `make check` compares. Do not edit. -->

What a flag is now, in every environment: `holdwatch flags audit`. How to change one: [README.md](README.md).

## Who approves

"""

_APPROVALS = (
    ("change", "needs", "lasts", "leaves"),
    (
        "a request (`flags request`)",
        "approval by **another person** (`flags approve`), within 7 days unless it says otherwise, of the flag as it "
        "was when it was asked for",
        "until the next change",
        "three entries of the trail: requested, approved, applied",
    ),
    (
        "the next stage of a flag with a rollout (`rollout advance`)",
        "the same, and evidence that the database works out itself: the soak is over, every guardrail holds",
        "until the next stage, or a guardrail breaks",
        "the same, with the evidence; an event",
    ),
    (
        "back to the stage before (`rollout roll-back`, or a guardrail that breaks)",
        "nobody's approval; by hand one person, a reason",
        "until the next stage, after a new soak",
        "two entries of the trail: rolled back, applied; an event",
    ),
    (
        "breaking the glass (`flags break-glass`)",
        "one person, a reason, an end within 3 days",
        "until its end; then what was approved is in force again",
        "a mark in every report, until **another person** has reviewed it",
    ),
    (
        "the kill switch (`enforcement off`)",
        "one person, a reason",
        "until `enforcement on`; then what was approved is in force again",
        "an entry of the trail, an event",
    ),
    (
        "the owner of the database, directly",
        "nobody",
        "until the next change",
        "an entry of the trail, and a mark in every report",
    ),
    (
        "a default, in a definition",
        "a review of the code",
        "until a later release",
        "an entry of the trail, by `db migrate`",
    ),
)

_SAFETY = """
A change that would make an unsafe combination is refused when it is asked for and when it is applied, unless it says
why it is right all the same. An approval is of one revision: an edit voids it.
"""

_KINDS = {
    Kind.RELEASE: "release: goes once it is on everywhere",
    Kind.OPERATIONAL: "operational: a lever for whoever is on call",
}
_DECIDED = {
    DecidedIn.DATABASE: "in the database; an environment variable has no effect, and is shown as unsafe",
    DecidedIn.CLIENT: "in the application, by its `Flags`",
}


def registry(definitions: Mapping[str, FlagDefinition]) -> str:
    """Return the page."""
    head, *approvals = (f"| {' | '.join(cells)} |" for cells in _APPROVALS)
    lines = [*_HEAD.splitlines(), head, "| --- " * 4 + "|", *approvals, *_SAFETY.splitlines()]
    lines += ["", "## At a glance", ""]
    lines += ["| flag | kind | owner | " + " | ".join(Environment) + " | expires |", "| --- " * 7 + "|"]
    for name, definition in definitions.items():
        defaults = " | ".join(str(definition.default[environment]) for environment in Environment)
        anchor = name.replace(".", "").lower()
        lines.append(
            f"| [`{name}`](#{anchor}) | {definition.kind} | {definition.owner} | {defaults} | {definition.expires} |"
        )
    for name, definition in definitions.items():
        lines += ["", f"## {name}", "", *_page(definition)]
    return "\n".join(lines) + "\n"


def _page(definition: FlagDefinition) -> Iterator[str]:
    yield definition.description
    yield ""
    yield definition.rationale
    yield ""
    yield "| asked | answer |"
    yield "| --- | --- |"
    yield f"| owner | {definition.owner} |"
    yield f"| kind | {_KINDS[definition.kind]} |"
    yield f"| values | {_values(definition)} |"
    yield f"| can differ | {_differs(definition)} |"
    yield f"| decided | {_DECIDED[definition.decided_in]} |"
    defaults = ", ".join(f"{environment} {definition.default[environment]}" for environment in Environment)
    yield f"| defaults | {defaults} |"
    yield f"| variable | `{definition.variable}` |"
    yield f"| expires | {definition.expires} |"
    if definition.rollout is not None:
        yield f"| rollout | {rollout_text(definition.rollout)} |"
    if definition.rules:
        yield ""
        yield "Unsafe:"
        yield ""
    for rule in definition.rules:
        where = "" if set(rule.environments) == set(Environment) else f" (in {', '.join(rule.environments)})"
        yield f"- **{rule.name}**{where}: {rule}. {rule.because}"


def _differs(definition: FlagDefinition) -> str:
    if definition.per is Scope.ENVIRONMENT:
        return "from environment to environment"
    by_share = "by percentage, and " if definition.type is FlagType.BOOLEAN else ""
    return f"{by_share}for single restaurants"


def _values(definition: FlagDefinition) -> str:
    match definition.type:
        case FlagType.BOOLEAN:
            return "on, off" + (", on for a percentage" if definition.per is Scope.RESTAURANT else "")
        case FlagType.INTEGER:
            unit = "" if definition.unit is None else f" {definition.unit}"
            return f"{definition.minimum} to {definition.maximum}{unit}"
        case FlagType.RATE:
            return "holds in seconds, such as `120/60`, or `none`"


def rollout_text(rollout: Rollout) -> str:
    """Return stages and guardrails in one sentence."""
    stages = "; ".join(
        f"{environment} {' → '.join(f'{stage} %' for stage in stages)}"
        for environment, stages in rollout.stages.items()
    )
    guardrails = ", ".join(
        f"`{guardrail.measure}`"
        + ("" if guardrail.at_least is None else f" ≥ {guardrail.at_least:g}")
        + ("" if guardrail.at_most is None else f" ≤ {guardrail.at_most:g}")
        for guardrail in rollout.guardrails
    )
    return f"{stages}; each stage stands for {rollout.soak_hours} hours in which {guardrails}"
