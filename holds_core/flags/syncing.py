"""Brings the definitions of this release into a database, whose functions judge changes by them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import psycopg

from holds_core.database.queries import query
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.model import FlagDefinition


def sync_definitions(
    connection: psycopg.Connection[Any], definitions: Mapping[str, FlagDefinition] | None = None
) -> int:
    """Make a database's definitions those of this release; return how many were new, changed or retired.

    Every one of them is an entry of the trail. Flags that nothing else is set for follow their definition at once.

    Args:
        connection: As the owner of the schema.
        definitions: Others than this release's, by name.

    Raises:
        FlagDefinitionError: A definition makes no sense.
        psycopg.Error: The database refuses.
    """
    wanted = packaged_definitions() if definitions is None else definitions
    texts = json.dumps({name: definition.as_json() for name, definition in wanted.items()})
    row = connection.execute(query("sync_flag_definitions"), {"definitions": texts}).fetchone()
    assert row is not None
    return int(row[0])
