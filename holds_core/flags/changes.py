"""Changes of flags: one person asks, another approves, and the database applies it.

Who acts is the login of the connection; a service says for whom. Everything is decided by the functions of the database
(migration 0020); what they refuse is raised as a :class:`~holds_core.errors.FlagError` that says why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from holds_core.database.queries import query
from holds_core.database.settings import Environment
from holds_core.errors import FlagError, FlagRequestError, FlagStageError, FlagUnsafeError, raise_translated
from holds_core.flags.contradictions import Contradiction
from holds_core.flags.rollouts import naming_flag
from holds_core.flags.values import FlagValue, Setting

OnOverlap = Literal["refuse", "grandfather"]
DEFAULT_EXPIRY = timedelta(days=7)
_OF_CHANGE = re.compile(r"(holdwatch flags (?:edit|apply|withdraw|reject)) ID\b")


@dataclass(frozen=True, kw_only=True)
class FlagChange:
    """A change of a flag, as the database has it.

    Attributes:
        id: Its number.
        environment: Where it counts.
        flag: What it changes.
        restaurant_id: For one restaurant; None: for the environment.
        value: What the flag is to be set to; None takes away what is set.
        percentage: On for so many in a hundred restaurants; None: for all.
        reason: Why.
        unsafe_because: Why it is right although it makes an unsafe combination.
        evidence: What speaks for it.
        on_overlap: What to do about overlapping holds where restaurants become strict.
        base_version: The flag's version that it was asked for.
        revision: Which edit this is; an approval is of one revision.
        is_break_glass: Whether one person made it alone, for a time.
        is_rollback: Whether it took a stage of a rollout back, which needs no approval.
        state: requested, approved, applied, rejected, withdrawn, expired or ended.
        requested_by: Who asked for it.
        requested_login: With which login.
        requested_at: When, UTC.
        expires_at: When the request is void, or the break-glass change ends, UTC.
        approved_by: Who approved it.
        approved_login: With which login.
        approved_at: When, UTC.
        applied_at: Since when it is, or was, in force, UTC.
        applied_version: The flag's version that it made.
        ended_at: When it was closed without being applied, or its break-glass ended, UTC.
        remark: What was said when it was approved, rejected, withdrawn or reviewed.
        reviewed_by: Who looked at a break-glass change afterwards.
        reviewed_at: When, UTC.
    """

    id: int
    environment: Environment
    flag: str
    restaurant_id: UUID | None
    value: FlagValue | None
    percentage: int | None
    reason: str
    unsafe_because: str | None
    evidence: Mapping[str, Any]
    on_overlap: str
    base_version: int
    revision: int
    is_break_glass: bool
    is_rollback: bool
    state: str
    requested_by: str
    requested_login: str
    requested_at: datetime
    expires_at: datetime
    approved_by: str | None
    approved_login: str | None
    approved_at: datetime | None
    applied_at: datetime | None
    applied_version: int | None
    ended_at: datetime | None
    remark: str | None
    reviewed_by: str | None
    reviewed_at: datetime | None

    @property
    def setting(self) -> Setting | None:
        """What the flag is to be set to; None takes away what is set."""
        return None if self.value is None else Setting(self.value, self.percentage)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a change is to do.

    Attributes:
        setting: What to set the flag to; None takes away what is set.
        reason: Why.
        unsafe_because: Why it is right although it makes an unsafe combination.
        on_overlap: What to do about overlapping holds where restaurants become strict.
        expires_in: How long it may wait for an answer, at most 30 days; a break-glass change lasts so long, at most 3.
        evidence: What speaks for it.
    """

    setting: Setting | None
    reason: str
    unsafe_because: str | None = None
    on_overlap: OnOverlap = "refuse"
    expires_in: timedelta = DEFAULT_EXPIRY
    evidence: Mapping[str, Any] | None = None


def edit_command(change: FlagChange) -> str:
    """Return how whoever asked for a change takes it up again."""
    setting = "default" if change.setting is None else change.setting
    return f'holdwatch flags edit {change.id} {setting} --reason "…"'


class FlagChanges:
    """Changes of flags over one connection, whose login is who acts."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        *,
        acting_for: str | None = None,
        variables: Mapping[str, Setting] | None = None,
    ) -> None:
        """Act over a connection.

        Args:
            connection: In autocommit mode, as a login with the role ``holds_operator`` that is somebody's.
            acting_for: The person for whom a service acts; None where the login is a person's.
            variables: Flags that environment variables set, so that unsafe combinations with them are found.
        """
        self.connection = connection
        self._acting_for = acting_for
        self.variables = dict(variables or {})
        self._variables = json.dumps({flag: setting.as_json() for flag, setting in self.variables.items()})

    def request(
        self, flag: str, wish: Wish, *, environment: Environment | None = None, restaurant_id: UUID | None = None
    ) -> FlagChange:
        """Ask for a change; somebody else approves it.

        Args:
            flag: What to change.
            wish: To what, and why.
            environment: Where; the database's own unless given.
            restaurant_id: For one restaurant alone.

        Raises:
            FlagRequestError: It is impossible as asked.
            FlagAccessError: The login is nobody's, or not the one for whom it claims to act.
            FlagStateError: There is nothing to change.
            FlagStageError: It goes up otherwise than by the next stage, soaked and within its guardrails.
            FlagUnsafeError: It would make an unsafe combination, and does not say why that is right.
            HoldsError: The database says no for another reason.
        """
        return self._change(
            "request_flag_change",
            self._parameters(wish) | {"flag": flag, "environment": environment, "restaurant_id": restaurant_id},
        )

    def edit(self, change_id: int, revision: int, wish: Wish) -> FlagChange:
        """Ask for something else instead, which voids an approval; also takes up the flag's present version.

        Raises:
            HoldsError: As :meth:`request`; FlagAccessError also where somebody else has asked for it, FlagStateError
                also where it is closed, or at another revision.
        """
        return self._change("edit_flag_change", self._parameters(wish) | {"change_id": change_id, "revision": revision})

    def approve(self, change_id: int, revision: int, remark: str | None = None, *, apply: bool = True) -> FlagChange:
        """Approve what somebody else has asked for, and put it into force in the same transaction.

        Args:
            change_id: The change.
            revision: The revision that was looked at.
            remark: What to say with it.
            apply: False leaves it to be applied later, by anybody.

        Raises:
            FlagAccessError: The change is one's own, by this login or another.
            FlagStateError: It is closed or approved already, expired, edited since, or the flag has changed since.
            FlagStageError: A guardrail of the stage in force does not hold any more.
            FlagUnsafeError: It would make an unsafe combination by now.
            EnforcementError: Restaurants would become strict whose holds overlap.
            HoldCutoffError: Holds that were being placed did not end in time.
        """
        parameters = {"change_id": change_id, "revision": revision, "remark": remark, "apply": apply}
        return self._change("approve_flag_change", parameters)

    def apply(self, change_id: int, revision: int) -> FlagChange:
        """Put into force what has been approved.

        Raises:
            HoldsError: As :meth:`approve`.
        """
        return self._change("apply_flag_change", {"change_id": change_id, "revision": revision})

    def reject(self, change_id: int, reason: str) -> FlagChange:
        """Say no to what somebody else has asked for."""
        return self._change("reject_flag_change", {"change_id": change_id, "reason": reason})

    def withdraw(self, change_id: int, reason: str) -> FlagChange:
        """Take back what one has asked for; or end a break-glass change before its time, whoever made it."""
        return self._change("withdraw_flag_change", {"change_id": change_id, "reason": reason})

    def break_glass(
        self, flag: str, wish: Wish, *, environment: Environment | None = None, restaurant_id: UUID | None = None
    ) -> FlagChange:
        """Set a flag at once and alone, until ``wish.expires_in`` is over; somebody else has to review it.

        An unsafe combination does not stop it, and is recorded.

        Raises:
            HoldsError: As :meth:`request`, and :meth:`approve` as far as holds go.
        """
        parameters = self._parameters(wish)
        return self._change(
            "break_glass",
            parameters
            | {
                "flag": flag,
                "environment": environment,
                "restaurant_id": restaurant_id,
                "lasts": parameters["expires_in"],
            },
        )

    def review(self, change_id: int, remark: str) -> FlagChange:
        """Say what one found of a break-glass change that somebody else made."""
        return self._change("review_flag_change", {"change_id": change_id, "remark": remark})

    def roll_back(self, flag: str, reason: str, *, environment: Environment | None = None) -> FlagChange:
        """Take a flag that goes up by stages back to the stage before, at once and alone.

        Raises:
            FlagStageError: No stage of it is on its way there.
            FlagAccessError: The login is nobody's.
        """
        return self._change("roll_back_flag", {"flag": flag, "reason": reason, "environment": environment})

    def change_cohort(self, flag: str, reason: str, *, add: Iterable[UUID] = (), remove: Iterable[UUID] = ()) -> int:
        """Name restaurants that take part in a flag's stages, and others that no longer do; return how many do now.

        Raises:
            FlagRequestError: The flag has no stages.
            FlagStageError: A percentage of it is in force or asked for.
            FlagAccessError: The login is nobody's.
        """
        named = {"flag": flag, "reason": reason, "add": list(add), "remove": list(remove)}
        (row,) = _rows(self.connection, "set_rollout_cohort", self._whole(named))
        return int(row["restaurant_count"])

    def show(self, change_id: int) -> FlagChange:
        """Return one change.

        Raises:
            FlagRequestError: There is none of that number.
        """
        found = list_changes(self.connection, only_open=False, change_id=change_id)
        if not found:
            raise FlagRequestError(f"There is no change {change_id}; list them with: holdwatch flags pending --all")
        return found[0]

    def _parameters(self, wish: Wish) -> dict[str, Any]:
        setting = wish.setting
        return {
            "value": None if setting is None else json.dumps(setting.value),
            "percentage": None if setting is None else setting.percentage,
            "reason": wish.reason,
            "unsafe_because": wish.unsafe_because,
            "on_overlap": wish.on_overlap,
            "expires_in": wish.expires_in,
            "evidence": json.dumps(dict(wish.evidence or {})),
        }

    def _change(self, name: str, parameters: Mapping[str, Any]) -> FlagChange:
        try:
            return _changes(self.connection, name, self._whole(parameters))[0]
        except FlagError as error:
            raise type(error)(self._mended(error, name, parameters)) from error

    def _mended(self, error: FlagError, name: str, parameters: Mapping[str, Any]) -> str:
        """Return what the database says, with the commands that it suggests as they are to be typed for this change."""
        change_id = parameters.get("change_id")
        said = _OF_CHANGE.sub(rf"\g<1> {change_id}", str(error)) if change_id is not None else str(error)
        if isinstance(error, FlagStageError) and "flag" in parameters:
            return naming_flag(said, parameters["flag"])
        if change_id is None or self.connection.info.transaction_status is not TransactionStatus.IDLE:
            return said
        if isinstance(error, FlagStageError):
            return naming_flag(said, self.show(change_id).flag)
        if isinstance(error, FlagUnsafeError) and name in ("approve_flag_change", "apply_flag_change"):
            change = self.show(change_id)
            # Who approves cannot say why; the database's hint is for who asks.
            return (
                f"{said.partition('. Change the other flag first')[0]}. Change the other flag first; or "
                f"{change.requested_by}, who asked for it, says why it is right all the same with: "
                f'{edit_command(change)} --unsafe-because "…"'
            )
        return said

    def _whole(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {**parameters, "acting_for": self._acting_for, "variables": self._variables}


def list_changes(
    connection: psycopg.Connection[Any],
    *,
    only_open: bool = True,
    flag: str | None = None,
    change_id: int | None = None,
    limit: int | None = None,
) -> list[FlagChange]:
    """Return changes, newest first.

    Args:
        connection: As ``holds_operator``, or the owner.
        only_open: Only those that wait for somebody: for an approval, to be applied, to end, to be reviewed.
        flag: Only this flag's.
        change_id: Only this one.
        limit: At most so many; all of them unless given.
    """
    parameters = {"only_open": only_open, "flag": flag, "change_id": change_id, "limit": limit}
    return _changes(connection, "list_flag_changes", parameters)


def tend_flags(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """End what is over, and record the unsafe combinations that stand; return how many there were of either."""
    row = _rows(connection, "tend_flags", {})[0]
    return row["ended_changes"], row["contradictions"]


def stored_contradictions(
    connection: psycopg.Connection[Any], environment: Environment, variables: Mapping[str, Setting]
) -> list[Contradiction]:
    """Return the unsafe combinations that are in force in an environment, as the database judges."""
    texts = json.dumps({flag: setting.as_json() for flag, setting in variables.items()})
    parameters = {"environment": environment, "variables": texts, "change": None}
    rows = _rows(connection, "flag_contradictions", parameters)
    return [Contradiction(row["rule"], tuple(row["flags"]), row["because"], row["restaurant_id"]) for row in rows]


_FIELDS = tuple(field.name for field in fields(FlagChange))


def _changes(connection: psycopg.Connection[Any], name: str, parameters: Mapping[str, Any]) -> list[FlagChange]:
    return [
        FlagChange(**{field: row[field] for field in _FIELDS} | {"environment": Environment(row["environment"])})
        for row in _rows(connection, name, parameters)
    ]


def _rows(connection: psycopg.Connection[Any], name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query(name), parameters).fetchall()
    except psycopg.Error as error:
        raise_translated(error)
