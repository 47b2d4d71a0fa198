"""The compose file and what Grafana finds through it fit together; there is no Docker here to try it with."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from dashboards.files import DASHBOARDS_DIR
from dashboards.generators.grafana_alerting import DATASOURCE_UID, FOLDER
from dashboards.generators.grafana_parts import DATASOURCE_TYPE

Json = dict[str, Any]

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")


def _read(name: str) -> Json:
    content: Json = yaml.safe_load((DASHBOARDS_DIR / name).read_text("utf-8"))
    return content


@pytest.fixture(scope="module")
def service() -> Json:
    """The one service of the compose file."""
    (service,) = _read("compose.yaml")["services"].values()
    return dict(service)


@pytest.fixture(scope="module")
def mounts(service: Json) -> dict[PurePosixPath, Path]:
    """Which folder of ours Grafana finds where."""
    found = {}
    for volume in service["volumes"]:
        source, target, *mode = volume.split(":")
        if source.startswith("."):
            assert mode == ["ro"], volume
            found[PurePosixPath(target)] = DASHBOARDS_DIR / source
    return found


def test_grafana_is_on_loopback_and_needs_a_password(service: Json) -> None:
    """Nobody else reaches it unless somebody says so, and no password stands in the file."""
    environment = service["environment"]
    required = {match for value in environment.values() for match in _REQUIRED.findall(str(value))}

    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert {"GRAFANA_ADMIN_PASSWORD", "HOLDWATCH_DB_PASSWORD", "HOLDWATCH_DB_HOST"} <= required
    assert all(str(value).startswith("${") for name, value in environment.items() if "PASSWORD" in name)
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert re.fullmatch(r"grafana/grafana:\d+\.\d+\.\d+", service["image"])


def test_grafana_tells_nobody_and_fetches_nothing(service: Json) -> None:
    """Telemetry, update checks, news, avatars and plugins from elsewhere are off."""
    environment = service["environment"]
    off = [name for name in environment if name.startswith("GF_ANALYTICS_") or name == "GF_NEWS_NEWS_FEED_ENABLED"]

    assert len(off) >= 5
    assert {environment[name] for name in off} == {"false"}
    assert environment["GF_PLUGINS_PREINSTALL_DISABLED"] == environment["GF_SECURITY_DISABLE_GRAVATAR"] == "true"


def test_what_is_mounted_is_there(mounts: dict[PurePosixPath, Path]) -> None:
    """Each folder exists and holds what Grafana reads there; another suffix would keep Grafana from starting."""
    for target, folder in mounts.items():
        suffixes = {path.suffix for path in folder.iterdir()}
        assert suffixes == ({".json"} if "dashboards/holdwatch" in str(target) else {".yaml"}), target
    assert {target.parts[-1] for target in mounts} == {"holdwatch", "dashboards", "datasources", "alerting"}


def test_dashboards_are_found_where_they_are_mounted(mounts: dict[PurePosixPath, Path]) -> None:
    """The provider looks into the folder of the generated dashboards, and puts them beside the alert rules."""
    (provider,) = _read("grafana-provisioning/dashboards/holdwatch.yaml")["providers"]

    assert mounts[PurePosixPath(provider["options"]["path"])] == DASHBOARDS_DIR / "grafana"
    assert provider["folder"] == FOLDER


def test_data_source_is_the_one_that_dashboards_and_rules_mean() -> None:
    """Its type is what the dashboards' variable offers, its uid what the rules name."""
    (source,) = _read("grafana-provisioning/datasources/holdwatch.yaml")["datasources"]

    assert (source["uid"], source["type"]) == (DATASOURCE_UID, DATASOURCE_TYPE)
    assert source["secureJsonData"]["password"].startswith("${")
    assert source["editable"] is False


def test_every_variable_that_grafana_is_to_replace_is_given_to_it(
    service: Json, mounts: dict[PurePosixPath, Path]
) -> None:
    """An empty address of a contact point would keep Grafana from starting."""
    read = [path.read_text("utf-8") for folder in mounts.values() for path in folder.glob("*.yaml")]
    named = {name for text in read for name in _VARIABLE.findall(text)}

    assert {"HOLDWATCH_DB_PASSWORD", "HOLDWATCH_PAGE_EMAIL", "HOLDWATCH_TICKET_EMAIL"} <= named
    assert named <= set(service["environment"])
