"""The rejects file: every line that could not be imported, with its reason, beside the file it came from."""

from __future__ import annotations

import base64
import json
import os
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from holds_core.events.errors import EventImportError
from holds_core.events.json_text import Number
from holds_core.events.readers import Raw

SUFFIX = ".rejected.jsonl"


class Reject(NamedTuple):
    """A line that was rejected.

    Attributes:
        line_number: Where it is in its file, counted from 1 (for Parquet: the row).
        reason: Why, for a person to read.
        raw: The line as read.
    """

    line_number: int
    reason: str
    raw: Raw


class RejectsFile:
    """Collects rejects in a partial file, which takes the place of ``FILE.rejected.jsonl`` at the end.

    Leaving the block after an error keeps what was found so far, unless that is nothing: then an earlier import's file
    stays. After :meth:`complete` the file says the whole truth, and without rejects there is none.
    """

    def __init__(self, source: Path) -> None:
        """Make the partial file.

        Raises:
            EventImportError: It cannot be written there; nothing has been imported yet.
        """
        self.path = source.with_name(source.name + SUFFIX)
        self.count = 0
        self._is_complete = False
        # Two imports of one file at once must not write into one another's.
        self._partial = source.with_name(f"{source.name}{SUFFIX}.{uuid.uuid4().hex[:8]}.partial")
        try:
            if self.path.is_dir():
                raise IsADirectoryError(f"{self.path.name} is a folder")
            self._stream = self._partial.open("x", encoding="utf-8", newline="\n")
        except OSError as error:
            raise EventImportError(
                f"The rejects of {source.name} cannot be written beside it, in {source.parent}: "
                f"{error.strerror or error}. Nothing was imported; make that folder writable, or copy the file to one "
                "that is."
            ) from error

    def __enter__(self) -> Self:
        return self

    def write(self, rejects: list[Reject]) -> None:
        """Append the rejects, by line number, and empty the list: what is written is never written twice."""
        for reject in sorted(rejects, key=lambda reject: reject.line_number):
            self._stream.write(json.dumps(_as_object(reject), ensure_ascii=False) + "\n")
        self.count += len(rejects)
        rejects.clear()

    def complete(self) -> None:
        """Say that the file was read to its end."""
        self._is_complete = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Move the rejects into place, or remove the file that would say something untrue."""
        self._stream.close()
        if self.count > 0:
            os.replace(self._partial, self.path)
            return
        self._partial.unlink()
        if self._is_complete:
            self.path.unlink(missing_ok=True)


def _as_object(reject: Reject) -> dict[str, Any]:
    found: dict[str, Any] = {"line_number": reject.line_number, "reason": reject.reason}
    if isinstance(reject.raw, bytes):
        found["line"] = reject.raw.decode("utf-8", errors="backslashreplace")
        found["line_base64"] = base64.b64encode(reject.raw).decode("ascii")
    elif isinstance(reject.raw, dict):
        # Not every such row is JSON (a float may be NaN): its texts are shown as Python writes them.
        found["line"] = json.dumps(reject.raw, ensure_ascii=True, default=_shown)
    else:
        found["line"] = reject.raw
    return found


def _shown(value: object) -> str:
    return value.text if isinstance(value, Number) else str(value)
