"""``holdwatch rollout`` from the console: what the page about flags says, with two days between the stages."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg import sql

from holds_core.database.connections import connect
from holds_core.flags.actors import set_actor
from orchestration import paths
from tests.holds_core.flags.conftest import url_as
from tests.orchestration.cli.calling import broken_words
from tests.orchestration.cli.test_flags import Console
from tests.orchestration.rollout.conftest import Ramp
from tests.test_docs import ROOT, blocks


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    """A console on this test's database, with a state folder of its own."""
    monkeypatch.setattr(paths, "STATE_DIR", tmp_path)
    return Console(database_url)


@pytest.fixture
def people(run: Console, ramp: Ramp) -> Iterator[dict[str, str]]:
    """Logins as `db grant` makes them; roles are the whole server's, so they go with the test."""
    made = {name: f"{name}_{uuid4().hex[:8]}" for name in ("ann", "bob")}
    for login in made.values():
        assert run("db", "grant", "holds_operator", login).status == 0
    yield made
    for login in made.values():
        ramp.team.owner.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))


def test_page_takes_a_ramp_up_and_back(run: Console, people: dict[str, str], ramp: Ramp) -> None:
    """Every command of the page, in its order; the soak is simulated before each next stage."""
    page = "".join(blocks(ROOT / "docs" / "feature-flags" / "README.md", "sh"))
    words = people | {"RESTAURANT": str(ramp.first)}
    commands = [[words.get(word, word) for word in shlex.split(line)] for line in page.splitlines()]
    told = []
    ramp.freshen()
    for command in commands:
        assert command[0] == "holdwatch"
        if command[1:3] == ["rollout", "advance"]:
            early = run(*command[1:])
            assert (early.status, len(early.err.splitlines())) == (1, 1)
            assert "cannot go from 0 % to 10 % yet: the soak of 0 % lasts until" in early.err
            assert "See: holdwatch rollout status --flag holds.strictConflicts" in early.err
            ramp.soak(parties=21, times=10)
            due = run("rollout", "status", "--flag", "holds.strictConflicts").out
            assert "can be asked for: holdwatch rollout advance --flag holds.strictConflicts\n" in due
        done = run(*command[1:])
        assert done.status == 0, (command, done.err)
        told.append(done)
    narrow, wide = (run("rollout", "status", COLUMNS=columns).out for columns in ("80", "2000"))
    assert broken_words(narrow, wide) == set()
    assert max(map(len, narrow.splitlines())) <= 80
    assert f"Rolled back from 10% to off, {datetime.now(UTC):%Y-}" in wide
    assert f"by {people['ann']}: guests at the door" in wide
    shown = "".join(done.out for done in told)
    assert "Once it is approved, overlapping holds are recorded, not refused, for all restaurants. 10 % can be" in shown
    assert "EFFECT" in shown
    assert "holds.strictConflicts in staging: soaking" in shown
    assert "0 % of 1 named restaurants" in shown
    assert "worked out by the database" in shown
    # Wherever a narrow terminal has broken the line.
    judged = " ".join(told[5].out.replace("│", " ").split())
    assert "success_ratio over the stage: 1 (of 220), has to be ≥ 0.95: holds" in judged
    assert "Rolled back: holds.strictConflicts in staging: off." in shown
    statuses = next(done for done in reversed(told) if done.out.startswith("{")).json["rollouts"]
    (status,) = [one for one in statuses if one["flag"] == "holds.strictConflicts"]
    assert (status["stage"], status["next_stage"], status["verdict"]) == (10, 50, "soaking")
    assert {one["verdict"] for one in status["guardrails"]} <= {"holds", "gathers"}
    # Asked for, approved, applied; rolled back, applied.
    assert run("flags", "trail").out.count("success_ratio") == 5
    with ramp.team.owner.transaction():
        # What the page about rollbacks asks, as analysts may.
        ramp.team.owner.execute("set local role analytics_reader")
        changes, measures = (
            ramp.team.owner.execute(statement).fetchall()
            for statement in blocks(ROOT / "docs" / "feature-flags" / "rollback.md", "sql")
        )
    assert "holds.strictConflicts was rolled back to off" in {row[2] for row in changes}
    assert ("staging", "holds.strictConflicts", "stage", "request_count") in {row[:4] for row in measures}
    assert "stage 0 of 3 (10 % → 50 % → 100 %)" in " ".join(run("flags", "audit", "--format", "markdown").out.split())


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("start", "--reason", "x", "--at", "20"), 2, "begins at 0 or at 10"),
        (("advance", "--reason", "x"), 1, "is on for everybody in staging"),
        (("advance", "--reason", "x", "--flag", "selector.spool"), 2, "there is no flag selector.spool"),
        (("advance", "--reason", "x", "--environment", "dev"), 1, "has no stages in dev"),
        (("advance", "--reason", "x", "--evidence-from", "production=x"), 2, "ENV=URL"),
        (("roll-back", "--reason", "x"), 1, "there is none to go back from"),
        (("cohort", "--add", str(uuid4())), 2, "say why"),
        (("cohort", "--file", "{file}", "--reason", "x"), 2, "pilots.txt:2: 'the Swan' is no restaurant's id"),
    ],
)
def test_wrong_call_says_what_would_be_right(
    run: Console, people: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], status: int, words: str
) -> None:
    """One line, before anything has changed."""
    file = tmp_path / "pilots.txt"
    file.write_text(f"{uuid4()}\nthe Swan\n")
    done = run(
        "rollout",
        *(word.format(file=file) for word in arguments),
        "--as",
        people["ann"],
        COLUMNS="300",
        TERMINAL_WIDTH="300",
    )
    assert (done.status, words in done.err) == (status, True), done.err


def test_prod_is_asked_with_what_staging_says(run: Console, ramp: Ramp, views_template: Callable[[], str]) -> None:
    """From the database that serves staging; one that is away is said, without its password."""
    prod = views_template()
    with connect(prod) as owner:
        owner.execute("update holds.settings set environment = 'prod'")
        owner.execute("select holds.set_hold_conflict_rollout(0, 'a test')")
        set_actor(owner, ramp.team.logins["ann"])
    ramp.soak(parties=21, times=10)
    there = {"HOLDWATCH_DATABASE_URL": url_as(prod, ramp.team.logins["ann"])}
    staging = f"staging={url_as(run.database_url, ramp.team.logins['ann'])}"

    refused = run("rollout", "advance", "--reason", "staging is through", **there)
    assert (refused.status, "what staging says is not known here" in refused.err) == (1, True)
    assert "holdwatch rollout advance --flag holds.strictConflicts --evidence-from staging=URL" in refused.err
    refused = run("rollout", "advance", "--reason", "staging is through", "--evidence-from", staging, **there)
    assert (refused.status, "the soak of 0 % lasts until" in refused.err) == (1, True)
    assert "what staging says" not in refused.err

    both = run("rollout", "status", "--flag", "holds.strictConflicts", "--database", staging, "--json", **there)
    assert [(one["environment"], one["verdict"]) for one in both.json["rollouts"]] == [
        ("prod", "held"), ("staging", "finished"),
    ]  # fmt: skip
    away = run("rollout", "status", "--database", "staging=postgresql://x:secret@127.0.0.1:1/x", **there)
    assert (away.status, "staging cannot be asked" in away.err, "secret" in away.err) == (0, True, False)


def test_evidence_that_is_none_is_shown_as_it_is(run: Console, ramp: Ramp) -> None:
    """Whatever is handed in, the second person can look at it; and under the database's names it does not stand."""
    ramp.set_directly(50)
    odd = dict(ramp.status().source) | {"guardrails": [{"measure": "luck", "verdict": "holds", "value": "a lot"}]}
    asked = ramp.ask(10, evidence={"from": odd, "rollout": odd, "rollback": odd, "ticket": "OPS-1"})
    assert sorted(asked.evidence) == ["from", "ticket"]
    shown = run("flags", "pending", str(asked.id))
    assert (shown.status, "ticket OPS-1" in shown.out, "luck" in shown.out) == (0, True, True)
    assert "worked out by the database" not in shown.out
