"""The operator's misbehaviour: what a gateway meets at a provider that fails, and what it hears of its texts."""

import http.client
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from africastalking.Service import AfricasTalkingException
from flask import Flask, request
from twilio.base.exceptions import TwilioRestException

from channels.sandbox import Operator, Patience, Server, create_operator_server
from channels.sandbox.behaviour import BadBehaviour, Temper
from tests.channels.test_sandbox import (
    ACCOUNT,
    API_KEY,
    AUTH_TOKEN,
    BODY,
    DEAD,
    OTHER,
    PHONE,
    RECEIPTS,
    Gateway,
    Running,
    a_config,
    a_running_operator,
    until,
)

SENDS = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
FORM = {"To": PHONE, "From": "RSU", "Body": BODY}


@pytest.fixture
def running() -> Iterator[Running]:
    with a_running_operator() as running:
        yield running


def post(running: Running, timeout: float = 10) -> requests.Response:
    """A text by Twilio's wire, and its answer as it stands."""
    return requests.post(running.url + SENDS, FORM, auth=(ACCOUNT, AUTH_TOKEN), timeout=timeout)


# Behaviours


def test_a_delayed_answer_outlasts_an_impatient_client_but_the_text_is_accepted(running):
    running.behave("twilio", delay_s=1)
    with pytest.raises(requests.ReadTimeout):
        running.send(timeout=0.2)
    until(running.messages)


def test_a_refused_send_is_the_route_s_fault_and_is_not_accepted(running):
    running.behave("twilio", refuse=1)
    running.behave("africastalking", refuse=1)
    with pytest.raises(TwilioRestException) as refused:
        running.send()
    assert (refused.value.status, refused.value.code) == (400, 21612)
    recipients = running.africastalking().send(BODY, [PHONE])["SMSMessageData"]["Recipients"]
    assert [(r["statusCode"], r["messageId"]) for r in recipients] == [(407, "None")]
    assert running.messages() == []


def test_a_throttled_send_says_how_long_to_wait_and_is_not_accepted(running):
    running.behave("twilio", throttle=1, retry_after_s=7)
    running.behave("africastalking", throttle=1)
    client = running.twilio()
    with pytest.raises(TwilioRestException) as throttled:
        client.messages.create(to=PHONE, from_="RSU", body=BODY)
    assert (throttled.value.status, throttled.value.code) == (429, 20429)
    assert client.http_client._test_only_last_response.headers["Retry-After"] == "7"
    with pytest.raises(AfricasTalkingException):
        running.africastalking().send(BODY, [PHONE])
    assert running.messages() == []


@pytest.mark.parametrize(("behaviour", "accepted"), [("error_before", 0), ("error_after", 1)])
def test_an_error_comes_before_or_after_the_text_is_accepted(running, behaviour, accepted):
    running.behave("twilio", **{behaviour: 1})
    with pytest.raises(TwilioRestException) as broken:
        running.send()
    assert (broken.value.status, broken.value.code) == (500, 20500)
    assert len(running.messages()) == accepted
    running.behave("africastalking", **{behaviour: 1})
    with pytest.raises(AfricasTalkingException):
        running.africastalking().send(BODY, [PHONE])
    assert len(running.messages()) == 2 * accepted


@pytest.mark.parametrize(("behaviour", "accepted"), [("stall_before", 0), ("stall_after", 1)])
def test_a_stalled_request_is_dropped_without_an_answer(running, behaviour, accepted):
    running.behave("twilio", stall_s=0.1, **{behaviour: 1})
    running.behave("africastalking", stall_s=0.1, **{behaviour: 1})
    with pytest.raises(requests.ConnectionError):
        running.send()
    with pytest.raises(requests.ConnectionError):
        running.africastalking().send(BODY, [PHONE])
    assert len(running.messages()) == 2 * accepted


def test_a_client_gives_a_stalled_request_up_though_the_text_is_delivered(running):
    running.behave("twilio", stall_after=1, stall_s=600)
    with pytest.raises(requests.ReadTimeout):
        running.send(timeout=0.5)
    until(running.inbox)


def test_64_stalled_requests_do_not_keep_the_page_from_answering(running):
    running.behave("twilio", stall_before=1, stall_s=600)
    account = running.operator.config.twilio
    url = f"{running.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    form = {"To": PHONE, "From": "RSU", "Body": "x"}

    def stall() -> str:
        try:
            requests.post(url, form, auth=(ACCOUNT, account.auth_token), timeout=60)
        except requests.ConnectionError:
            return "dropped"
        return "answered"

    with ThreadPoolExecutor(64) as pool:
        waiting = [pool.submit(stall) for _ in range(64)]
        until(lambda: running.get("/sandbox/count")["requests"] == 64)
        assert requests.get(running.url, timeout=10).status_code == 200
        assert not any(request.done() for request in waiting)
        running.operator.close()
        assert {request.result() for request in waiting} == {"dropped"}


def test_duplicated_receipts_come_twice_each(running):
    running.behave("africastalking", duplicate_receipts=1)
    running.africastalking().send(BODY, [PHONE])
    until(lambda: len(running.gateway.heard(RECEIPTS)) == 4)
    statuses = [report["status"] for report in running.gateway.heard(RECEIPTS)]
    assert statuses == ["Sent", "Sent", "Success", "Success"]


def test_reordered_receipts_tell_the_end_first_and_the_text_stays_delivered(running):
    running.behave("twilio", reorder_receipts=1)
    running.send()
    until(lambda: len(running.gateway.calls) == 2)
    assert [call.form["MessageStatus"] for call in running.gateway.calls] == ["delivered", "sent"]
    assert [text["status"] for text in running.messages()] == ["delivered"]
    assert len(running.inbox()) == 1


def test_early_receipts_come_before_the_send_is_answered(running):
    running.behave("twilio", early_receipts=1, receipt_delay_s=[600, 600])
    running.send()
    assert [call.form["MessageStatus"] for call in running.gateway.calls] == ["sent", "delivered"]


def test_lost_receipts_never_come_though_the_text_is_delivered(running):
    running.behave("twilio", lose_receipts=1)
    lost = running.send(callback="/status/lost")
    until(running.inbox)
    running.behave("twilio", lose_receipts=0)
    running.send(callback="/status/told")
    until(lambda: len(running.gateway.heard("/status/told")) == 2)
    assert running.gateway.heard("/status/lost") == []
    told = {text["provider_id"]: text for text in running.messages()}
    assert (told[lost]["status"], told[lost]["receipts_sent"]) == ("delivered", 0)


def test_undelivered_texts_fail_for_good(running):
    running.behave("twilio", undelivered=1)
    running.send()
    until(lambda: len(running.gateway.calls) == 2)
    assert running.gateway.calls[1].form["MessageStatus"] == "undelivered"
    assert running.inbox() == []


def test_receipts_wait_for_their_delay(running):
    running.behave("twilio", receipt_delay_s=[600, 600])
    running.send(PHONE)
    running.behave("twilio", receipt_delay_s=[0, 0])
    running.send(OTHER)
    until(lambda: running.inbox(OTHER))
    assert [text["status"] for text in running.messages()] == ["accepted", "delivered"]


def test_a_behaviour_is_one_provider_s_and_is_taken_back(running):
    running.behave("twilio", error_before=1)
    recipients = running.africastalking().send(BODY, [PHONE])["SMSMessageData"]["Recipients"]
    assert [recipient["statusCode"] for recipient in recipients] == [102]
    running.behave("twilio", reset=True)
    assert running.send()


@pytest.mark.parametrize(
    "wrong",
    [
        {"provider": "nobody"},
        {"provider": "twilio", "refusal": 1},
        {"provider": "twilio", "refuse": 1.5},
        {"provider": "twilio", "refuse": True},
        {"provider": "twilio", "receipt_delay_s": [2, 1]},
        {"provider": "twilio", "receipt_delay_s": 1},
    ],
)
def test_a_behaviour_that_does_not_exist_is_refused_and_changes_nothing(running, wrong):
    before = running.get("/sandbox/behaviour")
    assert running.post("/sandbox/behaviour", **wrong).status_code == 400
    assert running.get("/sandbox/behaviour") == before


def test_a_share_falls_on_its_share_and_the_same_seed_on_the_same_requests():
    first, second, third = Temper("1"), Temper("1"), Temper("2")
    for temper in (first, second, third):
        temper.change({"refuse": 0.3})
    thrown = [[bool(temper.first(["refuse"])) for _ in range(1000)] for temper in (first, second, third)]
    assert thrown[0] == thrown[1] != thrown[2]
    assert 240 < sum(thrown[0]) < 360


# Receipts that meet trouble


def test_a_receipt_that_fails_is_sent_again_as_the_same_receipt(running):
    failures = iter([503, 500])
    running.gateway.answer = lambda heard: ("", next(failures, 200))
    running.send()
    until(lambda: running.messages()[0]["receipts_sent"] == 2)
    assert len(running.gateway.calls) == 4
    repeated = Counter(call.headers["I-Twilio-Idempotency-Token"] for call in running.gateway.calls)
    assert sum(repeated.values()) == 4
    assert len(repeated) == 2


def test_a_receipt_that_is_refused_is_not_sent_again(running):
    running.gateway.answer = lambda heard: ("", 403)
    running.send()
    until(lambda: len(running.gateway.calls) == 2)
    running.gateway.answer = lambda heard: ("", 200)
    running.send(OTHER, callback="/status/other")
    until(lambda: len(running.gateway.heard("/status/other")) == 2)
    assert len(running.gateway.heard("/status/one")) == 2
    assert running.messages()[0]["receipts_sent"] == 0


def test_receipts_for_a_gateway_that_is_down_arrive_once_it_is_up():
    gateway = Gateway()
    port = urlsplit(gateway.url).port
    gateway.server.stop()
    operator = Operator(a_config(gateway.url), patience=Patience(retry_after_s=(0.1,) * 50))
    operator.temper("africastalking").change({"receipt_delay_s": [0, 0]})
    sends = create_operator_server(operator)
    sends.start()
    form = {"username": "rsu", "to": PHONE, "message": BODY}
    requests.post(f"{sends.url}/version1/messaging", form, headers={"apiKey": API_KEY}, timeout=10)
    until(lambda: operator.book.texts()[0].status == "delivered")
    assert operator.book.texts()[0].receipts_sent == 0
    calls: list[str] = []
    back = Flask("gateway")
    back.post(RECEIPTS)(lambda: calls.append(request.form["status"]) or "")
    server = Server(back, port=port)
    server.start()
    until(lambda: operator.book.texts()[0].receipts_sent == 2)
    assert sorted(calls) == ["Sent", "Success"]
    sends.stop()
    operator.close()
    server.stop()


# Answers that are none


@pytest.mark.parametrize(("behaviour", "accepted"), [("garbage_before", 0), ("garbage_after", 1)])
def test_garbage_is_a_success_that_nobody_can_read(running, behaviour, accepted):
    running.behave("twilio", **{behaviour: 1})
    answers = [post(running) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.headers["Content-Type"].partition(";")[0] for answer in answers} == {"text/html", "application/json"}
    for answer in answers:
        with pytest.raises(requests.JSONDecodeError):
            answer.json()
    assert len(running.messages()) == 8 * accepted


@pytest.mark.parametrize(("behaviour", "accepted"), [("reset_before", 0), ("reset_after", 1)])
def test_a_connection_is_torn_down_before_or_after_the_text_is_accepted(running, behaviour, accepted):
    running.behave("twilio", **{behaviour: 1})
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        post(running)
    assert len(running.messages()) == accepted


@pytest.mark.parametrize(("behaviour", "accepted"), [("half_open_before", 0), ("half_open_after", 1)])
def test_a_half_open_connection_outlasts_the_stall_and_ends_with_the_client_s_patience(running, behaviour, accepted):
    running.behave("twilio", stall_s=0, **{behaviour: 1})
    with pytest.raises(requests.ReadTimeout):
        post(running, timeout=0.5)
    assert len(running.messages()) == accepted


def test_a_dripped_answer_comes_a_byte_at_a_time_and_is_the_same_answer(running):
    running.behave("twilio", drip_s=0.001)
    address = urlsplit(running.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    secret = requests.auth._basic_auth_str(ACCOUNT, AUTH_TOKEN)
    headers = {"Authorization": secret, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", SENDS, urlencode(FORM), headers)
    answer = connection.getresponse()
    first = answer.read1(1 << 16)
    assert len(first) < int(answer.headers["Content-Length"])
    assert running.messages()[0]["provider_id"].encode() in first + answer.read()
    connection.close()


def test_an_answer_that_drips_too_slowly_outlasts_an_impatient_client_but_the_text_is_accepted(running):
    running.behave("twilio", drip_s=600)
    with pytest.raises(requests.RequestException):
        post(running, timeout=0.5)
    assert len(running.messages()) == 1


# Refusals


@pytest.mark.parametrize(
    ("behaviour", "status", "code", "recipient"),
    [
        ("refuse", 400, 21612, (407, "CouldNotRoute")),
        ("opted_out", 400, 21610, (406, "UserInBlacklist")),
        ("balance", 401, 20003, (405, "InsufficientBalance")),
        ("unknown_refusal", 400, 29999, (499, "Wibble")),
    ],
)
def test_each_refusal_has_each_provider_s_own_code_and_nothing_is_accepted(
    running, behaviour, status, code, recipient
):
    running.behave("twilio", **{behaviour: 1})
    running.behave("africastalking", **{behaviour: 1})
    with pytest.raises(TwilioRestException) as refused:
        running.send()
    assert (refused.value.status, refused.value.code) == (status, code)
    recipients = running.africastalking().send(BODY, [PHONE])["SMSMessageData"]["Recipients"]
    assert [(r["statusCode"], r["status"], r["messageId"], r["cost"]) for r in recipients] == [
        (*recipient, "None", "0")
    ]
    assert running.messages() == []


def test_a_revoked_key_is_answered_as_a_stranger_s(running):
    running.behave("twilio", revoked=1)
    running.behave("africastalking", revoked=1)
    with pytest.raises(TwilioRestException) as refused:
        running.send()
    assert (refused.value.status, refused.value.code) == (401, 20003)
    with pytest.raises(AfricasTalkingException, match=r"^The supplied authentication is invalid$"):
        running.africastalking().send(BODY, [PHONE])
    assert running.messages() == []


def test_a_wait_may_be_told_as_a_date_in_words_or_for_decades(running):
    running.behave("twilio", throttle=1, retry_after_s=1e9)
    assert post(running).headers["Retry-After"] == "1000000000"
    running.behave("twilio", odd_retry_after=1, retry_after_s=7)
    told = {post(running).headers["Retry-After"] for _ in range(8)}
    assert "soon" in told
    for date in told - {"soon"}:
        assert parsedate_to_datetime(date) > datetime.now(UTC)
    assert len(told) >= 2


def test_a_wrong_sender_is_refused_with_the_whole_request(running):
    running.behave("twilio", wrong_sender=1)
    running.behave("africastalking", wrong_sender=1)
    with pytest.raises(TwilioRestException) as refused:
        running.send()
    assert refused.value.code == 21606
    answer = running.africastalking().send(BODY, [PHONE, OTHER])
    assert answer == {"SMSMessageData": {"Message": "InvalidSenderId", "Recipients": []}}
    assert running.messages() == []


# Accepted, and then


def test_an_accepted_text_may_be_told_without_a_name(running):
    running.behave("twilio", nameless=1)
    running.behave("africastalking", nameless=1)
    assert post(running).json()["sid"] is None
    (recipient,) = running.africastalking().send(BODY, [PHONE])["SMSMessageData"]["Recipients"]
    assert (recipient["statusCode"], recipient["messageId"]) == (102, "None")
    assert len(running.messages()) == 2


def test_a_charset_in_the_type_of_the_answer_hides_it_from_africas_talking_s_sdk(running):
    running.behave("africastalking", charset=1)
    assert isinstance(running.africastalking().send(BODY, [PHONE]), str)
    assert len(running.messages()) == 1


@pytest.mark.parametrize(
    ("behaviour", "code", "status"), [("temporary", 30003, "AbsentSubscriber"), ("unknown_outcome", 39999, "Wibble")]
)
def test_an_accepted_text_fails_for_now_or_for_a_reason_that_no_table_has(running, behaviour, code, status):
    running.behave("twilio", **{behaviour: 1})
    running.behave("africastalking", **{behaviour: 1})
    sid = running.send()
    until(lambda: len(running.gateway.heard("/status/one")) == 2)
    last = running.gateway.heard("/status/one")[1]
    assert (last["MessageStatus"], last["ErrorCode"]) == ("undelivered", str(code))
    assert running.twilio().messages(sid).fetch().error_code == code
    running.africastalking().send(BODY, [PHONE])
    until(lambda: len(running.gateway.heard(RECEIPTS)) == 2)
    report = running.gateway.heard(RECEIPTS)[1]
    assert (report["status"], "failureReason" in report) == (status, False)
    assert running.inbox() == []


def test_a_dead_number_is_dead_whatever_else_befalls_its_text(running):
    running.behave("twilio", temporary=1)
    running.send(DEAD)
    until(lambda: len(running.gateway.calls) == 2)
    assert running.gateway.calls[1].form["ErrorCode"] == "30005"


def test_late_receipts_come_in_order_after_the_text_lies_in_the_inbox(running):
    running.behave("twilio", receipts_late_s=600)
    running.send(callback="/status/late")
    until(running.inbox)
    running.behave("twilio", receipts_late_s=0.2)
    running.send(OTHER, callback="/status/told")
    until(lambda: len(running.gateway.heard("/status/told")) == 2)
    assert [form["MessageStatus"] for form in running.gateway.heard("/status/told")] == ["sent", "delivered"]
    assert running.gateway.heard("/status/late") == []


def test_a_gateway_that_hears_nothing_keeps_no_text_from_its_telephone(running):
    released = threading.Event()
    running.gateway.answer = lambda heard: (str(released.wait(30)), 200)
    phones = [f"+21261{place:06d}0" for place in range(400)]
    running.africastalking().send(BODY, phones)
    until(lambda: running.get("/sandbox/count")["delivered"] == 400)
    assert running.get("/sandbox/count")["receipts_sent"] == 0
    running.gateway.answer = lambda heard: ("", 200)
    released.set()
    until(lambda: running.get("/sandbox/count")["receipts_sent"] == 800, 30)
    reports = running.gateway.heard(RECEIPTS)
    for phone in phones:
        assert [report["status"] for report in reports if report["phoneNumber"] == phone] == ["Sent", "Success"]


# A behaviour that passes


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_behaviour_for_a_while_falls_back_to_what_it_was_before():
    clock = Clock()
    temper = Temper("1", clock)
    temper.change({"delay_s": 2})
    temper.change({"stall_before": 1}, for_s=60)
    clock.now = 59
    assert (temper.behaviour.stall_before, temper.behaviour.delay_s) == (1, 2)
    assert temper.fate().before == "stall"
    clock.now = 60
    assert temper.fate().before is None
    assert (temper.behaviour.stall_before, temper.behaviour.delay_s) == (0, 2)


def test_what_is_changed_for_good_meanwhile_stays_and_a_reset_ends_what_passes():
    clock = Clock()
    temper = Temper("1", clock)
    temper.change({"stall_before": 1}, for_s=60)
    temper.change({"delay_s": 2})
    assert (temper.behaviour.stall_before, temper.behaviour.delay_s) == (1, 2)
    temper.change({"refuse": 1}, for_s=30)
    clock.now = 30
    assert (temper.behaviour.stall_before, temper.behaviour.refuse, temper.behaviour.delay_s) == (0, 0, 2)
    temper.change({"refuse": 1}, for_s=30)
    assert temper.change({}, reset=True).refuse == temper.behaviour.delay_s == 0


def test_a_behaviour_for_a_while_is_asked_for_over_the_wire(running):
    running.behave("twilio", throttle=1, for_s=3600)
    assert running.get("/sandbox/behaviour")["twilio"]["throttle"] == 1
    assert post(running).status_code == 429
    running.behave("twilio", throttle=1, for_s=0)
    assert post(running).status_code == 201
    with pytest.raises(BadBehaviour):
        Temper("1").change({"throttle": 1}, for_s=True)


# The server


def test_a_request_that_breaks_before_its_first_byte_drops_the_connection():
    """A provider's own failure is seen as no answer at all, whatever the server could still have written."""

    def broken() -> Iterator[bytes]:
        yield from ()
        raise ConnectionAbortedError

    app = Flask("breaks")
    app.get("/")(lambda: app.response_class(broken()))
    server = Server(app)
    server.start()
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=10)
    server.stop()


def test_a_server_that_has_stopped_has_left_its_port(running):
    server = Server(Flask("stops"))
    server.start()
    server.stop()
    with socket.create_server(("127.0.0.1", urlsplit(server.url).port)):
        pass
