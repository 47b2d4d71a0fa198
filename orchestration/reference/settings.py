"""docs/reference/settings.md: every environment variable that anything of this project reads."""

from __future__ import annotations

from typing import NamedTuple

from holds_core.flags.loading import packaged_definitions
from orchestration.markdown import cell, head, table


class Variable(NamedTuple):
    """An environment variable.

    Attributes:
        name: Its name.
        meaning: What it says.
        default: What is so where it is unset.
    """

    name: str
    meaning: str
    default: str


EVERYWHERE = (
    Variable(
        "HOLDWATCH_DATABASE_URL",
        "a PostgreSQL 15 to 18 of yours, as `postgresql://user:password@host:5432/database`",
        "the embedded server in the state folder",
    ),
    Variable(
        "HOLDWATCH_ENVIRONMENT",
        "`dev`, `staging` or `prod`: what events belong to, and what a database is at its first migrate",
        "`dev`",
    ),
    Variable("HOLDWATCH_STATE_DIR", "where to keep state", "`.holdwatch/` in the checkout, else in the current folder"),
    Variable(
        "HOLDWATCH_AS", "as whom commands act that leave a trail, as [`--as`](commands.md) does", "whose the login is"
    ),
    Variable(
        "HOLDWATCH_SPOOL_DIRECTORY",
        "where [events wait](../events.md#what-the-database-could-not-take) that the database could not take, in a "
        "folder for each database",
        "`holdwatch/spool` under `XDG_STATE_HOME`, else under `~/.local/state`",
    ),
)
PIPELINE = (
    Variable("HOLDWATCH_SYNC_URL", "another database whose events are followed", "none is followed"),
    Variable("HOLDWATCH_SYNC_TABLE", "its table of events", "`holds.observability_events`"),
    Variable(
        "HOLDWATCH_DAGSTER_STORAGE_URL",
        "where Dagster keeps its runs; commands set it for what they start. Say it yourself where Dagster "
        "[runs elsewhere](../scaling.md#dagster-on-more-than-one-machine)",
        "the schema `dagster` of the database",
    ),
    Variable("DAGSTER_HOME", "Dagster's home, likewise", "`dagster/` in the state folder"),
    Variable(
        "SPARK_CONF_DIR", "Spark's configuration for [`holdwatch pipeline spark`](../scaling.md)", "this machine alone"
    ),
    Variable("JAVA_HOME", "which Java runs Spark", "`java` on the path"),
)
TELLING = (
    Variable(
        "HOLDWATCH_RUNBOOKS_URL",
        "where your copy of docs/runbooks is published; links of dashboards and alerts begin with it",
        "a placeholder",
    ),
    Variable(
        "DD_API_KEY",
        "of [Datadog](../datadog.md); where it is set, `holdwatch up` sends series every minute",
        "nothing is sent",
    ),
    Variable("DD_APP_KEY", "of Datadog, for `holdwatch dashboards push --datadog`", "none"),
    Variable("DD_SITE", "Datadog's site", "`datadoghq.com`"),
    Variable("DD_URL", "where Datadog's API is, for who has a proxy in front of it", "the site's own"),
    Variable("HOLDWATCH_DATADOG_RESTAURANTS", "`1`: each restaurant's series as well", "all together alone"),
    Variable("GRAFANA_TOKEN", "of a service account, for `holdwatch dashboards push --grafana`", "none"),
    Variable(
        "HOLDWATCH_METRICS_PASSWORD",
        "what scrapes of [`holdwatch metrics serve`](../metrics.md) must bring",
        "they bring nothing",
    ),
    Variable(
        "HOLDWATCH_SCHEMAS",
        "where the published schemas are that `holdwatch dashboards check` holds files to",
        "`../shared/schemas` beside the checkout",
    ),
)
GRAFANA = (
    Variable("HOLDWATCH_DB_HOST", "the database's host, as Grafana reaches it", "must be given"),
    Variable("HOLDWATCH_DB_PORT", "its port", "5432"),
    Variable("HOLDWATCH_DB_NAME", "the database's name", "`holdwatch`"),
    Variable("HOLDWATCH_DB_USER", "a login that has the role `analytics_reader`", "`grafana`"),
    Variable("HOLDWATCH_DB_PASSWORD", "its password", "must be given"),
    Variable("HOLDWATCH_DB_SSLMODE", "libpq's sslmode", "`require`"),
    Variable("GRAFANA_ADMIN_PASSWORD", "of the Grafana that the compose file starts", "must be given"),
    Variable("GRAFANA_PORT", "its port on loopback", "3000"),
    Variable("GRAFANA_URL", "where people find it", "`http://127.0.0.1:3000/`"),
    Variable("HOLDWATCH_PAGE_EMAIL", "whom the contact point for pages writes to", "must be given"),
    Variable("HOLDWATCH_TICKET_EMAIL", "whom the one for tickets writes to", "must be given"),
)
TESTS = (
    Variable("HOLDWATCH_EXAMPLES", "how many examples the model test of holds tries", "a quick run's"),
    Variable("HOLDWATCH_SUPABASE_URL", "a real Supabase project's API", "those tests are skipped"),
    Variable("HOLDWATCH_SUPABASE_KEY", "its service key", "those tests are skipped"),
    Variable("HOLDWATCH_PRISM", "a Prism that answers as Datadog does", "those tests are skipped"),
)

VARIABLES = (*EVERYWHERE, *PIPELINE, *TELLING, *GRAFANA, *TESTS)


def page() -> str:
    """Return the page."""
    lines = head("Settings", "orchestration/reference/settings.py")
    lines += [
        "Environment variables; no file has to be edited. What is the same for everybody who uses a database is set in "
        "it: [feature flags](../feature-flags/README.md), [known maintenance](../maintenance.md), "
        "[the evaluation period](../alerting.md#the-evaluation-period) of alerts.",
        "",
    ]
    lines += _section("Everywhere", "", EVERYWHERE)
    lines += ["## Feature flags", ""]
    lines += [
        "For one process, what [a flag](../feature-flags/registry.md) is; the database's own word goes first.",
        "",
    ]
    flags = packaged_definitions().values()
    lines += table(("variable", "flag"), ((f"`{flag.variable}`", f"`{flag.name}`") for flag in flags))
    lines += _section("The pipeline", "", PIPELINE)
    lines += _section("Those who are told", "", TELLING)
    lines += _section(
        "Files that Grafana loads",
        "Read by Grafana itself, or by dashboards/compose.yaml; not by `holdwatch`.",
        GRAFANA,
    )
    lines += _section("Tests", "", TESTS)
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(title: str, words: str, variables: tuple[Variable, ...]) -> list[str]:
    lines = [f"## {title}", "", *([words, ""] if words else [])]
    return lines + table(
        ("variable", "means", "unless set"), ((f"`{one.name}`", cell(one.meaning), one.default) for one in variables)
    )
