"""Telephone calls through Africa's Talking: its words on our side of the wall."""

from __future__ import annotations

import json
import re
from xml.etree.ElementTree import Element, SubElement, tostring

from channels import http
from channels.base import (
    Accepted,
    CallbackRequest,
    Heard,
    Misconfigured,
    Piece,
    Prompt,
    Recorded,
    Rejected,
    SendError,
    Unavailable,
    Unknown,
)
from channels.voice import fields, recording, script

# https://developers.africastalking.com/docs/voice/actions/say: a voice of Google's speech, by its name there.
VOICES = {
    "ar-MA": "ar-XA-Standard-A",
    "fr-MA": "fr-FR-Standard-A",
}
# As at Twilio: a text in another language (Tamazight) is read out in Arabic rather than not at all.
OTHERWISE = VOICES["ar-MA"]

# https://developers.africastalking.com/docs/voice/make_call: `status` of the one entry, and what it means to us.
STATUSES: dict[str, type[SendError] | None] = {
    "Queued": None,
    "InvalidPhoneNumber": Rejected,
    "DestinationNotSupported": Unavailable,
    "InsufficientCredit": Misconfigured,
}

HOSTS = r"https://(?:[a-z0-9-]+\.)+africastalking\.com"


class AfricasTalkingVoice:
    """One Africa's Talking application. `sender` is its telephone number, in E.164.

    Its callbacks carry no signature: whoever calls `heard` has checked the secret token of the path before.
    They go to the address set in the provider's dashboard, and once a message is awaited, to that document's
    `onward`, for the rest of the call.
    """

    name = "africastalking"

    def __init__(self, username: str, api_key: str, sender: str, base_url: str, *,
                 deadline_s: float = http.DEADLINE_S) -> None:
        self._sender = sender
        self._base_url = base_url.rstrip("/")
        self._http = http.Http(deadline_s)
        self._username = username
        self._headers = {"apiKey": api_key, "Accept": "application/json"}

    def heard(self, request: CallbackRequest) -> Heard:
        """https://developers.africastalking.com/docs/voice/handle_calls. Raises `BadCallback`.

        A message may be told twice: after it was spoken, and again at the end of the call.
        """
        # Documented as the person's, whoever called; of a call from us it could as well be ours, and is never both.
        caller, other = fields.telephone(request, "callerNumber"), fields.telephone(request, "destinationNumber")
        msisdn, dialled = (other, caller) if caller == self._sender else (caller, other)
        url = request.one("recordingUrl", "")
        return Heard(
            self.name, fields.call_id(request, "sessionId"), msisdn, dialled,
            keys=fields.keys(request, "dtmfDigits"),
            recorded=Recorded(self.name, url) if url else None,
            ended=fields.matching(request, "isActive", "[01]") == "0",
            placed=request.one("direction", "").lower() == "outbound",
            seconds=fields.figure(request, "durationInSeconds"), cost=_cost(request))

    def answer(self, prompt: Prompt, onward: str) -> tuple[str, str]:
        """https://developers.africastalking.com/docs/voice/actions/overview.

        What is awaited takes one piece inside; those before it are said as actions of their own, which no key
        cuts short. Silence moves on to the next action without a callback: the redirect makes it one. There is no
        action to hang up: a document that ends, ends the call.
        """
        onward = script.writable(onward)
        document, pieces = Element("Response"), script.audible(prompt)
        if prompt.awaits == "nothing":
            _speak(document, pieces)
            return _written(document)
        _speak(document, pieces[:-1])
        _speak(_awaiting(document, prompt, onward), pieces[-1:])
        SubElement(document, "Redirect").text = onward
        return _written(document)

    def refuse(self) -> tuple[str, str]:
        """https://developers.africastalking.com/docs/voice/actions/reject"""
        document = Element("Response")
        SubElement(document, "Reject")
        return _written(document)

    def call(self, msisdn: str, address: str) -> Accepted:
        """https://developers.africastalking.com/docs/voice/make_call. Raises a `SendError`.

        `address` cannot be handed over: what the telephone hears is asked for where the dashboard says. Its last
        part goes along as `clientRequestId`, by which the call can be found in the provider's lists.
        """
        # A list of numbers, with commas between, would be called one and all.
        if not re.fullmatch(fields.TELEPHONE, msisdn):
            raise Rejected("not_a_number")
        answer = self._http.call("POST", f"{self._base_url}/call", headers=self._headers, data={
            "username": self._username, "from": self._sender, "to": msisdn,
            "clientRequestId": address.rpartition("/")[2]})
        if not 200 <= answer.status < 300:
            raise http.refused(answer)
        return _accepted(answer)

    def fetch(self, recorded: Recorded) -> bytes:
        """The MP3 at the address we were told, from the provider's hosts alone. Our key is not shown to them.

        Raises `Unavailable` or `Rejected`.
        """
        hosts = rf"(?:{HOSTS}|{re.escape(recording.origin(self._base_url))})"
        if recorded.provider != self.name or not re.fullmatch(hosts + recording.PATH, recorded.url):
            raise Rejected("not_the_providers")
        return recording.fetched(self._http, recorded.url)

    def delete(self, recorded: Recorded) -> None:
        """Always raises `Rejected`: the provider has no such call. How long it keeps recordings is in its contract."""
        raise Rejected("no_deletion")


def _speak(verb: Element, pieces: list[Piece]) -> None:
    for piece in pieces:
        if piece.recording:
            SubElement(verb, "Play", url=piece.recording)
        else:
            SubElement(verb, "Say", voice=VOICES.get(piece.locale, OTHERWISE)).text = piece.text


def _awaiting(document: Element, prompt: Prompt, onward: str) -> Element:
    if prompt.awaits == "keys":
        return SubElement(document, "GetDigits", numDigits=str(prompt.most), timeout=str(prompt.seconds),
                          finishOnKey="#", callbackUrl=onward)
    # No `timeout`: the documentation leaves open whether it is a silence or the whole message that it cuts.
    return SubElement(document, "Record", maxLength=str(prompt.seconds), finishOnKey="#", trimSilence="true",
                      playBeep="true", callbackUrl=onward)


def _written(document: Element) -> tuple[str, str]:
    text = tostring(document, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}', script.CONTENT_TYPE


def _accepted(answer: http.Answer) -> Accepted:
    """Read a 2xx, which may be a refusal: of the one number or, with no entries, of the whole request."""
    try:
        data = json.loads(answer.text)
        entries = data["entries"]
        if entries == [] and data["errorMessage"] not in ("None", "", None):
            raise Misconfigured("refused")
        word, session = entries[0]["status"], entries[0].get("sessionId")
        kind = STATUSES[word]
    except http.UNREADABLE:
        raise Unknown("unreadable") from None
    if kind:
        raise kind(word)
    if not isinstance(session, str) or session in ("", "None"):
        raise Unknown("no_id")
    return Accepted(session)


def _cost(request: CallbackRequest) -> str:
    cost = f"{request.one('currencyCode', '')} {request.one('amount', '')}"
    return cost if re.fullmatch(r"[A-Z]{3} [0-9]{1,9}(\.[0-9]{1,9})?", cost) else ""
