"""``holdwatch drill``: inject a regression, and time how long it takes until somebody knows."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from orchestration.cli.output import JsonOption, notes, print_json, results
from orchestration.cli.progress import open_existing_database
from orchestration.cli.soak import refuse_prod
from orchestration.cli.tables import print_table
from orchestration.drills.kill_switch import SEEN, KillSwitchReport, run_kill_switch_drill
from orchestration.drills.run import STEPS, Drill, DrillReport, Step, run_drill

app = typer.Typer(
    no_args_is_help=True,
    help="Inject a regression, time its detection from the commit to the notification, and put everything back.",
)

FEWEST_SECONDS, MOST_SECONDS = 5, 300
FEWEST_SECONDS_SCRAPED = 15
"""Prometheus looks every 15 seconds: what fires for less than that it may not see."""

PeriodOption = Annotated[
    int,
    typer.Option(
        min=FEWEST_SECONDS,
        max=MOST_SECONDS,
        metavar="SECONDS",
        help="The evaluation period meanwhile: a part of a minute, or whole minutes.",
    ),
]
PrometheusOption = Annotated[
    bool,
    typer.Option("--prometheus", help="Have a Prometheus and an Alertmanager notify, as in dashboards/prometheus/."),
]
MaintenanceOption = Annotated[
    bool,
    typer.Option(
        "--maintenance", help="Have the environment in known maintenance: only a double booking may be told of."
    ),
]
ProdOption = Annotated[bool, typer.Option("--allow-prod", help="Run although the environment is prod.")]


@app.command("double-booking")
def double_booking(
    period: PeriodOption = 15,
    prometheus: PrometheusOption = False,
    maintenance: MaintenanceOption = False,
    allow_prod: ProdOption = False,
    json: JsonOption = False,
) -> None:
    """Double-book a table of a synthetic restaurant, for which alone enforcement is off, and release it again.

    With --prometheus somebody has to be told within 60 seconds. Exits 1 if anything falls short.

    Example: holdwatch drill double-booking --prometheus
    """
    _drill("double-booking", period, prometheus, maintenance, allow_prod, json=json)


@app.command("success-dip")
def success_dip(
    period: PeriodOption = 15,
    prometheus: PrometheusOption = False,
    maintenance: MaintenanceOption = False,
    allow_prod: ProdOption = False,
    json: JsonOption = False,
) -> None:
    """Have requests of a synthetic restaurant find no table, which has to fire after exactly two evaluations.

    Exits 1 if anything falls short.

    Example: holdwatch drill success-dip --prometheus
    """
    _drill("success-dip", period, prometheus, maintenance, allow_prod, json=json)


@app.command("flag-contradiction")
def flag_contradiction(
    period: PeriodOption = 15,
    prometheus: PrometheusOption = False,
    maintenance: MaintenanceOption = False,
    allow_prod: ProdOption = False,
    json: JsonOption = False,
) -> None:
    """Record that two flags defeat each other; no flag is touched.

    Exits 1 if anything falls short.

    Example: holdwatch drill flag-contradiction
    """
    _drill("flag-contradiction", period, prometheus, maintenance, allow_prod, json=json)


@app.command("kill-switch")
def kill_switch(
    everyone: Annotated[
        bool,
        typer.Option(
            "--everyone",
            help="Drill the switch of all restaurants; meanwhile any of them can be double-booked. Else only that of a "
            "synthetic one.",
        ),
    ] = False,
    allow_prod: ProdOption = False,
    json: JsonOption = False,
) -> None:
    """Switch strict conflicts off and on again by the runbook's own commands, while a client is placing holds.

    The commands are read out of docs/runbooks/README.md. Exits 1 if they fail, if the client takes more than ten
    seconds to notice, or if the trail lacks them.

    Example: holdwatch drill kill-switch
    """
    with open_existing_database() as database:
        refuse_prod(database, allowed=allow_prod, what="A drill")
        with notes.status("beginning") as status:
            report = run_kill_switch_drill(
                database.url,
                is_for_everyone=everyone,
                on_step=lambda what, seconds: notes.print(f"{seconds:6.1f} s  {what}"),
                on_stage=lambda stage: status.update(f"waiting for {stage}"),
            )
    if json:
        print_json(report.as_dict())
    else:
        _print_kill_switch(report)
    if report.problems:
        raise typer.Exit(1)


def _drill(drill: Drill, period: int, prometheus: bool, maintenance: bool, allow_prod: bool, *, json: bool) -> None:
    _check_period(period, prometheus=prometheus)
    with open_existing_database() as database:
        refuse_prod(database, allowed=allow_prod, what="A drill")
        with notes.status("beginning") as status:

            def say_step(step: Step, seconds: float) -> None:
                notes.print(f"{seconds:6.1f} s  {STEPS[step]}")

            report = run_drill(
                database.url,
                drill,
                period_seconds=period,
                in_maintenance=maintenance,
                with_prometheus=prometheus,
                on_step=say_step,
                on_stage=lambda stage: status.update(f"waiting for {stage}"),
            )
    if json:
        print_json(report.as_dict())
    else:
        _print(report)
    if report.problems:
        raise typer.Exit(1)


def _check_period(period: int, *, prometheus: bool) -> None:
    if 60 % period if period < 60 else period % 60:
        raise typer.BadParameter(f"{period} seconds are no part of a minute, nor whole minutes", param_hint="--period")
    if prometheus and period < FEWEST_SECONDS_SCRAPED:
        raise typer.BadParameter(
            f"Prometheus looks every {FEWEST_SECONDS_SCRAPED} seconds, so it takes at least so many with --prometheus",
            param_hint="--period",
        )


def _print(report: DrillReport) -> None:
    where = " in known maintenance" if report.is_in_maintenance else ""
    results.print(
        f"Drill {report.drill}: {report.alert} in {report.environment}{where}, period {report.period_seconds} s"
    )
    table = Table()
    table.add_column("after the commit", justify="right")
    table.add_column("")
    for step, seconds in report.seconds.items():
        table.add_row(f"{seconds:.1f} s", STEPS[step])
    print_table(table)
    if report.evaluations is not None:
        results.print(f"Evaluations in a row that had breached when it fired: {report.evaluations}.")
    if report.also_notified:
        results.print(f"Also told of: {', '.join(report.also_notified)}.")
    _print_verdict(report.problems)


def _print_kill_switch(report: KillSwitchReport) -> None:
    whose = "every restaurant" if report.is_for_everyone else "a synthetic restaurant"
    results.print(f"Drill kill-switch: holds.strictConflicts of {whose} in {report.environment}")
    for command in report.commands:
        results.print(f"$ {command}")
    table = Table()
    table.add_column("after the command began", justify="right")
    table.add_column("")
    for switched, seconds in report.seconds.items():
        for seen, passed in seconds.items():
            table.add_row(f"{passed:.2f} s", f"{switched}: {SEEN[seen]}")
    print_table(table)
    results.print(f"{report.attempts} holds were asked for of a table that was taken; {report.let_through} got it.")
    _print_verdict(report.problems)
    if report.double_bookings:
        results.print(
            f"{report.double_bookings} double bookings of its restaurant stay, and whoever is on call is told of them: "
            "holdwatch holds conflicts"
        )


def _print_verdict(problems: list[str]) -> None:
    for problem in problems:
        results.print(f"- {problem}")
    results.print("It fell short; see above." if problems else "Everything as it should be.")
