"""Africa's Talking's wire for voice: calls to telephones, and the recordings of what callers spoke.

Source: docs.africastalking.com/voice/makecall, .../voice/record.
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import NotFound

from channels.sandbox.africastalking import NAME, authenticate, failure, missing
from channels.sandbox.desk import attend
from channels.sandbox.numbering import kind
from channels.sandbox.operator import Operator
from channels.sandbox.recordings import CONTENT_TYPE

RING_S = 60


def routes(operator: Operator) -> Blueprint:
    """Calls of the one application. Whoever knows the address of a recording may hear it, as there."""
    desk = Blueprint("africastalking_calls", __name__)

    @desk.post("/call")
    def call() -> Response:
        stranger = authenticate(operator)
        if stranger is not None:
            return stranger
        for name in ("from", "to"):
            if not request.form.get(name):
                return missing(name)

        def accept() -> Response:
            entries = [_entry(operator, to.strip()) for to in request.form["to"].split(",")]
            return jsonify({"entries": entries, "errorMessage": "None"})

        return attend(operator, NAME, accept, failure)

    @desk.get("/recordings/<name>.mp3")
    def recording(name: str) -> Response:
        found = operator.recordings.find(name)
        if found is None:
            raise NotFound
        return Response(found.sound, content_type=CONTENT_TYPE)

    return desk


def _entry(operator: Operator, to: str) -> dict[str, str]:
    if kind(to) == "invalid":
        return {"phoneNumber": to, "status": "InvalidPhoneNumber", "sessionId": "None"}
    wire = operator.africastalking_voice
    leg = wire.leg_to(to, request.form["from"], request.form.get("clientRequestId", ""))
    operator.courier.later(0, lambda: operator.calls.ring(wire, leg, RING_S))
    return {"phoneNumber": to, "status": "Queued", "sessionId": leg.id}
