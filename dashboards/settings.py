"""What whoever loads the files may set: where their runbooks are published."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from dashboards.catalogue import RUNBOOK_BASE_URL
from holds_core.errors import SettingsError

RUNBOOKS_VARIABLE = "HOLDWATCH_RUNBOOKS_URL"

# Written into JSON, YAML and Markdown as it is, with a page and a heading behind it.
_URL = re.compile(r"https?://[\w.~:/@%+,=-]+")


def runbooks_url(environ: Mapping[str, str] = os.environ) -> str:
    """Return where docs/runbooks is published, as ``HOLDWATCH_RUNBOOKS_URL`` says; else the placeholder.

    Raises:
        SettingsError: It is no URL that a page can be appended to.
    """
    url = environ.get(RUNBOOKS_VARIABLE, "").rstrip("/") or RUNBOOK_BASE_URL
    if _URL.fullmatch(url) is None:
        raise SettingsError(f"{RUNBOOKS_VARIABLE} is {url!r}; set it to a URL such as https://wiki.example/runbooks.")
    return url
