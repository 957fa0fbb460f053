"""USSD: a provider's callback in, a screen out."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, request

from channels.base import BadCallback, Screen, Turn
from channels.ussd.africastalking import AfricasTalkingUssd
from gateway.dialogue.memory import Busy
from gateway.runtime import Runtime
from gateway.web.conversation import converse, farewell
from gateway.web.doors import callback, check_token

log = logging.getLogger(__name__)


def routes(runtime: Runtime) -> Blueprint:
    """`/ussd/africastalking/<token>` and the notice of a session's end."""
    blueprint = Blueprint("ussd", __name__)
    provider = AfricasTalkingUssd()

    @blueprint.post("/ussd/africastalking/<token>")
    def turn(token: str) -> Response:
        check_token(token, runtime.settings.callback_tokens)
        heard = provider.turn(callback(request, token))
        if not f"{heard.service_code.rstrip('#')}*".startswith(f"{runtime.settings.service_code.rstrip('#')}*"):
            raise BadCallback("another service's code")
        body, content_type = provider.answer(_screen(runtime, heard))
        return Response(body, content_type=content_type)

    @blueprint.post("/ussd/africastalking/<token>/ended")
    def ended(token: str) -> Response:
        check_token(token, runtime.settings.callback_tokens)
        end = provider.ended(callback(request, token))
        runtime.count("ussd_ended", status=end.status)
        return Response(status=200)

    return blueprint


def _screen(runtime: Runtime, turn: Turn) -> Screen:
    """A caller always gets a screen: an error of ours says so and what to do, and is logged."""
    try:
        screen = converse(runtime, turn)
        runtime.count("ussd_turns", final=str(screen.final).lower())
    except Busy:
        return farewell(runtime)
    except Exception:
        log.exception("a USSD turn failed")
        runtime.count("ussd_errors")
        return farewell(runtime)
    return screen
