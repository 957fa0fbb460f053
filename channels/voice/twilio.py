"""Telephone calls through Twilio: its words on our side of the wall."""

from __future__ import annotations

import re

from twilio.twiml.voice_response import Gather, VoiceResponse

from channels import http
from channels.base import Accepted, CallbackRequest, Heard, Piece, Prompt, Recorded, Rejected
from channels.twilio_client import TwilioAccount, accepted
from channels.voice import fields, recording, script

# https://www.twilio.com/docs/voice/twiml/say/text-speech: the voice and the language it speaks.
VOICES = {
    "ar-MA": ("Polly.Zeina", "arb"),
    "fr-MA": ("Polly.Lea", "fr-FR"),
}
# Nobody's machine speaks Tamazight. The gateway hands over a recording for it; a text without one is read out by the
# voice that most people here understand, which is worth more than a call that breaks off.
OTHERWISE = VOICES["ar-MA"]

# https://www.twilio.com/docs/voice/api/call-resource#call-status-values. Any other word is of a call that goes on.
ENDED = {"completed", "busy", "failed", "no-answer", "canceled"}

RING_S = 30
SILENCE_S = 3


class TwilioVoice:
    """One Twilio account. `sender` is the number we call from, in E.164, which people call as well.

    `public_url` and `next_auth_token` are explained in `TwilioAccount`. For inbound calls, the number's own
    "call status changes" address is set in Twilio's console: Twilio tells their end there alone.
    """

    name = "twilio"

    def __init__(self, account_sid: str, auth_token: str, sender: str, base_url: str, public_url: str,
                 next_auth_token: str = "", *, deadline_s: float = http.DEADLINE_S) -> None:
        self._sender = sender
        self._base_url = base_url.rstrip("/")
        self._http = http.Http(deadline_s)
        self._auth = (account_sid, auth_token)
        self._account = TwilioAccount(account_sid, auth_token, base_url, public_url, next_auth_token, self._http)

    def heard(self, request: CallbackRequest) -> Heard:
        """https://www.twilio.com/docs/voice/twiml#request-parameters. Raises `BadCallback`.

        A caller who hangs up while speaking is heard and gone in one callback: `recorded` and `ended`.
        """
        self._account.check(request)
        from_, to = fields.telephone(request, "From"), fields.telephone(request, "To")
        placed = request.one("Direction").startswith("outbound")
        msisdn, dialled = (to, from_) if placed else (from_, to)
        recorded = self._recorded(request)
        return Heard(
            self.name, fields.call_id(request, "CallSid"), msisdn, dialled,
            # After a recording, Digits tells what ended it: a key, or the word `hangup`.
            keys="" if recorded else fields.keys(request, "Digits"),
            recorded=recorded, ended=request.one("CallStatus") in ENDED, placed=placed,
            seconds=fields.figure(request, "CallDuration"))

    def answer(self, prompt: Prompt, onward: str) -> tuple[str, str]:
        """https://www.twilio.com/docs/voice/twiml. Silence is reported by the redirect behind what was awaited.

        A recording in which nothing was said is not reported by Twilio; the redirect stands for that as well.
        """
        onward = script.writable(onward)
        document, pieces = VoiceResponse(), script.audible(prompt)
        if prompt.awaits == "keys":
            gather = document.gather(
                input="dtmf", action=onward, method="POST", num_digits=prompt.most, timeout=prompt.seconds,
                finish_on_key="#", action_on_empty_result=True)
            _speak(gather, pieces)
        else:
            _speak(document, pieces)
        if prompt.awaits == "voice":
            document.record(
                action=onward, method="POST", max_length=prompt.seconds, timeout=SILENCE_S, finish_on_key="#",
                play_beep=True, trim="trim-silence")
        if prompt.awaits == "nothing":
            document.hangup()
        else:
            document.redirect(onward, method="POST")
        return str(document), script.CONTENT_TYPE

    def refuse(self) -> tuple[str, str]:
        """https://www.twilio.com/docs/voice/twiml/reject. The caller hears the tone of a busy line."""
        document = VoiceResponse()
        document.reject(reason="busy")
        return str(document), script.CONTENT_TYPE

    def call(self, msisdn: str, address: str) -> Accepted:
        """https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource. Raises a `SendError`.

        The end of the call, answered or not, is reported to `address` too.
        """
        return accepted(
            self._account.rest.calls.create, to=msisdn, from_=self._sender, url=address, method="POST",
            status_callback=address, status_callback_method="POST", status_callback_event=["completed"],
            timeout=RING_S)

    def fetch(self, recorded: Recorded) -> bytes:
        """https://www.twilio.com/docs/voice/api/recording#fetch-a-recordings-media-file. In MP3.

        MP3 rather than WAV: it is what the other provider has, every browser plays it, and it is the smaller.
        Raises `Unavailable` or `Rejected`. A recording that Twilio does not know may not be ready yet: `Unavailable`.
        """
        return recording.fetched(self._http, f"{self._resource(recorded)}.mp3", self._auth)

    def delete(self, recorded: Recorded) -> None:
        """https://www.twilio.com/docs/voice/api/recording#delete-a-recording-resource.

        Raises `Unavailable` or `Rejected`.
        """
        answer = recording.asked(self._http, "DELETE", f"{self._resource(recorded)}.json", self._auth)
        if not (200 <= answer.status < 300 or answer.status == 404):
            raise recording.refused(answer)

    def _recorded(self, request: CallbackRequest) -> Recorded | None:
        url = request.one("RecordingUrl", "")
        return Recorded(self.name, url, fields.figure(request, "RecordingDuration")) if url else None

    def _resource(self, recorded: Recorded) -> str:
        """The recording's address, of which only its own name is taken from what we were told. Raises `Rejected`."""
        hosts = rf"(?:https://api\.twilio\.com|{re.escape(recording.origin(self._base_url))})"
        folder = f"/2010-04-01/Accounts/{self._account.sid}/Recordings/"
        told = re.fullmatch(rf"{hosts}{re.escape(folder)}(RE[0-9a-f]{{32}})", recorded.url)
        if recorded.provider != self.name or not told:
            raise Rejected("not_the_providers")
        return f"{self._base_url}{folder}{told[1]}"


def _speak(verb: VoiceResponse | Gather, pieces: list[Piece]) -> None:
    for piece in pieces:
        if piece.recording:
            verb.play(piece.recording)
        else:
            voice, language = VOICES.get(piece.locale, OTHERWISE)
            verb.say(piece.text, voice=voice, language=language)
