"""SMS through Africa's Talking: its words on our side of the wall."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from africastalking.SMS import SMSService

from channels import http
from channels.base import (
    Accepted,
    BadCallback,
    CallbackRequest,
    Inbound,
    Misconfigured,
    Outbound,
    Outcome,
    Receipt,
    Rejected,
    SendError,
    Unavailable,
    Unknown,
)

# https://developers.africastalking.com/docs/sms/sending/bulk: statusCode, its word, and what it means to us.
# 500 and 501 are the provider's own faults: the message may have left.
STATUSES: dict[int, tuple[str, type[SendError] | None]] = {
    100: ("Processed", None),
    101: ("Sent", None),
    102: ("Queued", None),
    401: ("RiskHold", Misconfigured),
    402: ("InvalidSenderId", Misconfigured),
    403: ("InvalidPhoneNumber", Rejected),
    404: ("UnsupportedNumberType", Rejected),
    405: ("InsufficientBalance", Misconfigured),
    406: ("UserInBlacklist", Rejected),
    407: ("CouldNotRoute", Unavailable),
    409: ("DoNotDisturbRejection", Unavailable),
    500: ("InternalServerError", Unknown),
    501: ("GatewayError", Unknown),
    502: ("RejectedByGateway", Unavailable),
}
CODES = {word: code for code, (word, kind) in STATUSES.items() if kind}
OPTED_OUT = 406

# https://developers.africastalking.com/docs/sms/notifications: letters only, since the spelling varies.
OUTCOMES: dict[str, Outcome | None] = {
    "buffered": None, "sent": "sent", "submitted": "sent", "success": "delivered",
    "failed": "failed", "rejected": "failed", "absentsubscriber": "failed", "expired": "failed",
}
PERMANENT_REASONS = {
    "userinblacklist", "userisinactive", "useraccountsuspended", "userdoesnotexist",
    "notnetworksubcriber", "notnetworksubscriber",
}

MOBILE = r"\+212[67][0-9]{8}"


class AfricasTalkingSms:
    """One Africa's Talking application. `sender` is a short code or alphanumeric.

    Its callbacks carry no signature: whoever calls `receipt` and `inbound` has checked the secret token of
    the path before, and checks after that the message is known and was sent to that number.
    """

    name = "africastalking"

    def __init__(self, username: str, api_key: str, sender: str, base_url: str, *,
                 deadline_s: float = http.DEADLINE_S) -> None:
        self._sender = sender
        self._sms = _Service(username, api_key, base_url.rstrip("/"), http.Http(deadline_s))

    def send(self, message: Outbound) -> Accepted:
        """https://developers.africastalking.com/docs/sms/sending/bulk. Raises a `SendError`.

        The provider offers no validity period: `valid_for_s` cannot be told to it.
        """
        # The SDK's own check lets a trailing newline through, and names the number in its exception.
        if not re.fullmatch(MOBILE, message.msisdn):
            raise Rejected("not_a_mobile")
        answer = self._sms.deliver(message, self._sender)
        if not 200 <= answer.status < 300:
            raise http.refused(answer)
        return _accepted(answer)

    def find(self, message: Outbound, sent_after: datetime) -> Accepted | None:
        """Always raises `Unknown`: there is no list of what was sent to ask."""
        raise Unknown("no_query")

    def receipt(self, request: CallbackRequest) -> Receipt:
        """https://developers.africastalking.com/docs/sms/notifications. Raises `BadCallback`."""
        status, reason = request.one("status"), request.one("failureReason", "")
        return Receipt(
            self.name, _id(request), status, OUTCOMES.get(_letters(status)), request.one("phoneNumber"),
            error=reason or None, permanent=_letters(reason) in PERMANENT_REASONS)

    def inbound(self, request: CallbackRequest) -> Inbound:
        """https://developers.africastalking.com/docs/sms/notifications. Raises `BadCallback`."""
        return Inbound(self.name, _id(request), request.one("from"), request.one("text", ""))


class _Service(SMSService):
    """The SDK's form over our connections. The answer is handed back unread: the SDK loses its status."""

    def __init__(self, username: str, api_key: str, base_url: str, client: http.Http) -> None:
        super().__init__(username, api_key)  # type: ignore[no-untyped-call]
        self._baseUrl = base_url
        self._http = client

    def deliver(self, message: Outbound, sender: str) -> http.Answer:
        # Without `enqueue` the provider queues all the same, but only by a default of its own.
        answer: http.Answer = self.send(  # type: ignore[no-untyped-call]
            message.body, [message.msisdn], sender, enqueue=True)
        return answer

    def _make_request(self, url: str, method: str, *_: Any, **parts: Any) -> http.Answer:
        return self._http.call(method, url, data=parts["data"], headers=parts["headers"])


def _accepted(answer: http.Answer) -> Accepted:
    """Read a 2xx, which may be a refusal: of the recipient or, with no recipients, of the whole request."""
    try:
        data = json.loads(answer.text)["SMSMessageData"]
        recipients = data["Recipients"]
        code = int(recipients[0]["statusCode"]) if recipients else CODES[data["Message"]]
        provider_id = recipients[0]["messageId"] if recipients else ""
        kind = STATUSES[code][1]
    except http.UNREADABLE:
        raise Unknown("unreadable") from None
    if kind is Rejected:
        raise Rejected(str(code), opted_out=code == OPTED_OUT)
    if kind:
        raise kind(str(code))
    if not isinstance(provider_id, str) or provider_id in ("", "None"):
        raise Unknown("no_id")
    return Accepted(provider_id)


def _id(request: CallbackRequest) -> str:
    provider_id = request.one("id")
    if provider_id in ("", "None"):
        raise BadCallback("no id")
    return provider_id


def _letters(word: str) -> str:
    return re.sub(r"[^a-z]", "", word.lower())
