"""The command line on complaints: a clerk files, follows and answers one; a sensitive one is for its focal point."""

from __future__ import annotations

import logging
from datetime import date, timedelta

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.registry import voice_message
from gateway.registry.complaint import Complaint
from gateway.registry.numbers import spaced
from tests.conftest import SETTINGS, a_row, register
from tests.web.desk import rows

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
AMINA = ("--as", "focal_point", "--by", "Amina")
BRAHIM = ("--by", "Brahim")


@pytest.fixture
def run(runtime, database_url, redis_url, tmp_path):
    """`mouachir complaint ...` in this process; afterwards the logs are as before."""
    root = logging.getLogger()
    handlers, level, raised = root.handlers[:], root.level, logging.raiseExceptions
    for handler in handlers:
        root.removeHandler(handler)
    house = {**SETTINGS, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path)}

    def command(*arguments, typed=None):
        done = CliRunner(env=house).invoke(main, ["complaint", *map(str, arguments)], input=typed)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    yield command
    root.handlers, logging.raiseExceptions = handlers, raised
    root.setLevel(level)


def number_of(runtime):
    return rows(runtime, Complaint)[-1].number


def test_a_clerk_takes_a_complaint_through_its_life(run, runtime):
    register(runtime, a_row())
    filed = run("file", "data_wrong", "--household", "2900000001", "--text", "-", *BRAHIM, typed="A donkey, no car.")
    number = number_of(runtime)
    assert filed.stdout.startswith(f"{spaced(number)}  handled here, answer by 20")
    assert run("assign", spaced(number), "--to", "Brahim", *BRAHIM).stdout == f"{spaced(number)}  assigned\n"
    shown = run("show", number, "--text", *BRAHIM).stdout
    assert "A donkey, no car." in shown
    assert "data_wrong" in shown
    listed = run("list", *BRAHIM).stdout
    assert spaced(number) in listed
    assert "donkey" not in listed
    assert run("begin", number, *BRAHIM).exit_code == 0
    until = date.today() + timedelta(days=7)  # noqa: DTZ011
    assert run("hold", number, "--until", until, "--reason", "waits_for_household", *BRAHIM).exit_code == 0
    assert str(until) in run("show", number, *BRAHIM).stdout
    assert run("resume", number, *BRAHIM).stdout.endswith("in_progress\n")
    assert run("resolve", number, "rejected", *BRAHIM, typed="It is a car.").stdout.endswith("resolved\n")
    assert run("reopen", number, *BRAHIM).stdout.endswith("reopened\n")
    assert run("escalate", number, *BRAHIM).stdout.endswith("escalated\n")
    assert run("resolve", number, "upheld", "--answer", "It is a donkey.", *BRAHIM).exit_code == 0
    assert run("close", number, *BRAHIM).stdout.endswith("closed\n")
    assert run("rate", number, 4, *BRAHIM).exit_code == 0
    assert "rated        4 of 5" in run("show", number, *BRAHIM).stdout


def test_a_sensitive_complaint_is_shown_to_its_focal_point_alone(run, runtime):
    assert run("file", "abuse", "--anonymous", *BRAHIM).exit_code == 0
    number = number_of(runtime)
    assert run("list", *BRAHIM).stdout == ""
    for command in (("list", "--sensitive"), ("show", number), ("begin", number)):
        done = run(*command, *BRAHIM)
        assert done.exit_code == 1
        assert "focal point" in done.stderr
        assert "abuse" not in done.output
    queue = run("list", "--sensitive", *AMINA).stdout
    assert spaced(number) in queue
    assert "sensitive" in queue
    assert "abuse" not in queue
    assert run("assign", number, "--to", "Amina", *AMINA).exit_code == 0
    assert "abuse" in run("show", number, "--by", "Amina").stdout, "its focal point by name"


def test_what_is_mistyped_is_said_and_nothing_is_done(run, runtime):
    register(runtime, a_row())
    assert run("file", "other", "--anonymous", *BRAHIM).exit_code == 0
    number = number_of(runtime)
    mistyped = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert "do not fit each other" in run("begin", mistyped, *BRAHIM).stderr
    assert "whose it is" in run("file", "other", *BRAHIM).stderr
    assert "whose it is" in run("file", "other", "--anonymous", "--household", "2900000001", *BRAHIM).stderr
    assert "No household has this number" in run("file", "other", "--household", "2900000009", *BRAHIM).stderr
    refusal = run("resolve", number, "upheld", "--answer", "Yes.", *BRAHIM)
    assert refusal.exit_code == 1
    assert refusal.stderr.endswith("so it cannot be resolved; it can be assigned or escalated.\n")
    assert [one.state for one in rows(runtime, Complaint)] == ["acknowledged"]


def test_the_number_of_a_complaint_names_its_household_but_not_by_a_sensitive_one(run, runtime):
    register(runtime, a_row())
    run("file", "other", "--household", "2900000001", *BRAHIM)
    known = number_of(runtime)
    assert run("file", "data_wrong", "--household", known, *BRAHIM).exit_code == 0
    first, second = rows(runtime, Complaint)
    assert first.household_id == second.household_id
    run("file", "abuse", "--household", "2900000001", *AMINA)
    secret, = [one.number for one in rows(runtime, Complaint) if one.sensitive]
    assert "No household has this number" in run("file", "other", "--household", secret, *BRAHIM).stderr


# Spoken


SOUND = b"ID3 a donkey, no car"


@pytest.fixture
def spoken(run, runtime):
    """The number of a complaint of which something was said, with Brahim."""
    def complained(category="data_wrong", *, fetched=True):
        assert run("file", category, "--anonymous", *AMINA).exit_code == 0
        found = rows(runtime, Complaint)[-1]
        with runtime.database.write() as session:
            named = {"conversation": "a call", "now": runtime.clock()}
            message = voice_message.announce(session, runtime.vault, provider="twilio", url="https://there/RE0",
                                             seconds=17, **named)
            assert voice_message.attach(session, runtime.vault, message, found.id, **named)
            if fetched:
                voice_message.keep(session, runtime.vault, message, SOUND, runtime.clock())
        assert run("assign", found.number, "--to", "Brahim", *AMINA).exit_code == 0
        return found.number

    return complained


def test_a_clerk_hears_what_was_said_and_writes_it_down(run, spoken, tmp_path):
    number, out = spoken(), tmp_path / "said.mp3"
    assert "spoken       17 s, to be heard\n" in run("show", number, *BRAHIM).stdout
    assert "nothing was written" in run("show", number, "--text", *BRAHIM).stdout
    assert run("listen", number, "--out", out, *BRAHIM).stdout == f"{spaced(number)}  {out}\n"
    assert (out.read_bytes(), out.stat().st_mode & 0o777) == (SOUND, 0o600)
    assert run("transcribe", number, *BRAHIM, typed="A donkey, no car.").exit_code == 0
    shown = run("show", number, "--text", *BRAHIM).stdout
    assert "17 s, to be heard, written down" in shown
    assert "A donkey, no car." in shown


def test_nothing_is_written_over_what_is_there(run, spoken, tmp_path):
    number, out = spoken(), tmp_path / "said.mp3"
    out.write_text("a letter")
    done = run("listen", number, "--out", out, *BRAHIM)
    assert (done.exit_code, out.read_text()) == (1, "a letter")
    assert "cannot be made" in done.stderr
    assert run("listen", number, "--out", tmp_path / "no folder" / "said.mp3", *BRAHIM).exit_code == 1


@pytest.mark.parametrize("category", ["data_wrong", "abuse"])
def test_what_was_said_is_for_whoever_handles_it(run, spoken, tmp_path, category):
    number, out = spoken(category), tmp_path / "said.mp3"
    for command in (("listen", number, "--out", out), ("transcribe", number, "--text", "He said.")):
        done = run(*command, "--by", "Said")
        assert done.exit_code == 1
        assert "assigned to" in done.stderr
    assert not out.exists()
    assert run("listen", number, "--out", out, *AMINA).exit_code == 0, "a focal point"


def test_what_has_not_come_yet_is_said_so(run, spoken, tmp_path):
    number = spoken(fetched=False)
    assert "17 s, not fetched yet" in run("show", number, *BRAHIM).stdout
    done = run("listen", number, "--out", tmp_path / "said.mp3", *BRAHIM)
    assert (done.exit_code, list(tmp_path.glob("*.mp3"))) == (1, [])
    assert "try again later" in done.stderr
