"""docs/reference/errors.md: what the holds core raises, as its classes say."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import holds_core
from holds_core import errors
from holds_core.errors import HoldsError, TransientError
from orchestration.markdown import head, prose

_KEPT_INSIDE = (TransientError,)
"""Never reaches a caller: the clients try again."""


def page() -> str:
    """Return the page."""
    lines = head("Errors", "holds_core/errors.py")
    lines += [
        "Every error is a `HoldsError`, and its message says what was asked, why not, and what to do next. Import it "
        "from `holds_core`, or from `holds_core.errors` where that is said.",
        "",
        "```",
        *_tree(HoldsError),
        "```",
        "",
    ]
    for error in _classes(HoldsError):
        lines += [f"## {error.__name__}", "", *_page(error)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _subclasses(error: type[HoldsError]) -> list[type[HoldsError]]:
    """Return those that derive from it first, in the order of the file."""
    members = (member for _, member in inspect.getmembers(errors, inspect.isclass))
    found = [member for member in members if member.__bases__[0] is error and member not in _KEPT_INSIDE]
    return sorted(found, key=lambda member: inspect.getsourcelines(member)[1])


def _classes(error: type[HoldsError]) -> Iterator[type[HoldsError]]:
    yield error
    for subclass in _subclasses(error):
        yield from _classes(subclass)


def _tree(error: type[HoldsError]) -> Iterator[str]:
    yield error.__name__
    children = _subclasses(error)
    for child in children:
        is_last = child is children[-1]
        first, *rest = _tree(child)
        yield f"{'└── ' if is_last else '├── '}{first}"
        yield from (f"{'    ' if is_last else '│   '}{line}" for line in rest)


def _page(error: type[HoldsError]) -> Iterator[str]:
    text, _, attributes = inspect.cleandoc(error.__doc__ or "").partition("\n\nAttributes:\n")
    bases = " and ".join(f"`{base.__name__}`" for base in error.__bases__)
    where = "" if error.__name__ in holds_core.__all__ else " In `holds_core.errors`."
    yield prose(text)
    yield ""
    yield f"Derives from {bases}.{where}"
    yield ""
    for name, meaning in _attributes(attributes):
        yield f"- `{name}`: {prose(meaning)}"
    if attributes:
        yield ""


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    """Read ``name: meaning`` of a docstring's section, whose further lines are indented more."""
    for entry in inspect.cleandoc(text).replace("\n    ", " ").splitlines():
        name, _, meaning = entry.partition(": ")
        yield name, meaning
