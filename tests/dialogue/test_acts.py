"""Acts: each effect of the dialogue on the registry, done once a session, told alike to known and unknown."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
import sqlalchemy as sa

from gateway.dialogue.acts import COARSE, Performer, Telephone
from gateway.dialogue.engine import Effect
from gateway.dialogue.household import EFFECTS
from gateway.outbox import Message
from gateway.registry import audit, complaint, number_change, review, update
from gateway.registry.audit import AuditEntry
from gateway.registry.complaint import A_DAY_AT_MOST, Complaint
from gateway.registry.review import Review
from gateway.registry.score import CurrentScore, IndexScore
from tests.conftest import NOON, a_row, register
from tests.web.desk import PHONE, PIN, give_pin, homes, rows, told

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
STRANGER = "+212699999999"
LIMITS = {"asd": Decimal("9.743001"), "amo-tadamon": Decimal("9.3264284")}


def performer(runtime, session, phone, conversation, may_look_up=True):
    return Performer(session=session, teller=runtime.teller, channel="ussd", conversation=conversation,
                     now=runtime.clock(), may_look_up=lambda _: may_look_up, answer_within=timedelta(days=30),
                     msisdn=phone)


def act(runtime, effect, argument="", *, phone=PHONE, conversation="a call", proof="", may_look_up=True):
    """One effect in a transaction of its own. What comes of it is checked against the contract of the dialogue."""
    with runtime.database.write() as session:
        outcome = performer(runtime, session, phone, conversation, may_look_up)(Effect(effect, argument, proof))
    assert set(EFFECTS[effect][outcome.name]) <= outcome.facts.keys()
    return outcome


def locale(runtime, phone=PHONE, conversation="another call"):
    with runtime.database.write() as session:
        return performer(runtime, session, phone, conversation).locale()


@pytest.fixture
def proof(runtime):
    """The household's proof, once it has been told its index."""
    register(runtime, a_row())
    give_pin(runtime)
    told(runtime, date(2026, 11, 22))
    return act(runtime, "check_pin", PIN).facts["proof"]


def test_every_effect_of_the_dialogue_can_be_performed(runtime):
    assert all(callable(getattr(Performer, f"_{name}")) for name in EFFECTS)


def test_a_telephone_keeps_the_language_it_chose(runtime):
    assert locale(runtime) is None
    act(runtime, "choose_language", "fr-MA")
    assert (locale(runtime), locale(runtime, STRANGER)) == ("fr-MA", None)
    act(runtime, "choose_language", "zgh-MA", conversation="another call")
    assert locale(runtime) == "zgh-MA"


def test_the_session_that_chose_first_is_asked_again_when_it_is_told_again(runtime):
    for chosen in ("fr-MA", "ar-MA"):
        act(runtime, "choose_language", chosen)
        assert locale(runtime, conversation="a call") is None
    assert locale(runtime) == "ar-MA"


def test_the_row_of_a_telephone_is_not_its_number(runtime):
    act(runtime, "choose_language", "fr-MA")
    assert "612345678" not in repr([vars(row) for row in rows(runtime, Telephone)])


def test_the_language_of_the_household_is_not_told_to_a_telephone(runtime):
    register(runtime, a_row(language="zgh-MA"))
    assert locale(runtime) is None


def test_a_pin_proves_its_household_and_any_other_proves_nothing(runtime, proof):
    assert UUID(proof) == homes(runtime)[0].id
    assert act(runtime, "check_pin", "815204").name == "wrong"
    assert act(runtime, "check_pin", PIN, phone=STRANGER).name == "wrong"


def test_the_index_is_told_to_its_last_digit_with_what_it_means(runtime, proof):
    score, = rows(runtime, IndexScore)
    shown = act(runtime, "show_index", proof=proof).facts
    assert shown["index"] == score.value
    assert {programme["key"]: programme["below"] for programme in shown["programmes"]} == {
        "asd": score.value < LIMITS["asd"], "amo-tadamon": score.value < LIMITS["amo-tadamon"]}
    assert shown["last_day"] == date(2027, 1, 21)


def test_an_index_that_was_not_told_yet_names_no_last_day(runtime):
    register(runtime, a_row())
    assert act(runtime, "show_index", proof=str(homes(runtime)[0].id)).facts["last_day"] is None


def test_without_an_index_its_day_is_named_and_then_its_delay(runtime, clock):
    register(runtime, a_row(registered_on=date(2026, 11, 20)))
    proof = str(homes(runtime)[0].id)
    with runtime.database.write() as session:
        session.execute(sa.delete(CurrentScore))
    clock.now = NOON.replace(month=11, day=30, hour=22, minute=59)
    waiting = act(runtime, "show_index", proof=proof)
    assert (waiting.name, waiting.facts) == ("none", {"due": date(2026, 11, 30)})
    clock.forward(minutes=1)
    assert act(runtime, "show_index", proof=proof).name == "late"


def test_a_review_is_asked_once_and_confirmed_by_text(runtime, proof):
    assert act(runtime, "review_state", proof=proof).facts == {"deadline": date(2027, 1, 21)}
    asked = act(runtime, "request_review", proof=proof)
    assert asked.facts["answer_by"] == date(2026, 12, 23)
    for effect in ("request_review", "review_state"):
        again = act(runtime, effect, proof=proof, conversation="another call")
        assert (again.name, again.facts["number"]) == ("already", asked.facts["number"])
    assert [message.notice for message in rows(runtime, Message)].count("review_received") == 1


def test_a_review_that_is_told_again_in_its_session_is_told_the_same(runtime, proof):
    first = [act(runtime, effect, proof=proof) for effect in ("review_state", "request_review")]
    assert [act(runtime, effect, proof=proof) for effect in ("review_state", "request_review")] == first
    assert len(rows(runtime, Review)) == 1


def test_a_late_review_names_the_day_that_it_was_late_for(runtime, proof, clock):
    clock.now = NOON + timedelta(days=70)
    for effect in ("review_state", "request_review"):
        late = act(runtime, effect, proof=proof)
        assert (late.name, late.facts) == ("late", {"deadline": date(2027, 1, 21)})
    assert rows(runtime, Review) == []


def test_a_complaint_is_filed_once_a_session_and_category(runtime, proof):
    filed = {act(runtime, "file_complaint", category).facts["number"]
             for category in ("other", "amo_rights") for _ in range(3)}
    assert filed == {one.number for one in rows(runtime, Complaint)}
    assert len(filed) == 2
    assert {one.household_id for one in rows(runtime, Complaint)} == {UUID(proof)}
    assert [message.notice for message in rows(runtime, Message)].count("complaint_received") == 2


def test_whoever_is_unknown_files_as_well_and_gets_no_text(runtime):
    assert act(runtime, "file_complaint", "other", phone=STRANGER).name == "ok"
    assert [one.household_id for one in rows(runtime, Complaint)] == [None]
    assert rows(runtime, Message) == []


def test_a_shared_number_does_not_say_whose_complaint_it_is(runtime):
    register(runtime, a_row(), a_row("2900000002"))
    assert act(runtime, "file_complaint", "other").name == "ok"
    assert [one.household_id for one in rows(runtime, Complaint)] == [None]


def test_a_telephone_at_its_limit_of_complaints_still_refuses_a_stolen_number(runtime, proof):
    with runtime.database.write() as session:
        asked = number_change.ask_number(session, runtime.vault, UUID(proof), "+212777123456", channel="ussd",
                                         asked_by="a thief", by="household", now=runtime.clock())
    for call in range(A_DAY_AT_MOST):
        act(runtime, "file_complaint", "other", conversation=f"call {call}")
    assert act(runtime, "file_complaint", "phone_problem").name == "too_many"
    with runtime.database.read() as session:
        assert update.state_of(session, asked.number).state == "refused"


def test_too_many_complaints_are_said_to_be_too_many(runtime):
    seen = [act(runtime, "file_complaint", "other", conversation=f"call {call}").name
            for call in range(A_DAY_AT_MOST + 1)]
    assert seen == ["ok"] * A_DAY_AT_MOST + ["too_many"]


def test_a_request_is_found_by_its_number_coarsely(runtime, proof):
    review = act(runtime, "request_review", proof=proof).facts["number"]
    ticket = act(runtime, "file_complaint", "staff_conduct").facts["number"]
    found = act(runtime, "request_status", review, phone=STRANGER)
    assert found.facts == {"kind": "review", "state": "received", "answer_by": date(2026, 12, 23),
                           "date": date(2026, 11, 23)}
    found = act(runtime, "request_status", ticket, phone=STRANGER)
    assert found.facts == {"kind": "complaint", "state": "received", "answer_by": None, "date": date(2026, 11, 23)}


def test_a_message_of_ours_is_known_by_its_code_to_anybody(runtime):
    register(runtime, a_row())
    message, = rows(runtime, Message)
    ours = act(runtime, "request_status", message.reference, phone=STRANGER)
    assert (ours.name, ours.facts) == ("ours", {"date": date(2026, 11, 23)})


def test_a_mistyped_number_is_told_from_an_unknown_one(runtime, proof):
    ticket = act(runtime, "file_complaint", "other").facts["number"]
    mistyped = ticket[:-1] + str((int(ticket[-1]) + 1) % 10)
    assert act(runtime, "request_status", mistyped).name == "check"
    assert act(runtime, "request_status", ticket, may_look_up=False).name == "unknown"
    with runtime.database.write() as session:
        session.execute(sa.delete(Complaint))
    assert act(runtime, "request_status", ticket).name == "unknown"


def test_a_new_pin_letter_goes_once_while_one_is_on_its_way_to_each_household_of_the_number(runtime, clock):
    register(runtime, a_row(), a_row("2900000002"))
    assert [act(runtime, "send_pin_letter").name for _ in range(2)] == ["ok", "already"]
    clock.forward(days=60)
    assert act(runtime, "send_pin_letter").name == "already", "it is not posted yet"
    assert act(runtime, "send_pin_letter", phone=STRANGER).name == "wrong"
    letters = [message for message in rows(runtime, Message) if message.notice == "pin"]
    assert len(letters) == 2
    assert {message.medium for message in letters} == {"letter"}


def test_who_performs_shows_no_number(runtime):
    with runtime.database.read() as session:
        assert PHONE not in repr(performer(runtime, session, PHONE, "a call"))
    assert "407193" not in repr(Effect("check_pin", "407193", "a household"))


def test_whoever_sees_an_index_is_recorded_without_a_number_or_a_name(runtime, proof):
    act(runtime, "show_index", proof=proof)
    (score,) = rows(runtime, IndexScore)
    (seen,) = [entry for entry in rows(runtime, AuditEntry) if entry.act == "index.seen"]
    assert (seen.by, seen.subject, seen.detail, seen.why) == ("household", str(score.id), {"channel": "ussd"}, None)
    assert seen.household_blind not in (None, UUID(proof).bytes)
    assert audit.verify(runtime.database, runtime.vault) == []


def test_every_state_of_a_request_has_a_coarse_word_that_the_telephone_says(runtime):
    for kind, transitions in (("complaint", complaint.TRANSITIONS), ("review", review.TRANSITIONS)):
        assert COARSE[kind].keys() == transitions.keys()
        assert set(COARSE[kind].values()) <= {"received", "in_progress", "answered", "withdrawn"}
