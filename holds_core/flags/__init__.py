"""Feature flags: definitions, evaluation, unsafe combinations, changes that two people make, and their trail.

::

    definitions/*.yml     loading → model          one file for each flag
    environment, database variables, snapshot      what is set instead of the defaults
    evaluation            contradictions           what is in force, and what of it is unsafe: pure
    client                Flags                    the same for a process, kept up to date
    changes, actors       trail                    who may change what, and what they did
    rollouts                                       how far a flag is that goes up by stages, and on what evidence

An application uses :class:`Flags`::

    with Flags.connect(database_url) as flags, HoldClient.connect(database_url, flags=flags) as client:
        quote_tables_for_booking(client, request, flags=flags)
"""

from holds_core.flags.client import Flags
from holds_core.flags.evaluation import Evaluation, FlagState, Override, Reason
from holds_core.flags.model import Flag, FlagDefinition
from holds_core.flags.values import Setting

__all__ = [
    "Evaluation",
    "Flag",
    "FlagDefinition",
    "FlagState",
    "Flags",
    "Override",
    "Reason",
    "Setting",
]
