"""How a field is shown: its unit, thresholds, mappings and colours, from the panel's defaults and its overrides."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dashboards.preview.board import Json, Panel
from dashboards.preview.colours import colour, palette_colour, palette_colour_by_name
from dashboards.preview.frames import Field, Frame, reduce_values
from dashboards.preview.units import format_number, format_tick, format_time, is_time_unit

_FALLBACK = "green"
_CONTINUOUS = {
    "continuous-GrYlRd": ("green", "yellow", "red"),
    "continuous-RdYlGr": ("red", "yellow", "green"),
    "continuous-YlRd": ("super-light-yellow", "orange", "dark-red"),
    "continuous-blues": ("super-light-blue", "blue", "dark-blue"),
    "continuous-reds": ("super-light-red", "red", "dark-red"),
    "continuous-greens": ("super-light-green", "green", "dark-green"),
}


@dataclass(frozen=True)
class Shown:
    """A value as it is shown; the colour is that of its mapping, else of its threshold."""

    text: str
    colour: str
    is_mapped: bool = False


@dataclass(frozen=True)
class Look:
    """How one field of one panel is shown.

    Attributes:
        name: As legends and headers call it.
        config: Grafana's field config, overrides applied; what concerns the visualization alone is under ``custom``.
        number: Which of the panel's series it is, from 0: some colours are given out in order.
        now: For units that depend on it.
    """

    name: str
    config: Json = field(repr=False)
    number: int
    now: datetime

    @property
    def custom(self) -> Json:
        """The visualization's own settings."""
        return dict(self.config.get("custom") or {})

    @property
    def unit(self) -> str:
        """Grafana's identifier; empty where there is none."""
        return str(self.config.get("unit") or "")

    @property
    def no_value(self) -> str:
        """What is shown where there is nothing."""
        return str(self.config.get("noValue") or "")

    @property
    def colour_mode(self) -> str:
        """Where colours come from."""
        return str((self.config.get("color") or {}).get("mode") or "thresholds")

    @property
    def steps(self) -> list[tuple[float, str]]:
        """The thresholds as (from this value on, colour), lowest first; the first begins below everything."""
        steps = (self.config.get("thresholds") or {}).get("steps") or [{"value": None, "color": _FALLBACK}]
        read = [
            (-math.inf if step.get("value") is None else float(step["value"]), str(step.get("color"))) for step in steps
        ]
        if (self.config.get("thresholds") or {}).get("mode") == "percentage":
            low, high = float(self.config.get("min") or 0), float(self.config.get("max") or 100)
            read = [(low + (high - low) * value / 100, name) for value, name in read]
        return sorted(read)

    def bound(self, name: str) -> float | None:
        """Return ``min``, ``max`` or another number of the config, None where it is not set."""
        value = self.config.get(name)
        return None if value is None else float(value)

    def show(self, value: Any) -> Shown:
        """Write a value of the field."""
        result = self._mapped(value)
        number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
        by_value = self._colour_of(float(number) if number is not None else -math.inf)
        if result is not None and (result.get("text") is not None or result.get("color")):
            mapped_colour = colour(str(result["color"])) if result.get("color") else by_value
            text = self._text(value) if result.get("text") is None else str(result["text"])
            return Shown(text, mapped_colour, is_mapped=bool(result.get("color")))
        return Shown(self._text(value), by_value)

    def tick(self, value: float, increment: float) -> str:
        """Write a number beside an axis."""
        if is_time_unit(self.unit):
            return self._text(value)
        return format_tick(value, self.unit, self._decimals, increment)

    def series_colour(self, values: tuple[float | None, ...] = ()) -> str:
        """Return the colour of the whole series."""
        mode = self.colour_mode
        if mode in ("fixed", "shades"):
            return colour(str((self.config.get("color") or {}).get("fixedColor") or _FALLBACK))
        if mode == "palette-classic":
            return palette_colour(self.number)
        if mode == "palette-classic-by-name":
            return palette_colour_by_name(self.name)
        last = reduce_values("lastNotNull", values)
        return self._colour_of(-math.inf if last is None else last)

    @property
    def _decimals(self) -> int | None:
        decimals = self.config.get("decimals")
        return None if decimals is None else int(decimals)

    def _text(self, value: Any) -> str:
        if value is None or value == "":
            return self.no_value
        if isinstance(value, datetime):
            return format_time(value, self.unit, self.now)
        if isinstance(value, bool):
            return str(format_number(value, self.unit if self.unit.startswith("bool") else "bool"))
        if isinstance(value, (int, float)):
            if is_time_unit(self.unit):
                return format_time(datetime.fromtimestamp(value / 1000, UTC), self.unit, self.now)
            return str(format_number(float(value), self.unit, self._decimals))
        return str(value)

    def _colour_of(self, value: float) -> str:
        """Return the colour of a value, where colours go by values."""
        mode = self.colour_mode
        if mode in ("fixed", "shades"):
            return colour(str((self.config.get("color") or {}).get("fixedColor") or _FALLBACK))
        if mode in _CONTINUOUS and math.isfinite(value):
            low, high = self.bound("min") or 0.0, self.bound("max") or 100.0
            share = min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.0
            return colour(_CONTINUOUS[mode][round(share * (len(_CONTINUOUS[mode]) - 1))])
        if mode == "palette-classic":
            return palette_colour(self.number)
        if mode == "palette-classic-by-name":
            return palette_colour_by_name(self.name)
        reached = [name for start, name in self.steps if value >= start]
        return colour(reached[-1] if reached else self.steps[0][1])

    def _mapped(self, value: Any) -> Json | None:
        """Return the result of the first mapping that fits."""
        for mapping in self.config.get("mappings") or []:
            options = mapping.get("options") or {}
            kind = mapping.get("type")
            if kind == "value" and (found := options.get(_key(value))) is not None:
                return dict(found)
            result = dict(options.get("result") or {})
            if kind == "range" and isinstance(value, (int, float)):
                low, high = options.get("from"), options.get("to")
                if (low is None or value >= low) and (high is None or value <= high):
                    return result
            if kind == "regex" and isinstance(value, str) and _regex(str(options.get("pattern"))).search(value):
                return result
            if kind == "special" and _is_special(str(options.get("match")), value):
                return result
        return None


def looks(panel: Panel, frames: tuple[Frame, ...], now: datetime) -> Iterator[tuple[Frame, Field, Look]]:
    """Say for each field of a panel how it is shown; times are counted apart from series."""
    number = 0
    for frame in frames:
        for one in frame.fields:
            config = _config(panel, frame, one)
            name = str(config.get("displayName") or one.display_name)
            yield frame, one, Look(name, config, number, now)
            number += one.kind == "number"


def panel_look(panel: Panel, now: datetime) -> Look:
    """How the panel shows what no override says otherwise of."""
    return Look(panel.title, dict((panel.json.get("fieldConfig") or {}).get("defaults") or {}), 0, now)


def _config(panel: Panel, frame: Frame, one: Field) -> Json:
    source = panel.json.get("fieldConfig") or {}
    config: Json = {**(source.get("defaults") or {})}
    config["custom"] = {**(config.get("custom") or {})}
    for override in source.get("overrides") or []:
        if _matches(override.get("matcher") or {}, frame, one):
            for setting in override.get("properties") or []:
                _set(config, str(setting.get("id")), setting.get("value"))
    return config


def _set(config: Json, name: str, value: Any) -> None:
    if name.startswith("custom."):
        config["custom"][name.removeprefix("custom.")] = value
    else:
        config[name] = value


def _matches(matcher: Mapping[str, Any], frame: Frame, one: Field) -> bool:
    options = matcher.get("options")
    match matcher.get("id"):
        case "byName":
            return bool(options in (one.name, one.display_name))
        case "byNames":
            names = options.get("names") if isinstance(options, dict) else options
            return bool(one.display_name in (names or []))
        case "byRegexp":
            return _regex(str(options)).search(one.display_name) is not None
        case "byType":
            return bool(options == one.kind)
        case "byFrameRefID":
            return bool(options == frame.ref_id)
        case _:
            return False


def _regex(pattern: str) -> re.Pattern[str]:
    """Read a pattern as JavaScript writes it, with or without slashes; one that is none matches nothing."""
    match = re.fullmatch(r"/(.*)/([a-z]*)", pattern, re.DOTALL)
    body, flags = (match[1], match[2]) if match else (pattern, "")
    try:
        return re.compile(body, re.IGNORECASE if "i" in flags else 0)
    except re.error:
        return re.compile(r"(?!)")


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_special(match: str, value: Any) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    kinds: dict[str, bool] = {
        "null": value is None,
        "nan": is_nan,
        "null+nan": value is None or is_nan,
        "true": value is True,
        "false": value is False,
        "empty": isinstance(value, str) and not value,
    }
    return kinds.get(match, False)
