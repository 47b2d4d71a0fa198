"""A booking platform's holds over HTTP: one pool, one deadline a request, and an answer that says what to do next.

BOOKING_DATABASE_URL=postgresql://… uvicorn --app-dir docs/examples fastapi_app:app

The login needs the role holds_app, and nothing more.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, Header, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, Field

from holds_core import (
    AsyncHoldClient,
    Hold,
    HoldConflictError,
    HoldCutoffError,
    HoldExpiredError,
    HoldNotFoundError,
    HoldOutcomeUnknownError,
    HoldRateLimitError,
    HoldRequest,
    HoldRequestError,
    HoldRetryExhaustedError,
    HoldsError,
    HoldUnavailableError,
    assert_enforced,
)
from holds_core.database.connections import connect

log = logging.getLogger("bookings")

MAX_CONNECTIONS = 10
"""Of this process. Some 8 to 16 saturate a database of two cores; more make requests wait there instead of here."""

DEADLINE_MS = 3_000
"""How long a guest waits at most, whatever the database and the network do. The server gives up as soon, too."""

AGAIN_SECONDS = 1
"""When to come again after what passes: a lock, a failover, an answer that was lost."""

_STATUS: tuple[tuple[type[HoldsError], HTTPStatus], ...] = (
    (HoldConflictError, HTTPStatus.CONFLICT),
    (HoldRateLimitError, HTTPStatus.TOO_MANY_REQUESTS),
    (HoldExpiredError, HTTPStatus.GONE),
    (HoldNotFoundError, HTTPStatus.NOT_FOUND),
    (HoldRequestError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (HoldCutoffError, HTTPStatus.SERVICE_UNAVAILABLE),
    (HoldUnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (HoldRetryExhaustedError, HTTPStatus.SERVICE_UNAVAILABLE),
    (HoldOutcomeUnknownError, HTTPStatus.SERVICE_UNAVAILABLE),
)
"""The first that fits. What is left is ours to mend (a role is missing, a schema is old): 500, and a traceback."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Refuse to start unless overlaps are refused; keep one pool while it serves; drain the event spool at the end.

    The server calls the end once requests in flight are answered.
    """
    url = os.environ.get("BOOKING_DATABASE_URL")
    if not url:
        raise RuntimeError(
            "Set BOOKING_DATABASE_URL: postgresql://login:password@host:5432/database, with the role holds_app."
        )
    await asyncio.to_thread(_assert_enforced, url)
    deadline = timedelta(milliseconds=DEADLINE_MS)
    async with AsyncHoldClient.connect(url, max_connections=MAX_CONNECTIONS, deadline=deadline) as client:
        app.state.holds = client
        yield


def _assert_enforced(url: str) -> None:
    with connect(url) as connection:
        assert_enforced(connection)


app = FastAPI(title="Bookings", lifespan=lifespan)


class Wanted(BaseModel):
    """What a guest wants."""

    restaurant_id: UUID
    table_ids: tuple[UUID, ...] = Field(min_length=1)
    booking_id: UUID
    starts_at: AwareDatetime
    ends_at: AwareDatetime


class Placed(BaseModel):
    """A hold as a guest's page shows it."""

    id: UUID
    status: str
    table_ids: tuple[UUID, ...]
    starts_at: datetime
    ends_at: datetime
    expires_at: datetime | None


@app.post("/holds", status_code=HTTPStatus.CREATED)
async def place(
    wanted: Wanted,
    request: Request,
    response: Response,
    idempotency_key: Annotated[str, Header(min_length=1, max_length=200)],
    x_deadline_ms: Annotated[int, Header(ge=50, le=DEADLINE_MS)] = DEADLINE_MS,
) -> Placed:
    """Hold tables. Asking again with the same key gives the same hold: 200, where the first answer was 201."""
    hold = await _client(request).place(
        HoldRequest(
            restaurant_id=wanted.restaurant_id,
            table_ids=wanted.table_ids,
            starts_at=wanted.starts_at,
            ends_at=wanted.ends_at,
            booking_id=wanted.booking_id,
            idempotency_key=idempotency_key,
        ),
        deadline=timedelta(milliseconds=x_deadline_ms),
    )
    if hold.status not in ("held", "confirmed"):
        raise HoldExpiredError("This key's hold is over. Place a new one, with a new key.")
    if hold.is_replay:
        response.status_code = HTTPStatus.OK
    return _placed(hold)


@app.post("/holds/{hold_id}/confirm")
async def confirm(hold_id: UUID, request: Request) -> Placed:
    """Make a hold lasting. Confirming it again is harmless."""
    return _placed(await _client(request).confirm(hold_id))


@app.delete("/holds/{hold_id}")
async def release(hold_id: UUID, request: Request) -> Placed:
    """Free the tables. Releasing them again is harmless."""
    return _placed(await _client(request).release(hold_id))


@app.exception_handler(HoldsError)
async def refuse(request: Request, error: HoldsError) -> JSONResponse:
    """Say what happened, and what to do: other tables, later, or the same request with the same key."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    if status is None:
        raise error
    body: dict[str, object] = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, HoldUnavailableError):
        # Which host refuses which login is for our log.
        log.warning("%s", error)
        body["message"] = "Nothing has changed. Try again."
    headers: dict[str, str] = {}
    if isinstance(error, HoldConflictError):
        body["conflicts"] = error.conflicts
    if isinstance(error, HoldRateLimitError) and error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after.total_seconds()))
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(AGAIN_SECONDS)
        # The key is what makes repeating safe: whoever made it up on the way gets it back.
        if (key := request.headers.get("idempotency-key")) is not None:
            headers["Idempotency-Key"] = key
    return JSONResponse(jsonable_encoder(body), status, headers)


def _client(request: Request) -> AsyncHoldClient:
    client: AsyncHoldClient = request.app.state.holds
    return client


def _placed(hold: Hold) -> Placed:
    return Placed.model_validate(hold, from_attributes=True)
