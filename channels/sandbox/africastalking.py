"""Africa's Talking's wire: bulk messaging, delivery reports, and a person's text to the short code.

Source: developers.africastalking.com, SMS: "Send bulk messages", "Delivery reports", "Incoming messages".
"""

from __future__ import annotations

import hmac
import secrets

from flask import Blueprint, Response, jsonify, request

from channels.sandbox.book import Step, Text
from channels.sandbox.courier import Call
from channels.sandbox.desk import attend
from channels.sandbox.numbering import kind, network_of
from channels.sandbox.operator import Operator
from channels.text import parts

NAME = "africastalking"
DEFAULT_SENDER = "AFRICASTKNG"
BAD_KEY = "The supplied authentication is invalid"
FAILURES = {429: "Too many requests", 500: "There was an internal server error."}
PRICE_MAD = 0.4

QUEUED = (102, "Success")
UNROUTABLE = (407, "CouldNotRoute")
BAD_NUMBER = {"invalid": (403, "InvalidPhoneNumber"), "landline": (404, "UnsupportedNumberType")}
# Our step: the status of a delivery report
STATUS = {"accepted": "Submitted", "sent": "Sent", "delivered": "Success", "failed": "Failed"}
FAILURE = "UserDoesNotExist"


def routes(operator: Operator) -> Blueprint:
    """Bulk messaging of the one application."""
    desk = Blueprint(NAME, __name__, url_prefix="/version1")

    @desk.before_request
    def door() -> Response | None:
        return authenticate(operator)

    @desk.post("/messaging")
    def messaging() -> Response:
        for name in ("to", "message"):
            if not request.form.get(name):
                return missing(name)

        def accept() -> Response:
            recipients = [_recipient(operator, to.strip()) for to in request.form["to"].split(",")]
            return _accepted(recipients, request.form["message"])

        return attend(operator, NAME, accept, failure)

    return desk


def authenticate(operator: Operator) -> Response | None:
    """The answer to one who is not the application."""
    account = operator.config.africastalking
    username = request.values.get("username", "")
    key = request.headers.get("apiKey", "")
    if username == account.username and hmac.compare_digest(key.encode(), account.api_key.encode()):
        return None
    return _words(BAD_KEY, 401)


def missing(field: str) -> Response:
    return _words(f"Request is missing required form field '{field}'", 400)


def failure(status: int) -> Response:
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


def _recipient(operator: Operator, to: str) -> dict[str, object]:
    body = request.form["message"]
    number = kind(to)
    code, word = BAD_NUMBER.get(number, QUEUED)
    if number == "mobile" and operator.temper(NAME).refuses():
        code, word = UNROUTABLE
    if code != QUEUED[0]:
        return {"statusCode": code, "number": to, "status": word, "cost": "0", "messageId": "None"}
    sender = request.form.get("from", DEFAULT_SENDER)
    text = Text(NAME, f"ATXid_{secrets.token_hex(16)}", to, sender, body, operator.clock())
    operator.accept(text, lambda text, step: _report(operator, text, step))
    cost = f"MAD {PRICE_MAD * parts(body):.4f}"
    return {"statusCode": code, "number": to, "status": word, "cost": cost, "messageId": text.provider_id}


def _report(operator: Operator, text: Text, step: Step) -> Call:
    form = {
        "id": text.provider_id,
        "status": STATUS[step],
        "phoneNumber": text.msisdn,
        "networkCode": network_of(text.msisdn),
        "retryCount": "0",
    }
    if step == "failed":
        form["failureReason"] = FAILURE
    return Call(_address(operator, "receipts"), form)


def _address(operator: Operator, kind: str) -> str:
    config = operator.config
    return f"{config.gateway_url.rstrip('/')}/{kind}/{NAME}/{config.callback_token}"


def _accepted(recipients: list[dict[str, object]], body: str) -> Response:
    sent = sum(recipient["statusCode"] == QUEUED[0] for recipient in recipients)
    charged = parts(body)
    cost = f"MAD {PRICE_MAD * charged * sent:.4f}"
    summary = f"Sent to {sent}/{len(recipients)} Total Cost: {cost} Message parts: {charged}"
    answer = jsonify({"SMSMessageData": {"Message": summary, "Recipients": recipients}})
    answer.status_code = 201
    return answer


def _words(text: str, status: int) -> Response:
    return Response(text, status, content_type="text/plain; charset=UTF-8")
