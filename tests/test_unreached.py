"""Unreached: whom a letter did not reach is called to the centre, its days do not run, and nobody is out of sight."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from gateway import paper, unreached
from gateway.outbox import Message
from gateway.registry import registration
from gateway.registry import review as reviews
from gateway.registry.audit import AuditEntry
from gateway.registry.clock import day_of
from gateway.registry.registration import Registration
from gateway.registry.score import Notification
from gateway.scans import Scan, take_one
from tests.conftest import a_row, register
from tests.test_tellings import arrives, brings_back, does, messages, told
from tests.web.desk import client, homes, rows

CALLS = unreached.CALLS


def comes_back(runtime, clock, reason: str = "moved", **like: object) -> Message:
    """The letter of a household whose text has failed is printed, posted the next day, and comes back after a week."""
    paper.print_due(runtime)
    letter = messages(runtime, medium="letter", **like)[-1]
    clock.forward(days=1)
    take_one(runtime, Scan(0, letter.reference, "posted", day_of(clock())), by="Salma")
    clock.forward(days=7)
    assert brings_back(runtime, letter.reference, reason)
    return letter


def waiting(runtime) -> list[tuple[str, str, str]]:
    with runtime.database.read() as session:
        return [(one.reference, one.reason, one.called) for one in unreached.waiting(session, 100)]


def gauge(runtime) -> dict[str, float]:
    page = client(runtime).get("/metrics").text
    return {one.labels["called"]: one.value for family in text_string_to_metric_families(page)
            for one in family.samples if one.name == "mouachir_letters_at_centre"}


def window(runtime) -> reviews.Window:
    with runtime.database.read() as session:
        return reviews.window(session, homes(runtime)[0].id, runtime.clock())


@pytest.fixture
def by_letter(runtime, clock):
    """A household with a telephone whose index went by letter, since its text had failed."""
    register(runtime, a_row())
    arrives(runtime, "failed", medium="sms")
    return runtime


def test_a_household_with_a_telephone_is_called_by_a_text_that_tells_nothing_of_the_letter(by_letter, clock):
    comes_back(by_letter, clock)
    (text,) = told(by_letter, notice=CALLS)
    assert by_letter.settings.service_code in text
    assert "مؤشر" not in text
    (row,) = messages(by_letter, notice=CALLS)
    assert (row.medium, row.lane, row.state) == ("sms", 1, "created")


def test_a_household_without_a_telephone_is_seen_by_whoever_looks(runtime, clock):
    register(runtime, a_row(phone=None))
    letter = comes_back(runtime, clock, "insufficient")
    assert messages(runtime, notice=CALLS) == []
    assert waiting(runtime) == [(letter.reference, "insufficient", "nobody")]
    assert gauge(runtime) == {"arrived": 0, "under_way": 0, "nobody": 1}


@pytest.mark.parametrize(("ended", "seen"), [(None, "under_way"), ("delivered", "arrived"), ("failed", "nobody")])
def test_whether_its_text_arrived_stands_beside_the_letter(by_letter, clock, ended, seen):
    comes_back(by_letter, clock)
    if ended:
        arrives(by_letter, ended, notice=CALLS)
    assert [called for _, _, called in waiting(by_letter)] == [seen]
    assert gauge(by_letter)[seen] == 1
    assert [one.medium for one in messages(by_letter, notice=CALLS)] == ["sms"], "no letter is sent about a letter"


def test_one_text_calls_for_all_letters_of_a_day(by_letter, clock):
    with by_letter.database.write() as session:
        by_letter.teller.send_pin(session, homes(by_letter)[0], clock())
    paper.print_due(by_letter)
    for letter in messages(by_letter, medium="letter"):
        take_one(by_letter, Scan(0, letter.reference, "accepted", day_of(clock())), by="Salma")
        brings_back(by_letter, letter.reference)
        clock.forward(minutes=5)
    arrives(by_letter, notice=CALLS)
    assert len(messages(by_letter, notice=CALLS)) == 1
    assert [called for _, _, called in waiting(by_letter)] == ["arrived"] * 2


def test_the_days_of_the_review_do_not_run_while_the_letter_has_reached_nobody(by_letter, clock):
    comes_back(by_letter, clock)
    clock.forward(days=100)
    assert window(by_letter).state == "open"
    asked = does(by_letter, reviews.ask, homes(by_letter)[0].id, channel="centre", asked_by="a clerk",
                 answer_within=timedelta(days=30))
    assert isinstance(asked, reviews.ReviewAsked)


def test_whoever_is_given_the_letter_at_the_centre_was_told_that_day(by_letter, clock):
    letter = comes_back(by_letter, clock)
    clock.forward(days=10)
    with by_letter.database.write() as session:
        assert by_letter.teller.handed_over(session, letter.reference, by="Salma", now=clock())
        assert not by_letter.teller.handed_over(session, letter.reference, by="Salma", now=clock())
    (proof,) = rows(by_letter, Notification)
    assert (proof.medium, proof.proof, proof.notified_on) == ("centre", "handed_over", day_of(clock()))
    assert window(by_letter).last_day == day_of(clock()) + timedelta(days=60)
    assert [row.state for row in rows(by_letter, Registration)] == ["notified"]
    assert (waiting(by_letter), sum(gauge(by_letter).values())) == ([], 0)
    acts = [one.act for one in rows(by_letter, AuditEntry)]
    assert (acts.count("letter.returned"), acts.count("letter.handed_over")) == (1, 1)


def test_what_another_message_has_told_since_needs_no_handing_over(by_letter, clock):
    comes_back(by_letter, clock)
    arrives(by_letter, medium="sms", notice="index_assigned")
    assert waiting(by_letter) == []


def test_a_letter_that_fits_no_window_is_seen_too_and_its_household_called(by_letter, clock):
    (letter,) = messages(by_letter, medium="letter")
    with by_letter.database.write() as session:
        spoilt = by_letter.vault.seal("[]", "message.to", letter.id)
        session.execute(sa.update(Message).where(Message.id == letter.id).values(to_sealed=spoilt))
    paper.print_due(by_letter)
    assert waiting(by_letter) == [(letter.reference, "unprintable", "under_way")]


def test_who_has_left_the_register_is_waited_for_no_longer(runtime, clock):
    register(runtime, a_row(phone=None))
    comes_back(runtime, clock)
    (row,) = rows(runtime, Registration)
    does(runtime, registration.strike_off, row.id, reason="fraud_confirmed", why="a test", by="Salma")
    with runtime.database.write() as session:
        runtime.teller.forget(session, row.household_id, clock())
    assert waiting(runtime) == []


def test_a_pin_whose_letter_came_back_can_be_asked_for_again(by_letter, clock):
    def ask() -> bool:
        with by_letter.database.write() as session:
            return by_letter.teller.send_pin(session, homes(by_letter)[0], clock())

    assert (ask(), ask()) == (True, False)
    letter = comes_back(by_letter, clock, notice="pin")
    assert (letter.notice, ask()) == ("pin", True)


def test_a_letter_on_its_way_is_not_there_yet(by_letter, clock):
    """The day of hand-over begins nothing: the post may hold it over a weekend."""
    paper.print_due(by_letter)
    (letter,) = messages(by_letter, medium="letter")
    take_one(by_letter, Scan(0, letter.reference, "accepted", date(2026, 11, 23)), by="Salma")
    assert rows(by_letter, Notification) == []
