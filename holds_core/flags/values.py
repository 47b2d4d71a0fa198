"""What a flag can be set to: on, off, on for a share of the restaurants, a number, a rate.

A *level* is what rules over flags compare: of a boolean flag the share of restaurants that have it on, 0 to 100; of an
integer its value; of a rate its holds per minute, 0 where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

FlagValue = bool | int | str


class FlagType(StrEnum):
    """What kind of value a flag has."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    RATE = "rate"


NO_RATE = "none"
"""The rate of a flag that limits nothing."""

_RATE = re.compile(r"([1-9]\d{0,8})/(\d{1,5}(?:\.\d{1,3})?)")
_PERCENTAGE = re.compile(r"(\d{1,3})\s*%")
_WORDS = {"on": True, "true": True, "off": False, "false": False}
LONGEST_RATE_SECONDS = 86_400


@dataclass(frozen=True)
class Setting:
    """What one layer says of a flag.

    Attributes:
        value: True or False; an integer; or a rate as text: ``HOLDS/SECONDS``, for example ``120/60``, or ``none``.
        percentage: True for so many in a hundred restaurants, 1 to 99, and False for the others; None means all.
    """

    value: FlagValue
    percentage: int | None = None

    @property
    def level(self) -> float:
        """The number that rules compare."""
        if isinstance(self.value, bool):
            return float(self.percentage or 100) if self.value else 0.0
        return float(self.value) if isinstance(self.value, int) else holds_per_minute(self.value)

    def as_json(self) -> dict[str, Any]:
        """Return what the database keeps."""
        return {"value": self.value, "percentage": self.percentage}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what the database keeps."""
        return cls(data["value"], data.get("percentage"))

    def __str__(self) -> str:
        """Return it as people write it, and as :func:`parse_setting` reads it."""
        if isinstance(self.value, bool):
            return f"{self.percentage}%" if self.percentage is not None else "on" if self.value else "off"
        return str(self.value)


def parse_setting(given: object, flag_type: FlagType) -> Setting:
    """Read a setting as people write it: ``on``, ``off``, ``30%``; ``12``; ``120/60`` (holds in seconds), ``none``.

    Args:
        given: A text, or what YAML made of one.
        flag_type: What the flag's values are.

    Raises:
        ValueError: It is none of this type; the message says what would be.
    """
    text = str(given).strip().lower()
    match flag_type:
        case FlagType.BOOLEAN:
            if text in _WORDS:
                return Setting(_WORDS[text])
            if (share := _PERCENTAGE.fullmatch(text)) and int(share[1]) <= 100:
                percentage = int(share[1])
                return Setting(percentage > 0, percentage if 0 < percentage < 100 else None)
            if text.endswith("%"):
                raise ValueError(f"{given!r} is no percentage: that is a whole number from 0 to 100, such as 30%")
            raise ValueError(f"{given!r} is not on, off or a percentage such as 30%")
        case FlagType.INTEGER:
            if re.fullmatch(r"-?\d{1,9}", text):
                return Setting(int(text))
            raise ValueError(f"{given!r} is not a whole number")
        case FlagType.RATE:
            if text == NO_RATE:
                return Setting(NO_RATE)
            if (rate := _RATE.fullmatch(text)) and 0 < float(rate[2]) <= LONGEST_RATE_SECONDS:
                return Setting(f"{rate[1]}/{_shortest(rate[2])}")
            raise ValueError(
                f"{given!r} is not a rate such as 120/60 (holds in seconds, at most {LONGEST_RATE_SECONDS:,}), or none"
            )


def _shortest(decimal: str) -> str:
    """Return a number without what it does not need, as the database writes it."""
    return f"{Decimal(decimal).normalize():f}"


def holds_per_minute(rate: str) -> float:
    """Return a rate as holds per minute; 0 where there is none."""
    if rate == NO_RATE:
        return 0.0
    holds, _, seconds = rate.partition("/")
    return int(holds) * 60 / float(seconds)
