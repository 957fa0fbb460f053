"""SMS: a person's text in, and the tree's answer out: the same conversation as by USSD, remembered for an hour.

Nobody writes a PIN here, where it would stay to be read. STOP and START are obeyed in any case.
"""

from __future__ import annotations

import logging
import re

from flask import Blueprint, Response, request
from redis.exceptions import RedisError

from channels.base import Inbound, Screen
from channels.text import Budget, digits
from gateway import outbox
from gateway.dialogue.acts.telephones import language
from gateway.dialogue.engine import Position, screen
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.memory import Busy
from gateway.dialogue.states import WORDS, Question
from gateway.keywords import meant, number_in
from gateway.notices import ANSWER
from gateway.registry import household as households
from gateway.runtime import Runtime
from gateway.web import limits
from gateway.web.conversation import begin_with, call_of, go_on
from gateway.web.departures import shown
from gateway.web.doors import callback, check_token
from gateway.words import LOCALES

log = logging.getLogger(__name__)

CHANNEL = "sms"
# A name or a short code is a machine: it is not answered.
MOBILE = r"\+212[67][0-9]{8}"
TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
# Two machines that answer each other would go on for ever (Twilio 14107): so many answers a day, and so many to the
# very same words; then silence.
ANSWERS_A_DAY, SAME_A_DAY = 40, 5
LIVES_S = 3600
# What an answer to a text may be.
ANSWERS = (ANSWER, "sms_help", "stopped")
# Three parts of a text, less what a two-septet sign at the end of a part may cost.
THREE_PARTS = Budget(3 * 153 - 3, 3 * 67 - 3)


def routes(runtime: Runtime) -> Blueprint:
    """`/sms/twilio` (signed) and `/sms/africastalking/<secret token>`, with the notice of an opt-out behind it."""
    # The import is in here because the SDK takes a quarter of a second to load.
    from channels.sms.africastalking import opted_out

    blueprint = Blueprint("sms", __name__)

    @blueprint.post("/sms/twilio")
    def twilio() -> Response:
        answer(runtime, runtime.channel("twilio").inbound(callback(request)))
        return Response(TWIML, content_type="text/xml; charset=utf-8")

    @blueprint.post("/sms/africastalking/<token>")
    def africastalking(token: str) -> Response:
        check_token(token, runtime.settings.callback_tokens)
        answer(runtime, runtime.channel("africastalking").inbound(callback(request, token)))
        return Response(status=200)

    @blueprint.post("/sms/africastalking/<token>/opt-out")
    def opt_out(token: str) -> Response:
        check_token(token, runtime.settings.callback_tokens)
        msisdn = opted_out(callback(request, token))
        with runtime.database.write() as session:
            runtime.teller.stop(session, msisdn, runtime.clock(), "opt_out_callback", "africastalking")
        return Response(status=200)

    return blueprint


def answer(runtime: Runtime, inbound: Inbound) -> None:
    """Obey, or answer, once for each text: the provider's name for it is the key of the answer."""
    if not re.fullmatch(MOBILE, inbound.msisdn):
        return
    subject = f"{inbound.provider}:{inbound.provider_id}"[:64]
    said = meant(inbound.body)
    answers = _may_answer(runtime, inbound, subject)
    with runtime.database.write() as session:
        if outbox.promised(session, [(None, notice, subject) for notice in ANSWERS]):
            return
        homes = households.households_of(session, runtime.vault, inbound.msisdn)
        chosen, _ = language(call_of(runtime, CHANNEL, subject, inbound.msisdn)(session))
        locale = next((one for one in (chosen, *(home.locale for home in homes)) if one in LOCALES), LOCALES[0])
        if said == "stop":
            runtime.teller.stop(session, inbound.msisdn, runtime.clock())
        elif said == "start":
            households.resume(session, runtime.vault, inbound.msisdn)
        if said in ("stop", "start"):
            # It is obeyed however often it comes, and said to be.
            answers = _may_answer(runtime, inbound, subject, "sms-stop", SAME_A_DAY)
        if answers and (said in ("stop", "start", "help") or not homes):
            notice = "stopped" if said == "stop" else "sms_help"
            runtime.teller.reply(session, notice, locale, inbound.msisdn, subject, runtime.clock())
            answers = False
    if answers:
        _converse(runtime, inbound, subject, said, locale)


def _converse(runtime: Runtime, inbound: Inbound, subject: str, said: str, locale: str) -> None:
    """What is typed goes on where the conversation was; a word of ours, or the first text, begins it."""
    memory, now = runtime.memory, runtime.clock()
    key = memory.key(CHANNEL, "conversation", inbound.msisdn)
    try:
        with memory.turn(key) as kept:
            before = kept.before
            if before and memory.repeats(key, before, subject, now, numbered=True):
                # The same text once more, while the first was being answered, or after that was lost on its way.
                _text(runtime, inbound, subject, locale, before.screen)
                return
            stood = Position.from_json(before.position) if before and not before.screen.final else None
            position = _next(runtime, inbound, key, stood, said, locale)
            if position is None:
                _text(runtime, inbound, subject, locale, None)
                return
            told = screen(HOUSEHOLD, position, runtime.words, THREE_PARTS)
            shown(kept, CHANNEL, position, "", final=told.final)
            kept.remember(subject, position.to_json(), told, now, lives_s=LIVES_S)
        _text(runtime, inbound, subject, position.locale or locale, told)
    except Busy:
        # Two texts at once: the second one is answered by what to do.
        _text(runtime, inbound, subject, locale, None)


def _next(runtime: Runtime, inbound: Inbound, key: str, before: Position | None, said: str,
          locale: str) -> Position | None:
    """Where the conversation stands after this text; None where nothing in it is ours."""
    call = call_of(runtime, CHANNEL, f"{key}/{inbound.provider_id}", inbound.msisdn)
    pressed, number = digits(inbound.body), number_in(inbound.body)
    # Whoever is telling a grievance may name anything in it.
    kind = state.kind if before and isinstance(state := HOUSEHOLD.states[before.state], Question) else ""
    if number and kind != "ticket" and kind != WORDS:
        return begin_with(runtime, call, [number], "55", in_writing=True, locale=locale)
    telling = kind == WORDS
    if before and (telling or re.fullmatch("[0-9]{1,2}", pressed) or number or not said):
        return go_on(runtime, call, before, [inbound.body if telling else number or inbound.body], in_writing=True)
    if re.fullmatch("[0-9]{1,2}", pressed):
        said = said or (pressed if pressed in HOUSEHOLD.shortcuts else "")
    return begin_with(runtime, call, [], said, in_writing=True, locale=locale) if said else None


def _text(runtime: Runtime, inbound: Inbound, subject: str, locale: str, told: Screen | None) -> None:
    with runtime.database.write() as session:
        if told is None:
            runtime.teller.reply(session, "sms_help", locale, inbound.msisdn, subject, runtime.clock())
        else:
            runtime.teller.answer(session, told.text, locale, inbound.msisdn, subject, runtime.clock())


def _may_answer(runtime: Runtime, inbound: Inbound, subject: str, purpose: str = "sms",
                a_day: int = ANSWERS_A_DAY) -> bool:
    """Without Redis nobody is answered, but whoever wrote STOP is obeyed all the same."""
    same = runtime.vault.blind(inbound.body, "sms.body").hex()[:16]
    # A key is pressed as often as a menu asks for it.
    a_key = re.fullmatch("[0-9]{1,2}", digits(inbound.body))
    try:
        return (limits.allows(runtime, purpose, inbound.msisdn, subject, a_day)
                and bool(a_key or limits.allows(runtime, f"sms-{same}", inbound.msisdn, subject, SAME_A_DAY)))
    except RedisError:
        return False
