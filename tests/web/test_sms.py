"""Texts in: STOP and START are obeyed, each text is answered once by the tree, and machines fall silent."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from channels.text import parts
from gateway import outbox
from gateway.keywords import meant
from gateway.outbox import Message
from gateway.registry.complaint import Complaint
from gateway.registry.household import Contact
from gateway.registry.suppression import Suppression
from gateway.tellings import OF_A_SCORE
from gateway.web.sms import ANSWERS_A_DAY, LIVES_S, SAME_A_DAY
from tests.conftest import SETTINGS, a_row, open_house, register
from tests.web.desk import PHONE, TOKEN, client, contents, give_pin, rows, signed

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
AFRICASTALKING = f"/sms/africastalking/{TOKEN}"
NEW_SPENDING = {"butane": "200.00", "water_electricity": "1900.50", "phone_internet": "800.00"}


@pytest.fixture
def web(runtime):
    register(runtime, a_row(language="fr-MA"))
    return client(runtime)


def text(web, body, name="in-1", phone=PHONE):
    """A text comes in through Africa's Talking."""
    return web.post(AFRICASTALKING, data={"date": "2026-11-23 11:00:00", "from": phone, "id": name, "linkId": "",
                                          "text": body, "to": "580", "networkCode": "60401"}).status_code


def twilio(web, body, name, phone=PHONE, **changed):
    form = {"MessageSid": name, "AccountSid": SETTINGS["TWILIO_ACCOUNT_SID"], "From": phone, "To": "+212800000000",
            "Body": body, "NumMedia": "0", "ApiVersion": "2010-04-01"}
    return web.post("/sms/twilio", data={**form, **changed}, headers=signed("/sms/twilio", form))


def replies(runtime):
    """The messages that answer a text, in the order in which they were posted."""
    return [message for message in sorted(rows(runtime, Message), key=lambda message: message.id)
            if message.notice in ("stopped", "sms_help", "answer")]


def said(runtime):
    """What the last answer says."""
    last = replies(runtime)[-1]
    return runtime.vault.open(last.body_sealed, "message.body", last.id)


def write(runtime, web, *bodies, phone=PHONE):
    """So many texts, one after the other; what is answered to the last one."""
    for body in bodies:
        text(web, body, f"in-{len(replies(runtime))}-{len(body)}", phone=phone)
    return said(runtime)


def stopped(runtime):
    return [contact.suspended_at is not None for contact in rows(runtime, Contact)]


@pytest.mark.parametrize("word", ["STOP", "قف", "ⴱⴷⴷ"])
def test_stop_stops_and_a_new_index_then_comes_by_letter_and_start_starts_again(runtime, web, clock, word):
    assert text(web, word) == 200
    assert stopped(runtime) == [True]
    assert [(one.notice, one.locale, one.medium) for one in replies(runtime)] == [("stopped", "fr-MA", "sms")]
    clock.forward(days=1)
    register(runtime, a_row(spending=NEW_SPENDING))
    assert stopped(runtime) == [True]
    clock.forward(days=1)
    text(web, "ابدأ", "in-2")
    assert stopped(runtime) == [False]
    register(runtime, a_row())
    told = [(message.medium, message.state) for message in sorted(rows(runtime, Message), key=lambda one: one.id)
            if message.notice in OF_A_SCORE]
    # What was not told by text goes by letter; what is no longer true is not told at all.
    assert told == [("sms", "failed"), ("letter", "cancelled"), ("letter", "cancelled"), ("sms", "created")]


@one_kind
@pytest.mark.parametrize("body", ["STOP", "ARRET", "قف", "توقف", "ⴱⴷⴷ", "stop",
                                 " Stop. ", "STOP!", "arrêt", "\u200fقف", "قف.", "S T O P\n"])
def test_stop_is_understood_as_people_write_it(runtime, web, body):
    text(web, body)
    assert stopped(runtime) == [True]


@one_kind
@pytest.mark.parametrize("body", ["", "Bonjour", "stopper", "ne pas stop", "سلام", "580", "*580#"])
def test_anything_else_is_helped_and_stops_nothing(runtime, web, body):
    text(web, body)
    assert stopped(runtime) == [False]
    assert [one.notice for one in replies(runtime)] == ["sms_help"]


@one_kind
def test_stop_stops_the_number_in_every_household_and_no_other_number(runtime, web):
    register(runtime, a_row("2900000002"), a_row("2900000003", "0712345678"))
    text(web, "STOP")
    assert sorted(stopped(runtime)) == [False, True, True]


@one_kind
@pytest.mark.parametrize("sender", ["RSU", "580", "+33612345678", "+212522123456", "0612345678"])
def test_a_machine_or_a_stranger_abroad_is_not_answered(runtime, web, sender):
    assert text(web, "Bonjour", phone=sender) == 200
    assert replies(runtime) == []


@one_kind
def test_whoever_is_unknown_is_answered_in_arabic_and_nothing_is_stopped(runtime, web):
    text(web, "STOP", phone="+212699999999")
    assert stopped(runtime) == [False]
    assert [(one.notice, one.locale) for one in replies(runtime)] == [("stopped", "ar-MA")]


def test_a_text_that_comes_again_is_answered_once(runtime, web):
    for _ in range(3):
        text(web, "STOP")
        assert twilio(web, "Bonjour", "SM1").status_code == 200
    assert [one.notice for one in replies(runtime)] == ["stopped", "sms_help"]


@one_kind
def test_only_so_many_texts_a_day_are_answered_and_all_of_them_obeyed(runtime, web, clock):
    for number in range(ANSWERS_A_DAY + 3):
        text(web, f"Bonjour {number}", f"in-{number}")
    text(web, "STOP", "in-stop")
    assert [one.notice for one in replies(runtime)].count("sms_help") == ANSWERS_A_DAY
    assert replies(runtime)[-1].notice == "stopped", "who stops us is told so in any case"
    assert stopped(runtime) == [True]
    text(web, "Bonjour", "in-other", phone="+212699999999")
    assert len(replies(runtime)) == ANSWERS_A_DAY + 2


@one_kind
def test_a_text_that_comes_again_does_not_use_up_the_days_answers(runtime, web):
    for _ in range(ANSWERS_A_DAY + 3):
        text(web, "Bonjour", "in-0")
    text(web, "Bonjour", "in-1")
    assert len(replies(runtime)) == 2


def test_without_redis_nobody_is_answered_but_stop_is_obeyed(database_url, tmp_path, clock):
    house = open_house(database_url, "redis://127.0.0.1:1/0", tmp_path, clock)
    register(house, a_row())
    assert text(client(house), "STOP") == 200
    assert (stopped(house), replies(house)) == ([True], [])
    house.close()


@one_kind
def test_a_text_that_is_not_the_providers_is_refused_and_changes_nothing(runtime, web):
    before = contents(runtime)
    form = {"id": "in-1", "from": PHONE, "text": "STOP"}
    refused = [
        web.post(AFRICASTALKING[:-1] + "x", data=form), web.post("/sms/twilio", data=form),
        twilio(web, "Bonjour", "SM1", Body="STOP"), twilio(web, "STOP", "SM1", From="+212712345678"),
        web.post(AFRICASTALKING, data={**form, "text": ["STOP", "START"]}),
        web.post(AFRICASTALKING, data={**form, "id": ""}),
        web.post(AFRICASTALKING, data={"id": "in-1", "text": "STOP"}),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert not [answer for answer in refused if PHONE in answer.text]
    assert contents(runtime) == before


@one_kind
def test_twilio_is_answered_with_an_empty_document(web):
    answer = twilio(web, "Bonjour", "SM1")
    assert (answer.content_type, answer.text) == (
        "text/xml; charset=utf-8", '<?xml version="1.0" encoding="UTF-8"?><Response/>')


@one_kind
def test_a_keyword_opens_the_tree_and_the_next_text_goes_on_in_it(runtime, web):
    assert "Votre réclamation" in write(runtime, web, "reclamation", "1")
    filed = write(runtime, web, "9", "2", "Un monsieur veut 500 dh", "1")
    [complaint] = rows(runtime, Complaint)
    assert (complaint.category, complaint.channel) == ("fraud_message", "sms")
    assert complaint.number in filed
    assert runtime.vault.open(complaint.text_sealed, "complaint.text", complaint.id) == "Un monsieur veut 500 dh"
    # The answer is the text that is kept: no second one is paid for.
    assert [one.notice for one in rows(runtime, Message)].count("complaint_received") == 0


@pytest.mark.parametrize(("body", "opens"), [
    ("مؤشر", "2"), ("المؤشر ١٢٣٤٥٦٧٨٩٠", "2"), ("INDICE", "2"), ("indise", "2"), ("je veux mon indice svp", "2"),
    ("amatar", "2"), ("ⴰⵎⴰⵜⴰⵔ", "2"), ("mo2achir", "2"), ("شكايه", "5"), ("ملفي", "1"), ("Révision!", "4"),
    ("اللغة", "8"), ("fraude", "7"), ("menu", "help"), ("START", "start"), ("S T O P", "stop"), ("stopper", ""),
    ("stop sms", "stop"), ("ma fille", ""), ("probleme avec la liste", ""),
    ("bonjour", ""), ("", ""), ("1234567890", ""),
])
def test_words_are_understood_as_people_spell_them(body, opens):
    assert meant(body) == opens


@one_kind
@pytest.mark.parametrize("body", ["مؤشر", "indice", "revision", "2", "4"])
def test_no_pin_is_asked_for_in_writing_and_none_is_looked_at(runtime, web, body):
    give_pin(runtime)
    assert SETTINGS["SERVICE_CODE"] in write(runtime, web, body)
    told = write(runtime, web, "407193")
    assert "10,2225375" not in told


@one_kind
def test_a_number_of_ours_is_followed_at_once(runtime, web):
    filed = write(runtime, web, "reclamation", "1", "1", "1", "1")
    number = next(word for word in filed.split() if word.isdecimal())
    assert "Réclamation" in write(runtime, web, f"{number[:3]} {number[3:6]} {number[6:]}")


@one_kind
def test_whoever_is_unknown_gets_general_help_alone(runtime, web):
    for number, body in enumerate(("indice", "1", "reclamation", "520418736")):
        text(web, body, f"in-{number}", phone="+212699999999")
    assert {one.notice for one in replies(runtime)} == {"sms_help"}


@one_kind
def test_a_conversation_is_remembered_for_an_hour(runtime, web):
    write(runtime, web, "reclamation")
    [key] = [key for key in runtime.redis.scan_iter() if key.startswith(b"ussd:")]
    assert 0 < runtime.redis.ttl(key) <= LIVES_S
    runtime.redis.delete(key)
    assert "Suivre" not in write(runtime, web, "2")


@one_kind
def test_a_text_that_came_twice_does_its_work_once_although_redis_was_emptied(runtime, web):
    write(runtime, web, "reclamation", "1", "1", "1")
    for _ in range(2):
        text(web, "1", "the same")
        runtime.redis.flushall()  # Whatever it remembered, the answer that stands in the outbox is the proof.
    assert len(rows(runtime, Complaint)) == 1
    assert len([one for one in replies(runtime) if one.subject == "africastalking:the same"]) == 1


@one_kind
def test_the_same_words_again_and_again_are_a_machines(runtime, web):
    for number in range(SAME_A_DAY + 4):
        text(web, "Bonjour", f"in-{number}")
    assert len(replies(runtime)) == SAME_A_DAY


@one_kind
def test_no_answer_is_longer_than_three_parts(runtime, web):
    for body in ("شكاية", "1", "98", "98", "0", "menu", "5", "مساعدة"):
        write(runtime, web, body)
        assert parts(said(runtime)) <= 3, body


@one_kind
def test_a_grievance_may_name_anything(runtime, web):
    write(runtime, web, "reclamation", "1", "6", "2")
    assert "aide, indice: 520418736" in write(runtime, web, "aide, indice: 520418736")
    write(runtime, web, "1")
    [complaint] = rows(runtime, Complaint)
    assert runtime.vault.open(complaint.text_sealed, "complaint.text", complaint.id) == "aide, indice: 520418736"


@one_kind
def test_a_pin_written_by_mistake_is_neither_kept_nor_sent_back(runtime, web):
    give_pin(runtime)
    write(runtime, web, "reclamation", "1", "6", "2")
    assert "407193" not in write(runtime, web, "407193")
    assert rows(runtime, Complaint) == []


def test_two_copies_of_a_text_at_once_are_one_key(runtime, web):
    write(runtime, web, "reclamation", "1", "6")
    together = [threading.Thread(target=text, args=(client(runtime), "1", "twice")) for _ in range(4)]
    for one in together:
        one.start()
    for one in together:
        one.join()
    shown = [one for one in replies(runtime) if one.subject == "africastalking:twice"]
    assert len(shown) == 1
    assert "1" in said(runtime)
    write(runtime, web, "2")
    assert rows(runtime, Complaint) == []


@one_kind
def test_two_complaints_in_a_day_by_the_same_keys_are_both_filed(runtime, web):
    number = itertools.count()
    for body in ("reclamation", "1", "1", "1", "1", "reclamation", "1", "4", "1", "1"):
        text(web, body, f"in-{next(number)}")
    assert len(rows(runtime, Complaint)) == 2


@one_kind
def test_a_number_is_followed_from_any_menu(runtime, web):
    filed = write(runtime, web, "reclamation", "1", "1", "1", "1")
    number = next(word for word in filed.split() if word.isdecimal())
    write(runtime, web, "reclamation")
    assert "Réclamation" in write(runtime, web, number)


# The provider's own list


OPT_OUT = {"senderId": "RSU", "phoneNumber": PHONE}


def suppressed(runtime):
    return {(one.why, one.by) for one in rows(runtime, Suppression)}


def test_whom_the_provider_lists_as_opted_out_gets_what_waits_by_letter(runtime, web):
    for _ in range(2):
        assert web.post(f"{AFRICASTALKING}/opt-out", data=OPT_OUT).status_code == 200
    assert suppressed(runtime) == {("opt_out_callback", "africastalking")}
    assert stopped(runtime) == [True]
    assert sorted((one.medium, one.state) for one in rows(runtime, Message) if one.notice in OF_A_SCORE) == [
        ("letter", "created"), ("sms", "failed")]
    assert replies(runtime) == [], "a provider that has blocked us is given nothing to send"


@one_kind
@pytest.mark.parametrize("changed", [{"phoneNumber": "+33612345678"}, {"phoneNumber": "0612345678"},
                                     {"phoneNumber": f"{PHONE}\n"}, {"phoneNumber": [PHONE, PHONE]},
                                     {"senderId": ["RSU", "RSU"]}])
def test_a_notice_of_an_opt_out_that_is_none_is_refused(runtime, web, changed):
    before = contents(runtime)
    assert web.post(f"{AFRICASTALKING}/opt-out", data={**OPT_OUT, **changed}).status_code == 403
    assert contents(runtime) == before


def test_stop_outlives_the_household_and_start_lifts_it(runtime, web):
    text(web, "STOP", phone="+212612300001")
    register(runtime, a_row("2900000002", "0612300001"))
    told = [one.medium for one in rows(runtime, Message) if one.notice in OF_A_SCORE]
    assert sorted(told) == ["letter", "sms"], "the second household has no telephone for us"
    assert suppressed(runtime) == {("stop", "telephone")}
    text(web, "START", "in-2", phone="+212612300001")
    assert suppressed(runtime) == set()


def test_whoever_stopped_and_writes_to_us_is_answered(runtime, web):
    text(web, "STOP")
    text(web, "Bonjour", "in-2")
    waiting = [one.id for one in replies(runtime)]
    with runtime.database.write() as session:
        claims = outbox.claim(session, runtime.vault, waiting, "twilio", runtime.clock(), timedelta(seconds=60))
    assert len(claims) == len(waiting) == 2


@one_kind
def test_a_text_that_comes_once_more_when_its_answer_is_archived_is_not_obeyed_again(runtime, web):
    text(web, "STOP", "in-1")
    text(web, "START", "in-2")
    with runtime.database.write() as session:
        session.execute(sa.delete(Message).where(Message.household_id.is_(None)))
    text(web, "STOP", "in-1")
    assert stopped(runtime) == [False]
