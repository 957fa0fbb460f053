"""Receipts over HTTP: what a provider proves moves a message; what is forged, repeated or misaddressed does not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from channels.base import Accepted
from gateway import outbox
from gateway.outbox import Attempt, Message, ReceiptRecord
from gateway.registry.score import Notification
from jobs.receipts import settle_receipts
from tests.conftest import SETTINGS, a_row, open_house, register
from tests.web.desk import PHONE, TOKEN, client, contents, homes, rows, signed

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SID, AT_ID = "SM" + "5c" * 16, "ATXid_" + "a7" * 16
AFRICASTALKING = f"/receipts/africastalking/{TOKEN}"


@pytest.fixture
def web(runtime):
    register(runtime, a_row())
    web = client(runtime)
    web.house = runtime
    return web


def claimed(runtime, provider):
    """The household's text is in a worker's hands, and may have left."""
    message, = rows(runtime, Message)
    with runtime.database.write() as session:
        held, = outbox.claim(session, runtime.vault, [message.id], provider, runtime.clock(), timedelta(minutes=1))
    return held


def sent(runtime, provider, provider_id):
    """The provider has taken it."""
    held = claimed(runtime, provider)
    settle(runtime, held, provider_id)
    return held


def settle(runtime, held, provider_id):
    with runtime.database.write() as session:
        outbox.settle(session, [(held, Accepted(provider_id))], runtime.clock())


def state(runtime):
    return next(message.state for message in rows(runtime, Message) if message.medium == "sms")


def twilio_form(status, **fields):
    return {"MessageSid": SID, "SmsSid": SID, "AccountSid": SETTINGS["TWILIO_ACCOUNT_SID"], "To": PHONE, "From": "RSU",
            "MessageStatus": status, "SmsStatus": status, "ApiVersion": "2010-04-01", **fields}


def twilio(web, token, status="delivered", *, key=SETTINGS["TWILIO_AUTH_TOKEN"], **fields):
    path, form = f"/receipts/twilio/{token}", twilio_form(status, **fields)
    return answered(web, web.post(path, data=form, headers=signed(path, form, key)))


def africastalking(web, status="Success", path=AFRICASTALKING, **fields):
    form = {"id": AT_ID, "status": status, "phoneNumber": PHONE, "networkCode": "60401", **fields}
    return answered(web, web.post(path, data=form))


def answered(web, response):
    """What the provider hears, and what comes of it a moment later."""
    settle_receipts(web.house)
    return response.status_code


def besides_the_receipts(runtime):
    return {table: kept for table, kept in contents(runtime).items() if table != "receipt"}


# Twilio: signed, and bound to the message by our token


def test_a_signed_receipt_delivers_and_proves_the_notification(runtime, web, clock):
    held = sent(runtime, "twilio", SID)
    assert (twilio(web, held.token), state(runtime)) == (200, "delivered")
    proof, = rows(runtime, Notification)
    assert (proof.household_id, proof.proof, proof.medium) == (homes(runtime)[0].id, "receipt", "sms")
    assert proof.notified_on == clock.now.date()


@one_kind
def test_a_forged_receipt_is_refused_and_changes_nothing(runtime, web):
    held = sent(runtime, "twilio", SID)
    before = contents(runtime)
    path, form = f"/receipts/twilio/{held.token}", twilio_form("delivered")
    good = signed(path, form)
    forged = [
        twilio(web, held.token, key="f" * 32),
        web.post(path, data=form).status_code,
        web.post(path, data=form, headers={"X-Twilio-Signature": ""}).status_code,
        web.post(path, data={**form, "MessageStatus": "failed"}, headers=good).status_code,
        web.post(path, data={**form, "Extra": "1"}, headers=good).status_code,
        web.post(path + "?a=1", data=form, headers=good).status_code,
        web.post("/receipts/twilio/" + "0" * 32, data=form, headers=good).status_code,
        twilio(web, held.token, AccountSid="AC" + "1" * 32),
    ]
    assert forged == [403] * len(forged)
    assert contents(runtime) == before


def test_a_receipt_that_is_played_again_changes_nothing(runtime, web, clock):
    held = sent(runtime, "twilio", SID)
    twilio(web, held.token)
    before = besides_the_receipts(runtime)
    clock.forward(days=1)
    assert [twilio(web, held.token) for _ in range(3)] == [200] * 3
    assert besides_the_receipts(runtime) == before


@one_kind
def test_a_receipt_under_another_messages_token_does_not_move_that_message(runtime, web):
    register(runtime, a_row("2900000002", "0712345678"))
    mine, other = sorted(rows(runtime, Message), key=lambda message: message.id)
    with runtime.database.write() as session:
        held = outbox.claim(session, runtime.vault, [mine.id, other.id], "twilio", runtime.clock(),
                            timedelta(minutes=1))
    for one in held:
        settle(runtime, one, f"SM{one.id.hex}")
    theirs = next(one for one in held if one.msisdn != PHONE)
    assert twilio(web, theirs.token, MessageSid=f"SM{mine.id.hex}") == 200
    assert {message.state for message in rows(runtime, Message)} == {"sent"}


def test_a_receipt_before_our_own_commit_is_honoured(runtime, web):
    held = claimed(runtime, "twilio")
    assert (twilio(web, held.token), state(runtime)) == (200, "delivered")
    settle(runtime, held, SID)
    assert (state(runtime), len(rows(runtime, Notification))) == ("delivered", 1)


@one_kind
def test_a_receipt_with_a_token_of_nobody_is_kept_and_moves_nothing(runtime, web):
    sent(runtime, "twilio", SID)
    assert (twilio(web, "0" * 32, MessageSid="SM" + "9" * 32), state(runtime)) == (200, "sent")
    kept, = rows(runtime, ReceiptRecord)
    assert kept.message_id is None


@one_kind
def test_a_step_on_the_way_moves_nothing_and_a_late_one_does_not_undo_the_delivery(runtime, web):
    held = sent(runtime, "twilio", SID)
    assert (twilio(web, held.token, "queued"), state(runtime)) == (200, "sent")
    twilio(web, held.token, "delivered")
    twilio(web, held.token, "sent")
    twilio(web, held.token, "undelivered", ErrorCode="30003")
    assert state(runtime) == "delivered"


def test_a_failed_text_becomes_one_letter_however_often_the_failure_is_told(runtime, web):
    held = sent(runtime, "twilio", SID)
    for _ in range(3):
        assert twilio(web, held.token, "undelivered", ErrorCode="30005") == 200
    assert sorted((message.medium, message.state) for message in rows(runtime, Message)) == [
        ("letter", "created"), ("sms", "failed")]


# Africa's Talking: a secret in the address, and cross-checks


def test_a_receipt_behind_the_secret_address_delivers(runtime, web):
    sent(runtime, "africastalking", AT_ID)
    assert (africastalking(web), state(runtime)) == (200, "delivered")
    assert len(rows(runtime, Notification)) == 1


@one_kind
def test_a_wrong_address_is_refused_and_changes_nothing(runtime, web):
    sent(runtime, "africastalking", AT_ID)
    before = contents(runtime)
    assert africastalking(web, path=AFRICASTALKING[:-1] + "x") == 403
    assert contents(runtime) == before


@one_kind
@pytest.mark.parametrize("phone", ["+212712345678", "0612345678", "", "+2126123456789"])
def test_a_receipt_for_another_number_moves_nothing(runtime, web, phone):
    sent(runtime, "africastalking", AT_ID)
    africastalking(web, phoneNumber=phone)
    if phone:
        assert (state(runtime), rows(runtime, Notification)) == ("sent", [])


def test_duplicates_settle_once(runtime, web):
    sent(runtime, "africastalking", AT_ID)
    assert [africastalking(web) for _ in range(3)] == [200] * 3
    assert (state(runtime), len(rows(runtime, Notification))) == ("delivered", 1)


def test_a_receipt_that_overtakes_our_own_commit_settles_a_moment_after_it(runtime, web, clock):
    held = claimed(runtime, "africastalking")
    assert (africastalking(web), state(runtime)) == (200, "sending")
    settle(runtime, held, AT_ID)
    clock.forward(seconds=2)
    settle_receipts(runtime)
    assert (state(runtime), len(rows(runtime, Notification))) == ("delivered", 1)


@one_kind
def test_a_receipt_for_an_unknown_message_is_kept_and_moves_nothing(runtime, web):
    sent(runtime, "africastalking", AT_ID)
    assert (africastalking(web, id="ATXid_other"), state(runtime)) == (200, "sent")
    assert [record.message_id for record in rows(runtime, ReceiptRecord)] == [None]


@one_kind
def test_a_receipt_does_not_reach_a_message_of_the_other_provider(runtime, web):
    sent(runtime, "twilio", AT_ID)
    assert (africastalking(web), state(runtime)) == (200, "sent")


@one_kind
@pytest.mark.parametrize("fields", [{"id": ""}, {"id": "None"}, {"id": [AT_ID, AT_ID]}, {"id": "x" * 81},
                                    {"id": "a\x00b"}, {"status": ["Success", "Failed"]},
                                    {"phoneNumber": [PHONE, PHONE]}])
def test_an_unreadable_receipt_is_refused_and_changes_nothing(runtime, web, fields):
    sent(runtime, "africastalking", AT_ID)
    before = contents(runtime)
    assert africastalking(web, **fields) == 403
    assert contents(runtime) == before


@pytest.mark.parametrize("fields", [{"id": "x" * 80}, {"status": "x" * 500}, {"failureReason": "é" * 500}])
def test_a_receipt_as_long_as_it_may_be_is_kept_on_either_database(runtime, web, fields):
    sent(runtime, "africastalking", AT_ID)
    assert africastalking(web, **fields) == 200
    assert len(rows(runtime, ReceiptRecord)) == 1


@one_kind
def test_a_provider_that_is_not_used_has_no_door(database_url, redis_url, tmp_path, clock):
    house = open_house(database_url, redis_url, tmp_path, clock, SMS_PROVIDERS="twilio:1")
    assert client(house).post(AFRICASTALKING, data={"id": AT_ID, "status": "Success"}).status_code == 403
    house.close()


@one_kind
def test_what_a_receipt_leaves_behind_names_nobody(runtime, web):
    held = sent(runtime, "africastalking", AT_ID)
    africastalking(web)
    kept = repr([vars(row) for model in (ReceiptRecord, Attempt) for row in rows(runtime, model)])
    assert PHONE[4:] not in kept
    assert held.body not in kept
