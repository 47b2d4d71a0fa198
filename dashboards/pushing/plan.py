"""What a push would do, object by object: worked out first, shown if asked for, then done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = dict[str, Any]

_LONGEST = 60


class Action(StrEnum):
    """What is done with one object."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    DELETE = "delete"
    LEFT = "left"
    """Ours, and no longer generated, or there twice: it stays unless the push is to prune."""


@dataclass(frozen=True)
class Difference:
    """One field in which an object there differs from ours.

    Attributes:
        path: For example ``options.thresholds.critical``.
        theirs: What is there; None where nothing is.
        ours: What is to be there; None where nothing is.
    """

    path: str
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        theirs, ours = _texts(self.theirs, self.ours)
        return f"{self.path}: {theirs} → {ours}"


@dataclass(frozen=True)
class Change:
    """What a push does with one object.

    Attributes:
        kind: For people: "monitor", "dashboard".
        name: Of the object, for people; stays the same over time.
        action: What is done.
        differences: In which fields, for an update.
        reason: Why, where the action does not say it.
        apply: Does it; None where nothing is to be done.
    """

    kind: str
    name: str
    action: Action
    differences: Sequence[Difference] = ()
    reason: str = ""
    apply: Callable[[], object] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Plan:
    """All that a push does, in the order in which it does it.

    Attributes:
        target: Where to, for people.
        changes: Object by object.
        notes: What else is worth saying.
    """

    target: str
    changes: Sequence[Change]
    notes: Sequence[str] = ()

    def pending(self) -> list[Change]:
        """Return the changes that do something."""
        return [change for change in self.changes if change.apply is not None]


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[Difference]:
    """Give the fields in which what is there differs from what is ours.

    Keys that only they have are no difference: servers add identifiers, times and defaults. Lists are compared place by
    place, and must be of one length.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            inside = f"{path}.{key}" if path else key
            if key not in theirs:
                if value not in (None, [], {}):
                    yield Difference(inside, None, value)
            else:
                yield from differences(value, theirs[key], inside)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, (value, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(value, other, f"{path}[{place}]")
    elif ours != theirs:
        yield Difference(path, theirs, ours)


def _texts(theirs: Any, ours: Any) -> tuple[str, str]:
    """Return both as short texts; of long ones the part from where they part."""
    texts = ["nothing" if one is None else json.dumps(one, ensure_ascii=False) for one in (theirs, ours)]
    if max(map(len, texts)) <= _LONGEST:
        return texts[0], texts[1]
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) != len(ours):
        return f"{len(theirs)} of them", f"{len(ours)} of them"
    same = next((place for place, (one, other) in enumerate(zip(*texts, strict=False)) if one != other), 0)
    begin = max(same - _LONGEST // 3, 0)
    return _cut(texts[0], begin), _cut(texts[1], begin)


def _cut(text: str, begin: int) -> str:
    shown = text[begin : begin + _LONGEST]
    return f"{'…' if begin and shown else ''}{shown}{'…' if begin + _LONGEST < len(text) else ''}"
