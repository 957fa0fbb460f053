"""Africa's Talking's wire for voice: calls to telephones, and the recordings of what callers spoke.

Source: docs.africastalking.com/voice/makecall, .../voice/record.
"""

from __future__ import annotations

from aiohttp import web

from channels.sandbox.africastalking import NAME, failure, let_in, missing
from channels.sandbox.desk import attend, in_json
from channels.sandbox.numbering import kind
from channels.sandbox.operator import Operator
from channels.sandbox.recordings import CONTENT_TYPE

RING_S = 60


def routes(operator: Operator) -> list[web.RouteDef]:
    """Calls of the one application. Whoever knows the address of a recording may hear it, as there."""

    async def call(request: web.Request) -> web.StreamResponse:
        form = await request.post()
        to, service, tag = (str(form.get(name, "")) for name in ("to", "from", "clientRequestId"))
        for name, value in (("from", service), ("to", to)):
            if not value:
                return missing(name)

        async def accept() -> web.Response:
            entries = [_entry(operator, one.strip(), service, tag) for one in to.split(",")]
            return in_json({"entries": entries, "errorMessage": "None"})

        return await attend(operator, NAME, request, accept, failure)

    async def recording(request: web.Request) -> web.Response:
        found = operator.recordings.find(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        return web.Response(body=found.sound, headers={"Content-Type": CONTENT_TYPE})

    return [web.post("/call", let_in(operator, call)), web.get("/recordings/{name}.mp3", recording)]


def _entry(operator: Operator, to: str, service: str, tag: str) -> dict[str, str]:
    if kind(to) == "invalid":
        return {"phoneNumber": to, "status": "InvalidPhoneNumber", "sessionId": "None"}
    wire = operator.africastalking_voice
    leg = wire.leg_to(to, service, tag)
    operator.courier.later(0, lambda: operator.calls.ring(wire, leg, RING_S))
    return {"phoneNumber": to, "status": "Queued", "sessionId": leg.id}
