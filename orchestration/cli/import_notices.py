"""What an import says beside its counts: which columns no view will know, and what was probably meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from holds_core.events.normalising import COLUMNS
from holds_core.events.notices import ENVIRONMENTS, ImportNotices
from holds_core.events.types import EVENT_TYPES, SEVERITIES
from orchestration.cli.suggestions import closest

_SHOWN = 8

_OF_THE_CONTEXT = ("timing.totalMs", "timing.plannerMs", "retryExhausted", "skipReason", "code", "reason", "message")
"""What views read of a context, and what flat files like to have as columns."""


def notice_sentences(notices: ImportNotices) -> list[str]:
    """Return a sentence for each kind of what is odd; none where nothing is."""
    sentences = []
    if (rows := notices.without_restaurant) > 0:
        sentences.append(f"{_rows(rows)} without a restaurant, shown as (none).")
    if notices.invalid_ids:
        named = ", ".join(f"{column} ({count:,})" for column, count in sorted(notices.invalid_ids.items()))
        sentences.append(f"No UUID: {named}; kept in context._invalid, or context._source_id.")
    if notices.unknown_columns:
        named = _names(notices.unknown_columns, _meant_by_column)
        sentences.append(f"No column is for: {named}; kept in context._extra, where no view looks.")
    for unknown, what, known in (
        (notices.unknown_event_types, "Unknown event types", EVENT_TYPES),
        (notices.unknown_severities, f"Severities other than {_listed(SEVERITIES)}", SEVERITIES),
        (notices.unknown_environments, f"Environments other than {_listed(ENVIRONMENTS)}", ENVIRONMENTS),
    ):
        if unknown:
            sentences.append(f"{what}: {_names(unknown, partial(_meant_by_value, known=known))}.")
    return sentences


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _names(counter: Counter[str], meant: Callable[[str], str | None]) -> str:
    """Name the most frequent ones, each with how often it was there and with what was probably meant."""
    shown = []
    for name, count in sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]:
        question = f"; did you mean {guess}?" if (guess := meant(name)) else ""
        shown.append(f"{_plain(name)} ({count:,}{question})")
    left = len(counter) - len(shown)
    return ", ".join(shown) + (f" and {left} more" if left else "")


def _plain(name: str) -> str:
    """Return a name as it can stand on one line."""
    short = name if len(name) <= 60 else f"{name[:60]}…"
    return short if short.isprintable() and short.strip() else ascii(short)


def _meant_by_column(name: str) -> str | None:
    """Return the column, or the member of the context, that a column was probably to be."""
    word = _folded(name.rpartition(".")[2])
    for member in _OF_THE_CONTEXT:
        if word == _folded(member.rpartition(".")[2]):
            return f"{member} in context"
    return _first(closest(name, sorted(COLUMNS)))


def _meant_by_value(name: str, known: Sequence[str]) -> str | None:
    return _first(closest(name, known))


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _first(words: Sequence[str]) -> str | None:
    return words[0] if words else None
