"""Errors of the commands and of the pipeline that are the user's to mend: one clear line each, no traceback."""

from __future__ import annotations

from collections.abc import Sequence

from holds_core.errors import HoldsError
from holds_core.extras import install_command


class ServerError(HoldsError):
    """The embedded PostgreSQL cannot be started, stopped or reached."""


class MissingExtraError(HoldsError):
    """A command needs optional extras that are not installed.

    Attributes:
        extras: Which.
    """

    def __init__(self, extras: str | Sequence[str], what: str) -> None:
        self.extras = (extras,) if isinstance(extras, str) else tuple(extras)
        named = " and ".join(map(repr, self.extras))
        which = "extra" if len(self.extras) == 1 else "extras"
        super().__init__(f"{what} needs the {which} {named}: {install_command(','.join(self.extras))}")


class ProdRefusedError(HoldsError):
    """Something that is not for prod was asked for there without saying so."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} does not run in prod unless you add --allow-prod.")
