# ruff: noqa: ARG002  the signatures of hooks are the SDK's
"""Flags by OpenFeature's own client, over a real database: values, reasons, errors, hooks and events as specified."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext, clear_evaluation_context, set_evaluation_context
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, GeneralError, ProviderFatalError
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagEvaluationOptions, Reason
from openfeature.hook import Hook, HookContext, HookHints, add_hooks, clear_hooks
from openfeature.provider import ProviderStatus
from openfeature.transaction_context import (
    ContextVarsTransactionContextPropagator,
    set_transaction_context,
    set_transaction_context_propagator,
)

from holds_core.flags import Flag, Flags, Setting
from holds_core.flags.changes import Wish
from holds_core.flags.openfeature import HoldwatchProvider
from holds_core.rollout import rollout_bucket
from tests.holds_core.flags.conftest import Team, url_as
from tests.holds_core.flags.test_client import AGE, NOWHERE, wait_until

RESTAURANT = UUID(int=7)
HERE = EvaluationContext(str(RESTAURANT))
NOBODY = EvaluationContext()


@pytest.fixture(autouse=True)
def sdk() -> Iterator[None]:
    """The SDK keeps its state for the whole process: as it was, for the next test."""
    yield
    api.shutdown()
    api.clear_providers()
    clear_hooks()
    clear_evaluation_context()
    set_transaction_context(NOBODY)


@pytest.fixture
def app_url(team: Team, database_url: str) -> str:
    """The database as an application's login sees it."""
    return url_as(database_url, team.logins["clerk"])


@pytest.fixture
def client(app_url: str) -> OpenFeatureClient:
    """A client whose provider has connected by itself."""
    api.set_provider_and_wait(HoldwatchProvider(app_url, max_age=AGE, environ={}))
    return api.get_client()


def client_of(flags: dict[Flag, Setting]) -> OpenFeatureClient:
    """A client over flags that the process has already."""
    api.set_provider_and_wait(HoldwatchProvider(Flags.fixed(flags)))
    return api.get_client()


def said(details: FlagEvaluationDetails[Any]) -> tuple[Any, str | None, object]:
    """Value, variant and reason of an answer that is none of an error."""
    assert (details.error_code, details.error_message) == (None, None)
    return details.value, details.variant, details.reason


def test_each_type_of_flag_has_its_types() -> None:
    """On and off, numbers as either kind, rates as text and as parts; of the type that was asked for."""
    client = client_of({Flag.ATTEMPT_LIMIT: Setting(8), Flag.RATE_LIMIT: Setting("120/60")})

    assert client.get_boolean_value(Flag.COMBINATIONS, False, HERE) is True
    number, real = (
        client.get_integer_value(Flag.ATTEMPT_LIMIT, 3, HERE),
        client.get_float_value(Flag.ATTEMPT_LIMIT, 3.5, HERE),
    )
    assert (number, type(number), real, type(real)) == (8, int, 8.0, float)
    assert client.get_string_value(Flag.RATE_LIMIT, "?", HERE) == "120/60"
    assert client.get_object_value(Flag.RATE_LIMIT, {}, HERE) == {
        "isLimited": True, "holds": 120, "seconds": 60.0, "holdsPerMinute": 120.0,
    }  # fmt: skip
    assert client_of({}).get_object_value(Flag.RATE_LIMIT, {}, HERE) == {"isLimited": False}


def test_reasons_are_of_the_layer_that_decides(team: Team, client: OpenFeatureClient) -> None:
    """From the default to the kill switch, as approved in the database and heard of by the provider."""
    flag, inside = Flag.LOOKAHEAD, next(one for one in iter(uuid4, None) if rollout_bucket(Flag.LOOKAHEAD, one) < 50)
    outside = next(one for one in iter(uuid4, None) if rollout_bucket(Flag.LOOKAHEAD, one) >= 50)

    def asked(restaurant_id: UUID, flag: Flag = flag) -> tuple[Any, str | None, object]:
        return said(client.get_boolean_details(flag, False, EvaluationContext(str(restaurant_id))))

    assert asked(RESTAURANT) == (False, "off", Reason.DEFAULT)
    team.apply(flag, Setting(True))
    wait_until(lambda: asked(RESTAURANT) == (True, "on", Reason.STATIC))
    team.apply(flag, Setting(True, 50))
    wait_until(lambda: asked(inside) == (True, "on", Reason.SPLIT))
    assert asked(outside) == (False, "off", Reason.SPLIT)
    team.apply(flag, Setting(False), restaurant_id=inside)
    wait_until(lambda: asked(inside) == (False, "off", Reason.TARGETING_MATCH))

    an_hour = Wish(setting=Setting(True), reason="x", expires_in=timedelta(hours=1))
    team.as_("ann").break_glass(flag, an_hour)
    wait_until(lambda: asked(outside) == (True, "on", Reason.STATIC))
    team.as_("bob").break_glass(flag, an_hour, restaurant_id=inside)
    wait_until(lambda: asked(inside) == (True, "on", Reason.TARGETING_MATCH))
    team.connect("ann").execute("select holds.set_hold_conflict_enforcement(false, 'x')")
    wait_until(lambda: asked(RESTAURANT, Flag.STRICT_CONFLICTS) == (False, "off", Reason.DISABLED))


def test_variable_of_the_process_is_static() -> None:
    """Nobody's restaurant matters to it."""
    flags = Flags.fixed(environ={"HOLDWATCH_FLAG_SELECTOR_LOOKAHEAD": "on"})
    api.set_provider_and_wait(HoldwatchProvider(flags))
    assert said(api.get_client().get_boolean_details(Flag.LOOKAHEAD, False, HERE)) == (True, "on", Reason.STATIC)


def test_metadata_says_what_openfeature_has_no_words_for(team: Team, client: OpenFeatureClient) -> None:
    """Who owns the flag, our own reason, the share; and what OpenTelemetry's hooks look for."""
    team.apply(Flag.LOOKAHEAD, Setting(True, 30))
    wait_until(lambda: client.get_boolean_details(Flag.LOOKAHEAD, False, HERE).reason is Reason.SPLIT)

    assert client.get_boolean_details(Flag.LOOKAHEAD, False, HERE).flag_metadata == {
        "reason": "override", "environment": "dev", "owner": "team:reservations", "percentage": 30, "flagSetId": "dev",
        "contextId": str(RESTAURANT),
    }  # fmt: skip
    assert "contextId" not in client.get_boolean_details(Flag.SPOOL, False, HERE).flag_metadata


def ask(client: OpenFeatureClient, kind: str, flag: str, default: Any, context: EvaluationContext | None) -> Any:
    """The details, by the synchronous method; and they are the same by the asynchronous one."""
    details = getattr(client, f"get_{kind}_details")(flag, default, context)
    assert asyncio.run(getattr(client, f"get_{kind}_details_async")(flag, default, context)) == details
    return details


GUEST = EvaluationContext("guest-7")
ERRORS: dict[str, tuple[str, str, Any, EvaluationContext | None, ErrorCode, str]] = {
    "unknown": ("boolean", "no.such", True, HERE, ErrorCode.FLAG_NOT_FOUND, "no flag no.such; there are"),
    "boolean as string": ("string", Flag.LOOKAHEAD, "d", HERE, ErrorCode.TYPE_MISMATCH, "asked for by boolean"),
    "boolean as integer": ("integer", Flag.LOOKAHEAD, 5, HERE, ErrorCode.TYPE_MISMATCH, "asked for by boolean"),
    "integer as boolean": ("boolean", Flag.ATTEMPT_LIMIT, True, HERE, ErrorCode.TYPE_MISMATCH, "integer or float"),
    "integer as object": ("object", Flag.ATTEMPT_LIMIT, {"a": 1}, HERE, ErrorCode.TYPE_MISMATCH, "integer or float"),
    "rate as float": ("float", Flag.RATE_LIMIT, 1.5, HERE, ErrorCode.TYPE_MISMATCH, "string or object"),
    "no context": ("boolean", Flag.LOOKAHEAD, True, None, ErrorCode.TARGETING_KEY_MISSING, "say which one"),
    "no restaurant": ("integer", Flag.ATTEMPT_LIMIT, 4, NOBODY, ErrorCode.TARGETING_KEY_MISSING, "say which one"),
    "a guest": ("boolean", Flag.LOOKAHEAD, True, GUEST, ErrorCode.INVALID_CONTEXT, "targeting key is 'guest-7'"),
    "odd attribute": (
        "boolean", Flag.LOOKAHEAD, True, EvaluationContext(str(RESTAURANT), {"restaurant_id": 7}),
        ErrorCode.INVALID_CONTEXT, "attribute restaurant_id is 7",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_error_is_the_default_with_a_code_and_never_an_exception(case: str) -> None:
    """Both ways of asking, for the value alone as well; what to do is said."""
    kind, flag, default, context, code, words = ERRORS[case]
    client = client_of({Flag.ATTEMPT_LIMIT: Setting(8), Flag.RATE_LIMIT: Setting("1/60")})

    details = ask(client, kind, flag, default, context)
    assert (details.value, details.reason, details.error_code) == (default, Reason.ERROR, code)
    assert (words in details.error_message, details.variant) == (True, None)
    assert getattr(client, f"get_{kind}_value")(flag, default, context) == default


def test_both_ways_of_asking_say_the_same_of_every_flag() -> None:
    """Asynchronous calls from many tasks at once, too."""
    client = client_of({Flag.LOOKAHEAD: Setting(True, 50)})
    for flag, kind, default in (
        (Flag.LOOKAHEAD, "boolean", False), (Flag.ATTEMPT_LIMIT, "integer", 1), (Flag.ATTEMPT_LIMIT, "float", 1.0),
        (Flag.RATE_LIMIT, "string", "?"), (Flag.RATE_LIMIT, "object", {}), (Flag.SPOOL, "boolean", False),
    ):  # fmt: skip
        assert ask(client, kind, flag, default, HERE).error_code is None

    async def many() -> list[bool]:
        contexts = [EvaluationContext(str(UUID(int=number))) for number in range(200)]
        return await asyncio.gather(*(client.get_boolean_value_async(Flag.LOOKAHEAD, False, one) for one in contexts))

    assert asyncio.run(many()) == [rollout_bucket(Flag.LOOKAHEAD, UUID(int=number)) < 50 for number in range(200)]


def test_context_is_merged_from_everywhere_and_the_last_word_counts() -> None:
    """API, transaction, client, invocation, hook: each says another restaurant, and each is above the one before."""
    own = [uuid4() for _ in range(5)]
    client = client_of({})
    seen: list[str] = []

    class Noting(Hook):
        def after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints) -> None:
            seen.append(str(details.flag_metadata["contextId"]))

    class Sending(Hook):
        def before(self, hook_context: HookContext, hints: HookHints) -> EvaluationContext:
            return EvaluationContext(attributes={"restaurant_id": str(own[4])})

    def context(restaurant_id: UUID) -> EvaluationContext:
        return EvaluationContext(attributes={"restaurant_id": str(restaurant_id)})

    add_hooks([Noting()])
    set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
    set_evaluation_context(EvaluationContext("guest-7", context(own[0]).attributes))
    client.get_boolean_value(Flag.LOOKAHEAD, False)
    set_transaction_context(context(own[1]))
    client.get_boolean_value(Flag.LOOKAHEAD, False)
    client.context = context(own[2])
    client.get_boolean_value(Flag.LOOKAHEAD, False)
    client.get_boolean_value(Flag.LOOKAHEAD, False, context(own[3]))
    client.get_boolean_value(Flag.LOOKAHEAD, False, context(own[3]), FlagEvaluationOptions([Sending()]))

    assert seen == [str(one) for one in own]


def test_hooks_run_in_order_and_errors_reach_them() -> None:
    """Before, after and finally of an answer; before, error and finally of none; API, client, invocation, and back."""
    steps: list[str] = []

    class Steps(Hook):
        def __init__(self, name: str) -> None:
            self.name = name

        def before(self, hook_context: HookContext, hints: HookHints) -> None:
            assert hook_context.provider_metadata is not None
            steps.append(f"{self.name} before {hook_context.provider_metadata.name} {hints['hint']}")

        def after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints) -> None:
            steps.append(f"{self.name} after {details.reason}")

        def error(self, hook_context: HookContext, exception: Exception, hints: HookHints) -> None:
            steps.append(f"{self.name} error {type(exception).__name__}")

        def finally_after(
            self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints
        ) -> None:
            steps.append(f"{self.name} finally {details.value}")

    client = client_of({})
    add_hooks([Steps("api")])
    client.add_hooks([Steps("client")])
    options = FlagEvaluationOptions([Steps("call")], {"hint": "h"})
    client.get_boolean_value(Flag.SPOOL, False, None, options)
    assert steps == [
        *(f"{name} before holdwatch h" for name in ("api", "client", "call")),
        *(f"{name} after DEFAULT" for name in ("call", "client", "api")),
        *(f"{name} finally True" for name in ("call", "client", "api")),
    ]

    steps.clear()
    client.get_boolean_value(Flag.LOOKAHEAD, True, None, options)
    assert steps[3:] == [
        *(f"{name} error TargetingKeyMissingError" for name in ("call", "client", "api")),
        *(f"{name} finally True" for name in ("call", "client", "api")),
    ]


class Heard:
    """What a client was told, in order."""

    def __init__(self, client: OpenFeatureClient) -> None:
        self.events: list[tuple[str, EventDetails]] = []
        for event in ProviderEvent:
            client.add_handler(event, self._handler(event))

    def _handler(self, event: ProviderEvent) -> Callable[[EventDetails], None]:
        return lambda details: self.events.append((event.name.removeprefix("PROVIDER_"), details))

    def names(self) -> list[str]:
        return [name for name, _ in self.events]


def test_change_is_an_event_that_names_the_flag(team: Team, client: OpenFeatureClient) -> None:
    """Of approved changes, for all or for one restaurant; not of requests, nor of nothing."""
    heard = Heard(client)
    wait_until(lambda: heard.names() == ["READY"])

    team.as_("ann").request(Flag.COMBINATIONS, Wish(setting=Setting(False), reason="waits"))
    team.apply(Flag.LOOKAHEAD, Setting(True))
    team.apply(Flag.ATTEMPT_LIMIT, Setting(5), restaurant_id=RESTAURANT)
    wait_until(lambda: len(heard.events) == 3)

    assert heard.names()[1:] == ["CONFIGURATION_CHANGED"] * 2
    assert [details.flags_changed for _, details in heard.events[1:]] == [[Flag.LOOKAHEAD], [Flag.ATTEMPT_LIMIT]]
    assert {details.provider_name for _, details in heard.events} == {"holdwatch"}
    assert client.get_integer_value(Flag.ATTEMPT_LIMIT, 0, HERE) == 5


def test_provider_is_stale_while_the_database_is_away_and_ready_again_then(team: Team, app_url: str) -> None:
    """The values are the defaults then, not those of whoever asks, and the reason says that nobody knows better."""
    login = team.logins["clerk"]
    team.apply(Flag.LOOKAHEAD, Setting(True))
    api.set_provider_and_wait(HoldwatchProvider(app_url, max_age=timedelta(seconds=0.6), environ={}))
    client = api.get_client()
    heard = Heard(client)
    assert said(client.get_boolean_details(Flag.LOOKAHEAD, False, HERE)) == (True, "on", Reason.STATIC)

    team.owner.execute(f'alter role "{login}" nologin')
    try:

        def is_stale() -> bool:
            # Again and again: one that was just logging in has no name yet, and would be left.
            team.owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (login,))
            return client.get_provider_status() is ProviderStatus.STALE

        wait_until(is_stale)
        assert said(client.get_boolean_details(Flag.LOOKAHEAD, True, HERE)) == (False, "off", Reason.STALE)
    finally:
        team.owner.execute(f'alter role "{login}" login')
    wait_until(lambda: client.get_provider_status() is ProviderStatus.READY)
    wait_until(lambda: len(heard.events) == 3)
    assert heard.names() == ["READY", "STALE", "READY"]
    assert client.get_boolean_value(Flag.LOOKAHEAD, False, HERE) is True


def test_provider_without_a_database_says_so_and_gives_the_defaults() -> None:
    """Who waits for it is told by an exception; who does not gets the definitions' defaults, which are no guess."""
    provider = HoldwatchProvider(NOWHERE, environ={})
    with pytest.raises(GeneralError, match="overrides of feature flags are not available"):
        api.set_provider_and_wait(provider)

    client = api.get_client()
    assert client.get_provider_status() is ProviderStatus.ERROR
    assert said(client.get_boolean_details(Flag.COMBINATIONS, False, HERE)) == (True, "on", Reason.STALE)


def test_provider_that_can_never_work_is_fatal() -> None:
    """An environment that is none: the default of whoever asks, and why."""
    provider = HoldwatchProvider(NOWHERE, environ={"HOLDWATCH_ENVIRONMENT": "production"})
    with pytest.raises(ProviderFatalError, match="HOLDWATCH_ENVIRONMENT"):
        api.set_provider_and_wait(provider)

    details = api.get_client().get_boolean_details(Flag.COMBINATIONS, False, HERE)
    assert (details.value, details.error_code) == (False, ErrorCode.PROVIDER_FATAL)


def test_provider_is_not_ready_before_it_is_and_after_its_shutdown(app_url: str) -> None:
    """What it connected is closed; flags that it was given are left to whoever closes them."""
    provider = HoldwatchProvider(app_url, max_age=AGE, environ={})
    assert provider.resolve_boolean_details(Flag.SPOOL, False).error_code is ErrorCode.PROVIDER_NOT_READY

    api.set_provider_and_wait(provider)
    assert [thread.name for thread in threading.enumerate()].count("holdwatch-flags") == 1
    api.shutdown()
    assert "holdwatch-flags" not in [thread.name for thread in threading.enumerate()]
    assert provider.resolve_boolean_details(Flag.SPOOL, False).error_code is ErrorCode.PROVIDER_NOT_READY
    provider.shutdown()

    with Flags.connect(app_url, max_age=AGE, environ={}) as flags:
        api.clear_providers()
        api.set_provider_and_wait(HoldwatchProvider(flags))
        assert api.get_client().get_boolean_value(Flag.SPOOL, False) is True
        api.shutdown()
        assert "holdwatch-flags" in [thread.name for thread in threading.enumerate()]


def test_watcher_that_fails_stops_nobody(team: Team, app_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged; the flags go on, the next watcher hears of it, and one that has left does not."""
    heard: list[object] = []

    def failing(news: object) -> None:
        raise LookupError("a bug of theirs")

    with Flags.connect(app_url, max_age=AGE, environ={}) as flags:
        flags.watch(failing)
        flags.watch(heard.append)
        leave = flags.watch(lambda news: heard.append("left"))
        leave()
        team.apply(Flag.LOOKAHEAD, Setting(True))
        wait_until(lambda: heard == [((Flag.LOOKAHEAD,), True)])
    assert "watches the feature flags has failed" in caplog.text
