"""Complaint: one for each session and category, so many a day, each with a number; handled step by step, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from random import Random
from threading import Barrier

import pytest
import sqlalchemy as sa

from gateway.outbox import Message
from gateway.registry import audit, complaint, complaint_clock, complaint_handling, complaint_reading
from gateway.registry.audit import AuditEntry
from gateway.registry.complaint import A_DAY_AT_MOST, TRANSITIONS, Complaint, Followed, TooManyComplaints
from gateway.registry.complaint_category import BY_TELEPHONE, CATEGORIES
from gateway.registry.events import ComplaintClosed, ComplaintOnHold, ComplaintReceived, ComplaintResolved
from gateway.registry.numbers import kind_of
from gateway.registry.steps import NotAllowed
from gateway.words import LOCALES, all_words
from tests.conftest import NOON, a_row, register
from tests.web.desk import homes, rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
real = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
SENSITIVE = [key for key, category in CATEGORIES.items() if category.sensitive]
FOCAL = {"focal_points": ("Amina",)}


def file(runtime, session_name="a call", category="other", phone=b"p" * 32, now=NOON, household=None, **more):
    named = {"household_id": household, "channel": "ussd", "msisdn_blind": phone, **more}
    with runtime.database.write() as session:
        return complaint.file(session, runtime.vault, category=category, asked_by=f"{session_name}/{category}",
                              now=now, **named)


def at_desk(runtime, category="other", **more):
    """A household's complaint, written down by a clerk."""
    register(runtime, a_row())
    return file(runtime, category=category, household=homes(runtime)[0].id, channel="desk", phone=None, named=True,
                **more)


def do(runtime, verb, filed, *arguments, by="Brahim", now=NOON, **named):
    """One verb in a transaction of its own; its events."""
    with runtime.database.write() as session:
        return getattr(complaint_handling, verb)(session, runtime.vault, filed.complaint_id, *arguments, by=by, now=now,
                                                 **named)


def kept(runtime, filed):
    return next(one for one in rows(runtime, Complaint) if one.id == filed.complaint_id)


def followed(runtime, filed, now=NOON):
    with runtime.database.read() as session:
        return complaint.state_of(session, filed.number, now)


def story(runtime):
    """All complaints and all that was written down about them."""
    with runtime.database.read() as session:
        return [sorted(map(tuple, session.execute(sa.select(table.__table__))), key=repr)
                for table in (Complaint, AuditEntry)]


def refused(runtime, verb, filed, *arguments, **named):
    """The sentence of a refusal; nothing was changed by it."""
    before = story(runtime)
    with pytest.raises(NotAllowed) as refusal:
        do(runtime, verb, filed, *arguments, **named)
    assert story(runtime) == before
    return str(refusal.value)


# Filed


def test_a_complaint_has_a_number_at_once_and_is_acknowledged(runtime):
    filed = file(runtime)
    stored = kept(runtime, filed)
    assert (stored.number, stored.state, stored.category, stored.received_at, stored.acknowledged_at) == (
        filed.number, "acknowledged", "other", NOON, NOON)
    assert kind_of(filed.number) == "complaint"
    assert {entry.act for entry in rows(runtime, AuditEntry)} == {"complaint.filed"}


def test_filed_again_in_its_session_it_keeps_its_number(runtime):
    assert len({file(runtime).number for _ in range(3)}) == 1
    assert file(runtime, category="fraud_message").number != file(runtime).number
    assert file(runtime, "another call").number != file(runtime).number
    assert len(rows(runtime, Complaint)) == 3


def test_filed_by_a_repeated_callback_at_the_same_moment_there_is_one(runtime):
    together = Barrier(8)

    def at_once(_):
        together.wait()
        return file(runtime).number

    with ThreadPoolExecutor(8) as callers:
        numbers = set(callers.map(at_once, range(8)))
    assert numbers == {one.number for one in rows(runtime, Complaint)}
    assert len(numbers) == 1


@one_kind
@pytest.mark.parametrize("known", [True, False])
def test_a_telephone_files_so_many_in_a_day_and_goes_on_the_next(runtime, known):
    register(runtime, a_row())
    home = homes(runtime)[0].id if known else None
    for number in range(A_DAY_AT_MOST):
        # Anonymous ones count as well.
        file(runtime, f"call {number}", now=NOON + timedelta(hours=number), household=home if number % 2 else None)
    last = NOON + timedelta(hours=23, minutes=59)
    with pytest.raises(TooManyComplaints):
        file(runtime, "one call more", now=last, household=home)
    assert file(runtime, "call 0", now=last).number
    assert file(runtime, "a neighbour", phone=b"q" * 32, now=last).number
    assert file(runtime, "one call more", now=NOON + timedelta(days=1), household=home).number


@one_kind
def test_a_desk_files_as_many_as_come(runtime):
    for number in range(A_DAY_AT_MOST + 1):
        file(runtime, f"desk {number}", phone=None, channel="desk")


@one_kind
def test_every_category_can_be_filed_and_no_other(runtime):
    for position, category in enumerate(CATEGORIES):
        assert kind_of(file(runtime, category=category, phone=bytes([position] * 32)).number) == "complaint"
    with pytest.raises(ValueError, match="no such category"):
        file(runtime, category="weather")


def test_the_keys_of_the_telephone_stay_as_leaflets_print_them():
    assert BY_TELEPHONE == (
        "notice_not_received", "index_wrong", "data_wrong", "composition_wrong", "phone_problem",
        "payment_not_received", "amo_rights", "staff_conduct", "fraud_message", "request_late", "other")
    assert {category.vocabulary for category in CATEGORIES.values()} == {
        "exclusion_error", "inclusion_error", "payment_complaint", "data_correction", "appeal", "service_quality",
        "misconduct", "other"}


@one_kind
def test_a_number_that_is_taken_is_drawn_again(runtime):
    numbers = [file(runtime, f"call {position}", chance=Random(1)).number for position in range(3)]
    assert len(set(numbers)) == 3
    assert {kind_of(number) for number in numbers} == {"complaint"}


@one_kind
@pytest.mark.parametrize("channel", ["ussd", "sms", "voice", "desk"])
def test_a_text_is_taken_by_every_channel_and_none_that_is_a_book(runtime, channel):
    filed = file(runtime, channel=channel, text=" a text ")
    stored = kept(runtime, filed)
    assert runtime.vault.open(stored.text_sealed, "complaint.text", stored.id) == "a text"
    with pytest.raises(NotAllowed, match="4000 characters"):
        file(runtime, "another call", channel=channel, text="x" * 4_001)
    assert len(rows(runtime, Complaint)) == 1


# Routed


@one_kind
@pytest.mark.parametrize(("category", "owner"), [
    ("index_wrong", "here"), ("phone_problem", "here"), ("address_wrong", "here"),
    ("composition_wrong", "population_register"), ("payment_not_received", "aid_agency"), ("schooling", "aid_agency"),
    ("disability", "aid_agency"), ("amo_rights", "cnss"),
])
def test_a_complaint_goes_at_once_to_the_register_that_owns_it(runtime, category, owner):
    filed = file(runtime, category=category)
    stored = kept(runtime, filed)
    assert filed.owner == stored.owner == owner
    assert (stored.state, stored.assigned_to) == (("acknowledged", None) if owner == "here" else ("assigned", owner))
    assert stored.first_action_at is None, "nobody has taken it up by its being sent there"
    seen = followed(runtime, filed)
    assert (seen.owner, seen.state) == (owner, "received" if owner == "here" else "in_progress")
    assert seen.next_step == ("taken_up" if owner == "here" else "answered_by_register")


@one_kind
def test_its_time_limits_are_those_of_its_category_in_working_days(runtime):
    # Friday afternoon: two working days are Tuesday, fifteen are three weeks less nothing.
    stored = kept(runtime, file(runtime, now=NOON - timedelta(days=3)))
    assert stored.first_action_by.isoformat() == "2026-11-24T15:30:00+00:00"
    assert stored.due_at.isoformat() == "2026-12-11T15:30:00+00:00"
    secret = kept(runtime, file(runtime, category="abuse", now=NOON - timedelta(days=3)))
    assert secret.first_action_by == NOON - timedelta(days=2), "hours of the clock, over a weekend as well"


# Anonymous and sensitive


@one_kind
def test_an_anonymous_complaint_leads_to_no_telephone_and_tomorrow_not_to_its_like(runtime):
    register(runtime, a_row())
    anonymous = kept(runtime, file(runtime))
    tomorrow = kept(runtime, file(runtime, "next day", now=NOON + timedelta(days=1)))
    named = kept(runtime, file(runtime, "a third call", household=homes(runtime)[0].id))
    assert named.msisdn_blind == b"p" * 32
    assert len({anonymous.msisdn_blind, tomorrow.msisdn_blind, named.msisdn_blind}) == 3
    assert "a call" not in anonymous.asked_by
    assert anonymous.household_id is None


@pytest.mark.parametrize("category", SENSITIVE)
@one_kind
def test_a_sensitive_complaint_is_nobodys_unless_the_household_wants_its_name_on_it(runtime, category):
    register(runtime, a_row())
    home = homes(runtime)[0].id
    stored = kept(runtime, file(runtime, category=category, household=home))
    assert (stored.household_id, stored.sensitive) == (None, True)
    assert stored.msisdn_blind != b"p" * 32
    assert kept(runtime, file(runtime, "a desk", category=category, household=home, named=True)).household_id == home


@one_kind
def test_of_a_sensitive_complaint_nothing_is_told_sent_listed_or_audited(runtime):
    filed = at_desk(runtime, "staff_conduct", text="He asked for money.")
    assert filed == ComplaintReceived(None, filed.complaint_id, filed.number, "here")
    do(runtime, "assign", filed, "Amina", by="Amina", **FOCAL)
    told = do(runtime, "hold", filed, until=date(2026, 11, 30), reason="waits_for_visit", by="Amina")
    told += do(runtime, "resume", filed, by="Amina")
    told += do(runtime, "resolve", filed, resolution="upheld", answer="The man was removed.", by="Amina")
    told += do(runtime, "close", filed, by="Amina")
    assert [event.household_id for event in told] == [None] * 3
    with runtime.database.write() as session:
        runtime.teller.tell(session, [filed, *told], NOON)
    assert not [message for message in rows(runtime, Message) if message.notice.startswith("complaint")]
    entries = [entry for entry in rows(runtime, AuditEntry) if entry.subject == str(filed.complaint_id)]
    assert [entry.household_blind for entry in entries] == [None] * 6
    assert "staff_conduct" not in "".join(f"{entry.act} {entry.why} {entry.detail}" for entry in entries)
    with runtime.database.read() as session:
        assert complaint_reading.listed(session, now=NOON, by="Brahim") == []
        assert complaint_reading.listed(session, now=NOON, by="Amina", **FOCAL) == [], "not among the others"
        found, = complaint_reading.listed(session, now=NOON, by="Amina", sensitive=True, **FOCAL)
        assert found.number == filed.number
        with pytest.raises(NotAllowed, match="for focal points only"):
            complaint_reading.listed(session, now=NOON, by="Brahim", sensitive=True)


@one_kind
def test_on_a_sensitive_complaint_only_its_focal_point_acts(runtime):
    filed = file(runtime, category="abuse")
    for verb, arguments, named in (
            ("assign", ("Brahim",), {}), ("begin", (), {}), ("close", (), {}), ("escalate", (), {}),
            ("hold", (), {"until": date(2026, 11, 30), "reason": "waits_for_visit"}),
            ("resolve", (), {"resolution": "rejected", "answer": "Nothing was found."})):
        assert "focal point only" in refused(runtime, verb, filed, *arguments, **named)
    do(runtime, "assign", filed, "Amina", by="Omar", focal_points=("Omar",))
    do(runtime, "begin", filed, by="Amina")
    with runtime.database.write() as session, pytest.raises(NotAllowed, match="focal point only"):
        complaint_reading.view(session, runtime.vault, filed.complaint_id, by="Brahim", now=NOON)


@one_kind
def test_a_text_is_sealed_and_read_by_whoever_it_is_assigned_to_and_that_is_written_down(runtime):
    filed = at_desk(runtime, text="  A donkey was counted as a car.  ")
    assert "donkey" not in repr(story(runtime))
    do(runtime, "assign", filed, "Brahim")
    with runtime.database.write() as session:
        with pytest.raises(NotAllowed, match="for whoever it is assigned to"):
            complaint_reading.read_text(session, runtime.vault, filed.complaint_id, by="Malika", now=NOON)
        assert complaint_reading.read_text(session, runtime.vault, filed.complaint_id, by="Brahim",
                                           now=NOON) == "A donkey was counted as a car."
        assert complaint_reading.view(session, runtime.vault, filed.complaint_id, by="Malika", now=NOON)
    looked = [(entry.act, entry.by) for entry in rows(runtime, AuditEntry)]
    assert ("complaint.text_read", "Brahim") in looked
    assert ("complaint.viewed", "Malika") in looked
    assert audit.verify(runtime.database, runtime.vault) == []


# Handled


def test_the_whole_life_of_a_complaint(runtime):
    filed = at_desk(runtime, "data_wrong", text="A donkey was counted as a car.")
    home = homes(runtime)[0].id
    assert followed(runtime, filed) == Followed("received", NOON.date(), "taken_up", date(2026, 11, 25), "here", False)

    do(runtime, "assign", filed, "Brahim", now=NOON + timedelta(hours=1))
    assert followed(runtime, filed).next_step == "answered"
    do(runtime, "begin", filed, now=NOON + timedelta(hours=2))
    due_before = kept(runtime, filed).due_at
    waits = do(runtime, "hold", filed, until=date(2026, 11, 30), reason="waits_for_partner",
               now=NOON + timedelta(days=1))
    assert waits == [ComplaintOnHold(home, filed.complaint_id, filed.number, date(2026, 11, 30))]
    assert followed(runtime, filed).next_step == "waits"
    assert followed(runtime, filed).by == date(2026, 11, 30)
    do(runtime, "resume", filed, now=NOON + timedelta(days=3))
    assert kept(runtime, filed).due_at == due_before + timedelta(days=2), "the two working days it waited"

    answered = NOON + timedelta(days=4)
    done = do(runtime, "resolve", filed, resolution="rejected", answer="It is in your name.", now=answered)
    assert done == [ComplaintResolved(home, filed.complaint_id, filed.number, date(2026, 12, 12))]
    assert followed(runtime, filed, answered) == Followed(
        "answered", answered.date(), "read_or_reopen", date(2026, 12, 12), "here", True)
    do(runtime, "reopen", filed, by="household", now=answered + timedelta(days=15))
    again = kept(runtime, filed)
    assert (again.state, again.assigned_to, again.first_action_at) == ("reopened", None, None)
    assert again.due_at > due_before + timedelta(days=15)

    do(runtime, "assign", filed, "Malika", now=answered + timedelta(days=16))
    done = do(runtime, "resolve", filed, resolution="upheld", answer="It was your neighbour's.", by="Malika",
              now=answered + timedelta(days=17))
    assert done == [ComplaintResolved(home, filed.complaint_id, filed.number, None)], "not a second time"
    assert followed(runtime, filed, answered + timedelta(days=17)).next_step == "read"
    closed = do(runtime, "close", filed, by="Malika", now=answered + timedelta(days=18))
    assert closed == [ComplaintClosed(home, filed.complaint_id, filed.number)]
    do(runtime, "rate", filed, 5, by="household", now=answered + timedelta(days=19))

    told = kept(runtime, filed)
    assert (told.state, told.resolution, told.satisfaction) == ("closed", "upheld", 5)
    assert runtime.vault.open(told.answer_sealed, "complaint.answer", told.id) == "It was your neighbour's."
    acts = sorted((entry for entry in rows(runtime, AuditEntry) if entry.subject == str(told.id)), key=lambda e: e.at)
    assert [entry.act.partition(".")[2] for entry in acts] == [
        "filed", "assigned", "begun", "held", "resumed", "resolved", "reopened", "assigned", "resolved", "closed",
        "rated"]
    assert audit.verify(runtime.database, runtime.vault) == []


@one_kind
def test_what_cannot_be_done_is_refused_with_what_can(runtime):
    filed = at_desk(runtime)
    answer = {"resolution": "rejected", "answer": "No."}
    assert refused(runtime, "resolve", filed, **answer) == (
        "This complaint is acknowledged, so it cannot be resolved; it can be assigned or escalated.")
    assert "so it cannot be in progress" in refused(runtime, "begin", filed)
    do(runtime, "assign", filed, "Brahim")
    assert "so it cannot be reopened" in refused(runtime, "reopen", filed)
    assert "rated after it was closed" in refused(runtime, "rate", filed, 3)
    assert "reason for a hold is one of" in refused(runtime, "hold", filed, until=date(2026, 12, 1), reason="lunch")
    for until in (NOON.date(), date(2026, 12, 24)):
        assert "after today and within 30 days" in refused(runtime, "hold", filed, until=until,
                                                           reason="waits_for_visit")
    do(runtime, "hold", filed, until=date(2026, 12, 1), reason="waits_for_visit")
    assert "on hold; it can be resumed" in refused(runtime, "begin", filed)
    do(runtime, "resume", filed)
    assert "is in_progress; only one that is on hold" in refused(runtime, "resume", filed)
    assert "A resolution is one of" in refused(runtime, "resolve", filed, resolution="done", answer="Yes.")
    assert "needs an answer" in refused(runtime, "resolve", filed, resolution="upheld", answer=" \n")
    assert "Say to whom" in refused(runtime, "assign", filed, "  ")
    do(runtime, "resolve", filed, **answer)
    do(runtime, "close", filed)
    assert "one digit" in refused(runtime, "rate", filed, 6)
    do(runtime, "rate", filed, 1)
    assert "rated once already" in refused(runtime, "rate", filed, 2)


@one_kind
@pytest.mark.parametrize("closed", [True, False])
def test_a_complaint_is_reopened_once_and_within_fifteen_days(runtime, closed):
    filed = at_desk(runtime)
    do(runtime, "assign", filed, "Brahim")
    do(runtime, "resolve", filed, resolution="rejected", answer="No.")
    if closed:
        do(runtime, "close", filed)
    last_moment = NOON.replace(month=12, day=8, hour=22, minute=59)
    assert "here until 2026-12-08" in refused(runtime, "reopen", filed, now=last_moment + timedelta(minutes=1))
    do(runtime, "reopen", filed, now=last_moment)
    do(runtime, "assign", filed, "Malika", now=last_moment)
    do(runtime, "resolve", filed, resolution="rejected", answer="No.", now=last_moment)
    assert "reopened once already" in refused(runtime, "reopen", filed, now=last_moment)


@real
@pytest.mark.parametrize("verb", ["resolve", "assign_and_begin"])
def test_of_two_clerks_at_once_one_is_refused(runtime, verb):
    filed = at_desk(runtime)
    do(runtime, "assign", filed, "Brahim")
    together = Barrier(2)

    def act(name):
        together.wait()
        try:
            if verb == "resolve":
                do(runtime, "resolve", filed, resolution="upheld", answer=f"By {name}.", by=name)
            else:
                do(runtime, "begin", filed, by=name)
        except NotAllowed as refusal:
            return str(refusal)
        return None

    with ThreadPoolExecutor(2) as clerks:
        said = sorted(clerks.map(act, ("Brahim", "Malika")), key=bool)
    assert said[0] is None
    assert said[1].startswith(f"This complaint is {'resolved' if verb == 'resolve' else 'in progress'} already")


@real
def test_a_clerk_and_the_clock_at_once_leave_one_whole_story(runtime):
    filed = at_desk(runtime)
    late = kept(runtime, filed).first_action_by
    together = Barrier(2)

    def clerk():
        together.wait()
        do(runtime, "assign", filed, "Brahim", now=late)

    def ticker():
        together.wait()
        with runtime.database.write() as session:
            complaint_clock.due(session, runtime.vault, late)

    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(clerk), both.submit(ticker)]:
            done.result()
    assert kept(runtime, filed).state in {"assigned", "escalated"}
    assert audit.verify(runtime.database, runtime.vault) == []


# Followed


@one_kind
def test_whoever_has_the_number_learns_a_coarse_state_and_nothing_else(runtime):
    filed = file(runtime, category="staff_conduct")
    assert followed(runtime, filed) == Followed("received", NOON.date(), "taken_up", date(2026, 11, 24), "here", False)
    assert complaint.COARSE.keys() == TRANSITIONS.keys()
    with runtime.database.read() as session:
        assert complaint.state_of(session, "300000000", NOON) is None
        with pytest.raises(NotAllowed, match="no such complaint"):
            complaint.find(session, "300000000")


def test_every_state_owner_resolution_and_next_step_has_words_in_every_language():
    words = all_words()
    needed = {f"complaint_state.{state}" for state in complaint.COARSE.values()}
    needed |= {f"owner.{category.owner}" for category in CATEGORIES.values()}
    needed |= {f"resolution.{code}" for code in complaint_handling.RESOLUTIONS}
    needed |= {f"complaint_next.{step}" for step in (
        "taken_up", "answered", "answered_by_register", "waits", "supervisor_decides", "read_or_reopen", "read")}
    for locale in LOCALES:
        assert all(words.say(locale, name, by=date(2026, 12, 1)) for name in needed)


@one_kind
def test_a_late_complaint_is_listed_as_late(runtime):
    first, second = file(runtime, "one"), file(runtime, "two", category="payment_not_received")
    with runtime.database.read() as session:
        def numbers(**asked):
            return {one.number for one in complaint_reading.listed(session, by="Brahim", **asked)}

        assert numbers(now=NOON) == {first.number, second.number}
        assert numbers(now=NOON, owner="aid_agency") == numbers(now=NOON, state="assigned") == {second.number}
        assert numbers(now=NOON, late=True) == set()
        assert numbers(now=NOON + timedelta(days=2, hours=5), late=True) == {first.number, second.number}
    do(runtime, "assign", first, "Brahim")
    with runtime.database.read() as session:
        assert numbers(now=NOON + timedelta(days=2, hours=5), late=True) == {second.number}
