"""The commands of reviews: a clerk's day from the list to the decision, and nothing personal on the terminal."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.registry.audit import AuditEntry
from gateway.registry.clock import day_of
from gateway.registry.numbers import spaced
from gateway.registry.registration import Registration
from gateway.registry.review import Review
from tests.conftest import SETTINGS, a_row, register
from tests.web.desk import rows, told

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SECRET = "The road safety agency confirmed the sale."
TODAY = day_of(datetime.now(UTC))  # the commands know no other clock


@pytest.fixture
def run(database_url, redis_url, tmp_path):
    """Run a review command by a clerk; afterwards the logs are as before."""
    root = logging.getLogger()
    handlers, level, raised = root.handlers[:], root.level, logging.raiseExceptions
    for handler in handlers:
        root.removeHandler(handler)
    house = {**SETTINGS, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path)}

    def command(*arguments, by="Amina", text=None):
        done = CliRunner(env=house).invoke(main, ["review", *map(str, arguments), "--by", by], input=text)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert SECRET not in done.output
        return done

    yield command
    root.handlers, logging.raiseExceptions = handlers, raised
    root.setLevel(level)


@pytest.fixture
def house(runtime, clock):
    """A household told its index today, by the clock that the commands go by."""
    clock.now = datetime.now(UTC)
    register(runtime, a_row())
    told(runtime, TODAY)
    return runtime


def test_a_review_goes_from_the_counter_to_its_decision(house, run):
    asked = run("ask", "29 0000 0001", "--item", "equipment.mobile_phones")
    row, = rows(house, Review)
    number = row.number
    assert asked.output == f"{spaced(number)}  answer by {TODAY + timedelta(days=house.settings.review_answer_days)}\n"
    assert (row.channel, row.state) == ("centre", "acknowledged")
    assert number in run("ask", "2900000001").output.replace(" ", "")
    assert "assigned" in run("assign", spaced(number), "--to", "Amina").output
    assert "needs_information" in run("need", number, "bill", "--by-day", TODAY + timedelta(days=5)).output
    assert f"waits for bill until {TODAY + timedelta(days=5)}" in run("show", number).output
    assert "assigned" in run("received", number).output
    assert "waits for the decision" in run("correct", number, "equipment.mobile_phones", "1", "--why", "invoice").output
    assert "any other clerk" in run("accept", number, "--text", SECRET).output
    assert "decided" in run("accept", number, by="Brahim", text=SECRET).output
    shown = run("show", number).output
    for said in ("contests equipment.mobile_phones (from declaration)", "equipment.mobile_phones = 1, entered by Amina",
                 "accepted: new_index, by Brahim"):
        assert said in shown
    assert [entry.by for entry in rows(house, AuditEntry) if entry.act == "review.seen"] == ["Amina", "Amina"]


def test_lists_show_what_was_asked_for(house, run):
    slip, = rows(house, Registration)
    run("ask", slip.number)
    number = rows(house, Review)[0].number
    run("assign", number, "--to", "Amina")
    for options, there in (((), 1), (("--mine",), 1), (("--state", "decided"), 0), (("--at-risk",), 0)):
        listed = run("list", *options).output.splitlines()
        assert [line.startswith(spaced(number)) for line in listed] == [True] * there
    assert run("list", "--mine", by="Brahim").output == ""


def test_a_refusal_needs_its_reason_and_its_text_and_a_withdrawal_nothing(house, run):
    run("ask", "2900000001")
    number = rows(house, Review)[0].number
    run("assign", number, "--to", "Amina")
    assert "is not one of" in run("refuse", number, "because", "--text", SECRET).output
    assert "write one" in run("refuse", number, "values_confirmed").output
    assert "withdrawn" in run("withdraw", number).output
    assert "cannot be decided" in run("refuse", number, "values_confirmed", "--text", SECRET).output


def test_what_is_wrong_is_one_sentence(house, run):
    said = [run("show", "123456789"), run("show", "200000004"), run("ask", "2900000009"),
            run("ask", "2900000001", "--item", "equipment.boats")]
    assert [done.exit_code for done in said] == [1, 1, 1, 1]
    assert all(done.output.startswith("Error: ") and done.output.count("\n") == 1 for done in said)
