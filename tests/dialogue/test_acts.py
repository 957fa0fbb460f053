"""Acts: each effect of the dialogue on the registry, done once a session, told alike to known and unknown."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
import sqlalchemy as sa

from gateway.dialogue.acts import ACTS, perform
from gateway.dialogue.acts.call import Call
from gateway.dialogue.acts.requests import COARSE, OFFERED
from gateway.dialogue.acts.telephones import Telephone, language
from gateway.dialogue.engine import Effect
from gateway.dialogue.household import EFFECTS
from gateway.outbox import Message
from gateway.registry import audit, complaint, complaint_handling, number_change, registration, review, update
from gateway.registry.audit import AuditEntry
from gateway.registry.complaint import A_DAY_AT_MOST, Complaint
from gateway.registry.explain import explained
from gateway.registry.household import Contact
from gateway.registry.review import Review
from gateway.registry.score import CurrentScore, IndexScore
from gateway.registry.suppression import Suppression
from gateway.registry.things import items_of
from gateway.registry.update import DataUpdate
from tests.conftest import NOON, a_row, register
from tests.web.desk import PHONE, PIN, give_pin, homes, rows, told

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
STRANGER = "+212699999999"
LIMITS = {"asd": Decimal("9.743001"), "amo-tadamon": Decimal("9.3264284")}


def calling(runtime, session, phone, conversation, may_look_up=True):
    return Call(session, runtime.teller, "ussd", conversation, runtime.clock(), lambda _: may_look_up,
                timedelta(days=30), phone)


def act(runtime, effect, typed="", *, phone=PHONE, conversation="a call", proof="", may_look_up=True, **given):
    """One effect in a transaction of its own. What comes of it is checked against the contract of the dialogue."""
    with runtime.database.write() as session:
        outcome = perform(calling(runtime, session, phone, conversation, may_look_up))(
            Effect(effect, typed, given, proof, "fr-MA"))
    assert set(EFFECTS[effect][outcome.name]) <= outcome.facts.keys()
    return outcome


def locale(runtime, phone=PHONE, conversation="another call"):
    with runtime.database.write() as session:
        return language(calling(runtime, session, phone, conversation))[0]


def notices(runtime):
    return sorted(message.notice for message in rows(runtime, Message))


def followed_by(number):
    """A number that no request has, and one that was mistyped."""
    return number[:-1] + str((int(number[-1]) + 1) % 10)


@pytest.fixture
def proof(runtime):
    """The household's proof, once it has been told its index."""
    register(runtime, a_row())
    give_pin(runtime)
    told(runtime, date(2026, 11, 22))
    return act(runtime, "check_pin", PIN).facts["proof"]


def test_every_effect_of_the_dialogue_can_be_performed_and_no_other(runtime):
    assert ACTS.keys() == EFFECTS.keys()


# The telephone


def test_a_telephone_keeps_the_language_it_chose(runtime):
    assert locale(runtime) is None
    act(runtime, "choose_language", language="fr-MA")
    assert (locale(runtime), locale(runtime, STRANGER)) == ("fr-MA", None)
    act(runtime, "choose_language", language="zgh-MA", conversation="another call")
    assert locale(runtime) == "zgh-MA"


def test_the_session_that_chose_first_is_asked_again_when_it_is_told_again(runtime):
    for chosen in ("fr-MA", "ar-MA"):
        act(runtime, "choose_language", language=chosen)
        assert locale(runtime, conversation="a call") is None
    assert locale(runtime) == "ar-MA"


def test_the_row_of_a_telephone_is_not_its_number(runtime):
    act(runtime, "choose_language", language="fr-MA")
    assert "612345678" not in repr([vars(row) for row in rows(runtime, Telephone)])


def test_the_language_of_the_household_is_not_told_to_a_telephone(runtime):
    register(runtime, a_row(language="zgh-MA"))
    assert locale(runtime) is None


def test_a_pin_proves_its_household_and_any_other_proves_nothing(runtime, proof):
    assert UUID(proof) == homes(runtime)[0].id
    assert act(runtime, "check_pin", "815204").name == "wrong"
    assert act(runtime, "check_pin", PIN, phone=STRANGER).name == "wrong"


def test_a_pin_that_a_thief_tries_first_cannot_be_chosen(runtime, proof):
    for weak in ("123456", "111111", "200112", "345678", "252525"):
        assert act(runtime, "choose_pin", weak, proof=proof).name == "weak", weak
    assert PHONE.endswith("345678")
    chosen = act(runtime, "choose_pin", "825193", proof=proof)
    assert (chosen.name, "825193" in chosen.facts["new_pin"]) == ("ok", False)


def test_a_chosen_pin_opens_from_now_on_and_no_other_does_be_it_in_the_post(runtime, proof):
    give_pin(runtime, "260418")  # a new letter, on its way
    new_pin = act(runtime, "choose_pin", "825193", proof=proof).facts["new_pin"]
    assert act(runtime, "change_pin", "825194", proof=proof, new_pin=new_pin).name == "different"
    assert act(runtime, "check_pin", PIN).name == "ok", "nothing has changed yet"
    assert [act(runtime, "change_pin", "825193", proof=proof, new_pin=new_pin).name for _ in range(2)] == ["ok", "ok"]
    assert [act(runtime, "check_pin", pin, conversation=pin).name for pin in (PIN, "260418", "825193")] == [
        "wrong", "wrong", "ok"]


def test_while_a_new_number_waits_the_pin_is_not_changed(runtime, proof):
    with runtime.database.write() as session:
        number_change.ask_number(session, runtime.vault, UUID(proof), "+212777123456", channel="ussd",
                                 asked_by="a thief", by="household", now=runtime.clock())
    new_pin = act(runtime, "choose_pin", "825193", proof=proof).facts["new_pin"]
    assert act(runtime, "change_pin", "825193", proof=proof, new_pin=new_pin).name == "wait"
    assert act(runtime, "check_pin", PIN).name == "ok"


def test_a_new_pin_letter_goes_once_while_one_is_on_its_way_to_each_household_of_the_number(runtime, clock):
    register(runtime, a_row(), a_row("2900000002"))
    assert [act(runtime, "send_pin_letter").name for _ in range(2)] == ["ok", "already"]
    clock.forward(days=60)
    assert act(runtime, "send_pin_letter").name == "already", "it is not posted yet"
    assert act(runtime, "send_pin_letter", phone=STRANGER).name == "wrong"
    letters = [message for message in rows(runtime, Message) if message.notice == "pin"]
    assert len(letters) == 2
    assert {message.medium for message in letters} == {"letter"}


def test_a_number_that_nobody_asked_for_is_refused_and_a_stranger_is_answered_alike(runtime, proof):
    with runtime.database.write() as session:
        asked = number_change.ask_number(session, runtime.vault, UUID(proof), "+212777123456", channel="ussd",
                                         asked_by="a thief", by="household", now=runtime.clock())

    def state():
        with runtime.database.read() as session:
            return update.state_of(session, asked.number).state

    assert (act(runtime, "refuse_number", phone=STRANGER).name, state()) == ("ok", "waiting")
    assert [act(runtime, "refuse_number").name for _ in range(2)] == ["ok", "ok"]
    assert state() == "refused"


def test_whoever_has_the_telephone_now_hears_no_more_of_its_households(runtime):
    register(runtime, a_row(), a_row("2900000002"))
    assert [act(runtime, "disown").name for _ in range(2)] == ["ok", "ok"]
    assert all(contact.ended_by for contact in rows(runtime, Contact))
    assert act(runtime, "my_file").name == "none"
    assert [one.why for one in rows(runtime, Suppression)] == ["not_mine"]
    ended = [entry for entry in rows(runtime, AuditEntry) if entry.act == "number.unbound"]
    assert [entry.by for entry in ended] == ["telephone"] * 2
    assert {message.medium for message in rows(runtime, Message) if message.notice == "number_changed"} == {"letter"}


def test_a_stranger_and_a_foreigner_who_disown_are_answered_alike(runtime, proof):
    assert {act(runtime, "disown", phone=phone).name for phone in (STRANGER, "+33612345678")} == {"ok"}
    assert act(runtime, "my_file").name == "found"


def test_who_wants_no_texts_gets_letters(runtime, proof):
    assert [act(runtime, "stop_texts").name for _ in range(2)] == ["ok", "ok"]
    assert all(contact.suspended_at for contact in rows(runtime, Contact))


def test_help_comes_once_a_day_by_text_to_a_mobile_alone(runtime, clock):
    for _ in range(2):
        act(runtime, "send_help")
        act(runtime, "send_help", conversation="another call")
    for phone in ("+212522123456", "+33612345678"):
        assert act(runtime, "send_help", phone=phone).name == "ok"
    assert notices(runtime) == ["sms_help"]
    clock.forward(days=1)
    act(runtime, "send_help")
    assert notices(runtime) == ["sms_help"] * 2


# The file


def test_where_the_file_is_is_told_to_its_telephone_and_by_its_number_to_anybody(runtime):
    register(runtime, a_row())
    mine = act(runtime, "my_file")
    with runtime.database.read() as session:
        number = session.scalar(sa.select(registration.Registration.number))
    slip = act(runtime, "file_by_number", number, phone=STRANGER)
    assert mine.name == slip.name == "found"
    assert mine.facts["lines"] == slip.facts["lines"]
    assert act(runtime, "my_file", phone=STRANGER).name == "none"
    assert act(runtime, "file_by_number", followed_by(number)).name == "check"
    assert act(runtime, "file_by_number", number, may_look_up=False).name == "unknown"


def test_a_file_is_found_by_no_number_of_another_kind(runtime, proof):
    ticket = act(runtime, "file_complaint", category="other").facts["number"]
    assert act(runtime, "file_by_number", ticket).name == "unknown"


def test_a_shared_telephone_is_asked_which_household_by_the_end_of_its_number_alone(runtime):
    register(runtime, a_row("2900000001"), a_row("2900000012"))
    asked = act(runtime, "my_file")
    assert (asked.name, asked.facts) == ("which", {"homes": ["001", "012"]})
    assert act(runtime, "my_file", home="012").name == "found"
    assert act(runtime, "my_file", home="999").name == "none"


def test_two_households_whose_numbers_end_alike_are_told_apart_by_as_much_as_it_takes(runtime):
    register(runtime, a_row("2900001001"), a_row("2900002001"), a_row("2900002002"))
    homes = act(runtime, "my_file").facts["homes"]
    assert homes == ["1001", "2001", "2002"]
    assert [act(runtime, "my_file", home=home).name for home in homes] == ["found"] * 3


def test_a_message_of_ours_is_known_by_its_code_to_anybody(runtime):
    register(runtime, a_row())
    message, = rows(runtime, Message)
    for effect in ("check_message", "request_status"):
        ours = act(runtime, effect, message.reference, phone=STRANGER)
        assert (ours.name, ours.facts) == ("ours", {"date": date(2026, 11, 23)})


def test_a_code_that_we_never_sent_is_not_ours_and_cannot_be_tried_without_end(runtime):
    register(runtime, a_row())
    message, = rows(runtime, Message)
    assert act(runtime, "check_message", followed_by(message.reference)).name == "check"
    assert act(runtime, "check_message", message.reference, may_look_up=False).name == "unknown"
    ticket = act(runtime, "file_complaint", category="other", phone=STRANGER).facts["number"]
    assert act(runtime, "check_message", ticket).name == "unknown", "a request is no message"


# The index


def test_the_index_is_told_to_its_last_digit_with_what_it_means(runtime, proof):
    score, = rows(runtime, IndexScore)
    shown = act(runtime, "show_index", proof=proof).facts
    assert shown["index"] == score.value
    assert {programme["key"]: programme["below"] for programme in shown["programmes"]} == {
        "asd": score.value < LIMITS["asd"], "amo-tadamon": score.value < LIMITS["amo-tadamon"]}


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
    for effect, given in (("explain_index", {}), ("judge_programme", {"programme": "asd"})):
        assert act(runtime, effect, proof=proof, **given).name == "late"
    assert act(runtime, "review_state", proof=proof).name == "none"


def test_why_is_told_in_three_sentences_and_a_first_index_has_not_changed(runtime, proof):
    assert len(act(runtime, "explain_index", proof=proof).facts["lines"]) == 3
    assert act(runtime, "compare_index", proof=proof).name == "first"


def test_every_programme_has_a_standing_and_a_place_to_apply(runtime, proof):
    for programme in ("asd", "amo-tadamon", "amo-achamil", "tayssir", "widows", "disability"):
        judged = act(runtime, "judge_programme", proof=proof, programme=programme).facts
        assert runtime.words.has("fr-MA", f"standing.{judged['standing']}")
        assert runtime.words.has("fr-MA", f"apply.{judged['apply']}")
        assert all(runtime.words.has("fr-MA", f"condition.{one}.unmet") for one in judged["unmet"])


def test_whoever_sees_an_index_is_recorded_without_a_number_or_a_name(runtime, proof):
    act(runtime, "show_index", proof=proof)
    (score,) = rows(runtime, IndexScore)
    (seen,) = [entry for entry in rows(runtime, AuditEntry) if entry.act == "index.seen"]
    assert (seen.by, seen.subject, seen.detail, seen.why) == ("household", str(score.id), {"channel": "ussd"}, None)
    assert seen.household_blind not in (None, UUID(proof).bytes)
    assert audit.verify(runtime.database, runtime.vault) == []


# Reviews


def test_a_review_is_asked_once_and_confirmed_by_text(runtime, proof):
    state = act(runtime, "review_state", proof=proof)
    assert (state.name, state.facts["deadline"]) == ("open", date(2027, 1, 21))
    asked = act(runtime, "request_review", proof=proof)
    assert asked.facts["by"] == date(2026, 12, 23)
    for effect in ("request_review", "review_state"):
        again = act(runtime, effect, proof=proof, conversation="another call")
        assert (again.name, again.facts) == (
            "already", {"number": asked.facts["number"], "state": "received", "by": date(2026, 12, 23)})
    assert notices(runtime).count("review_received") == 1


def test_what_weighs_most_is_offered_as_wrong_and_what_is_named_is_kept(runtime, proof):
    things = act(runtime, "review_state", proof=proof).facts["things"]
    home, = homes(runtime)
    score, = rows(runtime, IndexScore)
    with runtime.database.read() as session:
        assert set(things) <= {line.thing for line in explained(session, score.id).lines}
    assert 0 < len(things) <= OFFERED
    named = next(thing for thing in things if items_of(thing, home.facts))
    act(runtime, "request_review", proof=proof, thing=named)
    kept, = rows(runtime, Review)
    assert len(kept.items) == len(items_of(named, home.facts))
    assert all(item["source"] for item in kept.items)


def test_the_whole_index_is_contested_where_nothing_is_named(runtime, proof):
    act(runtime, "request_review", proof=proof)
    assert [one.items for one in rows(runtime, Review)] == [[]]


def test_each_thing_that_is_offered_can_be_contested(runtime, proof):
    for call, thing in enumerate(act(runtime, "review_state", proof=proof).facts["things"]):
        assert act(runtime, "request_review", proof=proof, conversation=f"call {call}", thing=thing).name == "ok"
        assert act(runtime, "withdraw_review", proof=proof, conversation=f"call {call}, later").name == "ok"


def test_a_review_that_is_told_again_in_its_session_is_told_the_same(runtime, proof):
    first = [act(runtime, effect, proof=proof) for effect in ("review_state", "request_review")]
    assert [act(runtime, effect, proof=proof) for effect in ("review_state", "request_review")] == first
    assert len(rows(runtime, Review)) == 1


def test_a_review_is_withdrawn_and_may_be_asked_for_again_within_the_sixty_days(runtime, proof):
    act(runtime, "request_review", proof=proof)
    for _ in range(2):
        gone = act(runtime, "withdraw_review", proof=proof, conversation="a second call")
        assert (gone.name, gone.facts) == ("ok", {"last_day": date(2027, 1, 21)})
    assert act(runtime, "review_state", proof=proof, conversation="a third call").name == "open"
    assert act(runtime, "request_review", proof=proof, conversation="a third call").name == "ok"
    assert sorted(one.state for one in rows(runtime, Review)) == ["acknowledged", "withdrawn"]


def test_a_review_that_is_withdrawn_too_late_to_ask_again_names_no_day(runtime, proof, clock):
    act(runtime, "request_review", proof=proof)
    clock.now = NOON + timedelta(days=70)
    assert act(runtime, "withdraw_review", proof=proof, conversation="a second call").facts == {"last_day": None}


def test_a_late_review_names_the_day_that_it_was_late_for(runtime, proof, clock):
    clock.now = NOON + timedelta(days=70)
    for effect in ("review_state", "request_review"):
        late = act(runtime, effect, proof=proof)
        assert (late.name, late.facts) == ("late", {"deadline": date(2027, 1, 21)})
    assert rows(runtime, Review) == []


# Complaints


def test_a_complaint_is_filed_once_a_session_and_category(runtime, proof):
    filed = {act(runtime, "file_complaint", category=category).facts["number"]
             for category in ("other", "amo_rights") for _ in range(3)}
    assert filed == {one.number for one in rows(runtime, Complaint)}
    assert len(filed) == 2
    assert {one.household_id for one in rows(runtime, Complaint)} == {UUID(proof)}
    assert notices(runtime).count("complaint_received") == 2


def test_the_callers_own_words_are_kept_sealed(runtime, proof):
    said = "Le compteur n'est pas le mien"
    act(runtime, "file_complaint", category="data_wrong", words=said)
    filed, = rows(runtime, Complaint)
    assert runtime.vault.open(filed.text_sealed, "complaint.text", filed.id) == said
    assert said.encode() not in filed.text_sealed


def test_whoever_is_unknown_files_as_well_and_is_confirmed_to_that_telephone_alone(runtime):
    filed = act(runtime, "file_complaint", category="other", phone=STRANGER)
    assert [one.household_id for one in rows(runtime, Complaint)] == [None]
    text, = rows(runtime, Message)
    assert (text.notice, text.household_id) == ("complaint_received", None)
    assert filed.facts["number"] in runtime.vault.open(text.body_sealed, "message.body", text.id)
    act(runtime, "file_complaint", category="other", phone=STRANGER)
    assert len(rows(runtime, Message)) == 1


def test_of_a_complaint_about_staff_no_text_tells(runtime, proof):
    before = notices(runtime)
    assert act(runtime, "file_complaint", category="staff_conduct").name == "ok"
    assert [one.household_id for one in rows(runtime, Complaint)] == [None]
    assert notices(runtime) == before


def test_a_shared_telephone_is_asked_whose_complaint_it_is(runtime):
    register(runtime, a_row("2900000001"), a_row("2900000012"))
    which = act(runtime, "file_complaint", category="other")
    assert (which.name, which.facts, rows(runtime, Complaint)) == ("which", {"homes": ["001", "012"]}, [])
    assert act(runtime, "file_complaint", category="other", home="012").name == "ok"
    assert [one.household_id for one in rows(runtime, Complaint)] == [homes(runtime)[1].id]
    assert act(runtime, "file_complaint", category="staff_conduct").name == "ok", "of staff nobody is asked"


def test_a_telephone_at_its_limit_of_complaints_still_refuses_a_stolen_number(runtime, proof):
    with runtime.database.write() as session:
        asked = number_change.ask_number(session, runtime.vault, UUID(proof), "+212777123456", channel="ussd",
                                         asked_by="a thief", by="household", now=runtime.clock())
    for call in range(A_DAY_AT_MOST):
        act(runtime, "file_complaint", category="other", conversation=f"call {call}")
    assert act(runtime, "file_complaint", category="phone_problem").name == "too_many"
    with runtime.database.read() as session:
        assert update.state_of(session, asked.number).state == "refused"


def test_too_many_complaints_are_said_to_be_too_many(runtime):
    seen = [act(runtime, "file_complaint", category="other", conversation=f"call {call}").name
            for call in range(A_DAY_AT_MOST + 1)]
    assert seen == ["ok"] * A_DAY_AT_MOST + ["too_many"]


# What was asked, by its number


def test_a_request_is_found_by_its_number_coarsely(runtime, proof):
    review = act(runtime, "request_review", proof=proof).facts["number"]
    ticket = act(runtime, "file_complaint", category="staff_conduct").facts["number"]
    change = act(runtime, "report_update", proof=proof, change="dwelling").facts["number"]
    today = date(2026, 11, 23)
    for number, kind, by in ((review, "review", date(2026, 12, 23)), (ticket, "complaint", None),
                             (change, "update", None)):
        found = act(runtime, "request_status", number, phone=STRANGER)
        assert {name: found.facts[name] for name in ("kind", "state", "date", "by")} == {
            "kind": kind, "state": "received", "date": today, "by": by}


def test_a_mistyped_number_is_told_from_an_unknown_one(runtime, proof):
    ticket = act(runtime, "file_complaint", category="other").facts["number"]
    assert act(runtime, "request_status", followed_by(ticket)).name == "check"
    assert act(runtime, "request_status", ticket, may_look_up=False).name == "unknown"
    with runtime.database.write() as session:
        session.execute(sa.delete(Complaint))
    assert act(runtime, "request_status", ticket).name == "unknown"


@pytest.fixture
def answered(runtime, proof):
    """The number of a complaint that was answered."""
    number = act(runtime, "file_complaint", category="data_wrong").facts["number"]
    step(runtime, number, complaint_handling.assign, to="an agent")
    step(runtime, number, complaint_handling.begin)
    step(runtime, number, complaint_handling.resolve, resolution="upheld", answer="Voilà")
    return number


def step(runtime, number, verb, **more):
    with runtime.database.write() as session:
        found = complaint.find(session, number)
        verb(session, runtime.vault, found.id, by="an agent", now=runtime.clock(), **more)


def test_an_answer_that_does_not_content_is_opened_again_once(runtime, answered):
    found = act(runtime, "request_status", answered, phone=STRANGER)
    assert (found.name, found.facts["by"]) == ("open_again", date(2026, 12, 8))
    first, again = (act(runtime, "open_again", number=answered, phone=STRANGER) for _ in range(2))
    assert first == again
    assert first.name == "ok"
    assert rows(runtime, Complaint)[0].state == "reopened"
    assert act(runtime, "request_status", answered).name == "found"


def test_an_answer_is_not_opened_again_after_its_last_day(runtime, answered, clock):
    clock.forward(days=16)
    assert act(runtime, "open_again", number=answered).name == "no"
    assert rows(runtime, Complaint)[0].state == "resolved"


def test_how_it_was_is_said_once_after_it_is_closed(runtime, answered, clock):
    clock.forward(days=16)
    step(runtime, answered, complaint_handling.close)
    assert act(runtime, "request_status", answered).name == "rate"
    assert [act(runtime, "rate", number=answered, rating=rating).name for rating in ("4", "1")] == ["ok", "ok"]
    assert rows(runtime, Complaint)[0].satisfaction == 4
    assert act(runtime, "request_status", answered).name == "found"


# What has changed


def test_a_change_is_reported_once_and_confirmed_by_text(runtime, proof):
    numbers = {act(runtime, "report_update", proof=proof, change=change, conversation=call).facts["number"]
               for change in ("dwelling", "members") for call in ("a call", "another call")}
    assert len(numbers) == len(rows(runtime, DataUpdate)) == 2
    assert notices(runtime).count("update_received") == 2


# What is shown of it all


def test_who_performs_shows_no_number(runtime):
    with runtime.database.read() as session:
        assert PHONE not in repr(calling(runtime, session, PHONE, "a call"))
    assert "407193" not in repr(Effect("check_pin", "407193", {"words": "407193"}, "a household"))


def test_every_state_of_a_request_has_a_coarse_word_that_the_telephone_says(runtime):
    for kind, transitions in (("complaint", complaint.TRANSITIONS), ("review", review.TRANSITIONS),
                              ("update", update.TRANSITIONS)):
        assert COARSE[kind].keys() == transitions.keys()
        assert set(COARSE[kind].values()) <= {"received", "in_progress", "answered", "withdrawn"}
