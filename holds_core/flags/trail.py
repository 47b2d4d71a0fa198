"""The trail of flags, and whether it is as it was written.

Each entry is sealed to the one before: its hash is SHA-256 over that one's hash and over everything that it says.
Whoever changes, takes out or puts in an entry breaks the chain there, unless they write all of it anew from there on;
against that, the hash of an entry is in the event that says it, and its head can be kept elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row, tuple_row

from holds_core.database.queries import query
from holds_core.errors import raise_translated
from holds_core.flags.values import Setting


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of the trail.

    Attributes:
        position: Its place in the chain, from 1; None where it is not sealed yet.
        previous_hash: The hash of the entry before, empty for the first.
        hash: Its own.
        hashed_text: What that is over, beside the hash before.
        at: When, by the database's clock, UTC.
        environment: Where; None where it is about no environment.
        flag: What was changed; None where it is about an actor.
        restaurant_id: For whom alone.
        action: What was done.
        change_id: To which change.
        revision: At which revision of it.
        person: For whom it counts; None where a login is nobody's, or nobody was there.
        login: Who was logged in: another login of that person, or a service that acts for them.
        from_setting: What was set before; None: nothing. Of a review: before the change that it is of.
        to_setting: What is, or was to be, set.
        reason: Why.
        details: What else there is to say.
    """

    position: int | None
    previous_hash: bytes | None
    hash: bytes | None
    hashed_text: str
    at: datetime
    environment: str | None
    flag: str | None
    restaurant_id: UUID | None
    action: str
    change_id: int | None
    revision: int | None
    person: str | None
    login: str
    from_setting: Setting | None
    to_setting: Setting | None
    reason: str | None
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """Whether the trail holds.

    Attributes:
        entries: How many there are.
        head: The last position and its hash, to be kept elsewhere; None where there is none.
        problems: What is wrong, one sentence each, the first broken link first.
    """

    entries: int
    head: tuple[int, str] | None
    problems: tuple[str, ...]


def read_trail(connection: psycopg.Connection[Any], after: int = 0) -> list[Entry]:
    """Return the trail from a position on; what is not sealed yet comes last."""
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(query("list_flag_audit"), {"after": after}).fetchall()
    except psycopg.Error as error:
        raise_translated(error)
    return [*_with_reviews([_entry_from(row) for row in rows])]


def _with_reviews(entries: list[Entry]) -> Iterator[Entry]:
    """Give each review what its change has changed from, which the database does not repeat there."""
    before = {entry.change_id: entry.from_setting for entry in entries if entry.action == "break-glass"}
    for entry in entries:
        yield replace(entry, from_setting=before.get(entry.change_id)) if entry.action == "reviewed" else entry


def last_rollback(entries: list[Entry], flag: str, environment: str) -> Entry | None:
    """Return the rollback that has brought a flag to where it is; None where it came there otherwise."""
    sets = [
        entry
        for entry in entries
        if (entry.flag, entry.environment, entry.restaurant_id) == (flag, environment, None)
        and entry.action in ("rolled back", "applied", "set directly", "moved", "break-glass")
    ]
    # What takes a stage back is also applied, in the same moment and under the same number.
    newest = [entry for entry in sets[-2:] if entry.change_id == sets[-1].change_id]
    return next((entry for entry in newest if entry.action == "rolled back"), None)


def verify_trail(connection: psycopg.Connection[Any], anchor: tuple[int, str] | None = None) -> Verdict:
    """Walk the chain, and compare its last words with what is in force.

    Args:
        connection: As ``holds_operator``, or the owner.
        anchor: A head that was kept elsewhere, which the chain has to contain: position and hash in hexadecimal.
    """
    entries = read_trail(connection)
    problems = [*broken_links(entries, anchor)]
    try:
        with connection.cursor(row_factory=tuple_row) as cursor:
            problems += [problem for (problem,) in cursor.execute(query("flag_state_problems"))]
    except psycopg.Error as error:
        raise_translated(error)
    sealed = [entry for entry in entries if entry.position is not None and entry.hash is not None]
    head = (sealed[-1].position or 0, sealed[-1].hash.hex()) if sealed and sealed[-1].hash else None
    return Verdict(len(entries), head, tuple(problems))


def broken_links(entries: list[Entry], anchor: tuple[int, str] | None = None) -> Iterator[str]:
    """Say where the chain is broken, first things first; nothing where it is whole."""
    expected_position, expected_hash = 1, b""
    for entry in entries:
        if entry.position is None:
            continue
        where = f"entry {entry.position} ({entry.action} {entry.flag or 'an actor'}, {_moment(entry.at)})"
        if entry.position != expected_position:
            yield f"{_gap(expected_position, entry.position)} missing before {where}"
        elif entry.previous_hash != expected_hash:
            yield f"{where} does not follow on the entry before: that one was changed, or this one put in"
        digest = hashlib.sha256((entry.previous_hash or b"") + entry.hashed_text.encode()).digest()
        if digest != entry.hash:
            yield f"{where} does not say what it said when it was sealed"
        expected_position, expected_hash = entry.position + 1, entry.hash or b""
    if anchor is not None:
        known = {entry.position: entry.hash.hex() for entry in entries if entry.hash is not None}
        if known.get(anchor[0]) != anchor[1]:
            yield f"the head that was kept elsewhere, entry {anchor[0]}, is not in the chain"


def _gap(first: int, after: int) -> str:
    return f"entry {first} is" if after == first + 1 else f"entries {first} to {after - 1} are"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


_FIELDS = tuple(field.name for field in fields(Entry))


def _entry_from(row: Mapping[str, Any]) -> Entry:
    values = {field: row[field] for field in _FIELDS}
    for name in ("from_setting", "to_setting"):
        setting = values[name]
        # Where a definition was synced, there are the defaults of every environment instead.
        values[name] = Setting.from_json(setting) if setting is not None and "value" in setting else None
    return Entry(**values)
