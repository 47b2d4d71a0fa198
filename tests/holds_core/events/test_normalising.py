"""One mapping of any dialect becomes the event that it means, or is rejected with a reason."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest

from holds_core.events.errors import LineRejectedError
from holds_core.events.json_text import Number, serialise
from holds_core.events.normalising import DERIVED_ID_NAMESPACE, EventRow, ImportRules, normalise

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
RULES = ImportRules.at(NOW, "staging")
ID = "0b0e1c2e-6c1f-4d7a-9c3b-2f5d8e7a1b01"
RESTAURANT = "11111111-2222-4333-8444-555555555555"
BOOKING = "66666666-7777-4888-9999-aaaaaaaaaaaa"


def read(**members: Any) -> EventRow:
    """Normalise a minimal event with the given members added or replaced."""
    return normalise({"event_type": "t", "occurred_at": "2026-11-20T10:00:00Z", **members}, RULES)


def test_native_row_arrives_as_it_is() -> None:
    """Nothing is added to a complete event, and the event that was given is not changed."""
    line = {
        "id": ID,
        "occurred_at": "2026-11-20T12:00:00.25+02:00",
        "environment": "prod",
        "source": "capacity.selector",
        "event_type": "capacity.selector.assignment",
        "severity": "warning",
        "restaurant_id": RESTAURANT,
        "booking_id": BOOKING,
        "context": {"attempts": 1, "restaurantId": "another"},
    }

    assert normalise(line, RULES) == (
        ID,
        datetime(2026, 11, 20, 10, 0, 0, 250000, tzinfo=UTC),
        "prod",
        "capacity.selector",
        "capacity.selector.assignment",
        "warning",
        RESTAURANT,
        BOOKING,
        {"attempts": 1, "restaurantId": "another"},
    )


def test_supabase_row_is_mapped() -> None:
    """The time comes from created_at, the references from the context, where they stay."""
    context = {"restaurantId": RESTAURANT, "bookingId": BOOKING.upper(), "attempts": 2}

    row = normalise({"event_type": "t", "created_at": "2026-11-20 10:00:00.1+00", "context": context}, RULES)

    assert row.occurred_at == datetime(2026, 11, 20, 10, 0, 0, 100000, tzinfo=UTC)
    assert (row.restaurant_id, row.booking_id) == (RESTAURANT, BOOKING)
    assert row.context == context


@pytest.mark.parametrize("given", [{}, {"environment": None, "source": None, "severity": None}])
def test_missing_labels_get_their_defaults(given: dict[str, Any]) -> None:
    """A missing environment is the importer's own; absent and null are the same."""
    row = read(**given)

    assert (row.environment, row.source, row.severity, row.context) == ("staging", "import", "info", {})


def test_empty_labels_are_missing() -> None:
    """An empty text says no more than none."""
    row = read(environment="", source="", severity="", id="")

    assert (row.environment, row.source, row.severity, row.context) == ("staging", "import", "info", {})


def test_labels_of_another_type_are_kept_as_invalid() -> None:
    """The default is taken, and what was there is not lost; false and 0 are values, not missing."""
    row = read(environment=0, source={"a": [1]}, severity=False)

    assert (row.environment, row.source, row.severity) == ("staging", "import", "info")
    assert row.context == {"_invalid": {"environment": 0, "source": {"a": [1]}, "severity": False}}


def test_odd_labels_are_stored_as_they_are() -> None:
    """Whether a text is a known one is not the importer's to judge."""
    row = read(event_type="Never.Heard ", environment="qa", severity="FATAL", source=" x")

    assert (row.event_type, row.environment, row.severity, row.source) == ("Never.Heard ", "qa", "FATAL", " x")


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"event_type": None}, "event_type is missing"),
        ({"event_type": ""}, "event_type is empty"),
        ({"event_type": 5}, "event_type is no string"),
        ({"event_type": ["t"]}, "event_type is no string"),
        ({"occurred_at": None}, "no time"),
        ({"occurred_at": ""}, "no time"),
        ({"occurred_at": "", "created_at": ""}, "no time"),
        ({"occurred_at": "yesterday"}, "no readable time"),
        ({"occurred_at": "2026-11-20T10:00:60Z"}, "no readable time"),
        ({"occurred_at": "2026-02-30"}, "no readable time"),
        ({"occurred_at": 1795168800}, "no readable time"),
        ({"occurred_at": 1795168800.5}, "no readable time"),
        ({"occurred_at": Number("1e400")}, "no readable time"),
        ({"occurred_at": False}, "no readable time"),
        ({"occurred_at": {}}, "no readable time"),
        ({"occurred_at": "soon", "created_at": "2026-11-20T10:00:00Z"}, "no readable time"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "out of range"),
        ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "out of range"),
        ({"occurred_at": "0001-01-01T00:00:00"}, "out of range"),
        ({"occurred_at": "1970-01-01T00:00:00Z"}, "out of range"),
        ({"context": "{}"}, "context is neither"),
        ({"context": ""}, "context is neither"),
        ({"context": []}, "context is neither"),
        ({"context": False}, "context is neither"),
        ({"context": 0}, "context is neither"),
        ({"context": Number("1e400")}, "context is neither"),
    ],
)
def test_what_is_no_event_is_rejected(members: dict[str, Any], reason: str) -> None:
    """Each with the reason that a person can act on."""
    with pytest.raises(LineRejectedError, match=reason):
        read(**members)


def test_columns_in_camel_case_are_columns() -> None:
    """Where both names are there the column's own counts, and nothing is lost; the id is that of the line as it was."""
    line = {"eventType": "t", "occurredAt": "2026-11-20T10:00:00Z", "restaurantId": RESTAURANT, "bookingId": "x"}
    row = normalise(line, RULES)
    both = normalise({**line, "restaurant_id": BOOKING}, RULES)

    assert (row.event_type, row.restaurant_id, row.booking_id) == ("t", RESTAURANT, None)
    assert row.context == {"_invalid": {"booking_id": "x"}}
    assert (both.restaurant_id, both.context["_extra"]) == (BOOKING, {"restaurantId": RESTAURANT})
    assert row.id == str(uuid5(DERIVED_ID_NAMESPACE, serialise(line, sort_keys=True)))


def test_missing_event_type_is_rejected() -> None:
    """Absent is missing, too."""
    with pytest.raises(LineRejectedError, match="event_type is missing"):
        normalise({"occurred_at": "2026-11-20T10:00:00Z"}, RULES)


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-20T10:00:00Z",
        "2026-11-20 10:00:00+00",
        "2026-11-20T10:00:00",
        "2026-11-20T15:30:00+0530",
        "2026-11-20 00:00:00-10:00",
        "20261120T100000Z",
        "2026-W47-5T10:00:00Z",
        "2026-11-20T10",
    ],
)
def test_iso_8601_is_read_and_without_an_offset_it_is_utc(written: str) -> None:
    """Every writing of one moment gives that moment, in UTC."""
    row = read(occurred_at=written)

    assert row.occurred_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert row.occurred_at.tzinfo is UTC


def test_range_borders_are_exact() -> None:
    """From the start of the UTC day 90 days ago to one day ahead of now, both included."""
    oldest = datetime(2026, 8, 24, tzinfo=UTC)
    newest = NOW + timedelta(days=1)
    step = timedelta(microseconds=1)

    assert read(occurred_at=oldest.isoformat()).occurred_at == oldest
    assert read(occurred_at=newest.isoformat()).occurred_at == newest
    with pytest.raises(LineRejectedError, match="2026-08-24"):
        read(occurred_at=(oldest - step).isoformat())
    with pytest.raises(LineRejectedError, match="ahead of now"):
        read(occurred_at=(newest + step).isoformat())


def test_range_follows_utc_days_wherever_the_clock_is() -> None:
    """A clock east of UTC is already in tomorrow; the oldest day is still reckoned in UTC."""
    early = datetime.fromisoformat("2026-11-23T01:00:00+05:00")

    assert ImportRules.at(early, "dev").oldest == datetime(2026, 8, 24, tzinfo=UTC)


def test_an_offset_decides_whether_a_time_is_in_range() -> None:
    """The local date is 24 August, the UTC one the day before."""
    with pytest.raises(LineRejectedError, match="out of range"):
        read(occurred_at="2026-08-24T00:30:00+01:00")


@pytest.mark.parametrize("given", [{}, {"id": None}, {"id": ""}])
def test_missing_id_is_derived_from_the_content(given: dict[str, Any]) -> None:
    """The same content has the same id; other content another one; nothing else is noted."""
    first, again, other = (
        read(context={"n": 1}, **given),
        read(context={"n": 1}, **given),
        read(context={"n": 2}, **given),
    )

    assert first.id == again.id != other.id
    assert first.context == {"n": 1}


def test_derived_id_is_the_one_of_every_release() -> None:
    """An export imported again by a later release must give the same ids."""
    namespace = UUID("6f1d6a54-3f0b-5c0e-9d7a-4b5f0c2d8e11")
    content = '{"context":{"a":[1.5,"é"],"b":1},"event_type":"t","occurred_at":"2026-11-20T10:00:00Z"}'

    assert read(context={"b": 1, "a": [1.5, "é"]}).id == str(uuid5(namespace, content))


def test_derived_id_does_not_depend_on_the_order_of_keys_nor_on_columns_that_say_nothing() -> None:
    """Key order is no content, and neither is a column of the table that is null."""
    one = {"event_type": "t", "occurred_at": "2026-11-20T10:00:00Z", "context": {"a": 1, "b": {"c": 1, "d": 2}}}
    other = {"context": {"b": {"d": 2, "c": 1}, "a": 1}, "occurred_at": "2026-11-20T10:00:00Z", "event_type": "t"}

    assert normalise(one, RULES).id == normalise(other | {"id": None, "recorded_at": None}, RULES).id


@pytest.mark.parametrize("source_id", ["order-7", 7, ["x"], {"a": None}, True, Number("1e999"), f"{ID}0"])
def test_id_that_is_no_uuid_is_derived_and_kept(source_id: Any) -> None:
    """Two source ids give two events, and each is found again under its own."""
    row, other = read(id=source_id), read(id="another")

    assert row.id != other.id
    assert row.context == {"_source_id": source_id}


@pytest.mark.parametrize("written", [ID, ID.upper(), ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}"])
def test_uuid_is_read_in_every_writing(written: str) -> None:
    """What Python's uuid.UUID reads is a UUID, for all three columns."""
    row = read(id=written, restaurant_id=written, booking_id=written)

    assert (row.id, row.restaurant_id, row.booking_id, row.context) == (ID, ID, ID, {})


@pytest.mark.parametrize("value", ["x", "", 5, {"a": 1}, [], True])
def test_reference_that_is_no_uuid_becomes_null_and_is_kept(value: Any) -> None:
    """The context's own reference does not stand in for one that is there but wrong."""
    row = read(restaurant_id=value, booking_id=value, context={"restaurantId": RESTAURANT})

    assert (row.restaurant_id, row.booking_id) == (None, None)
    assert row.context == {"restaurantId": RESTAURANT, "_invalid": {"restaurant_id": value, "booking_id": value}}


def test_reference_in_the_context_that_is_no_uuid_is_kept_too() -> None:
    """It stays where it was, and is noted as invalid."""
    row = read(restaurant_id=None, context={"restaurantId": "x", "bookingId": None})

    assert (row.restaurant_id, row.booking_id) == (None, None)
    assert row.context == {"restaurantId": "x", "bookingId": None, "_invalid": {"restaurant_id": "x"}}


def test_unknown_members_are_kept() -> None:
    """So are the source's own clock and order; a null among unknown members is content."""
    row = read(shard=None, recorded_at="2026-11-20T10:00:01Z", ingest_pos=7, **{"": [1]})

    assert row.context == {
        "_extra": {"shard": None, "recorded_at": "2026-11-20T10:00:01Z", "ingest_pos": 7, "": [1]},
    }


def test_time_column_that_was_not_used_is_kept() -> None:
    """Both times were read, so both are kept."""
    assert read(created_at="whenever").context == {"_extra": {"created_at": "whenever"}}
    assert read(created_at=None, recorded_at=None, ingest_pos=None).context == {}


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"_invalid": "odd"}, {"_invalid": {"severity": 1, "_invalid": "odd"}}),
        ({"_invalid": None}, {"_invalid": {"severity": 1, "_invalid": None}}),
        ({"_invalid": {"a": 2}}, {"_invalid": {"severity": 1, "a": 2}}),
        ({"_invalid": {"severity": 2}}, {"_invalid": {"severity": 1, "_invalid": {"severity": 2}}}),
    ],
)
def test_what_the_context_holds_already_is_not_lost(context: dict[str, Any], expected: dict[str, Any]) -> None:
    """The importer's own keys make room for what is there; the line's own context is not touched."""
    before = copy.deepcopy(context)

    assert read(severity=1, context=context).context == expected
    assert context == before


def test_source_id_that_the_context_holds_already_is_not_lost() -> None:
    """Both are there afterwards."""
    row = read(id="new", context={"_source_id": "old", "_extra": 5})

    assert row.context == {"_source_id": "new", "_extra": {"context._source_id": "old", "_extra": 5}}
