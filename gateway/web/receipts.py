"""Receipts: what became of a text, as its provider reports it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from flask import Blueprint, Response, request

from channels.base import BadCallback, Receipt
from gateway import outbox
from gateway.runtime import Runtime
from gateway.web.doors import callback, check_token

# As many characters as `ReceiptRecord.provider_id` has room for; a provider's own are about forty.
LONGEST_ID = 80


def routes(runtime: Runtime) -> Blueprint:
    """`/receipts/twilio/<message token>` (signed) and `/receipts/africastalking/<secret token>`."""
    blueprint = Blueprint("receipts", __name__)

    @blueprint.post("/receipts/twilio/<token>")
    def twilio(token: str) -> Response:
        return keep(runtime.channel("twilio").receipt(callback(request, token)))

    @blueprint.post("/receipts/africastalking/<token>")
    def africastalking(token: str) -> Response:
        check_token(token, runtime.settings.callback_tokens)
        return keep(runtime.channel("africastalking").receipt(callback(request, token)))

    def keep(receipt: Receipt) -> Response:
        if len(receipt.provider_id) > LONGEST_ID:
            raise BadCallback("a message's name is too long")
        door.keep(receipt, runtime.clock())
        return Response(status=200)

    def count(receipts: Sequence[Receipt]) -> None:
        came = Counter((receipt.provider, receipt.outcome or "on_the_way") for receipt in receipts)
        for (provider, outcome), number in came.items():
            runtime.count("receipts", number, provider=provider, outcome=outcome)
        for receipt in receipts:
            for word in (receipt.status, receipt.error or ""):
                runtime.heed(receipt.provider, word)

    door = outbox.Door(runtime.database, runtime.vault, count)

    return blueprint
