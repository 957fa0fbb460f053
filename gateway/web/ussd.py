"""USSD: a provider's callback in, a screen out."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, request

from channels.base import BadCallback, Conversation, Screen, Turn
from channels.ussd.africastalking import AfricasTalkingUssd
from channels.ussd.generic import GenericUssd
from channels.ussd.wire import Wire
from gateway.dialogue.memory import Busy
from gateway.runtime import Runtime
from gateway.web.conversation import converse, farewell, text_follows
from gateway.web.departures import left
from gateway.web.doors import callback, check_token
from gateway.web.punctual import Late, Punctual

log = logging.getLogger(__name__)


def routes(runtime: Runtime) -> Blueprint:
    """`/ussd/africastalking/<token>` and the notice of a session's end; `/ussd/generic/<token>` where it is set."""
    blueprint, punctual = Blueprint("ussd", __name__), Punctual()
    provider = AfricasTalkingUssd()

    @blueprint.post("/ussd/africastalking/<token>")
    def turn(token: str) -> Response:
        check_token(token, runtime.settings.callback_tokens)
        return _answer(runtime, punctual, provider, provider.turn(callback(request, token)))

    @blueprint.post("/ussd/africastalking/<token>/ended")
    def ended(token: str) -> Response:
        check_token(token, runtime.settings.callback_tokens)
        left(runtime, "ussd", provider.ended(callback(request, token)))
        return Response(status=200)

    if runtime.settings.ussd_generic:
        _add_generic(runtime, blueprint, punctual, runtime.settings.ussd_generic)
    return blueprint


def _add_generic(runtime: Runtime, blueprint: Blueprint, punctual: Punctual, wire: Wire) -> None:
    """Turns and ends come to one address; only a form can come in the query of a GET."""
    provider = GenericUssd(wire)

    @blueprint.route("/ussd/generic/<token>", methods=["GET", "POST"] if wire.format == "form" else ["POST"])
    def generic(token: str) -> Response:
        check_token(token, runtime.settings.callback_tokens)
        heard = callback(request, token)
        end = provider.ended(heard)
        if end is None:
            return _answer(runtime, punctual, provider, provider.turn(heard))
        left(runtime, "ussd", end)
        return Response(status=200)


def _answer(runtime: Runtime, punctual: Punctual, provider: Conversation, heard: Turn) -> Response:
    if not f"{heard.service_code.rstrip('#')}*".startswith(f"{runtime.settings.service_code.rstrip('#')}*"):
        raise BadCallback("another service's code")
    body, headers = provider.answer(_screen(runtime, punctual, heard), heard)
    return Response(body, headers=dict(headers))


def _screen(runtime: Runtime, punctual: Punctual, turn: Turn) -> Screen:
    """A caller always gets a screen, and in time: an error of ours says so and what to do, and is logged."""
    try:
        return punctual.answer(lambda: converse(runtime, turn), lambda: text_follows(runtime, turn))
    except Busy:
        return farewell(runtime, turn)
    except Late:
        runtime.count("ussd_late")
        return farewell(runtime, turn, "late.text")
    except Exception:
        log.exception("a USSD turn failed")
        runtime.count("ussd_errors")
        return farewell(runtime, turn)
