"""What somebody sees who decides about a flag: from what to what, what it takes away, and what stands in its way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.orchestration.cli.calling import call
from tests.orchestration.cli.test_flags import Console, Desk, flags, run, template

__all__ = ["flags", "run", "template"]

SECRET = "tops3cret"


def said_by(text: str) -> str:
    """What is printed, without the lines of tables."""
    return " ".join(re.sub(r"[│┃]", " ", text).split())


def test_whoever_approves_sees_what_it_takes_away(flags: Desk) -> None:
    """From what is in force to what is asked for, on the card, in the list and with the flag; and who loses by it."""
    lost = "overlapping holds will no longer be refused for"
    assert flags("request", "holds.strictConflicts", "30%", "--reason", "x", person="ann").status == 0
    for arguments in (("pending",), ("pending", "1"), ("show", "holds.strictConflicts")):
        shown = said_by(flags(*arguments).out)
        assert "holds.strictConflicts in dev: on → 30%" in shown
        assert f"{lost} up to 70 % of the restaurants" in shown
    assert flags("withdraw", "1", "--reason", "x", person="ann").status == 0
    assert flags("request", "holds.strictConflicts", "off", "--reason", "x", person="ann").status == 0
    approved = said_by(flags("approve", "2", person="bob").out)
    assert "holds.strictConflicts in dev: on → off" in approved
    assert f"EFFECT {lost} up to all restaurants" in approved
    assert flags("request", "holds.strictConflicts", "default", "--reason", "x", person="ann").status == 0
    back = said_by(flags("pending", "3").out)
    assert "in dev: off → default (on)" in back
    assert "EFFECT" not in back


def test_requests_that_cannot_be_approved_say_so(flags: Desk) -> None:
    """Where the flag has changed since, be it that nothing is set any more; and where a rule would be broken by now."""
    for value in ("10%", "20%"):
        assert flags("request", "selector.lookahead", value, "--reason", "x", person="ann").status == 0
    flags("approve", "1", person="bob")
    stale = said_by(flags("pending").out)
    assert "in dev: 10% → 20%" in stale
    assert "OUT OF DATE: the flag has changed since" in stale
    assert 'holdwatch flags edit 2 20% --reason "…"' in stale
    assert "OUT OF DATE" in said_by(flags("pending", "2").out)
    refused = flags("approve", "2", person="bob")
    assert (refused.status, "holdwatch flags edit 2" in refused.err) == (1, True)
    assert "revision 2" in flags("edit", "2", "20%", "--reason", "x", person="ann").out
    assert "OUT OF DATE" not in flags("pending").out

    # Taken away, there is no version left to compare with.
    flags("request", "selector.lookahead", "default", "--reason", "x", person="ann")
    flags("approve", "3", person="bob")
    (change,) = flags("pending", "--json").json["changes"]
    assert (change["id"], change["is_out_of_date"], change["in_force"]) == (2, True, "off")
    flags("edit", "2", "20%", "--reason", "x", person="ann")

    assert flags.run("enforcement", "off", "--reason", "guests", "--as", flags.people["ann"]).status == 0
    pending = said_by(flags("pending", COLUMNS="400").out)
    assert "would be UNSAFE: selector-lookahead-needs-holds-strict-conflicts" in pending
    assert "The kill switch of holds.strictConflicts is on in dev" in pending
    assert "holdwatch enforcement on" in pending
    card = said_by(flags("pending", "2").out)
    assert "the evidence that strict conflicts are rolled out by is missing." in card
    refused = flags("approve", "2", person="bob")
    assert refused.status == 1
    assert f"{flags.people['ann']}, who asked for it, says why" in refused.err
    assert 'holdwatch flags edit 2 20% --reason "…" --unsafe-because "…"' in refused.err
    flags("edit", "2", "20%", "--reason", "x", "--unsafe-because", "a test", person="ann")
    assert flags("approve", "2", person="bob").status == 0
    listed = said_by(flags("list").out)
    assert "the evidence that strict conflicts are rolled out by is missing." in listed


def test_broken_glass_says_what_comes_back_and_who_looked(flags: Desk) -> None:
    """What was approved is there beneath, and until when it is not; whether somebody else has reviewed it."""
    flags("request", "selector.lookahead", "20%", "--reason", "x", person="ann")
    flags("approve", "1", person="bob")
    broken = ("break-glass", "selector.lookahead", "off", "--lasts", "2h", "--reason", "x")
    assert flags(*broken, person="ann").status == 0
    for arguments in (("list",), ("show", "selector.lookahead"), ("audit",)):
        shown = said_by(flags(*arguments, COLUMNS="400").out)
        assert "break glass off / approved 20% (again from 20" in shown
        assert "break-glass, not reviewed: flags review 2" in shown
    assert "break-glass, not reviewed: flags review 2" in said_by(flags("pending", "2").out)
    flags("review", "2", "--remark", "right", person="bob")
    reviewed = f"break-glass, reviewed by {flags.people['bob']}"
    assert reviewed in said_by(flags("audit", "--format", "csv").out)
    assert reviewed in said_by(flags("pending", "2").out)
    entries = {one["action"]: one for one in flags("trail", "--json").json["entries"]}
    assert (entries["reviewed"]["from_setting"], entries["reviewed"]["to_setting"]) == ("20%", "off")
    assert flags("verify").status == 0
    ended = flags("withdraw", "2", "--reason", "over", person="bob").out
    assert ended == "Change 2 is ended: selector.lookahead in dev is 20% again.\n"
    assert "break glass" not in flags("list").out


def test_steps_say_what_came_of_them(flags: Desk) -> None:
    """The same asked for twice, an approval that is void, the number of the change to withdraw."""
    limit = ("request", "selector.attemptLimit", "9", "--reason", "x")
    flags(*limit, person="ann")
    assert (
        f"{flags.people['ann']} asked for the same before: holdwatch flags pending 1" in flags(*limit, person="bob").out
    )
    flags("approve", "1", "--later", person="bob")
    edited = flags("edit", "1", "8", "--reason", "x", person="ann").out
    assert f"The approval by {flags.people['bob']} is void." in edited
    assert "void" not in flags("edit", "1", "7", "--reason", "x", person="ann").out
    assert "holdwatch flags withdraw 1." in flags("reject", "1", "--reason", "x", person="ann").err


def test_variables_that_set_nothing_are_said(flags: Desk) -> None:
    """A name that is mistyped, a value that is none: under the tables, in the doctor's words."""
    wrong = {"HOLDWATCH_FLAG_SELECTOR_LOOKAHED": "on", "HOLDWATCH_FLAG_SELECTOR_COMBINATIONS": "maybe"}
    for arguments in (("list",), ("audit",)):
        shown = said_by(flags(*arguments, **wrong).out)
        assert "HOLDWATCH_FLAG_SELECTOR_LOOKAHED names no flag; there are HOLDWATCH_FLAG_" in shown
        assert "HOLDWATCH_FLAG_SELECTOR_COMBINATIONS is not used: 'maybe' is not on, off" in shown
        assert len(flags(*arguments, "--json", **wrong).json["unused_variables"]) == 2


def test_login_made_elsewhere_leads_on(flags: Desk, tmp_path: Path) -> None:
    """Its file is gone: what --as says leads to db grant, what that says to a password, and that is enough."""
    bob = flags.people["bob"]
    (file,) = tmp_path.glob(f"logins/*/{bob}.holds_operator.url")
    file.unlink()
    refused = flags("list", person="bob")
    assert (refused.status, f"make it with: holdwatch db grant holds_operator {bob}" in refused.err) == (1, True)
    granted = flags.run("db", "grant", "holds_operator", bob)
    assert f"give it a new one: holdwatch db grant holds_operator {bob} --new-password" in granted.out
    assert "Its URL" in flags.run("db", "grant", "holds_operator", bob, "--new-password").out
    assert flags("list", person="bob").status == 0


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{SECRET}@127.0.0.1:1/x?sslmode=disable",
        f"staging=postgresql://ann:{SECRET}%zz@127.0.0.1:1/x",
        f"staging=postgresql://ann:{SECRET}@{SECRET}@127.0.0.1:1/x",
        f"staging=ann:{SECRET}",
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        ("flags", "audit", "--database"),
        ("rollout", "status", "--database"),
        ("rollout", "advance", "--reason", "x", "--evidence-from"),
        ("events", "sync", "--from"),
        ("dashboards", "push", "--grafana"),
    ],
)
def test_no_error_repeats_a_password(run: Console, arguments: tuple[str, ...], url: str) -> None:
    """Whatever is wrong with a URL: an error that is copied into a ticket gives nothing away."""
    done = call(*arguments, url, HOLDWATCH_DATABASE_URL=run.database_url, GRAFANA_TOKEN="x")
    assert done.status != 0
    assert SECRET not in done.out + done.err
    if "--database" in arguments and "=" not in url.partition(":")[0]:
        assert "begin it with the environment" in done.err


def test_a_url_that_is_out_of_place_keeps_its_password() -> None:
    """Given where nothing is asked for, it is told without what is secret in it."""
    done = call("flags", "audit", f"postgresql://ann:{SECRET}@127.0.0.1:1/x")
    assert (done.status, SECRET in done.err, "postgresql://ann:…@127.0.0.1" in done.err) == (2, False, True)
