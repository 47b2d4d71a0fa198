"""An OpenFeature provider, for applications that ask for their flags over that API. Needs the extra ``openfeature``.

::

    from openfeature import api

    api.set_provider(HoldwatchProvider(database_url))
    api.get_client().get_boolean_value("selector.lookahead", False, EvaluationContext(str(restaurant_id)))

What a flag is, is decided as everywhere else (:mod:`~holds_core.flags.evaluation`); here it is only said in the words
of OpenFeature (specification 0.8). Nothing waits for a database, so the asynchronous methods are the synchronous ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import (
    FlagNotFoundError,
    GeneralError,
    InvalidContextError,
    OpenFeatureError,
    ProviderFatalError,
    ProviderNotReadyError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.flag_evaluation import Reason as OpenFeatureReason
from openfeature.provider import AbstractProvider, Metadata

from holds_core.database.settings import Environment
from holds_core.errors import SettingsError
from holds_core.flags.client import DEFAULT_MAX_AGE, Flags, News
from holds_core.flags.evaluation import Evaluation, FlagState, Reason
from holds_core.flags.model import FlagDefinition, Scope
from holds_core.flags.values import NO_RATE, FlagType, Setting, holds_per_minute

RESTAURANT_ATTRIBUTE = "restaurant_id"
"""What an evaluation context calls the restaurant, where its targeting key is something else."""

_T = TypeVar("_T")
_Object = Sequence[FlagValueType] | Mapping[str, FlagValueType]

_UNAVAILABLE = "The overrides of feature flags are not available: the defaults are in force."

_REASONS = {
    Reason.DEFAULT: OpenFeatureReason.DEFAULT,
    Reason.VARIABLE: OpenFeatureReason.STATIC,
    Reason.OVERRIDE: OpenFeatureReason.STATIC,
    Reason.RESTAURANT_OVERRIDE: OpenFeatureReason.TARGETING_MATCH,
    Reason.KILL_SWITCH: OpenFeatureReason.DISABLED,
    # "Non-authoritative or possibly out of date", as the specification has it.
    Reason.OVERRIDES_UNAVAILABLE: OpenFeatureReason.STALE,
}


def _rate_parts(rate: str) -> Mapping[str, FlagValueType]:
    if rate == NO_RATE:
        return {"isLimited": False}
    holds, _, seconds = rate.partition("/")
    return {
        "isLimited": True,
        "holds": int(holds),
        "seconds": float(seconds),
        "holdsPerMinute": holds_per_minute(rate),
    }


# How each of OpenFeature's types reads the flags that it can. A rate is no number: 0 would be no limit, or no holds.
_AS_BOOLEAN: Mapping[FlagType, Callable[[Any], bool]] = {FlagType.BOOLEAN: bool}
_AS_INTEGER: Mapping[FlagType, Callable[[Any], int]] = {FlagType.INTEGER: int}
_AS_FLOAT: Mapping[FlagType, Callable[[Any], float]] = {FlagType.INTEGER: float}
_AS_STRING: Mapping[FlagType, Callable[[Any], str]] = {FlagType.RATE: str}
_AS_OBJECT: Mapping[FlagType, Callable[[Any], _Object]] = {FlagType.RATE: _rate_parts}
_READ_AS = {FlagType.BOOLEAN: "boolean", FlagType.INTEGER: "integer or float", FlagType.RATE: "string or object"}


class HoldwatchProvider(AbstractProvider):
    """The flags of one environment for OpenFeature's clients. Safe to share between threads.

    ==========================  =====================================================================================
    in the context              which restaurant is asked for: the attribute ``restaurant_id``, else the targeting key
    value                       on or off by ``boolean``, numbers by ``integer`` and ``float``, rates by ``string``
                                (``120/60``, ``none``) and ``object``
    variant                     the value as people write it, for example ``on``
    reason                      ``SPLIT`` by percentage, ``TARGETING_MATCH`` for a restaurant apart, ``DISABLED`` by the
                                kill switch, ``STALE`` without the database, else ``STATIC`` or ``DEFAULT``
    metadata                    ``reason`` in holdwatch's own words, ``environment``, ``owner``, ``percentage``; and
                                ``flagSetId`` and ``contextId``, which OpenTelemetry's hooks look for
    ==========================  =====================================================================================

    A flag that can differ from restaurant to restaurant needs one, always: not only from the day on which it does.
    """

    def __init__(
        self,
        flags: Flags | str,
        *,
        environment: Environment | None = None,
        max_age: timedelta = DEFAULT_MAX_AGE,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Nothing is asked before OpenFeature initialises it.

        Args:
            flags: Those that the process has already, for its clients and the selector, which whoever connected them
                closes; or a database's URL: then they are connected here, and closed at the shutdown.
            environment: As :meth:`Flags.connect` takes it; only with a URL, as what follows.
            max_age: Likewise.
            environ: Likewise.
        """

        def connected() -> AbstractContextManager[Flags]:
            if isinstance(flags, Flags):
                return nullcontext(flags)
            return Flags.connect(flags, environment=environment, max_age=max_age, environ=environ)

        super().__init__()
        self._connected = connected
        self._flags: Flags | None = None
        self._opened = ExitStack()
        self._is_said_available = True

    def get_metadata(self) -> Metadata:
        """Return the name that hooks and events know it by."""
        return Metadata(name="holdwatch")

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002  the API's
        """Connect, and say from then on what changes.

        Raises:
            GeneralError: The database cannot be asked. The defaults are in force, with the reason STALE, and the
                provider is ready as soon as it can.
            ProviderFatalError: ``HOLDWATCH_ENVIRONMENT`` is none.
        """
        self.shutdown()
        with ExitStack() as opening:
            try:
                flags = opening.enter_context(self._connected())
            except SettingsError as error:
                raise ProviderFatalError(str(error)) from error
            self._is_said_available = flags.state.are_overrides_available
            opening.callback(flags.watch(self._hear))
            self._flags, self._opened = flags, opening.pop_all()
        if not self._is_said_available:
            raise GeneralError(_UNAVAILABLE)

    def shutdown(self) -> None:
        """Let go of the database. May be called at any time, and again."""
        self._flags = None
        self._opened.close()

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Tell whether a flag is on."""
        return self._resolve(flag_key, default_value, evaluation_context, _AS_BOOLEAN)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Return a rate, as people write it."""
        return self._resolve(flag_key, default_value, evaluation_context, _AS_STRING)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Return a number."""
        return self._resolve(flag_key, default_value, evaluation_context, _AS_INTEGER)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Return a number."""
        return self._resolve(flag_key, default_value, evaluation_context, _AS_FLOAT)

    def resolve_object_details(
        self, flag_key: str, default_value: _Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_Object]:
        """Return a rate: ``isLimited``, and where it is, ``holds`` in ``seconds`` and ``holdsPerMinute``."""
        return self._resolve(flag_key, default_value, evaluation_context, _AS_OBJECT)

    def _resolve(
        self,
        flag_key: str,
        default_value: _T,
        context: EvaluationContext | None,
        readers: Mapping[FlagType, Callable[[Any], _T]],
    ) -> FlagResolutionDetails[_T]:
        try:
            if self._flags is None:
                raise ProviderNotReadyError("The provider is not initialised, or was shut down.")
            # One state for all of it: the next one may come at any moment.
            state = self._flags.state
            definition = _definition(state, flag_key)
            read = readers.get(definition.type)
            if read is None:
                raise TypeMismatchError(f"{flag_key} is asked for by {_READ_AS[definition.type]}.")
            restaurant_id = _restaurant(definition, context)
        except OpenFeatureError as error:
            return FlagResolutionDetails(
                default_value,
                error_code=error.error_code,
                error_message=error.error_message,
                reason=OpenFeatureReason.ERROR,
            )
        evaluation = state.evaluate(flag_key, restaurant_id)
        assert evaluation.value is not None
        return FlagResolutionDetails(
            read(evaluation.value),
            reason=_reason(evaluation, state, restaurant_id),
            variant=str(Setting(evaluation.value)),
            flag_metadata=_metadata(evaluation, state, definition, restaurant_id),
        )

    def _hear(self, news: News) -> None:
        was_said_available, self._is_said_available = self._is_said_available, news.are_overrides_available
        if not news.are_overrides_available:
            self.emit_provider_stale(ProviderEventDetails(message=_UNAVAILABLE))
            return
        if not was_said_available:
            self.emit_provider_ready(
                ProviderEventDetails(message="The overrides of feature flags are available again.")
            )
        if news.changed:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=list(news.changed)))


def _definition(state: FlagState, flag: str) -> FlagDefinition:
    definition = state.definitions.get(flag)
    if definition is None:
        raise FlagNotFoundError(f"There is no flag {flag}; there are {', '.join(sorted(state.definitions))}.")
    return definition


def _restaurant(definition: FlagDefinition, context: EvaluationContext | None) -> UUID | None:
    """Return for which restaurant a flag is asked for; None where it cannot differ between them."""
    if definition.per is not Scope.RESTAURANT:
        return None
    given: object = None
    where = f"The attribute {RESTAURANT_ATTRIBUTE}"
    if context is not None:
        given = context.attributes.get(RESTAURANT_ATTRIBUTE)
        if given is None:
            given, where = context.targeting_key, "The targeting key"
    if given is None or given == "":
        raise TargetingKeyMissingError(
            f"{definition.name} can differ from restaurant to restaurant: say which one, as the targeting key or as "
            f"the attribute {RESTAURANT_ATTRIBUTE}."
        )
    if isinstance(given, UUID):
        return given
    try:
        return UUID(str(given))
    except ValueError:
        raise InvalidContextError(
            f"{where} is {given!r}, which is no restaurant's id; where the targeting key is about somebody else, give "
            f"the restaurant as the attribute {RESTAURANT_ATTRIBUTE}."
        ) from None


def _reason(evaluation: Evaluation, state: FlagState, restaurant_id: UUID | None) -> OpenFeatureReason:
    if evaluation.reason in (Reason.OVERRIDES_UNAVAILABLE, Reason.KILL_SWITCH):
        return _REASONS[evaluation.reason]
    if evaluation.percentage is not None:
        return OpenFeatureReason.SPLIT
    if evaluation.reason is Reason.BREAK_GLASS:
        is_its_own = restaurant_id is not None and state.is_apart(evaluation.flag, restaurant_id)
        return OpenFeatureReason.TARGETING_MATCH if is_its_own else OpenFeatureReason.STATIC
    return _REASONS[evaluation.reason]


def _metadata(
    evaluation: Evaluation, state: FlagState, definition: FlagDefinition, restaurant_id: UUID | None
) -> dict[str, bool | int | float | str]:
    found: dict[str, bool | int | float | str] = {
        "reason": str(evaluation.reason),
        "environment": str(state.environment),
        "owner": definition.owner,
        "flagSetId": str(state.environment),
    }
    if evaluation.percentage is not None:
        found["percentage"] = evaluation.percentage
    if restaurant_id is not None:
        found["contextId"] = str(restaurant_id)
    return found
