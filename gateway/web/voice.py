"""Voice: a telephone call by keypad. A provider's callback in; what is said next, and where it is to report, out.

The address to report to is sealed: it says how many prompts went before, and the way through the menus, so that a
call goes on where it was although Redis has forgotten it. What was proven and what was told stand in Redis alone.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from dataclasses import dataclass, replace
from uuid import UUID

from flask import Blueprint, Response, request

from channels.base import BadCallback, Heard, Prompt, Recorded, Screen, Telephony
from gateway import calling
from gateway.dialogue.engine import Position
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.memory import Busy
from gateway.dialogue.states import BACK, HOME, MORE, WORDS, Question
from gateway.registry import voice_message
from gateway.runtime import Runtime
from gateway.vault import CannotOpen
from gateway.web import saying
from gateway.web.conversation import begin_with, call_of, go_on
from gateway.web.departures import shown
from gateway.web.doors import callback, check_token

log = logging.getLogger(__name__)

CHANNEL = "voice"
LIVES_S = 3600
SILENCES = 3
# Every key of a call but the star means the same as on a screen.
MORE_KEY = {"*": MORE}


@dataclass(frozen=True)
class Place:
    """Where a call stands, as its address says it: so many prompts were said, the last `silences` not answered.

    A call that we have `placed` stays one.
    """

    prompts: int
    silences: int
    locale: str
    way: tuple[str, ...]
    acted: bool
    placed: bool


def routes(runtime: Runtime) -> Blueprint:
    """`/voice/twilio` (signed) and `/voice/africastalking/<secret token>`, each with a sealed place behind it."""
    blueprint = Blueprint("voice", __name__)

    @blueprint.post("/voice/twilio")
    @blueprint.post("/voice/twilio/<place>")
    def twilio(place: str = "") -> Response:
        provider = runtime.telephony("twilio")
        heard = provider.heard(callback(request))
        return _answer(runtime, provider, heard, place, "/voice/twilio")

    @blueprint.post("/voice/africastalking/<token>")
    @blueprint.post("/voice/africastalking/<token>/<place>")
    def africastalking(token: str, place: str = "") -> Response:
        check_token(token, runtime.settings.callback_tokens)
        provider = runtime.telephony("africastalking")
        heard = provider.heard(callback(request, token))
        return _answer(runtime, provider, heard, place, f"/voice/africastalking/{token}")

    return blueprint


def _answer(runtime: Runtime, provider: Telephony, heard: Heard, place: str, path: str) -> Response:
    if heard.ended:
        _over(runtime, heard)
        return Response(status=200)
    if not heard.placed and heard.dialled and heard.dialled == runtime.settings.missed_call_number:
        with runtime.database.write() as session:
            calling.ask(session, runtime.vault, heard.msisdn, runtime.clock(), why="missed")
        return _written(provider.refuse())
    try:
        return _written((_turn(runtime, provider, heard, place, path), "text/xml; charset=utf-8"))
    except Exception as error:
        if isinstance(error, BadCallback):
            raise
        if not isinstance(error, Busy):
            log.exception("a turn of a call failed")
            runtime.count("voice_errors")
        return _written(provider.answer(saying.sorry(runtime), ""))


def _turn(runtime: Runtime, provider: Telephony, heard: Heard, sealed: str, path: str) -> str:
    """The document for this callback. One that comes again gets the same one, and nothing is done twice."""
    if not heard.msisdn:
        return provider.answer(saying.withheld(runtime), "")[0]
    memory, now = runtime.memory, runtime.clock()
    key = memory.key(provider.name, heard.call_id, heard.msisdn)
    place = _opened(runtime, sealed, key)
    prompts = place.prompts if place else 0
    with memory.turn(key) as kept:
        before = kept.before
        if before and prompts < int(before.order):
            # It has been answered already: once more, or too late to mean anything.
            return before.screen.text
        silent = place is not None and not heard.keys and not heard.recorded
        silences = place.silences + 1 if place and silent else 0
        placed = heard.placed or (place is not None and place.placed)
        position = _position(runtime, replace(heard, placed=placed), key, place,
                             Position.from_json(before.position) if before else None)
        prompt = saying.prompt(runtime, position)
        if silences >= SILENCES:
            prompt = _unheard(runtime, replace(heard, placed=placed), position)
        onward = Place(prompts + 1, silences, position.locale or "", position.way, position.acted, placed)
        document, _ = provider.answer(prompt, f"{runtime.settings.public_url}{path}/{_sealed(runtime, onward, key)}")
        final = prompt.awaits == "nothing"
        kept.remember("", position.to_json(), Screen(document, final), now, lives_s=LIVES_S, order=str(prompts + 1))
        shown(kept, CHANNEL, position, "", final=final)
    return document


def _position(runtime: Runtime, heard: Heard, key: str, place: Place | None, before: Position | None) -> Position:
    """Where the call stands now. In a call that we have made nobody is asked for a secret."""
    call = call_of(runtime, CHANNEL, key, heard.msisdn, placed=heard.placed)
    spoken = saying.offered(runtime)
    if place is None:
        return begin_with(runtime, call, (), in_writing=heard.placed, spoken=spoken)
    if before is None:
        # Redis has forgotten: by the same keys to the same menu; where something was proven or done, it is asked anew.
        before = begin_with(runtime, call, place.way, in_writing=heard.placed, locale=place.locale or None,
                            spoken=spoken)
        if place.acted:
            return before
    typed = _typed(runtime, heard, key, before)
    return go_on(runtime, call, before, [typed], in_writing=heard.placed) if typed else before


def _typed(runtime: Runtime, heard: Heard, key: str, before: Position) -> str:
    """The keys; or, of a message that was spoken, the name under which it waits to be fetched."""
    if heard.recorded:
        return str(_announced(runtime, heard, heard.recorded, key))
    state = HOUSEHOLD.states[before.state]
    if isinstance(state, Question) and state.kind == WORDS and heard.keys not in (BACK, HOME):
        return ""  # Only a voice answers here.
    return MORE_KEY.get(heard.keys, heard.keys)


def _announced(runtime: Runtime, heard: Heard, recorded: Recorded, key: str) -> UUID:
    with runtime.database.write() as session:
        return voice_message.announce(
            session, runtime.vault, provider=heard.provider, url=recorded.url, seconds=recorded.seconds,
            conversation=call_of(runtime, CHANNEL, key, heard.msisdn)(session).conversation, now=runtime.clock())


def _unheard(runtime: Runtime, heard: Heard, position: Position) -> Prompt:
    """Whoever cannot press a key, or was cut off, is called back; not so whom we have called ourselves."""
    promised = False
    if not heard.placed:
        with runtime.database.write() as session:
            promised = calling.ask(session, runtime.vault, heard.msisdn, runtime.clock(), why="silence")
    return saying.unheard(runtime, position, promised=promised)


def _over(runtime: Runtime, heard: Heard) -> None:
    """Who hung up while speaking has left a message with the provider: it is known, and deleted there unheard."""
    if heard.recorded and heard.msisdn:
        _announced(runtime, heard, heard.recorded, runtime.memory.key(heard.provider, heard.call_id, heard.msisdn))
    runtime.count("calls", provider=heard.provider)
    runtime.count("call_seconds", heard.seconds or 0, provider=heard.provider)


def _opened(runtime: Runtime, sealed: str, key: str) -> Place | None:
    """Raises `BadCallback` for an address that is not ours, or another call's."""
    if not sealed or sealed == "placed":
        return None
    try:
        opened = runtime.vault.open(base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4)), "voice.place", key)
        prompts, silences, locale, way, acted, placed = json.loads(opened)
    except (CannotOpen, binascii.Error, ValueError):
        raise BadCallback("a place in a call that is not ours") from None
    return Place(prompts, silences, locale, tuple(way), acted, placed)


def _sealed(runtime: Runtime, place: Place, key: str) -> str:
    text = json.dumps([place.prompts, place.silences, place.locale, place.way, place.acted, place.placed])
    return base64.urlsafe_b64encode(runtime.vault.seal(text, "voice.place", key)).decode().rstrip("=")


def _written(document: tuple[str, str]) -> Response:
    return Response(document[0], content_type=document[1])
