"""Africa's Talking's wire: bulk messaging, delivery reports, and a person's text to the short code.

Source: developers.africastalking.com, SMS: "Send bulk messages", "Delivery reports", "Incoming messages". A request
carries one text for up to a thousand telephones, each with an entry of its own in the answer.
"""

from __future__ import annotations

import hmac
import secrets
from functools import wraps

from aiohttp import web

from channels.sandbox.book import Failure, Step, Text
from channels.sandbox.courier import Call
from channels.sandbox.desk import attend, in_json
from channels.sandbox.numbering import kind, network_of
from channels.sandbox.operator import Operator
from channels.sandbox.server import Handler
from channels.text import parts

NAME = "africastalking"
DEFAULT_SENDER = "AFRICASTKNG"
MOST_RECIPIENTS = 1000
BAD_KEY = "The supplied authentication is invalid"
FAILURES = {429: "Too many requests", 500: "There was an internal server error."}
PRICE_MAD = 0.25

QUEUED = (102, "Success")
BAD_NUMBER = {"invalid": (403, "InvalidPhoneNumber"), "landline": (404, "UnsupportedNumberType")}
# Our behaviour: what the recipient is refused with
REFUSALS = {
    "refuse": (407, "CouldNotRoute"),
    "opted_out": (406, "UserInBlacklist"),
    "balance": (405, "InsufficientBalance"),
    "unknown_refusal": (499, "Wibble"),
}
# Our behaviour: what the whole request is refused with, and no recipient is named
WHOLE_REFUSALS = {"wrong_sender": "InvalidSenderId"}
# Our step: the status of a delivery report
STATUS = {"accepted": "Submitted", "sent": "Sent", "delivered": "Success"}
# Our failure: status and failureReason
FAILED: dict[Failure, tuple[str, str]] = {
    "nobody": ("Failed", "UserDoesNotExist"),
    "absent": ("AbsentSubscriber", ""),
    "unheard_of": ("Wibble", ""),
}


def routes(operator: Operator) -> list[web.RouteDef]:
    """Bulk messaging of the one application."""

    async def messaging(request: web.Request) -> web.StreamResponse:
        operator.book.request(NAME)
        form = await request.post()
        to, body, sender = (str(form.get(name, "")) for name in ("to", "message", "from"))
        for name, value in (("to", to), ("message", body)):
            if not value:
                return missing(name)
        recipients = [one.strip() for one in to.split(",")]
        if len(recipients) > MOST_RECIPIENTS:
            return _words(f"No more than {MOST_RECIPIENTS} recipients", 400)
        if operator.temper(NAME).first(["revoked"]):
            return _words(BAD_KEY, 401)
        known = not operator.config.africastalking.senders or sender in operator.config.africastalking.senders
        word = WHOLE_REFUSALS.get(operator.temper(NAME).first(WHOLE_REFUSALS) if known else "wrong_sender")

        async def accept() -> web.Response:
            if word:
                return _told(word, [])
            charged = parts(body)
            entries = [await _recipient(operator, one, sender or DEFAULT_SENDER, body, charged) for one in recipients]
            return _told(_summary(entries, charged), entries)

        return await attend(operator, NAME, request, accept, failure)

    return [web.post("/version1/messaging", let_in(operator, messaging))]


def let_in(operator: Operator, handler: Handler) -> Handler:
    """The handler, for the application alone."""
    account = operator.config.africastalking

    @wraps(handler)
    async def door(request: web.Request) -> web.StreamResponse:
        username = (await request.post()).get("username", "") or request.query.get("username", "")
        key = request.headers.get("apiKey", "")
        if username == account.username and hmac.compare_digest(key.encode(), account.api_key.encode()):
            return await handler(request)
        return _words(BAD_KEY, 401)

    return door


def missing(field: str) -> web.Response:
    return _words(f"Request is missing required form field '{field}'", 400)


def failure(status: int) -> web.Response:
    return _words(FAILURES[status], status)


def text_in(operator: Operator, msisdn: str, body: str) -> bool:
    """A person's text to the service, told again until the gateway takes it."""
    form = {
        "date": operator.clock().strftime("%Y-%m-%d %H:%M:%S"),
        "from": msisdn,
        "id": secrets.token_hex(16),
        "linkId": secrets.token_hex(8),
        "text": body,
        "to": operator.config.service_code.strip("*#"),
        "networkCode": network_of(msisdn),
    }
    taken: list[bool] = []
    operator.courier.post(Call(_address(operator, "sms"), form), lambda: taken.append(True))
    return bool(taken)


async def _recipient(operator: Operator, to: str, sender: str, body: str, charged: int) -> dict[str, object]:
    number = kind(to)
    code, word = BAD_NUMBER.get(number, QUEUED)
    if number == "mobile" and (refusal := operator.temper(NAME).first(REFUSALS)):
        code, word = REFUSALS[refusal]
    if code != QUEUED[0]:
        return {"statusCode": code, "number": to, "status": word, "cost": "0", "messageId": "None"}
    text = Text(NAME, f"ATXid_{secrets.token_hex(16)}", to, sender, body, charged, operator.clock())
    await operator.accept(text, lambda text, step: _report(operator, text, step))
    name = "None" if operator.temper(NAME).first(["nameless"]) else text.provider_id
    return {"statusCode": code, "number": to, "status": word, "cost": _price(charged), "messageId": name}


def _report(operator: Operator, text: Text, step: Step) -> Call:
    status, reason = FAILED[text.failure] if step == "failed" else (STATUS[step], "")
    form = {
        "id": text.provider_id,
        "status": status,
        "phoneNumber": text.msisdn,
        "networkCode": network_of(text.msisdn),
        "retryCount": "0",
    }
    if reason:
        form["failureReason"] = reason
    return Call(_address(operator, "receipts"), form)


def _address(operator: Operator, kind: str) -> str:
    config = operator.config
    return f"{config.gateway_url.rstrip('/')}/{kind}/{NAME}/{config.callback_token}"


def _summary(entries: list[dict[str, object]], charged: int) -> str:
    sent = sum(entry["statusCode"] == QUEUED[0] for entry in entries)
    return f"Sent to {sent}/{len(entries)} Total Cost: {_price(charged * sent)} Message parts: {charged}"


def _told(summary: str, entries: list[dict[str, object]]) -> web.Response:
    return in_json({"SMSMessageData": {"Message": summary, "Recipients": entries}}, 201)


def _price(charged: int) -> str:
    return f"MAD {PRICE_MAD * charged:.4f}"


def _words(text: str, status: int) -> web.Response:
    return web.Response(body=text.encode(), status=status, headers={"Content-Type": "text/plain; charset=UTF-8"})
