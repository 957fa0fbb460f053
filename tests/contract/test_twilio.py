"""What only Twilio has: signatures, messaging services, and a list of what was sent."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from channels.base import BadCallback, CallbackRequest, Unknown
from channels.sms.twilio import TwilioSms
from tests.contract.provider import BODY, MESSAGE, MSISDN, form
from tests.contract.stub import Stub, answers
from tests.contract.test_providers import send
from tests.contract.twilio import (
    ACCOUNT,
    NEXT_TOKEN,
    PATH,
    PUBLIC_URL,
    SID,
    TOKEN,
    TWILIO,
    callback,
    listing,
    message,
    signed,
)

CREATED = datetime(2026, 11, 21, 9, 0, 5, tzinfo=UTC)
DELIVERED = form(callback(MessageStatus="delivered"))


def opened(base_url: str = "https://api.twilio.com", **changed: str) -> TwilioSms:
    return TwilioSms(**{**TWILIO.account, "base_url": base_url, **changed})


def altered(request: CallbackRequest, **changes: object) -> CallbackRequest:
    return dataclasses.replace(request, **changes)


def test_a_signature_is_the_published_one():
    """https://www.twilio.com/docs/usage/security#validating-requests, and the account check that follows it."""
    fields = form({"CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234",
                   "From": "+14158675309", "To": "+18005551212"})
    request = CallbackRequest("/myapp.php?foo=1&bar=2", {"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
                              fields)
    twilio = opened(auth_token="12345", public_url="https://mycompany.com")
    with pytest.raises(BadCallback, match="field AccountSid"):
        twilio.receipt(request)
    with pytest.raises(BadCallback, match="wrong signature"):
        twilio.receipt(altered(request, path="/myapp.php?foo=1&bar=3"))


@pytest.mark.parametrize("token", [TOKEN, NEXT_TOKEN])
def test_both_tokens_sign_while_they_are_being_changed(token):
    assert opened().receipt(signed(DELIVERED, token)).outcome == "delivered"


def test_a_token_that_is_not_ours_does_not_sign():
    with pytest.raises(BadCallback, match="wrong signature"):
        opened().receipt(signed(DELIVERED, "another"))


def test_an_empty_token_does_not_sign():
    with pytest.raises(BadCallback, match="wrong signature"):
        opened(next_auth_token="").receipt(signed(DELIVERED, ""))


@pytest.mark.parametrize("headers", [{}, {"X-Twilio-Signature": ""}, {"Authorization": "x"}])
def test_a_callback_without_a_signature_is_refused(headers):
    with pytest.raises(BadCallback, match="not signed"):
        opened().receipt(altered(signed(DELIVERED), headers=headers))


def test_the_signatures_header_may_be_in_any_case():
    request = signed(DELIVERED)
    lower = {name.lower(): value for name, value in request.headers.items()}
    assert opened().receipt(altered(request, headers=lower)).outcome == "delivered"


@pytest.mark.parametrize("changes", [
    {"MessageStatus": ("failed",)},
    {"MessageSid": ("SM" + "00" * 16,)},
    {"To": ("+212600000000",)},
    {"ErrorCode": ("30005",)},
    {"Unheard": ("of",)},
    {"MessageStatus": ("delivered", "failed")},
])
def test_a_signed_receipt_replayed_with_another_field_is_refused(changes):
    request = signed(DELIVERED)
    with pytest.raises(BadCallback, match="wrong signature"):
        opened().receipt(altered(request, form={**DELIVERED, **changes}))


@pytest.mark.parametrize("path", ["/receipts/twilio/another-token", PATH + "?x=1", PATH + "/", "", "x:1" + PATH,
                                  "@evil.example" + PATH, ":99999/", "//[", PATH.replace("t", "%74")])
def test_a_signed_receipt_replayed_at_another_address_is_refused(path):
    with pytest.raises(BadCallback):
        opened().receipt(altered(signed(DELIVERED), path=path))


def test_the_signature_is_over_the_address_as_it_came():
    path = PATH + "?note=%7E%40%C3%A9"
    assert opened().receipt(signed(DELIVERED, path=path)).outcome == "delivered"


def test_a_receipt_of_another_account_is_refused():
    with pytest.raises(BadCallback, match="another account"):
        opened().receipt(signed({**DELIVERED, "AccountSid": ("AC" + "11" * 16,)}))


@given(st.text(max_size=40))
def test_a_signature_of_any_shape_is_refused(signature):
    with pytest.raises(BadCallback):
        opened().receipt(altered(signed(DELIVERED), headers={"X-Twilio-Signature": signature}))


@given(st.dictionaries(st.text(max_size=8), st.lists(st.text(max_size=8), min_size=1, max_size=3), max_size=5))
def test_what_the_official_signer_signs_is_taken_for_signed(fields):
    fields = {**{key: tuple(values) for key, values in fields.items()}, "AccountSid": ("AC-another",)}
    with pytest.raises(BadCallback, match="another account"):
        opened().receipt(signed(fields))


def test_the_algorithm_is_ours_to_choose_and_not_the_callers():
    signature = RequestValidator(TOKEN).compute_signature(PUBLIC_URL + PATH, callback(MessageStatus="sent"),
                                                          "HMAC_SHA256")
    request = CallbackRequest(PATH, {
        "X-Twilio-Signature": signature,
        "X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=HMAC_SHA256"}, form(callback(MessageStatus="sent")))
    with pytest.raises(BadCallback, match="wrong signature"):
        opened().receipt(request)


def test_a_messaging_service_stands_in_place_of_the_sender():
    service = "MG" + "77" * 16
    with Stub() as stub:
        send(opened(stub.does(answers(TWILIO.accepted)).url, sender=service))
        assert stub.seen[0].form["MessagingServiceSid"] == [service]
        assert "From" not in stub.seen[0].form


@pytest.mark.parametrize(("valid_for_s", "told"), [(0, "1"), (7200, "7200"), (999_999, "36000")])
def test_the_validity_is_within_what_twilio_takes(valid_for_s, told):
    with Stub() as stub:
        send(opened(stub.does(answers(TWILIO.accepted)).url), dataclasses.replace(MESSAGE, valid_for_s=valid_for_s))
        assert stub.seen[0].form["ValidityPeriod"] == [told]


@pytest.mark.parametrize(("listed", "found"), [
    ([], None),
    ([message()], SID),
    ([message(date_created=None)], SID),
    ([message(body=f"{BODY}\n")], SID),
    ([message(body="RSU : autre texte", sid="SM-other"), message()], SID),
    ([message(body="RSU : autre texte")], None),
    ([message(date_created="Sat, 21 Nov 2026 08:00:00 +0000")], None),
    ([message(status="delivered", date_sent="Sat, 21 Nov 2026 09:00:06 +0000")], SID),
])
def test_a_lost_message_is_found_by_person_text_and_time(listed, found):
    with Stub() as stub:
        twilio = opened(stub.does(answers(listing(*listed))).url)
        accepted = twilio.find(MESSAGE, CREATED + timedelta(seconds=0.9))
    assert (accepted.provider_id if accepted else None) == found
    assert stub.seen[0].query["To"] == [MSISDN]
    assert stub.seen[0].query["From"] == ["RNP"]


def test_a_message_that_waits_in_twilios_queue_is_looked_for_as_well():
    """It has no DateSent yet, so a list by DateSent would leave it out."""
    with Stub() as stub:
        opened(stub.does(answers(listing())).url).find(MESSAGE, CREATED)
    assert not [name for name in stub.seen[0].query if name.startswith("Date")]


@pytest.mark.parametrize(("later_s", "found"), [(59, SID), (61, None)])
def test_two_clocks_may_differ_by_a_minute_in_whichever_zone_ours_is_read(later_s, found):
    casablanca = (CREATED + timedelta(seconds=later_s)).astimezone(timezone(timedelta(hours=1)))
    with Stub() as stub:
        accepted = opened(stub.does(answers(listing(message()))).url).find(MESSAGE, casablanca)
    assert (accepted.provider_id if accepted else None) == found


def test_a_listed_message_whose_text_is_withheld_leaves_ours_unknown():
    with Stub() as stub:
        twilio = opened(stub.does(answers(listing(message(body="")))).url)
        with pytest.raises(Unknown, match="body_withheld"):
            twilio.find(MESSAGE, CREATED)


def test_a_listing_of_several_pages_is_read_at_our_address():
    first = listing(message(body="RSU : autre texte"))
    first.body["next_page_uri"] = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json?Page=1&PageToken=PT1"
    with Stub() as stub:
        found = opened(stub.does(answers(first), answers(listing(message()))).url).find(MESSAGE, CREATED)
        assert found.provider_id == SID
        assert stub.seen[1].query["PageToken"] == ["PT1"]


def test_a_secret_is_in_no_representation():
    assert TOKEN not in repr(opened())
