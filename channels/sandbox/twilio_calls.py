"""Twilio's wire for voice: calls to a telephone, and the recordings of what callers spoke.

Source: twilio.com/docs/voice/api/call-resource, .../docs/voice/api/recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from channels.sandbox.desk import attend, in_json
from channels.sandbox.numbering import kind
from channels.sandbox.operator import Operator
from channels.sandbox.recordings import CONTENT_TYPE
from channels.sandbox.twilio import NAME, VERSION, Refusal, failure, is_address, let_in
from channels.sandbox.voice_wires import Leg, new_sid

RING_S = 60
LONGEST_RING_S = 600
FORMS_OF_A_RECORDING = ("", ".wav", ".mp3", ".json")


def routes(operator: Operator) -> list[web.RouteDef]:
    """The Calls and Recordings resources of the one account."""
    account = operator.config.twilio
    base = f"/{VERSION}/Accounts/{account.account_sid}"

    async def create(request: web.Request) -> web.StreamResponse:
        form = await request.post()
        _check(operator, form)
        events = tuple(map(str, form.getall("StatusCallbackEvent", ()))) or ("completed",)
        leg, asked_s = _leg(form, events), str(form.get("Timeout", ""))
        ring_s = int(asked_s) if asked_s.isdecimal() else RING_S

        async def accept() -> web.Response:
            ring = min(max(ring_s, 1), LONGEST_RING_S)
            operator.courier.later(0, lambda: operator.calls.ring(operator.twilio_voice, leg, ring))
            return in_json(_resource(operator, leg), 201)

        return await attend(operator, NAME, request, accept, failure)

    async def recording(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = operator.recordings.find(_name(name))
        if found is None or name.endswith(".json"):
            raise Refusal(20404)
        return web.Response(body=found.sound, headers={"Content-Type": CONTENT_TYPE})

    async def delete(request: web.Request) -> web.Response:
        if not operator.recordings.take_away(_name(request.match_info["name"])):
            raise Refusal(20404)
        return web.Response(status=204)

    return [
        web.post(f"{base}/Calls.json", let_in(account, create)),
        web.get(f"{base}/Recordings/{{name}}", let_in(account, recording)),
        web.delete(f"{base}/Recordings/{{name}}", let_in(account, delete)),
    ]


def _check(operator: Operator, form: Mapping[str, Any]) -> None:
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


def _leg(form: Mapping[str, Any], events: tuple[str, ...]) -> Leg:
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
