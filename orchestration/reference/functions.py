"""docs/reference/functions.md: the SQL functions that a role may execute, as a migrated database knows them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from dashboards.anchors import anchor
from orchestration.markdown import head, prose, table

_ROLES = {
    "holds_app": "What a booking platform calls; the clients do it for you.",
    "holds_operator": "What people on call and those who change flags call; the commands do it for you.",
    "analytics_reader": "What analysts and Grafana call.",
}

_CAST = re.compile(r"(null|'[^']*')::[\w ]+(?:\[\])?")
"""The server says of each default which type it has; the argument's stands beside it."""

_FUNCTIONS = """
select
    proname as name,
    pg_get_function_arguments(pg_proc.oid) as arguments,
    pg_get_function_result(pg_proc.oid) as result,
    coalesce(obj_description(pg_proc.oid, 'pg_proc'), '') as comment,
    array(
        select role from unnest(%(roles)s::text[]) with ordinality as roles (role, position)
        where has_function_privilege(role, pg_proc.oid, 'execute')
        order by position
    ) as roles
from pg_proc
where pronamespace = 'holds'::regnamespace and prokind = 'f'
order by proname collate "C", pg_get_function_identity_arguments(pg_proc.oid) collate "C"
"""


@dataclass(frozen=True)
class _Function:
    name: str
    arguments: str
    result: str
    comment: str
    roles: list[str]


def page(connection: psycopg.Connection) -> str:
    """Return the page."""
    with connection.cursor(row_factory=class_row(_Function)) as cursor:
        functions = cursor.execute(_FUNCTIONS, {"roles": list(_ROLES)}).fetchall()
    granted = [function for function in functions if function.roles]
    lines = head("SQL functions", "a migrated database")
    lines += [
        "In the schema `holds`. They are the only way to it: no role may read or write a table there. Call them by "
        "name (`p_reason => '…'`): arguments may be added. [Holds](../holds.md) and "
        "[feature flags](../feature-flags/README.md) say what they are for.",
        "",
    ]
    names = {function.name: function for function in reversed(granted)}
    rows = ((f"[`{name}`](#{anchor(name)})", ", ".join(names[name].roles)) for name in sorted(names))
    lines += table(("function", "may be executed by"), rows)
    for name in sorted(names):
        lines += [f"## {name}", ""]
        for function in (one for one in granted if one.name == name):
            lines += [*([prose(function.comment), ""] if function.comment else []), "```sql"]
            lines += [_signature(function), "```", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _signature(function: _Function) -> str:
    arguments = _lines(_plain(function.arguments).split(", p_"), ", p_")
    result = _plain(function.result)
    if result.startswith("TABLE("):
        result = f"table ({_lines(result.removeprefix('TABLE(').removesuffix(')').split(', '), ', ')})"
    return f"holds.{function.name}({arguments}) returns {result.replace('SETOF ', 'setof ')}"


def _lines(parts: list[str], separator: str) -> str:
    """Return one line for each part; ``separator`` stood between them, and begins with a comma."""
    if parts == [""]:
        return ""
    between = f",\n    {separator.removeprefix(', ')}"
    return f"\n    {between.join(parts)}\n"


def _plain(text: str) -> str:
    """Return types and defaults as the migrations write them."""
    text = text.replace("timestamp with time zone", "timestamptz").replace("time without time zone", "time")
    text = text.replace("double precision", "float8")
    return _CAST.sub(r"\1", text.replace(" DEFAULT ", " default ").replace("NULL::", "null::"))
