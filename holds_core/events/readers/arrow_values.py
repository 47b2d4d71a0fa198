"""Arrow's values as JSON has them."""

from __future__ import annotations

import base64
import importlib
from collections.abc import Callable
from typing import Any

from holds_core.events.json_text import Number

Converter = Callable[[Any], Any]


def converter(kind: Any) -> Converter | None:
    """Return the function that makes JSON of a value, not None, of this Arrow type; None where it is JSON already."""
    types: Any = importlib.import_module("pyarrow.types")
    if types.is_dictionary(kind):
        return converter(kind.value_type)
    if types.is_nested(kind):
        return _nested_converter(kind, types)
    if types.is_decimal(kind):
        return lambda value: Number(str(value))
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return as_text
    if types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind) or types.is_boolean(kind):
        return None
    # Times have ISO 8601 as their text; extension types (uuid, json) may give a class of their own, or plain values.
    return None if types.is_floating(kind) or types.is_null(kind) else _as_iso_or_text


def as_text(value: bytes) -> str:
    """Return the bytes as UTF-8 text; in base64 where they are none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode("ascii")


def _nested_converter(kind: Any, types: Any) -> Converter:
    if types.is_map(kind):
        convert_item = converter(kind.item_type) or _unchanged
        return lambda pairs: {str(key): None if item is None else convert_item(item) for key, item in pairs}
    if types.is_struct(kind):
        members = {member.name: converter(member.type) or _unchanged for member in kind}
        # A struct has all its members in every row: null is how it says that one is absent.
        return lambda struct: {name: members[name](item) for name, item in struct.items() if item is not None}
    if types.is_union(kind):
        return _as_iso_or_text
    convert_entry = converter(kind.value_type) or _unchanged
    return lambda entries: [None if entry is None else convert_entry(entry) for entry in entries]


def _as_iso_or_text(value: Any) -> Any:
    if isinstance(value, (str, int, float, list, dict)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _unchanged(value: Any) -> Any:
    return value
