"""docs/reference/views.md: every view that analysts and dashboards may read, and its columns, as dbt's files say."""

from __future__ import annotations

from typing import Any

import yaml

from dashboards.anchors import anchor
from dashboards.catalogue import VIEWS
from orchestration.markdown import head, prose, table
from orchestration.paths import DBT_PROJECT_DIR

_FILES = ("views/_views__models.yml", "alerts/_alerts__models.yml", "marts/_marts__models.yml")


def page() -> str:
    """Return the page."""
    models = _models()
    lines = head("Views", "the YAML files of dbt_project/models")
    lines += [
        "In the schema `analytics`, readable by the role `analytics_reader`. Columns are contracts; "
        "[views](../views.md) says how values are read, with examples.",
        "",
    ]
    lines += table(("view", "holds"), ((f"[`{name}`](#{anchor(name)})", _first(models[name])) for name in VIEWS))
    for name in VIEWS:
        lines += [f"## {name}", "", prose(" ".join(models[name]["description"].split())), ""]
        columns = models[name]["columns"]
        rows = ((f"`{column['name']}`", column["data_type"], prose(column["description"])) for column in columns)
        lines += table(("column", "type", "means"), rows)
    return "\n".join(lines).rstrip("\n") + "\n"


def _models() -> dict[str, Any]:
    texts = ((DBT_PROJECT_DIR / "models" / file).read_text(encoding="utf-8") for file in _FILES)
    return {model["name"]: model for text in texts for model in yaml.safe_load(text)["models"]}


def _first(model: Any) -> str:
    return prose(" ".join(model["description"].split()).split(". ")[0].rstrip(".")) + "."
