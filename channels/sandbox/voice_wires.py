"""How a call is told to the gateway: each provider's form, address and signature.

Sources: twilio.com/docs/voice/twiml#request-parameters, .../docs/voice/api/call-resource#statuscallback,
.../docs/voice/twiml/record; docs.africastalking.com/voice/callhandler, .../voice/record.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime
from typing import Literal, Protocol

from twilio.request_validator import RequestValidator

from channels.sandbox import voice_documents
from channels.sandbox.config import Config
from channels.sandbox.courier import Answer, Call
from channels.sandbox.recordings import Recording
from channels.sandbox.voice_documents import ApplicationError, Step

Status = Literal["queued", "initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer"]
TWILIO_VERSION = "2010-04-01"
# What comes as anything else Twilio does not read as TwiML (twilio.com/docs/api/errors/12300).
TWIML_TYPES = ("text/xml", "application/xml", "text/html")
CURRENCY = "MAD"
PRICE_A_MINUTE = 1.2
# Our end: the cause that Africa's Talking tells
HANGUP_CAUSE = {
    "completed": "NORMAL_CLEARING",
    "busy": "USER_BUSY",
    "failed": "CALL_REJECTED",
    "no-answer": "NO_ANSWER",
}
# Our step on the way: the event of Twilio's that it is
EVENT = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}


@dataclass(frozen=True)
class Leg:
    """What stays the same through a call between a handset and the service.

    `incoming` is to the handset. The first document is asked for at `address`. `reports_to` hears of the `events`
    of the call; `tag` is the gateway's own word for it, which Africa's Talking carries.
    """

    id: str
    msisdn: str = field(repr=False)
    service: str
    incoming: bool
    address: str = field(repr=False)
    reports_to: str = field(repr=False)
    events: tuple[str, ...] = ("completed",)
    tag: str = ""


@dataclass(frozen=True)
class Ending:
    """`spoken` is what was said of a message in which the person hung up, and `address` where that goes."""

    status: Status
    seconds: int
    spoken: Recording | None = None
    address: str = field(repr=False, default="")
    here: str = ""


class Wire(Protocol):
    """One provider's way to speak of calls. It keeps nothing but its account."""

    @property
    def name(self) -> str:
        """Its name among the providers."""

    @property
    def answer_s(self) -> float:
        """How long it waits for a document, in seconds."""

    def leg(self, msisdn: str, service: str) -> Leg:
        """A person calls the service, at this number of its."""

    def turn(self, leg: Leg, address: str, status: Status, news: Mapping[str, str]) -> Call:
        """Ask for a document."""

    def read(self, answer: Answer) -> tuple[Step, ...]:
        """Raises `ApplicationError`."""

    def pressed(self, keys: str, by: str) -> dict[str, str]:
        """The news that keys were pressed, ended by the key `by` where one ended them."""

    def spoken(self, recording: Recording, here: str, by: str = "") -> dict[str, str]:
        """The news of a message, which the operator serves under its own address `here`."""

    def onward(self, leg: Leg, document: str) -> str:
        """Where a step of the document at `document` leads that names no address."""

    def recording(self, leg: Leg, address: str) -> Leg:
        """What becomes of the leg when a message for `address` is awaited."""

    def progress(self, leg: Leg, status: Status) -> Call | None:
        """Tell of a step on the way, if the gateway wants to hear of it."""

    def ended(self, leg: Leg, ending: Ending) -> tuple[Call, ...]:
        """Tell of the end; first of a message that was being spoken."""


@dataclass(frozen=True)
class TwilioVoice:
    """Twilio's, signed with the auth token."""

    config: Config
    clock: Callable[[], datetime]
    name: str = "twilio"
    answer_s: float = 15.0

    def leg(self, msisdn: str, service: str) -> Leg:
        address = f"{self.config.gateway_url.rstrip('/')}/voice/twilio"
        return Leg(new_sid(), msisdn, service, False, address, address)

    def turn(self, leg: Leg, address: str, status: Status, news: Mapping[str, str]) -> Call:
        return self._signed(address, {**self._common(leg, status), **news})

    def read(self, answer: Answer) -> tuple[Step, ...]:
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind not in TWIML_TYPES:
            raise ApplicationError(f"the document has the type {kind or 'of nothing'}")
        return voice_documents.twiml(answer.body)

    def pressed(self, keys: str, by: str) -> dict[str, str]:
        return {"Digits": keys, "FinishedOnKey": by} if keys else {}

    def spoken(self, recording: Recording, here: str, by: str = "") -> dict[str, str]:
        sid = f"RE{recording.name}"
        url = f"{here}/{TWILIO_VERSION}/Accounts/{self.config.twilio.account_sid}/Recordings/{sid}"
        news = {"RecordingUrl": url, "RecordingSid": sid, "RecordingDuration": str(recording.seconds)}
        return {**news, "Digits": by} if by else news

    def onward(self, leg: Leg, document: str) -> str:
        return document

    def recording(self, leg: Leg, address: str) -> Leg:
        return leg

    def progress(self, leg: Leg, status: Status) -> Call | None:
        event = EVENT.get(status)
        if not leg.reports_to or event not in leg.events:
            return None
        return self._event(leg, status, {})

    def ended(self, leg: Leg, ending: Ending) -> tuple[Call, ...]:
        calls = []
        if ending.spoken:
            news = self.spoken(ending.spoken, ending.here, "hangup")
            calls.append(self.turn(leg, ending.address, "completed", news))
        if leg.reports_to and "completed" in leg.events:
            minutes = str(math.ceil(ending.seconds / 60))
            calls.append(self._event(leg, ending.status, {"CallDuration": str(ending.seconds), "Duration": minutes}))
        return tuple(calls)

    def _event(self, leg: Leg, status: Status, news: Mapping[str, str]) -> Call:
        about = {"CallbackSource": "call-progress-events", "Timestamp": format_datetime(self.clock())}
        return self._signed(leg.reports_to, {**self._common(leg, status), **about, **news})

    def _common(self, leg: Leg, status: Status) -> dict[str, str]:
        caller, called = (leg.service, leg.msisdn) if leg.incoming else (leg.msisdn, leg.service)
        return {
            "CallSid": leg.id,
            "AccountSid": self.config.twilio.account_sid,
            "From": caller,
            "To": called,
            "Caller": caller,
            "Called": called,
            "CallStatus": status,
            "ApiVersion": TWILIO_VERSION,
            "Direction": "outbound-api" if leg.incoming else "inbound",
        }

    def _signed(self, url: str, form: dict[str, str]) -> Call:
        signature = RequestValidator(self.config.twilio.auth_token).compute_signature(url, form)
        return Call(url, form, {"X-Twilio-Signature": signature})


@dataclass(frozen=True)
class AfricasTalkingVoice:
    """Africa's Talking's, unsigned: the callback address holds a secret."""

    config: Config
    clock: Callable[[], datetime]
    name: str = "africastalking"
    answer_s: float = 10.0

    def leg(self, msisdn: str, service: str) -> Leg:
        return self._leg(msisdn, service, incoming=False)

    def leg_to(self, msisdn: str, service: str, tag: str) -> Leg:
        """The service calls a person; the document is asked for at the same address."""
        return self._leg(msisdn, service, incoming=True, tag=tag)

    def turn(self, leg: Leg, address: str, status: Status, news: Mapping[str, str]) -> Call:
        return Call(address, {**self._common(leg), "isActive": "1", "callSessionState": "Active", **news})

    def read(self, answer: Answer) -> tuple[Step, ...]:
        return voice_documents.africastalking(answer.body)

    def pressed(self, keys: str, by: str) -> dict[str, str]:
        return {"dtmfDigits": keys}

    def spoken(self, recording: Recording, here: str, by: str = "") -> dict[str, str]:
        return {
            "recordingUrl": f"{here}/recordings/{recording.name}.mp3",
            "durationInSeconds": str(recording.seconds),
        }

    def onward(self, leg: Leg, document: str) -> str:
        return leg.reports_to

    def recording(self, leg: Leg, address: str) -> Leg:
        """The callbackUrl of a Record is that of the whole call from then on (.../voice/record)."""
        return replace(leg, reports_to=address)

    def progress(self, leg: Leg, status: Status) -> Call | None:
        return None

    def ended(self, leg: Leg, ending: Ending) -> tuple[Call, ...]:
        cost = PRICE_A_MINUTE * math.ceil(ending.seconds / 60)
        form = {
            **self._common(leg),
            "isActive": "0",
            "callSessionState": "Completed",
            "hangupCause": HANGUP_CAUSE[ending.status],
            "currencyCode": CURRENCY,
            "amount": f"{cost:.4f}",
        }
        if ending.spoken:
            form |= self.spoken(ending.spoken, ending.here)
        # Of the call, and no more of the message: there is one field for both.
        form["durationInSeconds"] = str(ending.seconds)
        return (Call(leg.reports_to, form),)

    def _leg(self, msisdn: str, service: str, *, incoming: bool, tag: str = "") -> Leg:
        address = f"{self.config.gateway_url.rstrip('/')}/voice/africastalking/{self.config.callback_token}"
        return Leg(f"ATVId_{secrets.token_hex(16)}", msisdn, service, incoming, address, address, tag=tag)

    def _common(self, leg: Leg) -> dict[str, str]:
        """The person is the caller in both directions: callerNumber is "the phone user in the call"."""
        form = {
            "sessionId": leg.id,
            "direction": "Outbound" if leg.incoming else "Inbound",
            "callerNumber": leg.msisdn,
            "destinationNumber": leg.service,
        }
        return {**form, "clientRequestId": leg.tag} if leg.tag else form


def new_sid() -> str:
    return f"CA{secrets.token_hex(16)}"
