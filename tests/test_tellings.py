"""Tellings: what each event makes a household read, and what it is never told."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from channels.letter.layout import parse
from gateway.deadlines import strike
from gateway.dialogue.acts import perform
from gateway.dialogue.acts.call import Call
from gateway.dialogue.engine import Effect
from gateway.outbox import Message, Settlement
from gateway.registry import (
    complaint,
    complaint_handling,
    declaration,
    explain,
    number_change,
    registration,
    review_desk,
    update,
)
from gateway.registry import review as reviews
from gateway.registry.clock import day_of
from gateway.registry.events import ReviewAsked
from gateway.registry.measures import CannotCompute
from gateway.registry.registration import Registration
from gateway.registry.review import Review
from gateway.registry.score import CurrentScore, IndexScore, Notification
from gateway.registry.steps import NotAllowed
from gateway.registry.update import DataUpdate
from gateway.scans import Scan, take_one
from tests.conftest import EXAMPLE, NOON, a_row, register
from tests.registry.asking import all_answers, an_answer, answer, declare
from tests.web.desk import PHONE, homes, rows

NEW = "+212712345678"


@pytest.fixture
def database_url(tmp_path, sqlite_template):
    """What is proved here is ours and not the database's: one will do."""
    shutil.copy(sqlite_template, tmp_path / "house.db")
    return f"sqlite:///{tmp_path / 'house.db'}"


def read(runtime, message: Message) -> str:
    body = runtime.vault.open(message.body_sealed, "message.body", message.id)
    return json.loads(body)["ar-MA"] if message.medium == "letter" else body


def told(runtime, **like) -> list[str]:
    """What the messages like this say, in the order in which they were posted."""
    return [read(runtime, message) for message in messages(runtime, **like)]


def messages(runtime, **like) -> list[Message]:
    with runtime.database.read() as session:
        return list(session.scalars(sa.select(Message).filter_by(**like).order_by(Message.id)))


def arrives(runtime, state: str = "delivered", **like) -> None:
    """Every such message comes to its end, and the notices hear of it."""
    for message in messages(runtime, **like):
        with runtime.database.write() as session:
            session.execute(sa.update(Message).where(Message.id == message.id).values(state=state))
            runtime.teller.heard(session, Settlement(message.id, message.household_id, message.notice, message.subject,
                                                     message.medium, state, runtime.clock()), runtime.clock())


def brings_back(runtime, reference: str, reason: str = "moved", run: str | None = None) -> bool:
    """The post brings a letter back, and a clerk types its code."""
    return take_one(runtime, Scan(0, reference, "returned", day_of(runtime.clock()), reason, run), by="Salma")


def does(runtime, verb, *arguments, **named):
    """A verb of the registry, and what it calls for is told."""
    with runtime.database.write() as session:
        event = verb(session, runtime.vault, *arguments, now=runtime.clock(), **named)
        events = event if isinstance(event, list) else [event] if event is not None else []
        runtime.teller.tell(session, events, runtime.clock())
    return event


def asked(runtime) -> ReviewAsked:
    return does(runtime, reviews.ask, homes(runtime)[0].id, channel="centre", asked_by="a test",
                answer_within=timedelta(days=30), contested=["equipment.cars"])


def a_raised_index(runtime) -> None:
    declare(runtime, a_row())
    answer(runtime, *all_answers())
    arrives(runtime, notice="index_assigned")
    answer(runtime, an_answer("equipment.cars", 1, on=NOON.date(), reference="2"))


# Registration


def test_a_slip_names_its_number_and_the_tenth_day(runtime):
    declare(runtime, a_row())
    (slip,), (row,) = told(runtime, notice="registration_received"), rows(runtime, Registration)
    assert row.number in slip
    assert "30/11/2026" in slip


def test_a_household_that_will_be_late_is_told_which_body_is_silent_and_once(runtime, clock):
    declare(runtime, a_row())
    answer(runtime, *all_answers(without="telecom"))
    clock.forward(days=7)
    for _ in range(2):
        strike(runtime, "registrations")
    (late,) = told(runtime, notice="registration_late")
    assert runtime.words.say("ar-MA", "source.telecom") in late
    assert runtime.words.say("ar-MA", "source.cnss") not in late


def test_a_delay_is_not_told_any_more_once_the_index_has_come(runtime, clock):
    declare(runtime, a_row())
    answer(runtime, *all_answers(without="telecom"))
    clock.forward(days=7)
    strike(runtime, "registrations")
    answer(runtime, *all_answers(on=NOON.date()))
    arrives(runtime, "failed", notice="registration_late")
    assert told(runtime, notice="registration_late", medium="letter") == []


def test_who_was_struck_off_is_told_nothing_more(runtime):
    declare(runtime, a_row())
    answer(runtime, *all_answers())
    (row,) = rows(runtime, Registration)
    does(runtime, registration.strike_off, row.id, reason="fraud_confirmed", why="a test", by="Salma")
    with runtime.database.write() as session:
        runtime.teller.forget(session, row.household_id, runtime.clock())
    assert {message.state for message in messages(runtime)} == {"cancelled"}


def test_the_proof_that_an_index_arrived_ends_the_registration(runtime):
    declare(runtime, a_row())
    answer(runtime, *all_answers())
    arrives(runtime, notice="index_assigned")
    (row,) = rows(runtime, Registration)
    assert (row.state, row.notified_on) == ("notified", NOON.date())


# A changed index


def test_a_changed_index_is_told_with_its_direction_its_reason_and_by_whom(runtime):
    a_raised_index(runtime)
    (text,) = told(runtime, notice="index_changed")
    assert runtime.words.say("ar-MA", "moved.up") in text
    assert runtime.words.say("ar-MA", "source.road_safety") in text
    first, second = (f"{score.value:.7f}".replace(".", ",") for score in rows(runtime, IndexScore))
    assert first not in text
    assert second not in text


def test_its_letter_tells_both_indexes_and_what_moved(runtime):
    a_raised_index(runtime)
    arrives(runtime, "failed", notice="index_changed", medium="sms")
    (letter,) = told(runtime, notice="index_changed", medium="letter")
    for score in rows(runtime, IndexScore):
        assert f"{score.displayed:.7f}".replace(".", ",") in letter
    assert runtime.words.say("ar-MA", "term.cars") in letter



def test_the_letter_of_a_first_index_tells_the_three_things_that_weigh_most_each_with_its_source(runtime):
    register(runtime, a_row(phone=None))
    (letter,) = told(runtime, notice="index_assigned", medium="letter")
    reasons = parse(letter).reasons
    with runtime.database.read() as session:
        (found,) = session.scalars(sa.select(IndexScore))
        lines = explain.explained(session, found.id).lines[:3]
    assert len(reasons) == 1 + 3
    for line, reason in zip(lines, reasons[1:], strict=True):
        assert runtime.words.say("ar-MA", f"term.{line.thing}") in reason
        assert runtime.words.say("ar-MA", f"source.{line.source.by}") in reason
        assert reason.endswith({"raises": "(زيادة)", "lowers": "(نقصان)"}[line.direction])


def test_a_first_index_that_cannot_be_explained_is_told_all_the_same(runtime, monkeypatch, caplog):
    def silent(*_):
        raise CannotCompute("a test")

    monkeypatch.setattr(explain, "explained", silent)
    register(runtime, a_row(phone=None))
    (letter,) = told(runtime, notice="index_assigned", medium="letter")
    assert parse(letter).reasons == ()
    assert "without what weighs" in caplog.text


def test_a_text_of_a_first_index_costs_no_explanation(runtime, monkeypatch):
    monkeypatch.setattr(explain, "explained", lambda *_: pytest.fail("no text has room for it"))
    register(runtime, a_row())
    assert len(told(runtime, notice="index_assigned", medium="sms")) == 1


def test_a_former_index_is_told_by_no_letter_when_its_text_fails_late(runtime):
    declare(runtime, a_row())
    answer(runtime, *all_answers())
    (text,) = messages(runtime, notice="index_assigned")
    with runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.id == text.id).values(state="sent"))
    answer(runtime, an_answer("equipment.cars", 1, on=NOON.date(), reference="2"))
    arrives(runtime, "failed", notice="index_assigned")
    assert messages(runtime, medium="letter") == []


def test_a_decision_that_turns_without_the_index_is_told_with_its_condition_and_the_sixty_days_go_on(runtime):
    poor = json.loads(EXAMPLE.read_text(encoding="utf-8").splitlines()[1])
    sections = {name: poor[name] for name in ("area", "region", "commune", "dwelling", "equipment", "property",
                                              "spending", "declarant")}
    register(runtime, a_row(members=poor["members"], **sections))
    arrives(runtime, notice="index_assigned")
    employed = [{**member, "activity": "public_employee"} if member["relation"] == "parent" else member
                for member in poor["members"]]
    register(runtime, a_row(members=employed, **sections))
    (text,) = told(runtime, notice="decision_changed")
    assert runtime.words.say("ar-MA", "programme.asd.name") in text
    assert runtime.words.say("ar-MA", "condition.no_public_employee_or_pensioner.unmet") in text
    assert len(rows(runtime, IndexScore)) == len(rows(runtime, Notification)) == 1


def test_a_household_whose_index_changes_before_it_heard_of_any_is_told_its_first_and_no_other(runtime):
    register(runtime, a_row())
    answer(runtime, an_answer("equipment.cars", 1, on=NOON.date(), reference="2"))
    assert [(message.notice, message.state) for message in messages(runtime)] == [
        ("index_assigned", "cancelled"), ("index_assigned", "created")]


def test_an_index_that_came_back_to_what_was_told_is_not_told_again(runtime):
    register(runtime, a_row())
    arrives(runtime, notice="index_assigned")
    answer(runtime, an_answer("equipment.cars", 1, on=NOON.date(), reference="2"))
    answer(runtime, an_answer("equipment.cars", outcome="confirmed", on=NOON.date(), reference="3"))
    assert [(message.notice, message.state) for message in messages(runtime)] == [
        ("index_assigned", "delivered"), ("index_changed", "cancelled")]


def test_an_index_that_came_back_goes_by_letter_when_the_text_that_told_it_fails_late(runtime):
    register(runtime, a_row())
    with runtime.database.write() as session:
        session.execute(sa.update(Message).values(state="sent"))
    answer(runtime, an_answer("equipment.cars", 1, on=NOON.date(), reference="2"))
    answer(runtime, an_answer("equipment.cars", outcome="confirmed", on=NOON.date(), reference="3"))
    arrives(runtime, "failed", notice="index_assigned")
    (letter,) = messages(runtime, medium="letter")
    assert (letter.notice, letter.subject) == ("index_assigned", str(rows(runtime, CurrentScore)[0].score_id))


def test_a_delay_that_waits_for_the_morning_is_not_told_beside_the_index(runtime, clock):
    declare(runtime, a_row())
    answer(runtime, *all_answers(without="telecom"))
    clock.forward(days=7)
    strike(runtime, "registrations")
    answer(runtime, *all_answers(on=clock().date()))
    states = {message.notice: message.state for message in messages(runtime)}
    assert (states["registration_late"], states["index_assigned"]) == ("cancelled", "created")


def test_a_letter_that_the_post_brings_back_has_told_nobody(runtime):
    register(runtime, a_row(phone=None))
    arrives(runtime, notice="index_assigned")
    (letter,) = messages(runtime)
    assert brings_back(runtime, letter.reference)
    assert not brings_back(runtime, letter.reference)
    assert rows(runtime, Notification) == []
    assert [row.state for row in rows(runtime, Registration)] == ["scored"]
    with runtime.database.read() as session:
        assert reviews.window(session, homes(runtime)[0].id, runtime.clock() + timedelta(days=100)).state == "open"


def test_the_warning_that_turns_to_paper_takes_the_new_telephone_with_it(runtime, clock):
    register(runtime, a_row())
    change(runtime)
    clock.forward(hours=71)
    arrives(runtime, "failed", notice="number_change_asked")
    clock.forward(hours=2)
    strike(runtime, "numbers")
    assert [row.state for row in rows(runtime, DataUpdate)] == ["waiting"]
    (letter,) = told(runtime, notice="number_change_asked", medium="letter")
    assert "{pin}" not in letter


# Reviews


def test_a_review_that_is_accepted_is_answered_and_ends_with_the_proof_of_it_beside_the_new_index(runtime):
    a_raised_index(runtime)
    arrives(runtime, notice="index_changed")
    review = asked(runtime)
    does(runtime, review_desk.assign, review.review_id, "Salma", by="Salma")
    does(runtime, review_desk.enter_correction, review.review_id, "equipment.cars", 0, why="sold", by="Salma")
    does(runtime, review_desk.accept, runtime.scorer, review.review_id, by="Driss")
    (answered,) = told(runtime, notice="review_decided", medium="sms")
    assert review.number in answered
    *_, last = told(runtime, notice="index_changed")
    assert runtime.words.say("ar-MA", "cause.review") in last
    arrives(runtime, notice="review_decided", medium="sms")
    assert [row.state for row in rows(runtime, Review)] == ["notified"]


def test_a_refusal_goes_by_text_and_by_letter_with_its_reason_and_the_letter_has_the_words(runtime):
    a_raised_index(runtime)
    review = asked(runtime)
    does(runtime, review_desk.assign, review.review_id, "Salma", by="Salma")
    does(runtime, review_desk.refuse, review.review_id, reason="values_confirmed", text="The agency was asked twice.",
         by="Driss")
    (text,), (letter,) = (told(runtime, notice="review_decided", medium=medium) for medium in ("sms", "letter"))
    assert all(runtime.words.say("ar-MA", "review_reason.values_confirmed") in one for one in (text, letter))
    assert "asked twice" in letter
    assert "asked twice" not in text
    for medium in ("sms", "letter"):
        arrives(runtime, notice="review_decided", medium=medium)
    assert [row.state for row in rows(runtime, Review)] == ["notified"]


def test_what_a_review_needs_is_told_each_time_it_needs_something(runtime, clock):
    a_raised_index(runtime)
    review = asked(runtime)
    does(runtime, review_desk.assign, review.review_id, "Salma", by="Salma")
    for days in (10, 12):
        does(runtime, review_desk.need_information, review.review_id, "bill",
             (runtime.clock() + timedelta(days=days)).date(), by="Salma")
        does(runtime, review_desk.information_received, review.review_id, by="Salma")
    assert len(told(runtime, notice="review_needs_information")) == 2


# Complaints


def test_an_answer_to_a_complaint_names_its_outcome_in_a_text_and_its_words_in_a_letter(runtime):
    register(runtime, a_row())
    filed = does(runtime, complaint.file, household_id=homes(runtime)[0].id, category="index_wrong", channel="centre",
                 msisdn_blind=None, asked_by="a test")
    does(runtime, complaint_handling.assign, filed.complaint_id, "Salma", by="Salma")
    does(runtime, complaint_handling.resolve, filed.complaint_id, resolution="upheld", answer="We were wrong.",
         by="Salma")
    (text,), (letter,) = (told(runtime, notice="complaint_resolved", medium=medium) for medium in ("sms", "letter"))
    assert runtime.words.say("ar-MA", "resolution.upheld") in text
    assert ("We were wrong." in letter, "We were wrong." in text) == (True, False)


def test_nothing_is_sent_of_a_sensitive_complaint(runtime):
    register(runtime, a_row())
    before = len(messages(runtime))
    filed = does(runtime, complaint.file, household_id=homes(runtime)[0].id, category="staff_conduct",
                 channel="centre", msisdn_blind=None, asked_by="a test", named=True)
    does(runtime, complaint_handling.assign, filed.complaint_id, "Hind", by="Hind", focal_points=("Hind",))
    does(runtime, complaint_handling.resolve, filed.complaint_id, resolution="upheld", answer="He was moved.",
         by="Hind", focal_points=("Hind",))
    assert len(messages(runtime)) == before


def test_who_handles_a_complaint_is_told_when_it_is_not_we(runtime):
    register(runtime, a_row())
    for category, owner in (("payment_not_received", "aid_agency"), ("index_wrong", "here")):
        does(runtime, complaint.file, household_id=homes(runtime)[0].id, category=category, channel="centre",
             msisdn_blind=None, asked_by=category)
        *_, text = told(runtime, notice="complaint_received")
        assert (runtime.words.say("ar-MA", "owner.aid_agency") in text) == (owner == "aid_agency")


# Telephones


def change(runtime):
    return does(runtime, number_change.ask_number, homes(runtime)[0].id, NEW, channel="ussd", asked_by="a test",
                by="household")


def to(runtime, **like) -> list[str]:
    return [runtime.vault.open(message.to_sealed, "message.to", message.id) for message in messages(runtime, **like)]


def test_the_old_telephone_is_warned_and_both_are_told_when_the_time_has_come(runtime, clock):
    register(runtime, a_row())
    change(runtime)
    assert to(runtime, notice="number_change_asked") == [PHONE]
    arrives(runtime, notice="number_change_asked")
    clock.forward(hours=72)
    strike(runtime, "numbers")
    assert to(runtime, notice="number_changed") == [NEW]
    assert to(runtime, notice="number_left") == [PHONE]


def test_a_complaint_about_the_telephone_from_the_old_one_refuses_the_new_one(runtime, clock):
    register(runtime, a_row())
    change(runtime)
    with runtime.database.write() as session:
        call = Call(session=session, teller=runtime.teller, channel="ussd", conversation="a call", now=runtime.clock(),
                    may_look_up=lambda _: True, answer_within=timedelta(days=30), msisdn=PHONE)
        filed = perform(call)(Effect("file_complaint", given={"category": "phone_problem"}, locale="ar-MA"))
        assert filed.name == "ok"
    clock.forward(hours=100)
    strike(runtime, "numbers")
    assert [row.state for row in rows(runtime, DataUpdate)] == ["refused"]
    assert messages(runtime, notice="number_changed") == []


def test_no_pin_is_posted_while_a_new_telephone_waits(runtime):
    register(runtime, a_row())
    change(runtime)
    with runtime.database.write() as session:
        assert not runtime.teller.send_pin(session, homes(runtime)[0], runtime.clock())
    assert messages(runtime, notice="pin") == []


def test_who_has_no_telephone_left_is_told_by_letter(runtime):
    register(runtime, a_row())
    does(runtime, number_change.not_mine, PHONE, channel="sms", asked_by="a test", by="household")
    assert [message.medium for message in messages(runtime, notice="number_changed")] == ["letter"]


# Data


def test_a_change_of_data_is_confirmed_with_its_number_and_its_register(runtime):
    register(runtime, a_row())
    filed = does(runtime, update.file, homes(runtime)[0].id, "schooling", channel="centre", asked_by="a test",
                 by="Salma")
    (text,) = told(runtime, notice="update_received")
    assert filed.number in text
    assert runtime.words.say("ar-MA", "register.aid_agency") in text


def test_a_change_of_data_that_moves_the_index_is_told_as_such(runtime):
    register(runtime, a_row())
    arrives(runtime, notice="index_assigned")
    filed = does(runtime, update.file, homes(runtime)[0].id, "equipment", channel="centre", asked_by="a test",
                 by="Salma")
    does(runtime, declaration.apply, runtime.scorer, filed.update_id, {"equipment.cars": 1}, by="Salma")
    (text,) = told(runtime, notice="index_changed")
    assert runtime.words.say("ar-MA", "cause.data_update") in text


def test_a_yearly_question_is_asked_every_year(runtime, clock):
    register(runtime, a_row())
    for _ in range(5):
        clock.forward(days=200)
        strike(runtime, "rounds")
    days = {message.subject for message in messages(runtime, notice="data_round")}
    assert len(days) == 2


def test_a_refused_verb_tells_nobody(runtime):
    register(runtime, a_row())
    before = len(messages(runtime))
    with pytest.raises(NotAllowed):
        does(runtime, review_desk.assign, UUID(int=7), "Salma", by="Salma")
    assert len(messages(runtime)) == before
