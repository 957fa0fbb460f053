"""The sandbox operator, seen by the providers' own SDKs and by a gateway that writes down what it hears."""

import base64
import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import requests
from africastalking.Service import AfricasTalkingException
from africastalking.SMS import SMSService
from flask import Flask, request
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from channels.sandbox import (
    AfricasTalkingLine,
    Config,
    Operator,
    Patience,
    Server,
    TwilioLine,
    create_operator_app,
    create_operator_server,
)

ACCOUNT = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "a-twilio-token-of-the-tests"
API_KEY = "an-api-key-of-the-tests"
CALLBACK_TOKEN = "t" * 43
PHONE = "+212612345678"
OTHER = "+212661234567"
DEAD = "+212612345699"
LANDLINE = "+212537123456"
BODY = "تم احتساب مؤشر أسرتكم"
PATIENCE = Patience(ussd_answer_s=5.0, retry_after_s=(0.05, 0.05, 0.05))
RECEIPTS = f"/receipts/africastalking/{CALLBACK_TOKEN}"
USSD = f"/ussd/africastalking/{CALLBACK_TOKEN}"


# The two sides


@dataclass(frozen=True)
class Heard:
    """A call that the gateway received."""

    url: str
    path: str
    form: dict[str, str]
    headers: dict[str, str]


class Gateway:
    """Hears everything; `answer` is its whole mind, and may be replaced."""

    def __init__(self) -> None:
        self.calls: list[Heard] = []
        self.answer: Callable[[Heard], tuple[str, int]] = lambda heard: ("", 200)
        app = Flask("gateway")

        @app.post("/<path:path>")
        def hear(path: str) -> tuple[str, int]:
            heard = Heard(request.url, request.path, request.form.to_dict(), dict(request.headers))
            self.calls.append(heard)
            return self.answer(heard)

        self.server = Server(app)
        self.url = self.server.url

    def heard(self, path: str) -> list[dict[str, str]]:
        return [call.form for call in self.calls if call.path == path]


@dataclass(frozen=True)
class Running:
    """An operator, where it answers, and the gateway it calls."""

    operator: Operator
    url: str
    gateway: Gateway

    def twilio(self, timeout: float = 10, auth_token: str = AUTH_TOKEN) -> Client:
        client = Client(ACCOUNT, auth_token, http_client=TwilioHttpClient(timeout=timeout))
        client.api.base_url = self.url
        return client

    def africastalking(self, api_key: str = API_KEY) -> SMSService:
        service = SMSService("rsu", api_key)
        service._baseUrl = f"{self.url}/version1"
        return service

    def send(self, to: str = PHONE, body: str = BODY, timeout: float = 10, callback: str = "/status/one") -> str:
        where = self.gateway.url + callback
        messages = self.twilio(timeout).messages
        return messages.create(to=to, from_="RSU", body=body, status_callback=where).sid

    def behave(self, provider: str, **behaviour: object) -> None:
        answer = self.post("/sandbox/behaviour", provider=provider, **behaviour)
        answer.raise_for_status()

    def post(self, path: str, **asked: object) -> requests.Response:
        return requests.post(self.url + path, json=asked, timeout=30)

    def get(self, path: str) -> list[dict]:
        answer = requests.get(self.url + path, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def ussd(self, phone: str = PHONE, **asked: object) -> dict:
        return self.post(f"/sandbox/handset/{phone}/ussd", **asked).json()

    def messages(self) -> list[dict]:
        return self.get("/sandbox/messages")

    def inbox(self, phone: str = PHONE) -> list[dict]:
        return self.get(f"/sandbox/handset/{phone}/inbox")


def a_config(gateway_url: str, **changes: object) -> Config:
    told = {
        "host": "127.0.0.1",
        "port": 0,
        "gateway_url": gateway_url,
        "callback_token": CALLBACK_TOKEN,
        "service_code": "*580#",
        "twilio": TwilioLine(ACCOUNT, AUTH_TOKEN, ("RSU", "+15005550006")),
        "africastalking": AfricasTalkingLine("rsu", API_KEY),
    }
    return Config(**{**told, **changes})


@contextmanager
def serving(config: Config, patience: Patience = PATIENCE) -> Iterator[tuple[Operator, str]]:
    """An operator in a thread of this process, and the address where it answers; receipts come at once."""
    operator = Operator(config, patience=patience)
    for provider in ("twilio", "africastalking"):
        operator.temper(provider).change({"receipt_delay_s": [0, 0]})
    server = create_operator_server(operator)
    server.start()
    try:
        yield operator, server.url
    finally:
        server.stop()
        operator.close()


@contextmanager
def a_running_operator(patience: Patience = PATIENCE) -> Iterator[Running]:
    """An operator on a free port that calls a gateway of its own."""
    gateway = Gateway()
    gateway.server.start()
    with serving(a_config(gateway.url), patience) as (operator, url):
        yield Running(operator, url, gateway)
    gateway.server.stop()


@pytest.fixture
def running() -> Iterator[Running]:
    with a_running_operator() as running:
        yield running


def until(condition: Callable[[], object], limit_s: float = 10) -> None:
    """Wait for what another thread brings about."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


# Twilio's wire


def test_the_twilio_sdk_sends_a_text(running):
    sent = running.twilio().messages.create(to=PHONE, from_="RSU", body=BODY)
    assert (sent.status, sent.to, sent.from_, sent.body) == ("queued", PHONE, "RSU", BODY)
    assert (sent.num_segments, sent.direction, sent.error_code) == ("1", "outbound-api", None)
    assert sent.date_created.tzinfo is not None
    assert sent.date_sent is None
    assert [text["provider_id"] for text in running.messages()] == [sent.sid]
    until(lambda: running.inbox())
    assert running.inbox()[0]["body"] == BODY


def test_the_twilio_sdk_fetches_what_became_of_a_text(running):
    sid = running.send()
    until(lambda: running.twilio().messages(sid).fetch().status == "delivered")
    message = running.twilio().messages(sid).fetch()
    assert (message.sid, message.body, message.error_code) == (sid, BODY, None)


def test_a_messaging_service_names_no_sender_and_counts_no_parts_yet(running):
    service = "MG" + "0" * 32
    sent = running.twilio().messages.create(to=PHONE, messaging_service_sid=service, body=BODY)
    assert (sent.status, sent.from_, sent.num_segments) == ("accepted", None, "0")
    assert sent.messaging_service_sid == service


def test_the_twilio_list_filters_by_telephone_sender_and_day(running):
    mine, theirs = running.send(PHONE), running.send(OTHER)
    now = datetime.now(UTC)
    messages = running.twilio().messages

    def listed(**filters: object) -> set[str]:
        return {message.sid for message in messages.list(**filters)}

    assert listed() == {mine, theirs}
    assert listed(to=PHONE) == {mine}
    assert listed(from_="+15005550006") == set()
    assert listed(to=PHONE, from_="RSU", date_sent_after=now - timedelta(minutes=1)) == {mine}
    assert listed(date_sent_after=now + timedelta(minutes=1)) == set()
    assert listed(date_sent_before=now + timedelta(minutes=1)) == {mine, theirs}
    assert listed(date_sent_before=now - timedelta(minutes=1)) == set()
    assert listed(date_sent=now - timedelta(days=2)) == set()


def test_the_pages_of_the_twilio_list_are_newest_first_and_do_not_shift_under_new_texts(running):
    sids = [running.send() for _ in range(5)]
    pages = running.twilio().messages.stream(to=PHONE, page_size=2)
    first = next(pages).sid
    running.send()
    assert [first, *(message.sid for message in pages)] == sids[::-1]


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"to": "0612345678"}, 400, 21211),
        ({"to": "+21261"}, 400, 21211),
        ({"to": LANDLINE}, 400, 21614),
        ({"from_": "NOBODY"}, 400, 21606),
        ({"body": ""}, 400, 21602),
        ({"body": "x" * 1601}, 400, 21617),
        ({"status_callback": "http://under_score.example/x"}, 400, 21609),
    ],
)
def test_twilio_refuses_a_bad_text_with_its_own_code(running, wrong, status, code):
    good = {"to": PHONE, "from_": "RSU", "body": "x"}
    with pytest.raises(TwilioRestException) as refused:
        running.twilio().messages.create(**{**good, **wrong})
    assert (refused.value.status, refused.value.code) == (status, code)
    assert running.messages() == []


def test_twilio_refuses_a_text_from_nobody_and_to_nobody(running):
    for lacking, code in (({"to": PHONE}, 21603), ({"to": "", "from_": "RSU"}, 21604)):
        with pytest.raises(TwilioRestException) as refused:
            running.twilio().messages.create(body="x", **lacking)
        assert refused.value.code == code


def test_twilio_refuses_a_wrong_token_and_an_unknown_message(running):
    with pytest.raises(TwilioRestException) as stranger:
        running.twilio(auth_token="wrong").messages.create(to=PHONE, from_="RSU", body="x")
    assert (stranger.value.status, stranger.value.code) == (401, 20003)
    with pytest.raises(TwilioRestException) as lost:
        running.twilio().messages("SM" + "0" * 32).fetch()
    assert (lost.value.status, lost.value.code) == (404, 20404)


def test_twilio_signs_its_receipts_and_sends_them_in_order(running):
    sid = running.send(callback="/receipts/twilio/a-token?x=1#rc=5&rp=all")
    until(lambda: len(running.gateway.calls) == 2)
    sent, delivered = running.gateway.calls
    assert [call.form["MessageStatus"] for call in (sent, delivered)] == ["sent", "delivered"]
    assert sent.url == f"{running.gateway.url}/receipts/twilio/a-token?x=1"
    assert sent.form.items() >= {
        "MessageSid": sid, "SmsSid": sid, "AccountSid": ACCOUNT, "SmsStatus": "sent", "To": PHONE,
        "From": "RSU", "ApiVersion": "2010-04-01",
    }.items()
    assert "RawDlrDoneDate" in delivered.form
    for call in (sent, delivered):
        signature = call.headers["X-Twilio-Signature"]
        assert RequestValidator(AUTH_TOKEN).validate(call.url, call.form, signature)
        assert not RequestValidator(AUTH_TOKEN).validate(call.url, {**call.form, "To": OTHER}, signature)
    until(lambda: running.messages()[0]["receipts_sent"] == 2)


def test_a_dead_number_is_accepted_and_then_fails_for_good(running):
    sid = running.send(DEAD)
    until(lambda: len(running.gateway.calls) == 2)
    failed = running.gateway.calls[1].form
    assert (failed["MessageStatus"], failed["ErrorCode"]) == ("undelivered", "30005")
    assert running.twilio().messages(sid).fetch().error_code == 30005

    running.africastalking().send(BODY, [DEAD], "RSU")
    until(lambda: len(running.gateway.heard(RECEIPTS)) == 2)
    report = running.gateway.heard(RECEIPTS)[1]
    assert (report["status"], report["failureReason"]) == ("Failed", "UserDoesNotExist")
    assert {text["status"] for text in running.messages()} == {"failed"}
    assert running.inbox(DEAD) == []


# Africa's Talking's wire


def test_the_africastalking_sdk_sends_to_several_telephones(running):
    answer = running.africastalking().send(BODY, [PHONE, OTHER, LANDLINE, "+212111"], "RSU")
    data = answer["SMSMessageData"]
    assert data["Message"].startswith("Sent to 2/4 ")
    assert data["Message"].endswith("Message parts: 1")
    assert [(r["number"], r["statusCode"], r["status"]) for r in data["Recipients"]] == [
        (PHONE, 102, "Success"), (OTHER, 102, "Success"),
        (LANDLINE, 404, "UnsupportedNumberType"), ("+212111", 403, "InvalidPhoneNumber"),
    ]
    assert [r["messageId"] == "None" for r in data["Recipients"]] == [False, False, True, True]
    assert {(text["provider_id"], text["to"], text["from"]) for text in running.messages()} == {
        (r["messageId"], r["number"], "RSU") for r in data["Recipients"][:2]
    }


def test_africastalking_answers_a_wrong_key_in_plain_words(running):
    with pytest.raises(AfricasTalkingException, match=r"^The supplied authentication is invalid$"):
        running.africastalking(api_key="wrong").send(BODY, [PHONE])
    form = {"username": "rsu", "to": PHONE, "message": BODY}
    answer = requests.post(f"{running.url}/version1/messaging", data=form, timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "text/plain; charset=UTF-8")
    assert running.messages() == []


def test_africastalking_reports_to_the_secret_address_in_order(running):
    answer = running.africastalking().send(BODY, [PHONE], "RSU")
    until(lambda: len(running.gateway.heard(RECEIPTS)) == 2)
    reports = running.gateway.heard(RECEIPTS)
    assert [report["status"] for report in reports] == ["Sent", "Success"]
    for report in reports:
        assert report["id"] == answer["SMSMessageData"]["Recipients"][0]["messageId"]
        assert report["phoneNumber"] == PHONE
        assert report["networkCode"].startswith("604")
        assert "failureReason" not in report


# USSD


def con(text: str = "اختر لغتك") -> Callable[[Heard], tuple[str, int]]:
    return lambda heard: (f"CON {text}", 200)


def test_a_ussd_session_tells_everything_typed_so_far(running):
    running.gateway.answer = con("1. العربية\n2. Français")
    first = running.ussd(dial="*580#")
    assert (first["text"], first["final"], first["problem"]) == ("1. العربية\n2. Français", False, "")
    for typed in ("1", "", "2*3"):
        assert running.ussd(type=typed)["session"] == first["session"]
    running.gateway.answer = lambda heard: ("END شكرا", 200)
    last = running.ussd(type="0")
    assert last == {"text": "شكرا", "final": True, "session": first["session"], "problem": ""}
    turns = running.gateway.heard(USSD)
    assert [turn["text"] for turn in turns] == ["", "1", "1*", "1**2*3", "1**2*3*0"]
    assert {turn["sessionId"] for turn in turns} == {first["session"]}
    assert turns[0].items() >= {"phoneNumber": PHONE, "serviceCode": "*580#"}.items()


def test_the_end_of_a_session_is_told_with_its_whole_history(running):
    running.gateway.answer = con()
    session = running.ussd(dial="*580#")["session"]
    running.gateway.answer = lambda heard: ("END شكرا", 200)
    running.ussd(type="1")
    until(lambda: running.gateway.heard(f"{USSD}/ended"))
    ended = running.gateway.heard(f"{USSD}/ended")[0]
    assert ended.items() >= {
        "sessionId": session, "serviceCode": "*580#", "phoneNumber": PHONE, "status": "Success",
        "input": "1", "lastAppResponse": "END شكرا", "hopsCount": "2",
    }.items()
    assert {"date", "networkCode", "cost", "durationInMillis", "hopsMetadata"} <= ended.keys()
    datetime.strptime(ended["date"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert running.ussd(type="1")["problem"] == "no_session"


def test_what_is_dialled_behind_the_service_code_is_typed_already(running):
    running.gateway.answer = con()
    running.ussd(dial="*580*1*2#")
    running.ussd(type="3")
    turns = running.gateway.heard(USSD)
    assert [(turn["serviceCode"], turn["text"]) for turn in turns] == [("*580#", "1*2"), ("*580#", "1*2*3")]


@pytest.mark.parametrize("code", ["*999#", "*580", "*5801#", "580", "0612345678"])
def test_an_unknown_code_never_reaches_the_gateway(running, code):
    shown = running.ussd(dial=code)
    assert shown == {"text": "", "final": True, "session": None, "problem": "unknown_code"}
    assert running.gateway.calls == []


def test_hanging_up_ends_a_session_as_incomplete(running):
    running.gateway.answer = con()
    running.ussd(dial="*580#")
    running.ussd(hang_up=True)
    until(lambda: running.gateway.heard(f"{USSD}/ended"))
    assert running.gateway.heard(f"{USSD}/ended")[0]["status"] == "Incomplete"
    assert running.ussd(type="1")["problem"] == "no_session"


def test_dialling_again_ends_the_session_before_it(running):
    running.gateway.answer = con()
    first = running.ussd(dial="*580#")["session"]
    second = running.ussd(dial="*580#")["session"]
    until(lambda: running.gateway.heard(f"{USSD}/ended"))
    assert [ended["sessionId"] for ended in running.gateway.heard(f"{USSD}/ended")] == [first]
    assert running.ussd(type="1")["session"] == second


def test_a_person_who_does_not_answer_is_hung_up():
    with a_running_operator(Patience(ussd_idle_s=0.1)) as running:
        running.gateway.answer = con()
        running.ussd(dial="*580#")
        until(lambda: running.gateway.heard(f"{USSD}/ended"))
        assert running.gateway.heard(f"{USSD}/ended")[0]["status"] == "Incomplete"
        assert running.ussd(type="1")["problem"] == "no_session"


@pytest.mark.parametrize("answer", [("CON", 200), ("con x", 200), (" CON x", 200), ("", 200), ("CON x", 500)])
def test_an_answer_that_is_not_a_screen_ends_the_session_as_failed(running, answer):
    running.gateway.answer = lambda heard: answer
    shown = running.ussd(dial="*580#")
    assert (shown["final"], shown["problem"], shown["text"]) == (True, "no_answer", "")
    until(lambda: running.gateway.heard(f"{USSD}/ended"))
    ended = running.gateway.heard(f"{USSD}/ended")[0]
    assert ended["status"] == "Failed"
    assert ended["errorMessage"]


def test_a_screen_that_takes_too_long_ends_the_session_as_failed():
    with a_running_operator(Patience(ussd_answer_s=0.2)) as running:
        answered = threading.Event()
        running.gateway.answer = lambda heard: (answered.wait(30), ("CON late", 200))[1]
        shown = running.ussd(dial="*580#")
        answered.set()
        assert (shown["final"], shown["problem"]) == (True, "no_answer")
        until(lambda: running.gateway.heard(f"{USSD}/ended"))
        assert running.gateway.heard(f"{USSD}/ended")[0]["status"] == "Failed"


# Texts from people


def test_a_text_in_by_twilio_is_signed_and_its_answer_lies_in_the_inbox(running):
    twiml = "<Response><Message>جواب &amp; شكر</Message><Message><Body>ثان</Body></Message></Response>"
    running.gateway.answer = lambda heard: (twiml, 200)
    assert running.post(f"/sandbox/handset/{PHONE}/sms", body="قف", via="twilio").json() == {"taken": True}
    call = running.gateway.calls[0]
    assert call.path == "/sms/twilio"
    assert call.form.items() >= {"From": PHONE, "To": "RSU", "Body": "قف", "SmsStatus": "received"}.items()
    assert RequestValidator(AUTH_TOKEN).validate(call.url, call.form, call.headers["X-Twilio-Signature"])
    until(lambda: len(running.inbox()) == 2)
    assert {text["body"] for text in running.inbox()} == {"جواب & شكر", "ثان"}


def test_a_text_in_by_africastalking_is_told_again_until_it_is_taken(running):
    answers = iter([500])
    running.gateway.answer = lambda heard: ("", next(answers, 200))
    running.post(f"/sandbox/handset/{PHONE}/sms", body="STOP", via="africastalking")
    path = f"/sms/africastalking/{CALLBACK_TOKEN}"
    until(lambda: len(running.gateway.heard(path)) == 2)
    first, second = running.gateway.heard(path)
    assert first == second
    assert first.items() >= {"from": PHONE, "to": "580", "text": "STOP"}.items()
    assert {"date", "id", "linkId", "networkCode"} <= first.keys()


# The tool itself


def test_the_inbox_is_newest_first_and_handsets_are_listed(running):
    for body in ("one", "two"):
        running.send(body=body)
        until(lambda body=body: running.inbox() and running.inbox()[0]["body"] == body)
    running.gateway.answer = con()
    running.ussd(OTHER, dial="*580#")
    handsets = {handset["msisdn"]: handset["in_session"] for handset in running.get("/sandbox/handsets")}
    assert handsets == {PHONE: False, OTHER: True}
    assert PHONE in requests.get(running.url, timeout=10).text


def test_any_way_to_write_a_number_opens_its_handset(running):
    for written in ("06 12 34 56 78", PHONE, "00212612345678"):
        answer = requests.post(f"{running.url}/open", {"number": written}, timeout=10)
        assert answer.status_code == 200
        assert urlsplit(answer.url).path in (f"/handset/{PHONE}", f"/handset/{quote(PHONE)}")
    assert requests.get(f"{running.url}/handset/12", timeout=10).status_code == 404


@pytest.mark.parametrize("path", ["/", "/handset/+212612345678", "/sandbox/messages", "/sandbox/handsets"])
def test_controls_and_pages_answer_this_machine_only(running, path):
    client = create_operator_app(running.operator).test_client()
    assert client.get(path).status_code == 200
    assert client.get(path, environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 403


def test_no_number_and_no_text_is_logged(running, caplog):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "urllib3")  # the test's own client
    running.gateway.answer = lambda heard: ("nonsense", 400)
    auth = base64.b64encode(f"{ACCOUNT}:{AUTH_TOKEN}".encode()).decode()
    form = {"To": PHONE, "From": "RSU", "Body": BODY, "StatusCallback": f"{running.gateway.url}/status/x"}
    url = f"{running.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    requests.post(url, form, headers={"Authorization": f"Basic {auth}"}, timeout=10)
    running.operator.courier.later(0, lambda: int(PHONE + BODY))
    app = create_operator_app(running.operator)
    app.add_url_rule("/broken/<number>", view_func=lambda number: int(BODY))
    with closing(app.test_client().get(f"/broken/{PHONE}")) as answer:
        assert answer.status_code == 500
    broken = requests.get(url, {"To": PHONE, "DateSent": BODY}, headers={"Authorization": f"Basic {auth}"}, timeout=10)
    assert broken.status_code == 500
    until(lambda: "refused a call" in caplog.text and caplog.text.count(" broke") == 3)
    for secret in (PHONE, PHONE[1:], quote(PHONE), BODY, AUTH_TOKEN):
        assert secret not in caplog.text


def test_the_command_serves_until_it_is_terminated(tmp_path: Path):
    probe = Server(Flask("probe"))
    port = urlsplit(probe.url).port
    probe.stop()
    told = {
        "host": "127.0.0.1", "port": port, "gateway_url": "http://127.0.0.1:9",
        "callback_token": CALLBACK_TOKEN, "service_code": "*580#",
        "twilio": {"account_sid": ACCOUNT, "auth_token": AUTH_TOKEN},
        "africastalking": {"username": "rsu", "api_key": API_KEY},
    }
    file = tmp_path / "operator.json"
    file.write_text(json.dumps(told))
    command = [sys.executable, "-m", "channels.sandbox", "--config", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        until(lambda: _answers(f"http://127.0.0.1:{port}/"))
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=20)
    assert (process.returncode, printed) == (0, b"")


def test_a_configuration_that_lacks_a_key_names_it(tmp_path: Path):
    file = tmp_path / "operator.json"
    file.write_text(json.dumps({"twilio": {"account_sid": ACCOUNT}}))
    with pytest.raises(TypeError, match="auth_token"):
        Config.read(file)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False
