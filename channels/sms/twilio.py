"""SMS through Twilio: its words on our side of the wall."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import unicodedata
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from requests.structures import CaseInsensitiveDict
from twilio.base.exceptions import TwilioException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.request_validator import SIGNATURE_HEADER, RequestValidator
from twilio.rest import Client

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
    Throttled,
    Unavailable,
    Unknown,
)

# https://www.twilio.com/docs/api/errors. A code that is not here is taken for the person's (never again).
CODES: dict[type[SendError], tuple[int, ...]] = {
    Rejected: (21211, 21214, 21217, 21602, 21610, 21614, 21617, 21618, 21619, 21635,
               30004, 30005, 30006, 30007, 30019, 30450),
    Throttled: (14107, 20429, 21611, 30022, 30023, 30027, 63018, 63038),
    Unavailable: (21612, 30001, 30003, 30008, 30009, 30017, 30020, 30021, 30036, 30410, 30500),
    Unknown: (20500, 20503),
    Misconfigured: (20003, 20005, 20403, 20404, 21212, 21408, 21601, 21603, 21606, 21608, 21609, 21624, 21703,
                    21704, 21705, 21709, 30002, 30010, 30012, 30013, 30014, 30015, 30016, 30018, 30024, 30028,
                    30029, 30030, 30031, 30032, 30033, 30034, 30035),
}
KINDS = {str(code): kind for kind, codes in CODES.items() for code in codes}
OPTED_OUT = {"21610"}
DAILY_LIMITS = {"30023", "30027", "63038"}

# https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
OUTCOMES: dict[str, Outcome | None] = {
    "accepted": None, "scheduled": None, "queued": None, "sending": None, "partially_delivered": None,
    "sent": "sent", "delivered": "delivered", "read": "delivered",
    "undelivered": "failed", "failed": "failed", "canceled": "failed",
}

LONGEST_VALIDITY_S = 36_000
CLOCK_SKEW = timedelta(minutes=1)
MOST_LISTED = 1000


class TwilioSms:
    """One Twilio account. `sender` is a number, an alphanumeric sender, or a messaging service (`MG...`).

    `public_url` is the address under which Twilio reaches us: it stands in callbacks and in their signatures.
    `next_auth_token` is accepted in signatures beside `auth_token` while the token is being changed.
    """

    name = "twilio"

    def __init__(self, account_sid: str, auth_token: str, sender: str, base_url: str, public_url: str,
                 next_auth_token: str = "", *, deadline_s: float = http.DEADLINE_S) -> None:
        self._account_sid = account_sid
        self._sender = {"messaging_service_sid" if sender.startswith("MG") else "from_": sender}
        self._public_url = public_url.rstrip("/")
        self._validators = [RequestValidator(token) for token in (auth_token, next_auth_token) if token]
        transport = _Transport(base_url.rstrip("/"), http.Http(deadline_s))
        self._messages = Client(account_sid, auth_token, http_client=transport).messages

    def send(self, message: Outbound) -> Accepted:
        """https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource

        Raises a `SendError`. The text goes as it is (no `SmartEncoded`): what we counted is what is sent.
        """
        try:
            sid = self._messages.create(
                to=message.msisdn, body=message.body, smart_encoded=False,
                validity_period=min(max(message.valid_for_s, 1), LONGEST_VALIDITY_S),
                status_callback=f"{self._public_url}/receipts/twilio/{message.token}", **self._sender).sid
        except (TwilioException, *http.UNREADABLE):
            raise Unknown("unreadable") from None
        if not isinstance(sid, str) or not sid:
            raise Unknown("no_sid")
        return Accepted(sid)

    def find(self, message: Outbound, sent_after: datetime) -> Accepted | None:
        """A message to the same number with the same text, made since a minute before `sent_after`.

        The minute is for two clocks that differ. The same person and text are enough: our token is not in
        Twilio's list. Raises `Unknown`.
        """
        since = sent_after.astimezone(UTC) - CLOCK_SKEW
        try:
            # Not by DateSent: what still waits in Twilio's queue has none.
            listed = self._messages.list(to=message.msisdn, from_=self._sender.get("from_"), limit=MOST_LISTED)
            recent = [one for one in listed if one.date_created is None or one.date_created >= since]
            if any(not one.body for one in recent):
                raise Unknown("body_withheld")
            same = [one.sid for one in recent if one.sid and (one.body or "").split() == message.body.split()]
        except SendError as error:
            raise Unknown(error.code) from None
        except (TwilioException, *http.UNREADABLE):
            raise Unknown("unreadable") from None
        return Accepted(same[0]) if same else None

    def receipt(self, request: CallbackRequest) -> Receipt:
        """Raises `BadCallback`. https://www.twilio.com/docs/messaging/guides/track-outbound-message-status"""
        self._check(request)
        status, error = request.one("MessageStatus"), request.one("ErrorCode", "")
        outcome = OUTCOMES.get(status)
        return Receipt(
            self.name, request.one("MessageSid"), status, outcome, request.one("To"), request.token or None,
            error=error or None,
            permanent=outcome == "failed" and error != "" and KINDS.get(error, Rejected) is Rejected)

    def inbound(self, request: CallbackRequest) -> Inbound:
        """Raises `BadCallback`. https://www.twilio.com/docs/messaging/guides/webhook-request"""
        self._check(request)
        body = _plain(request.one("Body", ""))
        return Inbound(self.name, request.one("MessageSid"), request.one("From"), body)

    def _check(self, request: CallbackRequest) -> None:
        """https://www.twilio.com/docs/usage/security#validating-requests: over every field, known or not."""
        signature = CaseInsensitiveDict(request.headers).get(SIGNATURE_HEADER, "")
        if not signature:
            raise BadCallback("not signed")
        url, form = self._public_url + request.path, _Form(request.form)
        try:
            signed = any(validator.validate(url, form, signature) for validator in self._validators)
        except (TypeError, ValueError):
            raise BadCallback("not readable") from None
        if not signed:
            raise BadCallback("wrong signature")
        if request.one("AccountSid") != self._account_sid:
            raise BadCallback("another account")


class _Form(dict[str, tuple[str, ...]]):
    """A form as the validator reads one: all values of a key."""

    def getlist(self, key: str) -> tuple[str, ...]:
        return self[key]


class _Transport(HttpClient):  # type: ignore[misc]
    """Carries the SDK's requests to `base_url` under our deadline.

    Refusals are told from here, since the SDK's two kinds of exception both lose the answer's headers.
    """

    def __init__(self, base_url: str, client: http.Http) -> None:
        logger = logging.getLogger("twilio.http_client")
        logger.setLevel(logging.WARNING)  # at INFO the SDK logs queries, which hold numbers
        super().__init__(logger, is_async=False)
        self._base_url = base_url
        self._http = client

    def request(self, method: str, uri: str, params: dict[str, object] | None = None,
                data: dict[str, object] | None = None, headers: dict[str, str] | None = None,
                auth: tuple[str, str] | None = None, timeout: float | None = None,
                allow_redirects: bool = False) -> Response:
        address = urlsplit(uri)
        query = f"?{address.query}" if address.query else ""
        answer = self._http.call(method, f"{self._base_url}{address.path}{query}",
                                 params=params, data=data, headers=headers, auth=auth)
        if not 200 <= answer.status < 300:
            raise _refusal(answer)
        return Response(answer.status, answer.text, answer.headers)


def _refusal(answer: http.Answer) -> SendError:
    """The error for an answer that is not 2xx: by status where that is certain, else by Twilio's code."""
    kind, code = http.refusal(answer.status), _code(answer)
    if kind is Misconfigured and code:
        kind = KINDS.get(code, Misconfigured if answer.status in (401, 403, 404) else Rejected)
    code = code or f"http_{answer.status}"
    if kind is Throttled:
        wait_s = http.LONGEST_WAIT_S if code in DAILY_LIMITS else http.retry_after_s(answer)
        return Throttled(code, retry_after_s=wait_s)
    if kind is Rejected:
        return Rejected(code, opted_out=code in OPTED_OUT)
    return kind(code)


def _code(answer: http.Answer) -> str:
    """`code` of both kinds of error body, Twilio's own and RFC 9457's; "" where there is none."""
    try:
        return str(int(json.loads(answer.text)["code"]))
    except http.UNREADABLE:
        return ""


def _plain(body: str) -> str:
    """Undo the base64 that Twilio sometimes puts on the parts of a long text.

    Only what cannot be anything else: more than one SMS long, without a space, and readable once decoded.
    """
    try:
        text = base64.b64decode(body, validate=True).decode()
    except (binascii.Error, ValueError):
        return body
    legible = all(char in "\r\n\t" or unicodedata.category(char) not in ("Cc", "Cn", "Co") for char in text)
    return text if len(text) > 70 and legible else body
