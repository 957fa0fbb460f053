"""SMS: a person's text in. STOP and START are obeyed; anything else is answered with what the service can do."""

from __future__ import annotations

import re

from flask import Blueprint, Response, request
from redis.exceptions import RedisError

from channels.base import Inbound
from channels.text import digits
from gateway.registry import household as households
from gateway.runtime import Runtime
from gateway.web import limits
from gateway.web.doors import callback, check_token

STOP = frozenset({"STOP", "ARRET", "ARRÊT", "قف", "توقف", "ⴱⴷⴷ"})
START = frozenset({"START", "DEBUT", "DÉBUT", "ابدأ", "ابدا"})
# A name or a short code is a machine: it is not answered.
MOBILE = r"\+212[67][0-9]{8}"
TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
# Two machines that answer each other would go on for ever (Twilio 14107): so many answers a day, then silence.
ANSWERS_A_DAY = 5


def routes(runtime: Runtime) -> Blueprint:
    """`/sms/twilio` (signed) and `/sms/africastalking/<secret token>`."""
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

    return blueprint


def answer(runtime: Runtime, inbound: Inbound) -> None:
    """Obey or help, once for each text: the provider's name for it is the key of the answer."""
    if not re.fullmatch(MOBILE, inbound.msisdn):
        return
    now = runtime.clock()
    word = digits(inbound.body).rstrip(".!").upper()
    subject = f"{inbound.provider}:{inbound.provider_id}"[:64]
    answers = _may_answer(runtime, inbound.msisdn, subject)
    with runtime.database.write() as session:
        homes = households.households_of(session, runtime.vault, inbound.msisdn)
        locale = homes[0].locale if homes else "ar-MA"
        if word in STOP:
            runtime.teller.stop(session, inbound.msisdn, now)
        elif word in START:
            households.suspend(session, runtime.vault, inbound.msisdn, None)
        if answers:
            notice = "stopped" if word in STOP else "sms_help"
            runtime.teller.reply(session, notice, locale, inbound.msisdn, subject, now)


def _may_answer(runtime: Runtime, msisdn: str, subject: str) -> bool:
    """Without Redis nobody is answered, but whoever wrote STOP is obeyed all the same."""
    try:
        return limits.allows(runtime, "sms", msisdn, subject, ANSWERS_A_DAY)
    except RedisError:
        return False
