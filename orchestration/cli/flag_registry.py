"""``holdwatch flags stale|registry``: what the definitions say, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from holds_core.errors import HoldsError
from holds_core.flags.loading import packaged_definitions
from orchestration.cli.output import JsonOption, print_json
from orchestration.flag_sources import REGISTRY, has_registry, is_registry_current, registry_page, write_registry
from orchestration.paths import PROJECT_ROOT

SOON = timedelta(days=30)


def stale(
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 where a flag has expired.")] = False,
    json: JsonOption = False,
) -> None:
    """List the flags that have expired, or will within 30 days: to be removed, or looked at again and renewed.

    Example: holdwatch flags stale --strict
    """
    today = datetime.now(UTC).date()
    found = [definition for definition in packaged_definitions().values() if definition.expires <= (today + SOON)]
    expired = [definition for definition in found if definition.is_expired(today)]
    if json:
        print_json(
            {
                "stale": [
                    {
                        "flag": definition.name,
                        "owner": definition.owner,
                        "kind": definition.kind,
                        "expires": definition.expires,
                        "is_expired": definition in expired,
                    }
                    for definition in found
                ]
            }
        )
    elif not found:
        typer.echo("No flag has expired, and none will within 30 days.")
    for definition in [] if json else found:
        state = "HAS EXPIRED" if definition in expired else "expires soon"
        typer.echo(
            f"{definition.name} {state} ({definition.expires}): {definition.owner} removes it, or renews it in "
            f"holds_core/flags/definitions/{definition.name}.yml"
        )
    if strict and expired:
        raise typer.Exit(1)


def registry(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where the page is not up to date.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write docs/feature-flags/registry.md, the page about every flag, from the definitions.

    Example: holdwatch flags registry --check
    """
    shown = REGISTRY.relative_to(PROJECT_ROOT)
    if not has_registry():
        raise HoldsError(f"There is no place for {shown} here: it is a page of a checkout, and this is none.")
    page = registry_page()
    was_current = is_registry_current(page) if check else not write_registry(page)
    if json:
        print_json({"file": shown, "was_current": was_current, "is_written": not was_current and not check})
    elif was_current:
        typer.echo(f"{shown} is up to date.")
    elif check:
        typer.echo(f"{shown} is not up to date; write it with: holdwatch flags registry")
    else:
        typer.echo(f"{shown} was written.")
    if check and not was_current:
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    """Make these the app's commands."""
    for command in (stale, registry):
        app.command()(command)
