"""SMS through Africa's Talking: its words on our side of the wall."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Any

from africastalking.SMS import SMSService

from channels import http
from channels.base import (
    Accepted,
    BadCallback,
    CallbackRequest,
    Inbound,
    Outbound,
    Receipt,
    Rejected,
    SendError,
    Unknown,
)
from channels.codes import codes_of, letters
from channels.line import Line

CODES = codes_of("africastalking")
# A refusal of the whole request says the word and not the code.
WORDS = {known.name: code for code, known in CODES.codes.items() if known.kind}

# Switched off or out of reach. `Expired` is none of these: the operator has thrown it away for what it says.
TEMPORARY_STATUSES = {"absentsubscriber"}

MOBILE = r"\+212[67][0-9]{8}"
# How many telephones a request may name is not documented; a form of this many stays below 4 KB.
TOGETHER = 200
# A number that is read where a code should stand may have any length.
LONGEST_CODE = 6


class AfricasTalkingSms:
    """One Africa's Talking application. `sender` is a short code or alphanumeric.

    Its callbacks carry no signature: whoever calls `receipt` and `inbound` has checked the secret token of
    the path before, and checks after that the message is known and was sent to that number.
    """

    name = "africastalking"
    together = TOGETHER

    def __init__(self, username: str, api_key: str, sender: str, base_url: str, *,
                 deadline_s: float = http.DEADLINE_S) -> None:
        self._sender = sender
        self._sms = _Service(username, api_key, base_url.rstrip("/"), Line(deadline_s))

    async def send(self, message: Outbound) -> Accepted:
        """https://developers.africastalking.com/docs/sms/sending/bulk. Raises a `SendError`.

        The provider offers no validity period: `valid_for_s` cannot be told to it.
        """
        (became,) = await self.send_all([message])
        if isinstance(became, SendError):
            raise became
        return became

    async def send_all(self, messages: Sequence[Outbound]) -> list[Accepted | SendError]:
        """The same for one text to many, each telephone once. What the answer does not tell of is unknown."""
        # The SDK's own check lets a trailing newline through, and names the number in its exception.
        mobiles = [message.msisdn for message in messages if re.fullmatch(MOBILE, message.msisdn)]
        told: Mapping[str, Accepted | SendError] = {}
        fault: SendError = Unknown("untold")
        if mobiles:
            try:
                told = _told(await self._sms.deliver(messages[0].body, mobiles, self._sender), mobiles)
            except SendError as error:
                fault = error
        return [told.get(message.msisdn, fault) if message.msisdn in mobiles else Rejected("not_a_mobile")
                for message in messages]

    async def close(self) -> None:
        """Give the connections back."""
        await self._sms.line.close()

    def find(self, message: Outbound, sent_after: datetime) -> Accepted | None:
        """Always raises `Unknown`: there is no list of what was sent to ask."""
        raise Unknown("no_query")

    def receipt(self, request: CallbackRequest) -> Receipt:
        """https://developers.africastalking.com/docs/sms/notifications. Raises `BadCallback`."""
        status, reason = request.one("status"), request.one("failureReason", "")
        known = CODES.reasons.get(letters(reason))
        return Receipt(
            self.name, _id(request), status, CODES.statuses.get(letters(status)), request.one("phoneNumber"),
            error=reason or None, permanent=known is not None and known.kind is Rejected,
            temporary=letters(status) in TEMPORARY_STATUSES, opted_out=known is not None and known.opted_out)

    def inbound(self, request: CallbackRequest) -> Inbound:
        """https://developers.africastalking.com/docs/sms/notifications. Raises `BadCallback`."""
        return Inbound(self.name, _id(request), request.one("from"), request.one("text", ""))


def opted_out(request: CallbackRequest) -> str:
    """The number (E.164) that wants no more texts: the callback of a bulk opt-out.

    https://developers.africastalking.com/docs/sms/notifications. Whoever says so to one of our senders says it to us:
    `senderId` must be there and tells nothing. Raises `BadCallback`.
    """
    request.one("senderId")
    msisdn = request.one("phoneNumber")
    if not re.fullmatch(MOBILE, msisdn):
        raise BadCallback("no mobile of this country")
    return msisdn


class _Service(SMSService):
    """The SDK's form over our line. The answer is handed back unread, and later: the SDK loses its status."""

    def __init__(self, username: str, api_key: str, base_url: str, line: Line) -> None:
        super().__init__(username, api_key)  # type: ignore[no-untyped-call]
        self._baseUrl = base_url
        self.line = line

    def deliver(self, body: str, msisdns: Sequence[str], sender: str) -> Awaitable[http.Answer]:
        # Without `enqueue` the provider queues all the same, but only by a default of its own.
        answer: Awaitable[http.Answer] = self.send(  # type: ignore[no-untyped-call]
            body, list(msisdns), sender, enqueue=True)
        return answer

    def _make_request(self, url: str, *_: Any, **parts: Any) -> Awaitable[http.Answer]:
        return self.line.post(url, parts["data"], parts["headers"])


def _told(answer: http.Answer, mobiles: Sequence[str]) -> dict[str, Accepted | SendError]:
    """What an answer says of each telephone. A 2xx may be a refusal, of one or, with no recipients, of the request.

    Raises a `SendError` that concerns all.
    """
    if not 200 <= answer.status < 300:
        raise http.refused(answer)
    try:
        data = json.loads(answer.text)["SMSMessageData"]
        if not data["Recipients"]:
            raise _refusal(WORDS[data["Message"]])
        if len(mobiles) == len(data["Recipients"]) == 1:
            return {mobiles[0]: _became(data["Recipients"][0])}
        return {str(one["number"]): _became(one) for one in data["Recipients"]}
    except http.UNREADABLE:
        raise Unknown("unreadable") from None


def _became(recipient: Mapping[str, Any]) -> Accepted | SendError:
    """What cannot be read of one says nothing of the others. A code of tomorrow is neither sent nor failed."""
    try:
        code, provider_id = str(int(recipient["statusCode"])), recipient["messageId"]
        cost = str(recipient.get("cost") or "")
    except http.UNREADABLE:
        return Unknown("unreadable")
    known = CODES.codes.get(code)
    if known is None:
        return Unknown(code[:LONGEST_CODE])
    if known.kind:
        return _refusal(code)
    if not isinstance(provider_id, str) or provider_id in ("", "None"):
        return Unknown("no_id")
    return Accepted(provider_id, cost=cost)


def _refusal(code: str) -> SendError:
    known = CODES.codes[code]
    if known.kind is Rejected:
        return Rejected(code, opted_out=known.opted_out)
    return (known.kind or Unknown)(code)


def _id(request: CallbackRequest) -> str:
    provider_id = request.one("id")
    if provider_id in ("", "None"):
        raise BadCallback("no id")
    return provider_id
