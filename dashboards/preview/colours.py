"""Grafana's colours, by the names that dashboards use, in its dark and its light theme.

What is drawn names its colours as CSS variables, ``var(--red)``: a browser takes them from the reader's theme, and
:func:`resolve` puts one theme's values in their place for pictures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_DARK_HUES = {
    "red": "#FFA6B0 #FF7383 #F2495C #E02F44 #C4162A",
    "orange": "#FFCB7D #FFB357 #FF9830 #FF780A #FA6400",
    "yellow": "#FFF899 #FFEE52 #FADE2A #F2CC0C #E0B400",
    "green": "#C8F2C2 #96D98D #73BF69 #56A64B #37872D",
    "blue": "#C0D8FF #8AB8FF #5794F2 #3274D9 #1F60C4",
    "purple": "#DEB6F2 #CA95E5 #B877D9 #A352CC #8F3BB8",
}
_LIGHT_HUES = {
    "red": "#FF7383 #F2495C #E02F44 #C4162A #AD0317",
    "orange": "#FFB357 #FF9830 #FF780A #FA6400 #E55400",
    "yellow": "#FFEE52 #FADE2A #F2CC0C #E0B400 #CC9D00",
    "green": "#96D98D #73BF69 #56A64B #37872D #19730E",
    "blue": "#8AB8FF #5794F2 #3274D9 #1F60C4 #1250B0",
    "purple": "#CA95E5 #B877D9 #A352CC #8F3BB8 #7C2EA3",
}
_SHADES = ("super-light-", "light-", "", "semi-dark-", "dark-")


def _named(hues: Mapping[str, str]) -> dict[str, str]:
    return {
        f"{shade}{hue}": colour
        for hue, colours in hues.items()
        for shade, colour in zip(_SHADES, colours.split(), strict=True)
    }


DARK: Mapping[str, str] = {
    **_named(_DARK_HUES),
    "canvas": "#111217",
    "panel": "#181b1f",
    "raised": "#22252b",
    "text": "#ccccdc",
    "faint": "#9a9aa7",
    "link": "#6e9fff",
    "border": "#2d2f34",
    "grid": "#2b2f33",
    "error": "#ff5286",
}
LIGHT: Mapping[str, str] = {
    **_named(_LIGHT_HUES),
    "canvas": "#f4f5f5",
    "panel": "#ffffff",
    "raised": "#f4f5f5",
    "text": "#24292e",
    "faint": "#5b6067",
    "link": "#1f62e0",
    "border": "#e4e5e6",
    "grid": "#e8e9ea",
    "error": "#cf0e5b",
}
"""The colours of both themes by name: those of data, and those of the page, of which the rest is drawn."""

ON_COLOUR_LIGHT, ON_COLOUR_DARK = "#ffffff", "#202226"
"""Text on coloured ground, dark and bright. Grafana's #f7f8fa on its red is below the 4.5 : 1 that WCAG asks for."""

_NATIVE = {"gray": "#808080", "grey": "#808080", "white": "#ffffff", "black": "#000000", "transparent": "none"}

# All of them, since a name's hash counts in them.
_CLASSIC_NAMES = """
green yellow blue orange red purple dark-green dark-yellow dark-blue dark-orange dark-red dark-purple
super-light-green super-light-yellow super-light-blue super-light-orange super-light-red super-light-purple #447EBC
#C15C17 #890F02 #0A437C #6D1F62 #584477 #B7DBAB #F4D598 #70DBED #F9BA8F #F29191 #82B5D8 #E5A8E2 #AEA2E0 #629E51
#E5AC0E #64B0C8 #E0752D #BF1B00 #0A50A1 #962D82 #614D93 #9AC48A #F2C96D #65C5DB #F9934E #EA6460 #5195CE #D683CE
#806EB7 #3F6833 #967302 #2F575E #99440A #58140C #052B51 #511749 #3F2B5B #E0F9D7 #FCEACA #CFFAFF #F9E2D2 #FCE2DE
#BADFF4 #F9D9F9 #DEDAF7
"""
_CLASSIC = tuple(_CLASSIC_NAMES.split())

_VARIABLE = re.compile(r"var\(--([\w-]+)\)")
_EITHER = re.compile(r"light-dark\(([^,]+), ((?:[^()]|\([^()]*\))+)\)")


def colour(name: str) -> str:
    """Return how to write a colour that a dashboard names; one that nobody knows is grey."""
    if name in DARK:
        return f"var(--{name})"
    if re.fullmatch(r"#[0-9a-fA-F]{3,8}|rgba?\([\d., %]+\)", name):
        return name
    return _NATIVE.get(name, "#808080")


def resolve(text: str, theme: Mapping[str, str]) -> str:
    """Put the theme's values in the place of the variables, for whatever knows no CSS."""
    chosen = _EITHER.sub(lambda match: match[1 if theme is LIGHT else 2], text)
    return _VARIABLE.sub(lambda match: theme[match[1]], chosen)


def palette_colour(index: int) -> str:
    """Return the colour of the series with this number ("Classic palette")."""
    return colour(_CLASSIC[index % len(_CLASSIC)])


def palette_colour_by_name(name: str) -> str:
    """Return the colour that a series has by its name ("Classic palette by series name").

    Grafana leaves out what is hard to see on the panel's ground, so that the two themes have different ones.
    """
    number = _hash(name)
    light, dark = (colour(names[number % len(names)]) for names in (_VISIBLE_LIGHT, _VISIBLE_DARK))
    return f"light-dark({light}, {dark})"


def text_on(ground: str) -> str:
    """Return the colour of text on a coloured ground, by the ground's brightness in the dark theme, as Grafana does."""
    value = resolve(ground, DARK)
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        return ON_COLOUR_LIGHT
    red, green, blue = _channels(value)
    return ON_COLOUR_DARK if (red * 299 + green * 587 + blue * 114) / 1000 > 180 else ON_COLOUR_LIGHT


def _channels(value: str) -> tuple[int, int, int]:
    return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)


def _hash(text: str) -> int:
    """The hash of npm's ``string-hash``, over UTF-16 units from the last to the first."""
    units = text.encode("utf-16-le", "surrogatepass")
    value = 5381
    for index in range(len(units) - 2, -1, -2):
        value = (value * 33) ^ int.from_bytes(units[index : index + 2], "little")
        # JavaScript's ^ makes 32 bits with a sign of what it is given.
        value = (value + 2**31) % 2**32 - 2**31
    return value % 2**32


def _contrast(one: str, other: str) -> float:
    """The contrast of WCAG 2."""
    lights = []
    for value in (one, other):
        parts = [part / 255 for part in _channels(value)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


_VISIBLE_DARK, _VISIBLE_LIGHT = (
    tuple(name for name in _CLASSIC if _contrast(theme.get(name, name), theme["panel"]) >= 3) for theme in (DARK, LIGHT)
)
