"""The operator on the web: the providers' wires for the gateway, controls and pages for this machine."""

from __future__ import annotations

from types import TracebackType

from aiohttp import web
from flask import Flask, abort, request

from channels.sandbox import (
    africastalking,
    africastalking_calls,
    call_control,
    control,
    pages,
    twilio,
    twilio_calls,
)
from channels.sandbox.operator import Operator
from channels.sandbox.server import Server

LOOPBACK = ("127.0.0.1", "::1")
# Two minutes of a caller's voice.
LONGEST_REQUEST = 1 << 21


class OperatorApp(Flask):
    """Flask, but for its log line: Flask writes the path, and a handset's path holds its number."""

    def log_exception(
        self, exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None]
    ) -> None:
        kind = exc_info[0].__name__ if exc_info[0] else "nothing"
        self.logger.error("%s broke: %s", request.endpoint, kind)


def create_operator_app(operator: Operator) -> Flask:
    """Controls and pages of one operator, which answer 403 to any other machine."""
    app = OperatorApp(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_REQUEST
    for blueprint in (control.routes(operator), call_control.routes(operator), pages.routes(operator)):
        blueprint.before_request(_only_from_here)
        app.register_blueprint(blueprint)
    return app


def wires(operator: Operator) -> list[web.RouteDef]:
    """What the gateway asks of one operator."""
    return [
        route
        for wire in (twilio, twilio_calls, africastalking, africastalking_calls)
        for route in wire.routes(operator)
    ]


def create_operator_server(operator: Operator) -> Server:
    """All of one operator, where its configuration says."""
    config = operator.config
    return Server(create_operator_app(operator), config.host, config.port, wires(operator), operator.loop)


def _only_from_here() -> None:
    if request.remote_addr not in LOOPBACK:
        abort(403)
