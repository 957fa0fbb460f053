"""Telephone calls of the sandbox operator, with a gateway that answers documents and writes down what it hears."""

import io
import logging
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests
from flask import Flask, Response
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from channels.sandbox import Patience, Server, create_operator_app
from channels.sandbox.recordings import tone
from tests.channels.test_sandbox import (
    ACCOUNT,
    API_KEY,
    AUTH_TOKEN,
    CALLBACK_TOKEN,
    DEAD,
    OTHER,
    PATIENCE,
    PHONE,
    Gateway,
    Heard,
    Running,
    a_config,
    serving,
    until,
)

SERVICE, MISSED = "+15005550006", "+15005550009"
TWILIO = "/voice/twilio"
AFRICASTALKING = f"/voice/africastalking/{CALLBACK_TOKEN}"

Documents = dict[str, str]


def response(inside: str) -> str:
    return f"<Response>{inside}</Response>"


def answering(documents: Documents) -> Callable[[Heard], tuple[str, int]]:
    """A gateway with one document at each path; at any other it has nothing to say."""
    return lambda heard: (response(documents[heard.path]), 200) if heard.path in documents else ("", 200)


class Caller:
    """A person with a handset, whose calls one provider carries."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.gateway = running.gateway

    def does(self, phone: str = PHONE, **asked: object) -> dict:
        return self.running.post(f"/sandbox/handset/{phone}/call", **asked).json()

    def call(self, documents: Documents, phone: str = PHONE) -> dict:
        """Dial the service, which has these documents."""
        self.gateway.answer = answering(documents)
        return self.does(phone, dial="")

    def shown(self, phone: str = PHONE) -> dict:
        return requests.get(f"{self.running.url}/sandbox/handset/{phone}/call", timeout=10).json()

    def asked(self) -> list[tuple[str, dict[str, str]]]:
        """Everything the gateway heard, with where."""
        return [(call.path, call.form) for call in self.gateway.calls]

    def ended(self) -> dict[str, str]:
        """What the gateway was told of the end, which is the last thing it hears."""
        last = ("completed", "busy", "failed", "no-answer")
        until(lambda: any(form.get("CallStatus") in last or form.get("isActive") == "0" for _, form in self.asked()))
        return self.asked()[-1][1]


@contextmanager
def a_caller(provider: str, patience: Patience = PATIENCE) -> Iterator[Caller]:
    gateway = Gateway()
    gateway.server.start()
    config = a_config(gateway.url, voice_provider=provider, missed_call_number=MISSED)
    with serving(config, patience) as (operator, url):
        yield Caller(Running(operator, url, gateway))
    gateway.server.stop()


@pytest.fixture
def twilio() -> Iterator[Caller]:
    with a_caller("twilio") as caller:
        yield caller


@pytest.fixture
def africastalking() -> Iterator[Caller]:
    with a_caller("africastalking") as caller:
        yield caller


@pytest.fixture(params=["twilio", "africastalking"])
def caller(request: pytest.FixtureRequest) -> Caller:
    return request.getfixturevalue(request.param)


def begins_at(caller: Caller) -> str:
    return TWILIO if caller.running.operator.config.voice_provider == "twilio" else AFRICASTALKING


def said(shown: dict) -> list[str]:
    return [heard["said"] for heard in shown["heard"]]


# A person calls


def test_a_call_by_twilio_is_signed_and_carried_through_its_documents_to_its_end(twilio):
    menu = '<Gather action="twilio/menu?a=1" numDigits="1"><Say language="arb">اختر</Say></Gather>'
    shown = twilio.call({TWILIO: menu, "/voice/twilio/menu": "<Say language='fr-FR'>Au revoir</Say><Hangup/>"})
    assert (shown["state"], shown["incoming"], shown["other"]) == ("waiting_keys", False, SERVICE)
    assert shown["heard"] == [{"said": "اختر", "language": "arb", "voice": ""}]
    assert shown["awaits"] == {"kind": "keys", "most": 1, "seconds": 5, "finish": "#"}
    shown = twilio.does(keys="2")
    assert (shown["state"], said(shown), shown["awaits"]) == ("ended", ["اختر", "Au revoir"], None)
    assert (shown["problem"], twilio.shown()) == ("", shown)
    ended = twilio.ended()
    (first, begun), (second, pressed), (last, _) = twilio.asked()
    assert (first, second, last) == (TWILIO, "/voice/twilio/menu", TWILIO)
    assert begun.items() >= {
        "AccountSid": ACCOUNT, "From": PHONE, "To": SERVICE, "CallStatus": "ringing", "Direction": "inbound",
    }.items()
    assert pressed.items() >= {"CallSid": begun["CallSid"], "Digits": "2", "CallStatus": "in-progress"}.items()
    assert ended.items() >= {"CallSid": begun["CallSid"], "CallStatus": "completed", "From": PHONE}.items()
    assert int(ended["CallDuration"]) >= 1
    for heard in twilio.gateway.calls:
        assert RequestValidator(AUTH_TOKEN).validate(heard.url, heard.form, heard.headers["X-Twilio-Signature"])
    assert twilio.gateway.calls[1].url.endswith("/voice/twilio/menu?a=1")


def test_a_call_by_africas_talking_is_carried_through_its_documents_to_its_end(africastalking):
    onward = f"{AFRICASTALKING}/menu"
    where = africastalking.gateway.url + onward
    menu = f'<GetDigits callbackUrl="{where}" numDigits="1"><Say voice="ar-XA-Standard-A">اختر</Say></GetDigits>'
    shown = africastalking.call({AFRICASTALKING: menu, onward: "<Say>Bye</Say>"})
    assert shown["heard"] == [{"said": "اختر", "language": "ar-XA", "voice": "ar-XA-Standard-A"}]
    assert (shown["state"], shown["awaits"]["seconds"]) == ("waiting_keys", 30)
    assert africastalking.does(keys="2")["state"] == "ended"
    ended = africastalking.ended()
    (first, begun), (second, pressed), (last, _) = africastalking.asked()
    assert (first, second, last) == (AFRICASTALKING, onward, AFRICASTALKING)
    assert begun.items() >= {
        "isActive": "1", "direction": "Inbound", "callerNumber": PHONE, "destinationNumber": SERVICE,
    }.items()
    assert pressed.items() >= {"sessionId": begun["sessionId"], "dtmfDigits": "2", "isActive": "1"}.items()
    assert ended.items() >= {
        "sessionId": begun["sessionId"], "isActive": "0", "currencyCode": "MAD", "hangupCause": "NORMAL_CLEARING",
    }.items()
    assert (int(ended["durationInSeconds"]) >= 1, float(ended["amount"]) > 0) == (True, True)


@pytest.mark.parametrize(
    ("told", "pressed", "digits"),
    [
        ('numDigits="3"', "123", "123"),
        ('finishOnKey="#"', "12#", "12"),
        ('numDigits="9" finishOnKey="*"', "1#2*", "1#2"),
    ],
)
def test_keys_are_told_once_they_are_enough_or_ended_without_the_key_that_ends(caller, told, pressed, digits):
    verb = "Gather" if begins_at(caller) == TWILIO else "GetDigits"
    caller.call({begins_at(caller): f"<{verb} {told}><Say>a</Say></{verb}>"})
    for key in pressed[:-1]:
        assert caller.does(keys=key)["state"] == "waiting_keys"
    assert len(caller.asked()) == 1
    caller.does(keys=pressed[-1])
    told = caller.asked()[1][1]
    assert told.get("Digits", told.get("dtmfDigits")) == digits


def test_what_is_typed_ahead_is_met_by_the_next_document(twilio):
    menu = '<Gather numDigits="1" action="/two"/>'
    twilio.call({TWILIO: menu, "/two": '<Gather numDigits="2" action="/three"/>', "/three": "<Say>c</Say>"})
    assert said(twilio.does(keys="123")) == ["c"]
    assert [form.get("Digits") for _, form in twilio.asked()[:3]] == [None, "1", "23"]


def test_silence_goes_on_behind_the_keys_without_a_word_to_the_gateway(caller):
    verb = "Gather" if begins_at(caller) == TWILIO else "GetDigits"
    again = f"<{verb} numDigits='1'><Say>a</Say></{verb}><Say>b</Say>"
    caller.call({begins_at(caller): again})
    shown = caller.does(silence=True)
    assert (shown["state"], said(shown)) == ("ended", ["a", "b"])
    caller.ended()
    assert len(caller.asked()) == 2


def test_silence_is_told_to_twilio_s_gateway_that_asked_for_it(twilio):
    twilio.call({TWILIO: "<Gather action='/on' actionOnEmptyResult='true'/><Say>never</Say>", "/on": "<Say>b</Say>"})
    assert said(twilio.does(silence=True)) == ["b"]
    assert "Digits" not in twilio.asked()[1][1]


def test_keys_before_silence_are_told(caller):
    verb = "Gather" if begins_at(caller) == TWILIO else "GetDigits"
    caller.call({begins_at(caller): f"<{verb} numDigits='4'><Say>a</Say></{verb}>"})
    caller.does(keys="12")
    caller.does(silence=True)
    told = caller.asked()[1][1]
    assert told.get("Digits", told.get("dtmfDigits")) == "12"


def test_silence_of_a_turn_that_is_over_says_nothing(twilio):
    menu = '<Gather numDigits="1" action="/voice/twilio" actionOnEmptyResult="true"/>'
    first = twilio.call({TWILIO: menu})
    second = twilio.does(keys="1")
    assert twilio.does(silence=True, turn=first["turn"]) == second
    assert len(twilio.asked()) == 2
    assert twilio.does(silence=True, turn=second["turn"])["turn"] != second["turn"]
    assert len(twilio.asked()) == 3


def test_keys_that_nobody_awaits_are_lost(twilio):
    twilio.call({TWILIO: "<Record finishOnKey='#'/>"})
    assert twilio.does(keys="12")["state"] == "recording"
    assert len(twilio.asked()) == 1
    assert twilio.does(OTHER, keys="1")["state"] == "none"


def test_a_recording_is_heard_from_its_address_which_may_be_relative_to_the_document(twilio):
    shown = twilio.call({TWILIO: "<Redirect>/a/b</Redirect>", "/a/b": "<Play>c.mp3</Play><Play>https://x.example/d</Play>"})
    assert shown["heard"] == [{"played": f"{twilio.gateway.url}/a/c.mp3"}, {"played": "https://x.example/d"}]


def test_a_call_that_is_redirected_for_ever_is_an_application_error(caller):
    loop = {begins_at(caller): f"<Say>a</Say><Redirect>{caller.gateway.url}{begins_at(caller)}</Redirect>"}
    shown = caller.call(loop)
    assert (shown["state"], shown["problem"], len(said(shown))) == ("ended", "application_error", 21)
    assert shown["detail"] == "more than 20 redirects without a key"
    caller.ended()


def test_a_key_begins_the_count_of_redirects_anew(twilio):
    halfway = "<Gather numDigits='1' action='/loop'/>"
    calls = iter([*["<Redirect>/loop</Redirect>"] * 15, halfway] * 3)
    twilio.gateway.answer = lambda heard: (response(next(calls, "")), 200)
    assert twilio.does(dial="")["state"] == "waiting_keys"
    assert twilio.does(keys="1")["state"] == "waiting_keys"
    assert twilio.does(keys="1")["state"] == "waiting_keys"


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "failed")])
def test_a_rejected_call_lasted_no_time(twilio, reason, status):
    shown = twilio.call({TWILIO: f"<Reject reason='{reason}'/>"})
    assert (shown["state"], shown["problem"]) == ("ended", "refused")
    assert twilio.ended().items() >= {"CallStatus": status, "CallDuration": "0"}.items()


def test_a_call_rejected_by_africas_talking_costs_nothing(africastalking):
    assert africastalking.call({AFRICASTALKING: "<Reject/>"})["problem"] == "refused"
    told = {"isActive": "0", "hangupCause": "CALL_REJECTED", "durationInSeconds": "0", "amount": "0.0000"}
    assert africastalking.ended().items() >= told.items()


def test_a_reject_behind_words_hangs_up(twilio):
    assert twilio.call({TWILIO: "<Say>a</Say><Reject/><Say>b</Say>"})["problem"] == ""
    assert said(twilio.shown()) == ["a"]
    assert twilio.ended()["CallStatus"] == "completed"


def test_a_document_with_an_error_is_told_on_the_handset_and_ends_the_call(caller):
    shown = caller.call({begins_at(caller): "<Say>a</Say><Sya>b</Sya>"})
    assert (shown["state"], shown["problem"], shown["heard"]) == ("ended", "application_error", [])
    assert shown["detail"] == "Response: no verb Sya"
    caller.ended()


def test_a_document_of_another_type_is_an_application_error_to_twilio(twilio):
    twilio.gateway.answer = lambda heard: Response(response("<Say>a</Say>"), content_type="application/json")
    shown = twilio.does(dial="")
    assert (shown["problem"], shown["detail"]) == ("application_error", "the document has the type application/json")


@pytest.mark.parametrize("status", [403, 302, 500])
def test_a_gateway_that_has_no_document_does_not_answer(caller, status):
    caller.gateway.answer = lambda heard: ("", status)
    shown = caller.does(dial="")
    assert (shown["state"], shown["problem"], shown["detail"]) == ("ended", "no_answer", f"HTTP {status}")


def test_a_number_that_is_not_the_service_s_leads_nowhere(twilio):
    assert twilio.does(dial="0612345678")["problem"] == "unknown_number"
    assert twilio.gateway.calls == []
    twilio.gateway.answer = answering({TWILIO: "<Gather/>"})
    assert twilio.does(dial=SERVICE)["state"] == "waiting_keys"


def test_hanging_up_ends_a_call_and_calling_again_ends_the_one_before(caller):
    verb = "<Gather/>" if begins_at(caller) == TWILIO else "<Record/>"
    caller.call({begins_at(caller): verb})
    caller.call({begins_at(caller): verb})
    ids = [form.get("CallSid", form.get("sessionId")) for _, form in caller.asked()]
    assert caller.does(hang_up=True)["state"] == "ended"
    until(lambda: len(caller.asked()) == 4)
    over = [form for _, form in caller.asked() if form.get("CallStatus") == "completed" or form.get("isActive") == "0"]
    assert {form.get("CallSid", form.get("sessionId")) for form in over} == set(ids)
    assert caller.does(keys="1")["state"] == "ended"


def test_a_call_in_which_nobody_does_anything_is_hung_up():
    with a_caller("twilio", Patience(call_idle_s=0.1)) as caller:
        caller.call({TWILIO: "<Gather/>"})
        assert caller.ended()["CallStatus"] == "completed"
        assert caller.shown()["state"] == "ended"


def test_a_handset_shows_what_it_hears_while_the_gateway_thinks(twilio):
    thinking = threading.Event()
    twilio.call({TWILIO: "<Gather numDigits='1' action='/slow'><Say>a</Say></Gather>"})
    twilio.gateway.answer = lambda heard: (thinking.wait(30), (response(""), 200))[1]
    pressing = threading.Thread(target=twilio.does, kwargs={"keys": "1"})
    pressing.start()
    until(lambda: twilio.shown()["state"] == "talking")
    assert said(twilio.shown()) == ["a"]
    thinking.set()
    pressing.join()
    assert twilio.shown()["state"] == "ended"


def test_two_handsets_call_at_once_and_the_list_says_who_is_in_a_call(twilio):
    twilio.call({TWILIO: "<Gather/>"})
    twilio.call({TWILIO: "<Gather/>"}, OTHER)
    twilio.does(OTHER, hang_up=True)
    handsets = twilio.running.get("/sandbox/handsets")
    assert {handset["msisdn"]: handset["in_session"] for handset in handsets} == {PHONE: True, OTHER: False}


@pytest.mark.parametrize("wrong", [{}, {"keys": ""}, {"keys": "A"}, {"speak": 0}, {"speak": 1000}, {"silence": False}])
def test_what_nobody_can_do_with_a_handset_is_refused(twilio, wrong):
    assert twilio.running.post(f"/sandbox/handset/{PHONE}/call", **wrong).status_code == 400


# A person speaks


def frames(sound: bytes) -> int:
    """How many samples it holds, of a telephone's quality."""
    with wave.open(io.BytesIO(sound)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        return file.getnframes()


def test_a_message_is_told_to_twilio_s_gateway_fetched_with_the_account_and_taken_away_once(twilio):
    shown = twilio.call({TWILIO: "<Say>a</Say><Record action='/done' maxLength='60'/>", "/done": "<Say>b</Say>"})
    assert (shown["state"], shown["awaits"]["kind"], shown["awaits"]["seconds"]) == ("recording", "message", 60)
    assert said(twilio.does(speak=5)) == ["a", "b"]
    told = twilio.asked()[1][1]
    assert told.items() >= {"RecordingDuration": "5", "CallStatus": "in-progress"}.items()
    url = f"{twilio.running.url}/2010-04-01/Accounts/{ACCOUNT}/Recordings/{told['RecordingSid']}"
    assert (told["RecordingUrl"], told["RecordingSid"][:2], len(told["RecordingSid"])) == (url, "RE", 34)
    account = (ACCOUNT, AUTH_TOKEN)
    for ending in ("", ".wav", ".mp3"):
        assert requests.get(url + ending, timeout=10).status_code == 401
        fetched = requests.get(url + ending, auth=account, timeout=10)
        assert (fetched.headers["Content-Type"], frames(fetched.content)) == ("audio/x-wav", 5 * 8000)
    assert requests.delete(url, timeout=10).status_code == 401
    assert [requests.delete(url, auth=account, timeout=10).status_code for _ in range(2)] == [204, 404]
    assert requests.get(f"{url}.mp3", auth=account, timeout=10).json()["code"] == 20404


def test_the_twilio_sdk_takes_a_recording_away(twilio):
    twilio.call({TWILIO: "<Record action='/done'/>"})
    twilio.does(speak=1)
    recording = twilio.running.twilio().recordings(twilio.asked()[1][1]["RecordingSid"])
    assert recording.delete() is True
    with pytest.raises(TwilioRestException, match="not found"):
        recording.delete()


def test_a_message_is_told_to_africas_talking_s_gateway_and_the_rest_of_the_call_where_it_went(africastalking):
    done = f"{AFRICASTALKING}/done"
    record = f"<Record finishOnKey='#' maxLength='60' callbackUrl='{africastalking.gateway.url}{done}'/>"
    africastalking.call({AFRICASTALKING: record, done: "<Say>b</Say>"})
    assert said(africastalking.does(speak=5)) == ["b"]
    where, told = africastalking.asked()[1]
    assert (where, told["durationInSeconds"], told["isActive"]) == (done, "5", "1")
    assert told["recordingUrl"].startswith(f"{africastalking.running.url}/recordings/")
    assert told["recordingUrl"].endswith(".mp3")
    assert frames(requests.get(told["recordingUrl"], timeout=10).content) == 5 * 8000
    assert requests.get(f"{africastalking.running.url}/recordings/other.mp3", timeout=10).status_code == 404
    africastalking.ended()
    assert africastalking.asked()[-1][0] == done


def test_hanging_up_ends_a_message_and_leaves_it_with_twilio_s_gateway(twilio):
    twilio.call({TWILIO: "<Record action='/done'/>"})
    assert twilio.does(speak=3, hang_up=True)["state"] == "ended"
    until(lambda: len(twilio.asked()) == 3)
    (_, _), (where, told), (last, ended) = twilio.asked()
    assert (where, last, ended["CallStatus"]) == ("/done", TWILIO, "completed")
    assert told.items() >= {"Digits": "hangup", "RecordingDuration": "3", "CallStatus": "completed"}.items()


def test_hanging_up_ends_a_message_and_leaves_it_with_africas_talking_s_last_word(africastalking):
    africastalking.call({AFRICASTALKING: "<Record/>"})
    africastalking.does(speak=3, hang_up=True)
    ended = africastalking.ended()
    assert len(africastalking.asked()) == 2
    assert frames(requests.get(ended["recordingUrl"], timeout=10).content) == 3 * 8000


@pytest.mark.parametrize("nothing", [{"silence": True}, {"keys": "#"}])
def test_an_empty_message_goes_on_behind_the_record(twilio, nothing):
    twilio.call({TWILIO: "<Record action='/done'/><Say>b</Say>"})
    assert said(twilio.does(**nothing)) == ["b"]
    assert "/done" not in [where for where, _ in twilio.asked()]


def test_no_more_is_kept_of_a_message_than_may_be_spoken(twilio):
    twilio.call({TWILIO: "<Record action='/done' maxLength='2'/>"})
    twilio.does(speak=5)
    told = twilio.asked()[1][1]
    assert told["RecordingDuration"] == "2"
    assert frames(requests.get(told["RecordingUrl"], auth=(ACCOUNT, AUTH_TOKEN), timeout=10).content) == 2 * 8000


def test_the_voice_that_a_page_heard_is_kept_as_it_was_spoken(twilio):
    twilio.call({TWILIO: "<Record action='/done'/>"})
    url = f"{twilio.running.url}/sandbox/handset/{PHONE}/call/speech"
    for noise in (b"", b"noise", tone(1)[:44]):
        assert requests.post(url, noise, timeout=10).status_code == 400
    assert requests.post(url, tone(2), timeout=10).json()["state"] == "ended"
    told = twilio.asked()[1][1]
    assert requests.get(told["RecordingUrl"], auth=(ACCOUNT, AUTH_TOKEN), timeout=10).content == tone(2)


# The service calls


def test_a_call_by_twilio_rings_and_is_asked_for_where_the_service_said_once_it_is_answered(twilio):
    twilio.gateway.answer = answering({"/call/one": "<Gather action='/call/two' numDigits='1'><Say>a</Say></Gather>"})
    events = ["initiated", "ringing", "answered", "completed"]
    where = twilio.gateway.url
    call = twilio.running.twilio().calls.create(
        to=PHONE, from_=SERVICE, url=f"{where}/call/one", status_callback=f"{where}/status",
        status_callback_event=events, timeout=30,
    )
    assert (call.sid[:2], len(call.sid), call.status, call.direction) == ("CA", 34, "queued", "outbound-api")
    until(lambda: twilio.shown()["state"] == "ringing")
    assert (twilio.shown()["incoming"], twilio.shown()["other"]) == (True, SERVICE)
    assert (twilio.does(answer=True)["state"], said(twilio.shown())) == ("waiting_keys", ["a"])
    assert twilio.does(keys="1")["state"] == "ended"
    twilio.ended()
    asked = [form for where, form in twilio.asked() if where.startswith("/call/")]
    assert [form.get("Digits") for form in asked] == [None, "1"]
    assert asked[0].items() >= {
        "CallSid": call.sid, "From": SERVICE, "To": PHONE, "Direction": "outbound-api", "CallStatus": "in-progress",
    }.items()
    told = [form["CallStatus"] for form in twilio.gateway.heard("/status")]
    assert told == ["initiated", "ringing", "in-progress", "completed"]
    for heard in twilio.gateway.calls:
        assert RequestValidator(AUTH_TOKEN).validate(heard.url, heard.form, heard.headers["X-Twilio-Signature"])


def call_by_twilio(caller: Caller, to: str = PHONE, **told: object) -> None:
    where = caller.gateway.url
    good = {"url": f"{where}/call/one", "status_callback": f"{where}/status"}
    caller.running.twilio().calls.create(to=to, from_=SERVICE, **{**good, **told})


def call_by_africastalking(caller: Caller, **told: str) -> requests.Response:
    form = {"username": "rsu", "from": SERVICE, "to": PHONE, "clientRequestId": "ours", **told}
    return requests.post(f"{caller.running.url}/call", form, headers={"apiKey": API_KEY}, timeout=10)


def test_a_call_by_africas_talking_rings_and_is_asked_for_at_the_voice_callback(africastalking):
    africastalking.gateway.answer = answering({AFRICASTALKING: "<Say>a</Say>"})
    answer = call_by_africastalking(africastalking, to=f"{PHONE}, 0612").json()
    first, second = answer["entries"]
    assert (answer["errorMessage"], first["phoneNumber"], first["status"]) == ("None", PHONE, "Queued")
    assert second == {"phoneNumber": "0612", "status": "InvalidPhoneNumber", "sessionId": "None"}
    until(lambda: africastalking.shown()["state"] == "ringing")
    assert said(africastalking.does(answer=True)) == ["a"]
    ended = africastalking.ended()
    begun = africastalking.asked()[0][1]
    for form in (begun, ended):
        assert form.items() >= {
            "sessionId": first["sessionId"], "direction": "Outbound", "callerNumber": PHONE,
            "destinationNumber": SERVICE, "clientRequestId": "ours",
        }.items()


def test_a_dead_number_does_not_answer(twilio):
    call_by_twilio(twilio, DEAD)
    assert twilio.ended().items() >= {"CallStatus": "no-answer", "CallDuration": "0"}.items()
    assert call_by_africastalking(twilio, to=DEAD).ok
    until(lambda: len(twilio.asked()) == 2)
    assert twilio.asked()[1][1].items() >= {"isActive": "0", "hangupCause": "NO_ANSWER", "amount": "0.0000"}.items()
    assert twilio.shown(DEAD)["state"] == "none"


def test_a_refused_call_and_one_to_a_person_in_a_call_are_busy(twilio):
    call_by_twilio(twilio)
    until(lambda: twilio.shown()["state"] == "ringing")
    call_by_twilio(twilio, status_callback=f"{twilio.gateway.url}/status/second")
    until(lambda: twilio.gateway.heard("/status/second"))
    twilio.does(hang_up=True)
    until(lambda: twilio.gateway.heard("/status"))
    for where in ("/status", "/status/second"):
        assert [form["CallStatus"] for form in twilio.gateway.heard(where)] == ["busy"]
    assert len(twilio.asked()) == 2


def test_a_call_that_nobody_answers_is_given_up():
    with a_caller("twilio", Patience(ring_s=0.1)) as caller:
        call_by_twilio(caller)
        assert caller.ended()["CallStatus"] == "no-answer"
        assert caller.does(answer=True)["state"] == "ended"
        assert len(caller.asked()) == 1


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"to": "0612345678"}, 21211),
        ({"to": ""}, 21201),
        ({"from_": ""}, 21213),
        ({"from_": "+212537123456"}, 21210),
        ({"url": "call/one"}, 21205),
        ({"status_callback": "http://under_score.example/x"}, 21609),
    ],
)
def test_twilio_refuses_a_bad_call_with_its_own_code(twilio, wrong, code):
    good = {"to": PHONE, "from_": SERVICE, "url": "http://127.0.0.1:9/"}
    with pytest.raises(TwilioRestException) as refused:
        twilio.running.twilio().calls.create(**{**good, **wrong})
    assert (refused.value.status, refused.value.code) == (400, code)


def test_a_stranger_calls_nobody(twilio):
    with pytest.raises(TwilioRestException):
        twilio.running.twilio(auth_token="wrong").calls.create(to=PHONE, from_=SERVICE, url="http://127.0.0.1:9/")
    form = {"username": "rsu", "from": SERVICE, "to": PHONE}
    answer = requests.post(f"{twilio.running.url}/call", form, headers={"apiKey": "wrong"}, timeout=10)
    assert (answer.status_code, twilio.shown()["state"]) == (401, "none")


@pytest.mark.parametrize("provider", ["twilio", "africastalking"])
def test_a_call_meets_the_faults_of_its_provider(twilio, provider):
    twilio.running.behave(provider, error_before=1)
    if provider == "twilio":
        with pytest.raises(TwilioRestException) as failed:
            call_by_twilio(twilio)
        assert failed.value.status == 500
    else:
        assert call_by_africastalking(twilio).status_code == 500
    assert twilio.shown()["state"] == "none"


# What the page hears


@contextmanager
def a_shelf() -> Iterator[str]:
    """A host of recordings, some of which are none."""
    app = Flask("shelf")
    held = {"sound.wav": Response(tone(1), content_type="audio/wav"), "page": Response("<script>")}
    app.get("/<name>")(lambda name: held.get(name, ("", 404)))
    server = Server(app)
    server.start()
    yield server.url
    server.stop()


def test_a_recording_of_the_call_is_handed_to_the_page_and_nothing_else_is(twilio):
    with a_shelf() as shelf:
        plays = "".join(f"<Play>{shelf}/{name}</Play>" for name in ("sound.wav", "page", "missing"))
        twilio.call({TWILIO: f"{plays}<Say>a</Say><Gather/>"})
        where = f"{twilio.running.url}/sandbox/handset/{PHONE}/call/heard"
        answers = [requests.get(f"{where}/{place}", timeout=10) for place in range(5)]
    assert [answer.status_code for answer in answers] == [200, 502, 502, 404, 404]
    assert (answers[0].content, answers[0].headers["Content-Type"]) == (tone(1), "audio/wav")


def test_calls_are_for_this_machine_only(twilio):
    path = f"/sandbox/handset/{PHONE}/call"
    client = create_operator_app(twilio.running.operator).test_client()
    assert client.get(path).status_code == 200
    assert client.get(path, environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 403


def test_no_number_and_no_key_of_a_call_is_logged(twilio, caplog):
    calls = twilio.running.operator.calls
    caplog.set_level(logging.DEBUG)
    twilio.gateway.answer = answering({TWILIO: "<Gather numDigits='8' action='/wrong'><Say>سري</Say></Gather>"})
    assert calls.dial(PHONE).state == "waiting_keys"
    twilio.gateway.answer = lambda heard: ("", 403)
    assert calls.press(PHONE, "48151623").problem == "no_answer"
    until(lambda: "refused a call" in caplog.text)
    for secret in (PHONE, PHONE[1:], "48151623", "سري", AUTH_TOKEN):
        assert secret not in caplog.text


def test_a_call_to_the_number_that_is_rung_to_be_called_back_tells_that_number(twilio):
    twilio.gateway.answer = answering({TWILIO: "<Reject/>"})
    twilio.does(dial=MISSED)
    assert twilio.gateway.calls[-1].form["To"] == MISSED
