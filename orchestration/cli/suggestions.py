"""What somebody may have meant who wrote something that there is not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

_NOT_ONE_OF = re.compile(r"(?:Value error, )?'(?P<given>[^']*)' is not one of (?P<known>'.*')\.?$")
_POSSIBLE = re.compile(r" \(Possible options: .*\)$")


def with_suggestion(said: str, error: Any) -> str:
    """Return what typer says of a wrong call, as a sentence, with the option or value that was probably meant.

    Args:
        said: The error's message, on one line.
        error: The error itself: of an option that does not exist it has ``possibilities``.
    """
    if possible := getattr(error, "possibilities", None):
        best = get_close_matches(error.option_name, possible, n=1, cutoff=0)
        return f"{_POSSIBLE.sub('', said)}.{meant(best)}"
    if (found := _NOT_ONE_OF.search(said)) is not None:
        known = re.findall(r"'([^']*)'", found["known"])
        plain = f"{said[: found.start()]}{found['given']!r} is not one of {', '.join(known)}"
        return f"{plain}.{meant(closest(found['given'], known))}"
    plain = said.replace("Value error, ", "")
    return plain if plain.endswith((".", "?", "…")) else f"{plain}."


def closest(given: str, known: Sequence[str]) -> list[str]:
    """Return the known word that was probably meant, if any; upper and lower case are one."""
    folded = {word.casefold(): word for word in known}
    return [folded[word] for word in get_close_matches(given.casefold(), folded, n=1)]


def meant(words: Sequence[str]) -> str:
    """Return the question, with a space before it, or nothing."""
    return f" Did you mean {words[0]!r}?" if words else ""
