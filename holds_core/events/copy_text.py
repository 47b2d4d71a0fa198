r"""An event row as one line of PostgreSQL's COPY text format, in UTF-8.

COPY is several times as fast as inserting rows one by one. The text format is as fast here as the binary one (``jsonb``
is sent as text either way), and one ``bytes`` object for a row costs Python the least.
"""

from __future__ import annotations

import re
from functools import lru_cache

from holds_core.events.errors import LineRejectedError
from holds_core.events.json_text import has_nul, serialise
from holds_core.events.normalising import EventRow

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_NEEDS_ESCAPE = re.compile(r"[\\\t\n\r]")
_NULL = r"\N"
_LABEL_CACHE_MAX_CHARACTERS = 500


def copy_line(row: EventRow, position: int) -> bytes:
    """Return the row's COPY line, newline included: the columns of ``copy_event_import``.

    Raises:
        LineRejectedError: The row holds what PostgreSQL cannot store.
    """
    context = serialise(row.context)
    if has_nul(context):
        raise LineRejectedError("the character NUL (U+0000) in context, which PostgreSQL cannot store")
    if "\\" in context:
        # Serialised JSON has no other character that COPY reads specially: control characters are escaped in it.
        context = context.replace("\\", "\\\\")
    _, occurred_at, environment, source, event_type, severity, restaurant_id, booking_id, _ = row
    text = (
        f"{row.id}\t{occurred_at.isoformat()}\t{_labels(environment, source, event_type, severity)}"
        f"\t{restaurant_id or _NULL}\t{booking_id or _NULL}\t{context}\t{position}\t{_NULL}\n"
    )
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise LineRejectedError("a lone surrogate (half a character), which PostgreSQL cannot store") from None


def _labels(*labels: str) -> str:
    """Return the four labels, escaped and joined. A file has few combinations; long ones are not worth keeping."""
    if sum(map(len, labels)) > _LABEL_CACHE_MAX_CHARACTERS:
        return _join_labels(labels)
    return _join_labels_cached(labels)


def _join_labels(labels: tuple[str, ...]) -> str:
    joined = "\t".join(map(_escape, labels))
    if "\0" in joined:
        raise LineRejectedError("the character NUL (U+0000) in a text column, which PostgreSQL cannot store")
    return joined


_join_labels_cached = lru_cache(maxsize=1024)(_join_labels)


def _escape(text: str) -> str:
    return text.translate(_ESCAPES) if _NEEDS_ESCAPE.search(text) else text
