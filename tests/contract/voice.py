"""The true payloads of telephone calls, of Twilio and of Africa's Talking.

Sources: https://www.twilio.com/docs/voice/twiml#request-parameters, .../voice/twiml/gather, .../voice/twiml/record,
.../voice/api/call-resource and https://www.twilio.com/docs/api/errors;
https://developers.africastalking.com/docs/voice/handle_calls, .../voice/make_call and what open projects recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from channels.base import (
    CallbackRequest,
    Heard,
    Misconfigured,
    Recorded,
    Rejected,
    SendError,
    Throttled,
    Unavailable,
    Unknown,
)
from tests.contract.africastalking import plain, unsigned
from tests.contract.provider import MSISDN
from tests.contract.stub import Reply
from tests.contract.twilio import ACCOUNT, ERROR_AGAIN, NEXT_TOKEN, PUBLIC_URL, TOKEN, legacy, problem, signed

OURS = "+212530000080"
ADDRESS = "https://rsu.example.ma/voice/twilio/call-4b1f90aa"
CALL = "CA" + "7d" * 16
SESSION = "ATVId_" + "3e" * 16
RECORDING = f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/RE" + "9b" * 16
SPOKEN = "https://api.twilio.com" + RECORDING
SPOKEN_THERE = "https://voice.africastalking.com/recordings/3e3e.mp3"


@dataclass(frozen=True)
class Voice:
    """As `Provider` of texts: tables of (what happened, what came, what is made of it)."""

    name: str
    account: dict[str, str]
    called_at: str
    called: dict[str, list[str]]
    accepted: Reply
    provider_id: str
    refusals: list[tuple[str, Reply, SendError]]
    unclear: list[tuple[str, Reply]]
    heard: list[tuple[str, dict[str, str], Heard]]
    persons_key: str
    recording: str
    asked_for: str
    strangers: list[str]
    request: Callable[[dict[str, tuple[str, ...]]], CallbackRequest]


def telephoned(**fields: str) -> dict[str, str]:
    return {"CallSid": CALL, "AccountSid": ACCOUNT, "From": MSISDN, "To": OURS, "Caller": MSISDN, "Called": OURS,
            "CallStatus": "in-progress", "ApiVersion": "2010-04-01", "Direction": "inbound", "FromCountry": "MA",
            **fields}


def telephoned_by_us(**fields: str) -> dict[str, str]:
    return telephoned(From=OURS, To=MSISDN, Caller=OURS, Called=MSISDN, Direction="outbound-api", **fields)


def heard(**made: object) -> Heard:
    return Heard(**{"provider": "twilio", "call_id": CALL, "msisdn": MSISDN, "dialled": OURS, **made})


def call(**changed: object) -> dict[str, object]:
    return {"sid": CALL, "account_sid": ACCOUNT, "to": MSISDN, "from": OURS, "status": "queued", "price": None,
            "price_unit": "USD", "direction": "outbound-api", "date_created": "Sat, 21 Nov 2026 09:00:05 +0000",
            "date_updated": None, "start_time": None, "end_time": None, "duration": None, "api_version": "2010-04-01",
            "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json", "subresource_uris": {}, **changed}


EVERYWHERE = [
    "http://169.254.169.254/latest/meta-data", "https://169.254.169.254" + RECORDING, "http://localhost/x.mp3",
    "file:///etc/passwd", "ftp://voice.africastalking.com/x.mp3", "", "x", "https://", "//api.twilio.com" + RECORDING,
]

TWILIO_VOICE = Voice(
    name="twilio",
    account={"account_sid": ACCOUNT, "auth_token": TOKEN, "next_auth_token": NEXT_TOKEN, "sender": OURS,
             "public_url": PUBLIC_URL},
    called_at=f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json",
    called={"To": [MSISDN], "From": [OURS], "Url": [ADDRESS], "Method": ["POST"], "StatusCallback": [ADDRESS],
            "StatusCallbackMethod": ["POST"], "StatusCallbackEvent": ["completed"], "Timeout": ["30"]},
    accepted=Reply(201, call()),
    provider_id=CALL,
    refusals=[
        ("not a number", legacy(400, 21211), Rejected("21211")),
        ("not a number, as a problem document", problem(400, 21211), Rejected("21211")),
        ("cannot be reached", legacy(400, 21214), Rejected("21214")),
        ("does not appear valid", legacy(400, 21217), Rejected("21217")),
        ("a number that Twilio never calls", legacy(400, 21216), Rejected("21216")),
        ("a code of tomorrow", legacy(400, 29999), Rejected("29999")),
        ("country not enabled", legacy(400, 21215), Misconfigured("21215")),
        ("abroad not enabled", legacy(400, 21203), Misconfigured("21203")),
        ("our number not verified", legacy(400, 21210), Misconfigured("21210")),
        ("our number not one", legacy(400, 21212), Misconfigured("21212")),
        ("our number missing", legacy(400, 21213), Misconfigured("21213")),
        ("our address not one", legacy(400, 21205), Misconfigured("21205")),
        ("a trial account", legacy(400, 21219), Misconfigured("21219")),
        ("account closed", legacy(400, 10001), Misconfigured("10001")),
        ("wrong token", legacy(401, 20003), Misconfigured("20003")),
        ("no such account", legacy(404, 20404), Misconfigured("20404")),
        ("a firewall's page", Reply(403, "<html>Blocked</html>", "text/html"), Misconfigured("http_403")),
        ("too many calls at once", legacy(400, 10004), Throttled("10004", retry_after_s=1.0)),
        ("too fast, wait 7 s", legacy(429, 20429, **{"Retry-After": "7"}), Throttled("20429", retry_after_s=7.0)),
        ("server fault", ERROR_AGAIN, Unknown("20500")),
        ("bad gateway", Reply(502, "<html>Bad gateway</html>", "text/html"), Unknown("http_502")),
    ],
    unclear=[
        ("a page", Reply(201, "<html>OK</html>", "text/html")),
        ("half a document", Reply(201, '{"sid": "CA')),
        ("no sid", Reply(201, call(sid=None))),
        ("a list", Reply(201, [])),
        ("a date that is none", Reply(201, call(sid=None, start_time=7))),
    ],
    heard=[
        ("a person calls", telephoned(CallStatus="ringing"), heard()),
        ("a person answers our call", telephoned_by_us(), heard(placed=True)),
        ("keys", telephoned(Digits="1*0", FinishedOnKey="#"), heard(keys="1*0")),
        ("keys in our call", telephoned_by_us(Digits="2"), heard(placed=True, keys="2")),
        ("silence, by actionOnEmptyResult", telephoned(Digits=""), heard()),
        ("a message", telephoned(RecordingUrl=SPOKEN, RecordingSid="RE" + "9b" * 16, RecordingDuration="17",
                                 Digits="#"), heard(recorded=Recorded("twilio", SPOKEN, 17))),
        ("a message, and gone", telephoned(RecordingUrl=SPOKEN, RecordingDuration="9", Digits="hangup",
                                           CallStatus="completed"),
         heard(recorded=Recorded("twilio", SPOKEN, 9), ended=True)),
        ("over", telephoned(CallStatus="completed", CallDuration="63", Duration="2", SequenceNumber="0",
                            CallbackSource="call-progress-events"), heard(ended=True, seconds=63)),
        *[(f"our call was {status}", telephoned_by_us(CallStatus=status, CallDuration="0"),
           heard(placed=True, ended=True, seconds=0)) for status in ("busy", "failed", "no-answer", "canceled")],
        ("a word of tomorrow", telephoned(CallStatus="floating"), heard()),
    ],
    persons_key="From",
    recording=RECORDING,
    asked_for=RECORDING + ".mp3",
    strangers=[
        *EVERYWHERE, SPOKEN_THERE, "http://api.twilio.com" + RECORDING, "https://api.twilio.com:8443" + RECORDING,
        "https://api.twilio.com.evil.example" + RECORDING, "https://evil.example/?https://api.twilio.com" + RECORDING,
        "https://user@api.twilio.com@evil.example" + RECORDING, "https://api.twilio.com@evil.example" + RECORDING,
        "https://user:word@api.twilio.com" + RECORDING, "https://api.twilio.com\\@evil.example" + RECORDING,
        "https://API.twilio.com" + RECORDING, "https://apiXtwilio.com" + RECORDING, SPOKEN + "\n", " " + SPOKEN,
        SPOKEN + "/../../Messages", SPOKEN + "?x=1", SPOKEN + "#x", SPOKEN + ".wav", SPOKEN.upper(),
        SPOKEN.replace(ACCOUNT, "AC" + "11" * 16), SPOKEN.replace("/Recordings/", "/Recordings/../Calls/"),
        "https://api.twilio.com/", f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}.json",
        "https://api.twilio.com." + RECORDING.lstrip("/"), "https://xn--api-twilio.com" + RECORDING,
    ],
    request=signed,
)


def ringing(**fields: str) -> dict[str, str]:
    return {"isActive": "1", "sessionId": SESSION, "direction": "Inbound", "callerNumber": MSISDN,
            "destinationNumber": OURS, "callerCountryCode": "212", "callStartTime": "2026-11-21+09%3A00%3A05",
            "callSessionState": "Active", **fields}


def over(**fields: str) -> dict[str, str]:
    return ringing(isActive="0", callSessionState="Completed", durationInSeconds="63", currencyCode="MAD",
                   amount="3.2000", hangupCause="NORMAL_CLEARING", **fields)


def heard_there(**made: object) -> Heard:
    return heard(**{"provider": "africastalking", "call_id": SESSION, **made})


def entry(status: object = "Queued", session: object = SESSION) -> Reply:
    return Reply(201, {"entries": [{"phoneNumber": MSISDN, "status": status, "sessionId": session}],
                       "errorMessage": "None"})


def nobody(message: object) -> Reply:
    return Reply(201, {"entries": [], "errorMessage": message})


AFRICASTALKING_VOICE = Voice(
    name="africastalking",
    account={"username": "rsu", "api_key": "atsk_not_a_key", "sender": OURS},
    called_at="/call",
    called={"username": ["rsu"], "from": [OURS], "to": [MSISDN], "clientRequestId": ["call-4b1f90aa"]},
    accepted=entry(),
    provider_id=SESSION,
    refusals=[
        ("no such number", entry("InvalidPhoneNumber", "None"), Rejected("InvalidPhoneNumber")),
        ("no route", entry("DestinationNotSupported", "None"), Unavailable("DestinationNotSupported")),
        ("no money", entry("InsufficientCredit", "None"), Misconfigured("InsufficientCredit")),
        ("our number is not ours", nobody(f"Invalid callerId: {OURS} {MSISDN}"), Misconfigured("refused")),
        ("wrong key", plain(401, "The supplied authentication is invalid"), Misconfigured("http_401")),
        ("a field is missing", plain(400, "Request is missing required form field 'to'"), Misconfigured("http_400")),
        ("too fast, wait 20 s", plain(429, "Slow down", **{"Retry-After": "20"}),
         Throttled("http_429", retry_after_s=20.0)),
        ("server fault", plain(500, "There was an internal server error."), Unknown("http_500")),
        ("bad gateway", Reply(502, "<html>Bad gateway</html>", "text/html"), Unknown("http_502")),
    ],
    unclear=[
        ("a page", Reply(201, "<html>OK</html>", "text/html")),
        ("half a document", Reply(201, '{"entries": [{"pho')),
        ("nobody, and no reason", nobody("None")),
        ("nobody, and no word", nobody(None)),
        ("a word of tomorrow", entry("Teleported")),
        ("a word that is none", entry([])),
        ("queued without an id", entry(session="None")),
        ("an id that is no text", entry(session=None)),
        ("a list", Reply(201, [])),
    ],
    heard=[
        ("a person calls", ringing(), heard_there()),
        ("a person answers our call", ringing(direction="Outbound"), heard_there(placed=True)),
        ("a person answers, told the other way round",
         ringing(direction="Outbound", callerNumber=OURS, destinationNumber=MSISDN), heard_there(placed=True)),
        ("keys", ringing(dtmfDigits="1*0"), heard_there(keys="1*0")),
        ("silence, by the redirect", ringing(dtmfDigits="", recordingUrl=""), heard_there()),
        ("a message", ringing(recordingUrl=SPOKEN_THERE),
         heard_there(recorded=Recorded("africastalking", SPOKEN_THERE))),
        ("over", over(recordingUrl=""), heard_there(ended=True, seconds=63, cost="MAD 3.2000")),
        ("over, with a message", over(recordingUrl=SPOKEN_THERE),
         heard_there(ended=True, seconds=63, cost="MAD 3.2000", recorded=Recorded("africastalking", SPOKEN_THERE))),
        ("over, without figures", {**ringing(), "isActive": "0", "amount": "free", "durationInSeconds": "long"},
         heard_there(ended=True)),
    ],
    persons_key="callerNumber",
    recording="/recordings/3e3e.mp3",
    asked_for="/recordings/3e3e.mp3",
    strangers=[
        *EVERYWHERE, SPOKEN, "http://voice.africastalking.com/x.mp3", "https://voice.africastalking.com:8443/x.mp3",
        "https://voice.africastalking.com.evil.example/x.mp3", "https://africastalking.com.evil.example/x.mp3",
        "https://evilafricastalking.com/x.mp3", "https://africastalking.com/x.mp3",
        "https://user@voice.africastalking.com@evil.example/x.mp3", "https://user@voice.africastalking.com/x.mp3",
        "https://voice.africastalking.com@evil.example/x.mp3", "https://evil.example/voice.africastalking.com/x.mp3",
        "https://evil.example\\.africastalking.com/x.mp3", "https://evil.example#.africastalking.com/x.mp3",
        "https://evil.example?.africastalking.com/x.mp3", "https://voice.africastalking.com",
        "https://voice.africastalking-com/x.mp3", "https://voice.africastalking.com/x y.mp3",
        SPOKEN_THERE + "\n", SPOKEN_THERE + "#x", "\t" + SPOKEN_THERE,
    ],
    request=unsigned,
)
