"""Slips: what a household ticked on the form of its letter is filed, once, and in time if it was sent in time."""

from datetime import date

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from gateway import paper, slips
from gateway.cli import main
from gateway.outbox import Message
from gateway.registry.audit import AuditEntry
from gateway.registry.clock import day_of
from gateway.registry.complaint import Complaint
from gateway.registry.events import ReviewAsked
from gateway.registry.household import Household
from gateway.registry.numbers import spaced
from gateway.registry.review import Review, Window
from gateway.registry.steps import NotAllowed
from gateway.scans import Scan, take_one
from tests.conftest import SETTINGS, a_row, register

POSTED = date(2026, 11, 24)
LAST_DAY = date(2027, 1, 23)


@pytest.fixture
def code(runtime, clock) -> str:
    """The code of a letter that was posted to a household without a telephone."""
    register(runtime, a_row(phone=None))
    paper.print_due(runtime)
    clock.forward(days=1)
    paper.post(runtime, runtime.tray.runs()[0].name, POSTED)
    with runtime.database.read() as session:
        return session.scalars(sa.select(Message.reference).where(Message.medium == "letter")).one()


def take(runtime, code, *boxes, on=POSTED, **more):
    return slips.take(runtime, code, boxes, on, by="amina", **more)


def filed(runtime, model) -> list:
    with runtime.database.read() as session:
        return list(session.scalars(sa.select(model)))


def test_each_box_that_is_ticked_is_filed_by_post(runtime, code):
    done = take(runtime, code, *slips.BOXES, text="Nous n'avons pas de voiture.")
    assert list(done) == list(slips.BOXES)
    (review,) = filed(runtime, Review)
    complaints = filed(runtime, Complaint)
    assert (review.channel, review.number) == ("post", done["review"].number)
    assert {one.category: one.channel for one in complaints} == {
        "other": "post", "data_wrong": "post", "phone_problem": "post"}
    assert {one.household_id for one in complaints} == {review.household_id}
    assert runtime.vault.open(complaints[0].text_sealed, "complaint.text", complaints[0].id).startswith("Nous")


def test_the_same_slip_typed_again_is_answered_the_same_again(runtime, code):
    assert take(runtime, code, "review", "complaint") == take(runtime, code, "review", "complaint")
    assert (len(filed(runtime, Review)), len(filed(runtime, Complaint))) == (1, 1)


def test_a_review_sent_on_its_last_day_is_in_time_however_late_it_is_typed(runtime, code, clock):
    clock.forward(days=70)
    assert isinstance(take(runtime, code, "review", on=LAST_DAY)["review"], ReviewAsked)


def test_a_review_sent_too_late_says_so_and_the_complaint_beside_it_is_filed(runtime, code, clock):
    clock.forward(days=70)
    done = take(runtime, code, "review", "complaint", on=date(2027, 1, 24))
    assert isinstance(done["review"], Window)
    assert (len(filed(runtime, Review)), len(filed(runtime, Complaint))) == (0, 1)


def test_what_was_typed_late_is_answered_and_written_down_as_of_the_day_on_which_it_was_typed(runtime, code, clock):
    clock.forward(days=70)
    asked = take(runtime, code, "review", on=LAST_DAY)["review"]
    (review,) = filed(runtime, Review)
    assert asked.answer_by == review.promised_by > day_of(clock())
    with runtime.database.read() as session:
        assert session.scalars(sa.select(AuditEntry.at).where(AuditEntry.act == "review.asked")).one() == clock()


def test_a_letter_that_came_back_and_was_handed_over_has_a_slip_too(runtime, code, clock):
    clock.forward(days=9)
    take_one(runtime, Scan(0, code, "returned", day_of(clock()), "moved"), by="the post")
    with runtime.database.write() as session:
        assert runtime.teller.handed_over(session, code, by="amina", now=clock())
    assert isinstance(take(runtime, code, "review", on=day_of(clock()))["review"], ReviewAsked)


def test_a_slip_of_a_letter_whose_index_counts_no_more_contests_no_other(runtime, code, clock):
    register(runtime, a_row(phone=None, spending={
        "butane": "50.00", "water_electricity": "999.50", "phone_internet": "80.00"}))
    assert take(runtime, code, "review", "complaint")["review"] == slips.Outdated()
    assert (len(filed(runtime, Review)), len(filed(runtime, Complaint))) == (0, 1)


@pytest.mark.parametrize("day", [date(2026, 11, 22), date(2026, 11, 25)])
def test_a_slip_is_not_older_than_its_letter_nor_from_tomorrow(runtime, code, day):
    with pytest.raises(NotAllowed, match="cannot have been sent on that day"):
        take(runtime, code, "complaint", on=day)
    assert filed(runtime, Complaint) == []


def test_a_slip_of_no_letter_or_of_one_that_was_not_printed_files_nothing(runtime, code):
    register(runtime, a_row("2900000002", None))
    with runtime.database.read() as session:
        waiting = session.scalars(sa.select(Message.reference).where(Message.state == "created")).one()
    for unknown in ("999999999", waiting):
        with pytest.raises(NotAllowed, match="No letter that was printed bears this code"):
            take(runtime, unknown, "complaint")
    assert filed(runtime, Complaint) == []


def test_a_letter_that_tells_no_index_has_no_slip(runtime, code):
    with runtime.database.write() as session:
        assert runtime.teller.send_pin(session, session.scalars(sa.select(Household)).one(), runtime.clock())
    paper.print_due(runtime)
    with runtime.database.read() as session:
        of_pin = session.scalars(sa.select(Message.reference).where(Message.notice == "pin")).one()
    with pytest.raises(NotAllowed, match="has no slip"):
        take(runtime, of_pin, "review")


def test_what_a_review_contests_is_named_by_its_item(runtime, code):
    with pytest.raises(NotAllowed):
        take(runtime, code, "review", "complaint", contested=("no.such",))
    assert filed(runtime, Complaint) == []
    take(runtime, code, "review", contested=("equipment.cars",))
    assert [one["item"] for one in filed(runtime, Review)[0].items] == ["equipment.cars"]


def test_a_clerk_types_a_slip_in(runtime, code, tmp_path, database_url, redis_url):
    environment = {**SETTINGS, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path)}

    def run(*arguments: str, text: str = ""):
        return CliRunner().invoke(main, ["slip", *arguments, "--by", "Salma"], env=environment, input=text)

    done = run(spaced(code), "--ticked", "complaint", "--ticked", "phone-changed", "--text", "-", "--on", "2026-11-24",
               text="Mon numéro a changé.")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["complaint", "phone-changed"]
    assert {one.category for one in filed(runtime, Complaint)} == {"other", "phone_problem"}
    assert run("123", "--ticked", "review").exit_code == 2
    assert run(code, "--ticked", "review", "--text", "x").exit_code == 2
    assert run(code, "--ticked", "complaint", "--item", "equipment.cars").exit_code == 2
    late = run(code, "--ticked", "complaint", "--on", "2020-01-01")
    assert (late.exit_code, "cannot have been sent" in late.stderr) == (1, True)
