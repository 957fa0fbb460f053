"""The controls: what a test or the demonstration asks of the operator, in JSON, from this machine only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest, NotFound

from channels.sandbox import africastalking, twilio
from channels.sandbox.behaviour import BadBehaviour, Behaviour
from channels.sandbox.book import Count, Text
from channels.sandbox.exchange import Display
from channels.sandbox.numbering import canonical
from channels.sandbox.operator import PROVIDERS, Operator

TEXT_IN: dict[str, Callable[[Operator, str, str], bool]] = {
    twilio.NAME: twilio.text_in,
    africastalking.NAME: africastalking.text_in,
}


def routes(operator: Operator) -> Blueprint:
    """Everything under /sandbox."""
    control = Blueprint("control", __name__, url_prefix="/sandbox")

    @control.get("/behaviour")
    def behaviours() -> Response:
        return jsonify({name: asdict(operator.temper(name).behaviour) for name in PROVIDERS})

    @control.post("/behaviour")
    def behave() -> Response:
        return jsonify(asdict(_behave(operator, asked_for())))

    @control.get("/count")
    def count() -> Response:
        return jsonify(_counted(operator))

    @control.get("/messages")
    def messages() -> Response:
        return jsonify([_message(text) for text in operator.book.texts()])

    @control.get("/handsets")
    def handsets() -> Response:
        return jsonify(known(operator))

    @control.get("/handset/<msisdn>/inbox")
    def inbox(msisdn: str) -> Response:
        return jsonify([_message(text) for text in operator.book.inbox(telephone(msisdn))])

    @control.post("/handset/<msisdn>/ussd")
    def ussd(msisdn: str) -> Response:
        return jsonify(asdict(_ussd(operator, telephone(msisdn), asked_for())))

    @control.post("/handset/<msisdn>/sms")
    def sms(msisdn: str) -> Response:
        return jsonify({"taken": _text_in(operator, telephone(msisdn), asked_for())})

    return control


def known(operator: Operator) -> list[dict[str, object]]:
    """Every handset that has received a text, dialled or been called, the last to receive a text first."""
    last = operator.book.telephones()
    sessions, calls = operator.exchange.lines(), operator.calls.lines()
    lines = {msisdn: sessions.get(msisdn, False) or calls.get(msisdn, False) for msisdn in sessions.keys() | calls}

    def handset(msisdn: str) -> dict[str, object]:
        text = last.get(msisdn)
        return {
            "msisdn": msisdn,
            "last_at": _written(text.delivered_at) if text else None,
            "in_session": lines.get(msisdn, False),
        }

    handsets = map(handset, sorted(last.keys() | lines))
    return sorted(handsets, key=lambda handset: str(handset["last_at"] or ""), reverse=True)


def telephone(written: str) -> str:
    """The E.164 number in an address. Raises `NotFound` where there is none."""
    msisdn = canonical(written)
    if msisdn is None:
        raise NotFound("not a telephone number")
    return msisdn


def _counted(operator: Operator) -> dict[str, object]:
    """All providers together, and each. A telephone that heard from both is one telephone."""
    counts, telephones = operator.book.counts()
    each = {name: asdict(counts.get(name, Count())) for name in PROVIDERS}
    together = {figure: sum(count[figure] for count in each.values()) for figure in asdict(Count())}
    return {**together, "telephones": telephones, "providers": each}


def _behave(operator: Operator, asked: dict[str, object]) -> Behaviour:
    """Change what lasts, or with `for_s` what passes after so many seconds."""
    changes = {name: value for name, value in asked.items() if name not in ("provider", "reset", "for_s")}
    if asked.get("provider") not in PROVIDERS:
        raise BadRequest("no such provider")
    try:
        temper = operator.temper(str(asked["provider"]))
        return temper.change(changes, reset=asked.get("reset") is True, for_s=asked.get("for_s"))
    except BadBehaviour as wrong:
        raise BadRequest(str(wrong)) from wrong


def _ussd(operator: Operator, msisdn: str, asked: dict[str, object]) -> Display:
    match asked:
        case {"dial": str(code)}:
            return operator.exchange.dial(msisdn, code)
        case {"type": str(typed)}:
            return operator.exchange.type(msisdn, typed)
        case {"hang_up": True}:
            return operator.exchange.hang_up(msisdn)
        case _:
            raise BadRequest("dial, type or hang_up")


def _text_in(operator: Operator, msisdn: str, asked: dict[str, object]) -> bool:
    text_in = TEXT_IN.get(str(asked.get("via", africastalking.NAME)))
    body = asked.get("body")
    if text_in is None or not isinstance(body, str) or not body:
        raise BadRequest("write a body, and via which provider")
    return text_in(operator, msisdn, body)


def asked_for() -> dict[str, object]:
    """The JSON object of the request. Raises `BadRequest`."""
    asked = request.get_json()
    if not isinstance(asked, dict):
        raise BadRequest("write a JSON object")
    return asked


def _message(text: Text) -> dict[str, object]:
    return {
        "provider": text.provider,
        "provider_id": text.provider_id,
        "to": text.msisdn,
        "from": text.sender,
        "body": text.body,
        "status": text.status,
        "accepted_at": _written(text.accepted_at),
        "delivered_at": _written(text.delivered_at),
        "receipts_sent": text.receipts_sent,
    }


def _written(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
