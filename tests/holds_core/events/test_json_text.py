"""JSON goes through unharmed, or is refused where PostgreSQL would refuse it."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holds_core.events.errors import LineRejectedError
from holds_core.events.json_text import Number, fits_numeric, has_nul, parse, serialise

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_values_survive_the_round(value: Any) -> None:
    """What is parsed and written again is what it was."""
    assert json.loads(serialise(parse(json.dumps(value)))) == value


@pytest.mark.parametrize(
    "text",
    ["1e400", "-1E+400", "0.1234567890123456789012", "1.50", "1e3", "-0.0", "0.30000000000000004", "7" * 5000],
)
def test_numbers_are_written_as_they_were_read(text: str) -> None:
    """No rounding, no infinity, no limit on digits; wherever in the value they are."""
    line = f'{{"a":[{text},"x"],"{text}":{{"b":{text}}}}}'

    assert serialise(parse(line)) == line


def test_keys_are_sorted_on_both_ways() -> None:
    """A derived id must not depend on whether a number is an odd one."""
    assert serialise({"b": 1, "a": {"d": 1, "c": 2}}, sort_keys=True) == '{"a":{"c":2,"d":1},"b":1}'
    assert serialise({"b": Number("1.50"), "a": {"d": 1, "c": 2}}, sort_keys=True) == '{"a":{"c":2,"d":1},"b":1.50}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("{} {}", "no JSON"),
        ('{"a":NaN}', "NaN"),
        ("[-Infinity]", "-Infinity"),
        ('{"a":"\n"}', "no JSON"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested too deeply"),
        ("1e131072", "numeric"),
        ("1e-16384", "numeric"),
        ("8" * 131073, "numeric"),
        ("01", "no JSON"),
    ],
)
def test_what_cannot_be_stored_is_refused(text: str, reason: str) -> None:
    """With the reason, and without a crash."""
    with pytest.raises(LineRejectedError, match=reason):
        parse(text)


def test_floats_that_are_no_numbers_are_refused() -> None:
    """A Parquet file can hold them."""
    for value in (float("nan"), float("inf")):
        with pytest.raises(LineRejectedError, match="NaN and Infinity"):
            serialise({"a": [value]})
        with pytest.raises(LineRejectedError, match="NaN and Infinity"):
            serialise({"a": [value, Number("1.50")], "b": Number("1.50")})


@pytest.mark.parametrize(
    ("text", "expected"), [("\0", True), ("a\0", True), (r"\u0000", False), ("\\\0", True), ("\\\\u0000", False)]
)
def test_nul_is_found_and_its_spelling_is_not(text: str, expected: bool) -> None:
    """Backslashes before it make no difference; the letters u0000 after a backslash are only letters."""
    assert has_nul(serialise({"a": text})) is expected
    assert has_nul(serialise({text: Number("1.50")})) is expected


@pytest.mark.parametrize(
    "number",
    [
        "1e131071",
        "1e131072",
        "0.1e131072",
        "0.1e131073",
        "0.0001e131075",
        "0.0001e131076",
        "123e131069",
        "123e131070",
        "0e131072",
        "1e-16383",
        "1e-16384",
        "0e-16384",
        "1.5e-16382",
        "1.5e-16383",
        "12.5e16000",
        f"0.{'0' * 16383}",
        f"0.{'0' * 16384}",
        f"-{'9' * 131072}",
        f"-{'9' * 131073}",
        "1e000000000000000005",
        "1e99999999999999999999",
        "0e99999999999999",
    ],
)
def test_limits_are_the_servers_own(connection: psycopg.Connection, number: str) -> None:
    """A number is refused here exactly where the server refuses it."""
    try:
        connection.execute("select %s::jsonb", (number,))
        is_stored = True
    except psycopg.Error:
        is_stored = False

    assert fits_numeric(number) is is_stored
