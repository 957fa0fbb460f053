"""The operator as a web application: two wires for the gateway, controls and pages for this machine."""

from __future__ import annotations

from types import TracebackType

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
    """Everything of one operator. Controls and pages answer 403 to any other machine."""
    app = OperatorApp(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_REQUEST
    local = (control.routes(operator), call_control.routes(operator), pages.routes(operator))
    for blueprint in local:
        blueprint.before_request(_only_from_here)
    wires = (twilio, twilio_calls, africastalking, africastalking_calls)
    for blueprint in (*local, *(wire.routes(operator) for wire in wires)):
        app.register_blueprint(blueprint)
    return app


def _only_from_here() -> None:
    if request.remote_addr not in LOOPBACK:
        abort(403)
