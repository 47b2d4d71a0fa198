"""A server that speaks what PostgREST speaks of RPCs and errors, over the real database.

Roles by JWT (HS256), the schema by ``Content-Profile``, functions and their parameters from a schema cache that is read
once: after a migration it is stale, as PostgREST's is until it is told to reload. Source: PostgREST 12, "Functions as
RPC", "Errors", "Authentication".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

SCHEMA = "holds"
SECRET = b"not a secret: it signs the tokens of a test"

_STATUS = {"23": 409, "42501": 403, "42883": 404, "42P01": 404, "P0001": 400, "25006": 405, "22": 400, "57014": 500}


@dataclass(frozen=True)
class _Function:
    """A function as the schema cache knows it."""

    parameters: dict[str, str]
    required: frozenset[str]
    is_set: bool


@dataclass
class PostgrestServer:
    """The server, and what the test has told it to do wrong."""

    url: str
    database_url: str
    cache: dict[str, _Function]
    failures: list[tuple[int, dict[str, Any] | None]] = field(default_factory=list)
    lost_answers: int = 0
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def fail_next(self, status: int, body: dict[str, Any] | None = None) -> None:
        """Answer the next call with this, without carrying it out; without a body, as a gateway would."""
        self.failures.append((status, body))

    def lose_answers(self, count: int) -> None:
        """Carry out the next calls, and close the connection instead of answering."""
        self.lost_answers = count

    def forget_parameters(self, function: str, *names: str) -> None:
        """Make the schema cache stale: it does not know these yet."""
        known = self.cache[function]
        kept = {name: kind for name, kind in known.parameters.items() if name not in names}
        self.cache[function] = _Function(kept, known.required, known.is_set)

    def reload_schema_cache(self) -> None:
        """As after ``notify pgrst, 'reload schema'``."""
        self.cache = _schema_cache(self.database_url)


def token(role: str, secret: bytes = SECRET) -> str:
    """Return a JWT for a role."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT"}, {"role": role})
    ]
    signature = hmac.new(secret, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@contextmanager
def postgrest_server(database_url: str) -> Iterator[PostgrestServer]:
    """Serve the database for the length of the block."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server = PostgrestServer(f"http://127.0.0.1:{http.server_port}", database_url, _schema_cache(database_url))
    http.state = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _schema_cache(database_url: str) -> dict[str, _Function]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select proname, coalesce(proargnames, '{}'), coalesce(proargmodes, '{}'),"
            " array(select format_type(kind, null) from unnest(proargtypes) with ordinality as a (kind, n) order by n),"
            " pronargdefaults, proretset"
            " from pg_proc where pronamespace = %s::regnamespace",
            (SCHEMA,),
        ).fetchall()
    cache = {}
    for name, names, modes, kinds, defaults, is_set in rows:
        inputs = [one for one, mode in zip(names, modes or "i" * len(names), strict=False) if mode in "ib"]
        parameters = dict(zip(inputs, kinds, strict=False))
        required = frozenset(inputs[: len(inputs) - defaults])
        cache[name] = _Function(parameters, required, is_set)
    return cache


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str, details: str | None = None) -> None:
        self.status = status
        self.body = {"code": code, "message": message, "details": details, "hint": None}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a call."""
        state: PostgrestServer = self.server.state  # type: ignore[attr-defined]
        arguments = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        name = self.path.removeprefix("/rpc/")
        state.calls.append((name, arguments))
        if state.failures:
            status, body = state.failures.pop(0)
            self._answer(status, "<html>Bad gateway</html>" if body is None else body)
            return
        try:
            answer = self._carry_out(state, name, arguments)
        except _RefusedError as refused:
            self._answer(refused.status, refused.body)
            return
        except psycopg.Error as error:
            code = error.sqlstate or "XX000"
            status = _STATUS.get(code) or _STATUS.get(code[:2]) or 500
            diag = error.diag
            self._answer(
                status,
                {
                    "code": code,
                    "message": diag.message_primary,
                    "details": diag.message_detail,
                    "hint": diag.message_hint,
                },
            )
            return
        if state.lost_answers > 0:
            state.lost_answers -= 1
            self.close_connection = True
            self.connection.close()
            return
        self._answer(200, answer)

    def _carry_out(self, state: PostgrestServer, name: str, arguments: dict[str, Any]) -> Any:
        role = self._role()
        if self.headers.get("Content-Profile") != SCHEMA:
            raise _RefusedError(406, "PGRST106", "The schema must be one of the following: holds")
        function = state.cache.get(name)
        if function is None or not function.required <= arguments.keys() <= function.parameters.keys():
            given = ", ".join(sorted(arguments))
            raise _RefusedError(
                404,
                "PGRST202",
                f"Could not find the function holds.{name}({given}) in the schema cache",
                f"Searched for the function holds.{name} with parameters {given}, but no matches were found.",
            )
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(one), sql.SQL(function.parameters[one])) for one in arguments
        )
        passed = sql.SQL(", ").join(sql.SQL("{0} => args.{0}").format(sql.Identifier(one)) for one in arguments)
        source = sql.SQL("from json_to_record(%s) as args ({})").format(columns) if arguments else sql.SQL("")
        call = sql.SQL("{}.{}({})").format(sql.Identifier(SCHEMA), sql.Identifier(name), passed)
        if function.is_set:
            joined = sql.SQL("{}, lateral {} as result").format(source, call)
            query = sql.SQL("select coalesce(json_agg(result), '[]') {}").format(joined)
        else:
            query = sql.SQL("select to_json({}) {}").format(call, source)
        with psycopg.connect(state.database_url, row_factory=tuple_row) as connection:
            connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            connection.execute("set local timezone to 'UTC'")
            row = connection.execute(query, (json.dumps(arguments),) if arguments else None).fetchone()
            connection.commit()
        return None if row is None else row[0]

    def _role(self) -> str:
        scheme, _, presented = (self.headers.get("Authorization") or "").partition(" ")
        if scheme != "Bearer" or not presented:
            return "anon"
        head, _, signature = presented.rpartition(".")
        expected = base64.urlsafe_b64encode(hmac.new(SECRET, head.encode(), hashlib.sha256).digest()).rstrip(b"=")
        if not hmac.compare_digest(expected, signature.encode()):
            raise _RefusedError(401, "PGRST301", "JWSError JWSInvalidSignature")
        claims = head.partition(".")[2]
        return str(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["role"])

    def _answer(self, status: int, body: Any) -> None:
        is_text = isinstance(body, str) and body.startswith("<")
        data = body.encode() if is_text else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if is_text else "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests do."""
