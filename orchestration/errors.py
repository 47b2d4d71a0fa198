"""Errors of the commands and of the pipeline that are the user's to mend: one clear line each, no traceback."""

from __future__ import annotations

from holds_core.errors import HoldsError


class ServerError(HoldsError):
    """The embedded PostgreSQL cannot be started, stopped or reached."""


class MissingExtraError(HoldsError):
    """A command needs an optional extra that is not installed."""

    def __init__(self, extra: str, what: str) -> None:
        super().__init__(f"{what} needs the extra {extra!r}: pip install 'holdwatch[{extra}]'.")
        self.extra = extra


class ProdRefusedError(HoldsError):
    """Something that is not for prod was asked for there without saying so."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} does not run in prod unless you add --allow-prod.")
