"""Twilio's wire for voice: calls to a telephone, and the recordings of what callers spoke.

Source: twilio.com/docs/voice/api/call-resource, .../docs/voice/api/recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import format_datetime

from flask import Blueprint, Response, jsonify, request
from werkzeug.datastructures import MultiDict

from channels.sandbox.desk import attend
from channels.sandbox.numbering import kind
from channels.sandbox.operator import Operator
from channels.sandbox.recordings import CONTENT_TYPE
from channels.sandbox.twilio import FAILURES, NAME, VERSION, Refusal, authenticate, error, is_address
from channels.sandbox.voice_wires import Leg, new_sid

RING_S = 60
LONGEST_RING_S = 600
FORMS_OF_A_RECORDING = ("", ".wav", ".mp3", ".json")


def routes(operator: Operator) -> Blueprint:
    """The Calls and Recordings resources of the one account."""
    account = operator.config.twilio
    desk = Blueprint("twilio_calls", __name__, url_prefix=f"/{VERSION}/Accounts/{account.account_sid}")

    @desk.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        return error(refusal.code)

    @desk.before_request
    def door() -> None:
        authenticate(account)

    @desk.post("/Calls.json")
    def create() -> Response:
        _check(operator, request.form)
        leg, ring_s = _leg(request.form), request.form.get("Timeout", RING_S, type=int)

        def accept() -> Response:
            ring = min(max(ring_s, 1), LONGEST_RING_S)
            operator.courier.later(0, lambda: operator.calls.ring(operator.twilio_voice, leg, ring))
            answer = jsonify(_resource(operator, leg))
            answer.status_code = 201
            return answer

        return attend(operator, NAME, accept, lambda status: error(FAILURES[status]))

    @desk.get("/Recordings/<name>")
    def recording(name: str) -> Response:
        found = operator.recordings.find(_name(name))
        if found is None or name.endswith(".json"):
            raise Refusal(20404)
        return Response(found.sound, content_type=CONTENT_TYPE)

    @desk.delete("/Recordings/<name>")
    def delete(name: str) -> Response:
        if not operator.recordings.take_away(_name(name)):
            raise Refusal(20404)
        return Response(status=204)

    return desk


def _check(operator: Operator, form: Mapping[str, str]) -> None:
    """Raises `Refusal`."""
    to, sender, callback = form.get("To", ""), form.get("From", ""), form.get("StatusCallback", "")
    senders = operator.config.twilio.senders
    for wrong, code in (
        (not to, 21201),
        (kind(to) == "invalid", 21211),
        (not sender, 21213),
        (senders and sender not in (*senders, operator.config.voice_number), 21210),
        (not is_address(form.get("Url", "")), 21205),
        (callback and not is_address(callback), 21609),
    ):
        if wrong:
            raise Refusal(code)


def _leg(form: MultiDict[str, str]) -> Leg:
    events = tuple(form.getlist("StatusCallbackEvent")) or ("completed",)
    return Leg(new_sid(), form["To"], form["From"], True, form["Url"], form.get("StatusCallback", ""), events)


def _name(asked: str) -> str:
    """Ours of a recording, whose sid may stand with the ending of a file."""
    sid, dot, ending = asked.partition(".")
    return sid.removeprefix("RE") if dot + ending in FORMS_OF_A_RECORDING else ""


def _resource(operator: Operator, leg: Leg) -> dict[str, object]:
    account_sid = operator.config.twilio.account_sid
    uri = f"/{VERSION}/Accounts/{account_sid}/Calls/{leg.id}"
    return {
        "sid": leg.id,
        "account_sid": account_sid,
        "api_version": VERSION,
        "status": "queued",
        "to": leg.msisdn,
        "to_formatted": leg.msisdn,
        "from": leg.service,
        "from_formatted": leg.service,
        "direction": "outbound-api",
        "duration": None,
        "price": None,
        "price_unit": "USD",
        "start_time": None,
        "end_time": None,
        "date_created": format_datetime(operator.clock()),
        "date_updated": format_datetime(operator.clock()),
        "uri": f"{uri}.json",
        "subresource_uris": {"recordings": f"{uri}/Recordings.json"},
    }
