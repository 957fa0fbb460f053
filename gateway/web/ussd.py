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
from gateway.web.conversation import converse, farewell
from gateway.web.doors import callback, check_token

log = logging.getLogger(__name__)


def routes(runtime: Runtime) -> Blueprint:
    """`/ussd/africastalking/<token>` and the notice of a session's end; `/ussd/generic/<token>` where it is set."""
    blueprint = Blueprint("ussd", __name__)
    provider = AfricasTalkingUssd()

    @blueprint.post("/ussd/africastalking/<token>")
    def turn(token: str) -> Response:
        check_token(token, runtime.settings.callback_tokens)
        return _answer(runtime, provider, provider.turn(callback(request, token)))

    @blueprint.post("/ussd/africastalking/<token>/ended")
    def ended(token: str) -> Response:
        check_token(token, runtime.settings.callback_tokens)
        end = provider.ended(callback(request, token))
        return _ended(runtime, end.status)

    if runtime.settings.ussd_generic:
        _add_generic(runtime, blueprint, runtime.settings.ussd_generic)
    return blueprint


def _add_generic(runtime: Runtime, blueprint: Blueprint, wire: Wire) -> None:
    """Turns and ends come to one address; only a form can come in the query of a GET."""
    provider = GenericUssd(wire)

    @blueprint.route("/ussd/generic/<token>", methods=["GET", "POST"] if wire.format == "form" else ["POST"])
    def generic(token: str) -> Response:
        check_token(token, runtime.settings.callback_tokens)
        heard = callback(request, token)
        status = provider.ended(heard)
        return _ended(runtime, status) if status else _answer(runtime, provider, provider.turn(heard))


def _answer(runtime: Runtime, provider: Conversation, heard: Turn) -> Response:
    if not f"{heard.service_code.rstrip('#')}*".startswith(f"{runtime.settings.service_code.rstrip('#')}*"):
        raise BadCallback("another service's code")
    body, headers = provider.answer(_screen(runtime, heard), heard)
    return Response(body, headers=dict(headers))


def _ended(runtime: Runtime, status: str) -> Response:
    runtime.count("ussd_ended", status=status)
    return Response(status=200)


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
