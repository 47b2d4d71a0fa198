"""JSON in and out without harm to its numbers.

PostgreSQL's ``jsonb`` keeps numbers as ``numeric``, exactly. Python's float would round ``0.1234567890123456789012``
and turn ``1e400`` into infinity, and its int refuses more than 4,300 digits. So a number that Python would write
otherwise than it was read stays text, in a :class:`Number`. Lines with such numbers take a slower way out; all others
go through the C encoder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, NoReturn

from holds_core.events.errors import LineRejectedError

MAX_DIGITS_BEFORE_POINT = 131072
MAX_DIGITS_AFTER_POINT = 16383
"""The limits of PostgreSQL's ``numeric`` (its manual, "Numeric Types")."""

MAX_EXPONENT = 2**30 - 1
"""The greatest written exponent that any supported PostgreSQL reads, whatever it multiplies (INT_MAX / 2)."""

_NUMBER_PARTS = re.compile(r"-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?")
# In JSON text a NUL can only be written \u0000; an even number of backslashes before it means the letters "u0000".
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number, verbatim."""

    text: str


def parse(text: str) -> Any:
    """Return what the JSON text says; numbers that Python would change are :class:`Number`.

    Raises:
        LineRejectedError: It is no JSON, too deeply nested, or has a number that ``numeric`` cannot hold.
    """
    try:
        value, end = _scan(text, 0)
    except (ValueError, StopIteration):
        return _parse_slowly(text)
    except RecursionError:
        raise LineRejectedError("the JSON is nested too deeply") from None
    return value if end == len(text) else _parse_slowly(text)


def serialise(value: Any, *, sort_keys: bool = False) -> str:
    """Return the value as JSON text without blanks, its numbers as they were read.

    Raises:
        LineRejectedError: It is too deeply nested, or holds a float that is no number or infinite.
    """
    try:
        return _ENCODERS[sort_keys].encode(value)
    except _NeedsSlowPathError:
        pass
    except RecursionError:
        raise LineRejectedError("the JSON is nested too deeply") from None
    except ValueError:
        raise LineRejectedError("NaN and Infinity cannot be stored in PostgreSQL's jsonb") from None
    try:
        return _serialise_slowly(value, sort_keys)
    except RecursionError:
        raise LineRejectedError("the JSON is nested too deeply") from None


def has_nul(json_text: str) -> bool:
    r"""Tell whether a string or key in the serialised JSON contains the character U+0000."""
    return "\\u0000" in json_text and _ESCAPED_NUL.search(json_text) is not None


def fits_numeric(text: str) -> bool:
    """Tell whether PostgreSQL's ``numeric`` holds the JSON number written as ``text``."""
    match = _NUMBER_PARTS.fullmatch(text)
    assert match is not None, "only called with what a JSON parser took for a number"
    whole, fraction, exponent_text = match[1], match[2] or "", match[3] or "0"
    if len(exponent_text.lstrip("+-0")) > 10 or abs(exponent := int(exponent_text)) > MAX_EXPONENT:
        return False
    if len(fraction) - exponent > MAX_DIGITS_AFTER_POINT:
        return False
    digits = whole + fraction
    significant = digits.lstrip("0")
    leading_zeros = len(digits) - len(significant)
    return not significant or len(whole) + exponent - leading_zeros <= MAX_DIGITS_BEFORE_POINT


def _parse_slowly(text: str) -> Any:
    """Parse again for the exact complaint, or with integers of any length, or with blanks around."""
    try:
        return _PATIENT.decode(text)
    except json.JSONDecodeError as error:
        raise LineRejectedError(f"no JSON: {error.msg} (character {error.pos + 1})") from None
    except RecursionError:
        raise LineRejectedError("the JSON is nested too deeply") from None


def _parse_float(text: str) -> float | Number:
    value = float(text)
    return value if repr(value) == text else _verbatim(text)


def _parse_int(text: str) -> int | Number:
    return int(text) if len(text) < 4000 else _verbatim(text)


def _verbatim(text: str) -> Number:
    if not fits_numeric(text):
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        raise LineRejectedError(f"the number {shown} is beyond the limits of PostgreSQL's numeric")
    return Number(text)


def _refuse_constant(name: str) -> NoReturn:
    raise LineRejectedError(f"no JSON: {name} is no JSON number, and PostgreSQL's jsonb cannot store it")


class _NeedsSlowPathError(Exception):
    """The C encoder met a :class:`Number`."""


def _leave_fast_path(value: object) -> NoReturn:
    if isinstance(value, Number):
        raise _NeedsSlowPathError
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _serialise_slowly(value: Any, sort_keys: bool) -> str:
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        members = sorted(value.items()) if sort_keys else value.items()
        return "{" + ",".join(f"{encode_basestring(k)}:{_serialise_slowly(v, sort_keys)}" for k, v in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_serialise_slowly(entry, sort_keys) for entry in value) + "]"
    return _ENCODERS[False].encode(value)


# The fast one leaves integers to the C scanner, which gives up (ValueError) on those of more than 4,300 digits.
_FAST = json.JSONDecoder(parse_float=_parse_float, parse_constant=_refuse_constant)
_scan: Callable[[str, int], tuple[Any, int]] = vars(_FAST)["scan_once"]
_PATIENT = json.JSONDecoder(parse_float=_parse_float, parse_int=_parse_int, parse_constant=_refuse_constant)
_ENCODERS = {
    sort_keys: json.JSONEncoder(
        ensure_ascii=False,
        check_circular=False,
        allow_nan=False,
        sort_keys=sort_keys,
        separators=(",", ":"),
        default=_leave_fast_path,
    )
    for sort_keys in (False, True)
}
