"""``holdwatch dashboards preview``: the dashboards as a page and as pictures, without Grafana."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from dashboards.checks.check import counted
from dashboards.checks.loading import load
from dashboards.files import DASHBOARDS_DIR
from holds_core.database.connections import connect
from orchestration.cli.output import JsonOption, notes, print_json
from orchestration.cli.progress import open_database
from orchestration.errors import MissingExtraError
from orchestration.paths import PROJECT_ROOT, state_dir

if TYPE_CHECKING:
    from dashboards.preview import BoardAnswer, Preview, Wanted

PICTURES_DIR = PROJECT_ROOT / "docs" / "pictures"
WIDTH, SMALLEST_WIDTH, LARGEST_WIDTH = 1600, 640, 3840


def preview(
    directory: Annotated[
        Path | None,
        typer.Option("--directory", file_okay=False, show_default=".holdwatch/preview", help="Where the files go."),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="Where the time range begins: now-24h, now/d, 2030-05-17T19:00:00Z.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Where it ends; default: as the dashboards have it, now.")
    ] = None,
    environment: Annotated[
        str | None, typer.Option("--environment", help="The environment; default: the first one that Grafana offers.")
    ] = None,
    restaurant: Annotated[
        list[str] | None,
        typer.Option("--restaurant", help="A restaurant's id, or (none); give it again for another one. Default: All."),
    ] = None,
    width: Annotated[
        int,
        typer.Option(min=SMALLEST_WIDTH, max=LARGEST_WIDTH, help="How wide the page and the pictures are, in pixels."),
    ] = WIDTH,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show a made-up incident, from a database of its own, instead of your data.")
    ] = False,
    docs: Annotated[
        bool, typer.Option("--docs", help="With --demo: also make the pictures in docs/pictures anew.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Draw every dashboard with the database's data: one HTML page that needs no network, and a PNG of each.

    It asks what Grafana would ask, as analytics_reader, and reads only. Exits 1 if a panel's query failed: that panel
    shows what the database said. Each file is replaced when the new one is whole.

    Example: holdwatch dashboards preview --demo
    """
    from dashboards.preview import Wanted, write_preview  # noqa: PLC0415  for this command alone

    for module in ("vl_convert", "PIL"):
        if find_spec(module) is None:
            raise MissingExtraError("dashboards", "The preview")
    if docs and not demo:
        raise typer.BadParameter("the pictures in docs show the made-up incident: add --demo.", param_hint="--docs")
    _refuse_wrong_times(from_, to)
    target = state_dir() / "preview" if directory is None else directory.absolute()
    wanted = Wanted(from_, to, _choices(environment, restaurant))
    with _progress() as show:
        pictures: list[Path] = []
        with _database(demo, show) as url:
            answers = _ask(url, wanted, show)
        written = write_preview(answers, target, width, lambda path: show(f"drawing {path.name}"))
        if docs:
            from dashboards.preview.pictures import write_pictures  # noqa: PLC0415

            show(f"drawing {PICTURES_DIR}")
            pictures = write_pictures(answers, PICTURES_DIR)
    _report(written, pictures, as_json=json)


def _refuse_wrong_times(from_: str | None, to: str | None) -> None:
    from dashboards.preview.times import Range, TimeRangeError, read_time  # noqa: PLC0415

    now = datetime.now(UTC)
    for option, text in (("--from", from_), ("--to", to)):
        try:
            read_time(text or "now", now)
        except TimeRangeError as error:
            raise typer.BadParameter(str(error), param_hint=option) from None
    if from_ is not None and to is not None:
        try:
            Range.read(from_, to, now)
        except TimeRangeError as error:
            raise typer.BadParameter(str(error), param_hint="--to") from None


def _choices(environment: str | None, restaurant: list[str] | None) -> dict[str, list[str]]:
    chosen = {} if environment is None else {"environment": [environment]}
    return chosen | ({"restaurant": restaurant} if restaurant else {})


@contextmanager
def _database(demo: bool, show: Callable[[str], None]) -> Iterator[str]:
    if demo:
        if find_spec("numpy") is None:
            raise MissingExtraError("pipeline", "Making up an incident")
        from orchestration.incident_database import incident_database  # noqa: PLC0415  numpy is of the extra

        with incident_database(show) as url:
            yield url
    else:
        with open_database(migrated=False) as database:
            yield database.url


def _ask(url: str, wanted: Wanted, show: Callable[[str], None]) -> list[BoardAnswer]:
    from dashboards.preview.writing import ask_boards  # noqa: PLC0415

    with connect(url) as connection:
        dashboards, _ = load(DASHBOARDS_DIR, "grafana")
        return ask_boards(
            connection, dashboards, wanted, lambda board, panel: show(f"asking {board.title}: {panel.title}")
        )


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show what is being done, where standard error is a terminal."""
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), console=notes, transient=True, disable=not notes.is_terminal
    ) as progress:
        task = progress.add_task("opening the database", total=None)
        yield lambda step: progress.update(task, description=step)


def _report(written: Preview, pictures: list[Path], *, as_json: bool) -> None:
    files = [*written.files, *pictures]
    if as_json:
        print_json(
            {
                "files": [str(path) for path in files],
                "panels": written.panels,
                "problems": list(written.problems),
                "notes": list(written.notes),
            }
        )
    else:
        for path in files:
            typer.echo(path)
        boards = counted(len(written.files) - 1, "dashboard")
        notes.print(f"{counted(written.panels, 'panel')} of {boards}.")
    for note in written.notes:
        notes.print(f"Note: {note}", soft_wrap=True)
    for problem in written.problems:
        notes.print(problem, soft_wrap=True)
    if written.problems:
        failed = "1 query failed" if len(written.problems) == 1 else f"{len(written.problems)} queries failed"
        notes.print(f"holdwatch: {failed}; the panels say so too.")
        raise typer.Exit(1)
