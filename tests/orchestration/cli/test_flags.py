"""``holdwatch flags``: two people change a flag from the console, and reports say what came of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from holds_core.database.settings import Environment
from holds_core.flags import Flag, Setting
from holds_core.flags.loading import packaged_definitions
from holds_core.flags.matrix import Row, Source, StoredOverride, build_matrix
from holds_core.flags.reports import as_csv, as_markdown
from holds_core.flags.variables import read_variables
from holds_core.rollout import rollout_bucket
from orchestration import flag_sources, paths
from orchestration.cli.app import app
from orchestration.cli.failures import message_of
from tests.orchestration.cli.calling import Done


@pytest.fixture(scope="session")
def template(small_template: str) -> str:
    """No history is needed."""
    return small_template


@dataclass(frozen=True)
class Console:
    """Runs `holdwatch` in this process: starting one for each command would be most of the tests' time."""

    database_url: str

    def __call__(self, *arguments: str, **variables: str) -> Done:
        """Run a command; its end is told as a process would tell it."""
        result = CliRunner().invoke(app, arguments, env={"HOLDWATCH_DATABASE_URL": self.database_url} | variables)
        said = result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            message = message_of(result.exception)
            assert message is not None, result.exception
            said += f"holdwatch: {message}\n"
        return Done(result.exit_code, result.stdout, said)


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    """A console on this test's database, with a state folder of its own."""
    monkeypatch.setattr(paths, "STATE_DIR", tmp_path)
    return Console(database_url)


@dataclass(frozen=True)
class Desk:
    """A console at which ann, under either of two logins, and bob sit down in turn."""

    run: Console
    people: dict[str, str]

    def __call__(self, *arguments: str, person: str | None = None, **variables: str) -> Done:
        """Run a command of `holdwatch flags`, as somebody."""
        whom = () if person is None else ("--as", self.people[person])
        return self.run("flags", *arguments, *whom, **variables)


@pytest.fixture
def flags(run: Console, connection: psycopg.Connection) -> Iterator[Desk]:
    """The console, and logins as `db grant` makes them; roles are the whole server's, so they go with the test."""
    people = {name: f"{name}_{uuid4().hex[:8]}" for name in ("ann", "ann_too", "bob")}
    for name, login in people.items():
        alias = ("--alias-of", people["ann"]) if name == "ann_too" else ()
        made = run("db", "grant", "holds_operator", login, *alias)
        assert made.status == 0, made.err
    yield Desk(run, people)
    for login in people.values():
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))


def test_two_people_change_a_flag_from_the_console(flags: Desk) -> None:
    """Asked for, refused to oneself under either name, approved, in force, and on the trail."""
    people = flags.people
    asked = flags("request", "selector.lookahead", "10%", "--reason", "first stage", person="ann")
    assert asked.status == 0, asked.err
    assert "Change 1 is requested: selector.lookahead in dev: 10%. Nothing has changed yet." in asked.out
    for name in ("ann", "ann_too"):
        refused = flags("approve", "1", person=name)
        assert (refused.status, len(refused.err.splitlines())) == (1, 1)
        assert f"asked for by {people['ann']}: somebody else has to approve it" in refused.err
    assert [change["id"] for change in flags("pending", "--json").json["changes"]] == [1]

    approved = flags("approve", "1", "--remark", "seen", person="bob")
    assert "first stage" in approved.out  # it shows what it approves
    assert "Change 1 is in force: selector.lookahead in dev: 10%." in approved.out
    again = flags("approve", "1", person="bob")
    assert (again.status, "is applied already" in again.err) == (1, True)

    shown = flags("show", "selector.lookahead", "--json").json
    assert [entry["action"] for entry in shown["trail"]] == ["defined", "requested", "approved", "applied"]
    (row,) = shown["in_force"]
    assert (row["effective"], row["reason"], row["by"]) == (
        "10%", "override", f"{people['ann']}, approved by {people['bob']}",
    )  # fmt: skip
    assert "10%" in flags("list").out
    verified = flags("verify", "--json")
    assert (verified.status, verified.json["is_whole"]) == (0, True)
    assert flags("verify", "--head", verified.json["head"]).status == 0
    assert flags("verify", "--head", f"1:{'0' * 64}").status == 1


def test_whoever_approves_sees_what_a_terminal_would_hide(flags: Desk) -> None:
    """A reason that moves the cursor, colours or turns the line round is shown as it is written, wherever it is."""
    assert flags("request", "selector.lookahead", "on", "--reason", "ok\x1b[8m\r\u202eno", person="ann").status == 0
    for words in (("pending",), ("pending", "1"), ("show", "selector.lookahead"), ("trail",)):
        said = flags(*words, COLUMNS="400").out
        assert "ok\\x1b[8m\\x0d\\u202eno" in said, words
        assert not set("\x1b\r\u202e") & set(said)


def test_other_steps_from_the_console(flags: Desk) -> None:
    """Edited, approved for later, applied; rejected; withdrawn; the glass broken, reviewed and ended."""
    assert flags("request", "selector.attemptLimit", "9", "--reason", "x", person="ann").status == 0
    assert "revision 2" in flags("edit", "1", "8", "--reason", "y", person="ann").out
    assert "flags apply 1" in flags("approve", "1", "--later", person="bob").out
    assert "is in force: selector.attemptLimit in dev: 8" in flags("apply", "1", person="ann").out
    flags("request", "selector.attemptLimit", "default", "--reason", "x", person="ann")
    assert "is rejected" in flags("reject", "2", "--reason", "no", person="bob").out
    flags("request", "selector.combinations", "off", "--restaurant", str(uuid4()), "--reason", "x", person="ann")
    assert "is withdrawn" in flags("withdraw", "3", "--reason", "no", person="ann").out
    broken = flags(
        "break-glass", "selector.attemptLimit", "2", "--lasts", "1h", "--reason", "load", "--json", person="ann"
    )
    assert (broken.json["state"], broken.json["is_break_glass"]) == ("applied", True)
    assert "Unsafe: few-tries-without-lookahead (" in broken.err
    assert "break-glass" in flags("pending").out
    assert "is reviewed" in flags("review", "4", "--remark", "right", person="bob").out
    assert "is ended" in flags("withdraw", "4", "--reason", "over", person="bob").out
    assert flags("pending").out == "Nothing waits.\n"
    assert len(flags("pending", "--all", "--json").json["changes"]) == 4

    assert flags("trail", "--limit", "2", "--json").json["entries"][-1]["action"] == "break-glass ended"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("request", "selector.lookahed", "on", "--reason", "x"), "Did you mean 'selector.lookahead'?"),
        (("request", "selector.lookahead", "maybe", "--reason", "x"), "is not on, off or a percentage"),
        (("request", "selector.lookahead", "12.5%", "--reason", "x"), "that is a whole number from 0 to 100"),
        (("request", "selector.lookahead", "110%", "--reason", "x"), "that is a whole number from 0 to 100"),
        (("request", "telemetry.spool", "30%", "--reason", "x"), "takes no percentage"),
        (("request", "selector.lookahead", "on", "--reason", "x", "--expires-in", "soon"), "90m, 12h, 7d or 1h30m"),
        (("request", "selector.lookahead", "on", "--reason", "<why>"), "stands for your own words"),
        (("break-glass", "selector.lookahead", "default", "--reason", "x", "--lasts", "1h"), "takes nothing away"),
        (("break-glass", "selector.lookahead", "on", "--reason", "x"), "--lasts"),
        (("audit", "--database", "production=x"), "ENV=URL"),
        (("verify", "--head", "x"), "POSITION:HASH"),
    ],
)
def test_wrong_call_says_what_would_be_right(run: Console, arguments: tuple[str, ...], word: str) -> None:
    """Exit 2, before anybody is asked."""
    done = run("flags", *arguments, COLUMNS="300", TERMINAL_WIDTH="300")
    assert (done.status, word in done.err) == (2, True), done.err


def test_nobody_changes_flags(run: Console) -> None:
    """The owner of the database is no person: it says how to become one."""
    done = run("flags", "request", "selector.lookahead", "on", "--reason", "x")
    assert done.status == 1
    assert "is nobody's" in done.err
    assert "holdwatch db grant holds_operator" in done.err


def test_audit_covers_databases_and_says_which_it_could_not_ask(
    flags: Desk, new_database: Callable[..., str], template: str
) -> None:
    """This one's environments, another one's, and one that is away; as CSV, as Markdown, as JSON."""
    flags("request", "selector.combinations", "off", "--environment", "prod", "--reason", "=1+1 | x", person="ann")
    flags("approve", "1", person="bob")
    away = "postgresql://x:secret@127.0.0.1:1/x"

    rows = list(csv.DictReader(io.StringIO(flags("audit", "--format", "csv", "--database", f"staging={away}").out)))
    assert len(rows) == 3 * len(Flag)
    by_place = {(row["environment"], row["flag"]): row for row in rows}
    prod = by_place["prod", "selector.combinations"]
    assert (prod["default"], prod["override"], prod["effective"], prod["reason"]) == ("on", "off", "off", "override")
    assert prod["why"] == "'=1+1 | x"
    staging = by_place["staging", "selector.combinations"]
    assert (staging["effective"], staging["reason"]) == ("on", "overrides_unavailable")
    assert "cannot be asked" in staging["missing"]
    assert "secret" not in staging["missing"]

    markdown = flags("audit", "--format", "markdown", HOLDWATCH_FLAG_HOLDS_STRICT_CONFLICTS="off").out
    assert "| `selector.combinations` | on (default) | on (overrides_unavailable) | off (override) |" in markdown
    assert "=1+1 \\| x" in markdown
    assert "- `holds.strictConflicts` in dev: variable-without-effect" in markdown
    assert "- variable-without-effect: a variable says otherwise than the database" in markdown

    other = new_database(template)
    json_rows = flags("audit", "--json", "--database", f"staging={other}").json["flags"]
    (found,) = [row for row in json_rows if (row["environment"], row["flag"]) == ("staging", "telemetry.spool")]
    assert found["missing"].endswith("serves dev, and holds nothing of staging")


def test_registry_and_stale_flags(run: Console) -> None:
    """The page is up to date, and no flag has expired; neither needs a database."""
    nowhere = {"HOLDWATCH_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}
    assert "is up to date" in run("flags", "registry", "--check", **nowhere).out
    assert run("flags", "stale", "--strict", "--json", **nowhere).json == {"stale": []}


def test_registry_of_an_installed_program_is_nowhere(
    run: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pip installs has no page of flags: nothing is written, and nothing said to be."""
    monkeypatch.setattr(flag_sources, "REGISTRY", tmp_path / "docs" / "registry.md")
    for arguments in ((), ("--check",), ("--json",)):
        done = run("flags", "registry", *arguments)
        assert (done.status, done.out) == (1, "")
        assert "it is a page of a checkout, and this is none" in done.err
    assert not (tmp_path / "docs").exists()


def test_operator_uses_their_own_url(flags: Desk, run: Console, tmp_path: Path) -> None:
    """A login with a role and no more reads flags, asks for changes, and has the kill switch."""
    people = flags.people
    (file,) = tmp_path.glob(f"logins/*/{people['bob']}.holds_operator.url")
    own = {"HOLDWATCH_DATABASE_URL": file.read_text().strip()}
    assert run("flags", "request", "selector.lookahead", "on", "--reason", "x", **own).status == 0
    assert run("enforcement", "off", "--reason", "guests at the door", **own).status == 0
    (killed,) = [entry for entry in flags("trail", "--json").json["entries"] if entry["action"] == "killed"]
    assert (killed["person"], killed["reason"]) == (people["bob"], "guests at the door")
    assert "kill_switch" in flags("list", "--json").out
    assert run("enforcement", "check", **own).status == 1


def rows_of(*overrides: StoredOverride, today: date = date(2026, 1, 1), **environ: str) -> list[Row]:
    """The matrix of dev."""
    definitions = packaged_definitions()
    source = Source(Environment.DEV, definitions, overrides, read_variables(definitions, environ))
    return build_matrix([source], today)


def stored(flag: Flag, setting: Setting | None, **changes: object) -> StoredOverride:
    """An override that ann asked for and bob approved, unless told otherwise."""
    values: dict[str, object] = {
        "environment": "dev", "flag": flag, "restaurant_id": None, "version": 1, "is_break_glass": False,
        "value": None if setting is None else setting.value,
        "percentage": None if setting is None else setting.percentage,
        "is_killed": False, "ends_at": None, "changed_at": datetime(2026, 1, 1, tzinfo=UTC), "changed_by": "bob",
        "change_id": 1, "requested_by": "ann", "approved_by": "bob", "reason": "because",
    }  # fmt: skip
    return StoredOverride(**(values | changes))  # type: ignore[arg-type]


def test_matrix_counts_who_takes_part() -> None:
    """Outside the cohort a restaurant is not strict, whatever its bucket: looking ahead is unsafe for it."""
    low = next(
        UUID(int=number) for number in range(1000) if rollout_bucket(Flag.STRICT_CONFLICTS, UUID(int=number)) < 50
    )
    definitions = packaged_definitions()
    overrides = [
        stored(Flag.STRICT_CONFLICTS, Setting(True, 50)), stored(Flag.LOOKAHEAD, Setting(True), restaurant_id=low),
    ]  # fmt: skip
    for cohort, is_unsafe in (({low}, False), ({uuid4()}, True)):
        source = Source(Environment.DEV, definitions, overrides, cohorts={Flag.STRICT_CONFLICTS: cohort})
        (own,) = [row for row in build_matrix([source], date(2026, 1, 1)) if row.restaurant_id == low]
        assert bool(own.unsafe) is is_unsafe


def test_matrix_marks_whatever_has_to_be_looked_at() -> None:
    """Unsafe combinations with each of their flags, broken glass, direct settings, expired flags."""
    restaurant_id = uuid4()
    rows = rows_of(
        stored(Flag.STRICT_CONFLICTS, Setting(True, 50), change_id=None),
        stored(Flag.SPOOL, Setting(False), is_break_glass=True, ends_at=datetime(2026, 1, 2, tzinfo=UTC)),
        stored(Flag.COMBINATIONS, Setting(False), restaurant_id=restaurant_id),
        today=date(2027, 6, 30),
        HOLDWATCH_FLAG_SELECTOR_ATTEMPT_LIMIT="3",
    )
    marks = {(row.flag, row.restaurant_id): row.unsafe for row in rows}
    expired = "the flag has expired"
    assert marks[Flag.STRICT_CONFLICTS, None] == ("shadow-conflicts-lost", expired, "set directly, without approval")
    assert marks[Flag.SPOOL, None] == ("shadow-conflicts-lost", "break-glass, not reviewed: flags review 1")
    assert marks[Flag.LOOKAHEAD, None] == ("few-tries-without-lookahead", expired)
    assert marks[Flag.ATTEMPT_LIMIT, None] == ("few-tries-without-lookahead",)
    assert (marks[Flag.COMBINATIONS, None], marks[Flag.COMBINATIONS, restaurant_id]) == ((), ())
    by = {(row.flag, row.restaurant_id): (row.by, row.variable, row.note) for row in rows}
    assert by[Flag.STRICT_CONFLICTS, None][0] == "bob, directly"
    assert by[Flag.SPOOL, None] == ("ann alone", None, "ends 2026-01-02 00:00 UTC, then default on")
    assert by[Flag.ATTEMPT_LIMIT, None] == (None, "3", None)


def test_what_people_wrote_is_text_in_every_report() -> None:
    """No formula for a spreadsheet, no markup for a page, one line for a row."""
    nasty = '=HYPERLINK("x")\n| **bold** <script> [link](x)'
    rows = rows_of(stored(Flag.COMBINATIONS, Setting(False), reason=nasty, changed_at=datetime.now(UTC) - timedelta(1)))

    (line,) = [row for row in csv.DictReader(io.StringIO(as_csv(rows))) if row["override"]]
    assert line["why"] == f"'{nasty}"
    (cells,) = [text for text in as_markdown(rows, datetime.now(UTC)).splitlines() if "HYPERLINK" in text]
    assert cells.count("|") - cells.count("\\|") == 12
    assert "\\*\\*bold\\*\\* &lt;script> \\[link\\](x)" in cells
    json.dumps([vars(row) for row in rows], default=str)
