"""SMS through Twilio: its words on our side of the wall."""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from twilio.base.exceptions import TwilioException

from channels import http
from channels.base import (
    Accepted,
    CallbackRequest,
    Inbound,
    Outbound,
    Receipt,
    Rejected,
    SendError,
    Unavailable,
    Unknown,
    outcome,
)
from channels.line import Line
from channels.twilio_client import CODES, TwilioAccount, accepted_of_many, kind_of

LONGEST_VALIDITY_S = 36_000
CLOCK_SKEW = timedelta(minutes=1)
MOST_LISTED = 1000


class TwilioSms:
    """One Twilio account. `sender` is a number, an alphanumeric sender, or a messaging service (`MG...`).

    `public_url` and `next_auth_token` are explained in `TwilioAccount`.
    """

    name = "twilio"
    together = 1

    def __init__(self, account_sid: str, auth_token: str, sender: str, base_url: str, public_url: str,
                 next_auth_token: str = "", *, deadline_s: float = http.DEADLINE_S) -> None:
        self._sender = {"messaging_service_sid" if sender.startswith("MG") else "from_": sender}
        self._line = Line(deadline_s)
        self._account = TwilioAccount(
            account_sid, auth_token, base_url, public_url, next_auth_token, http.Http(deadline_s), self._line)
        self._messages = self._account.rest.messages

    async def send(self, message: Outbound) -> Accepted:
        """https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource

        Raises a `SendError`. The text goes as it is (no `SmartEncoded`): what we counted is what is sent.
        """
        return await accepted_of_many(
            self._account.many.messages.create_async, to=message.msisdn, body=message.body, smart_encoded=False,
            validity_period=min(max(message.valid_for_s, 1), LONGEST_VALIDITY_S),
            status_callback=f"{self._account.public_url}/receipts/twilio/{message.token}", **self._sender)

    async def send_all(self, messages: Sequence[Outbound]) -> list[Accepted | SendError]:
        """One by one: Twilio's own form for many has no place for our name of each."""
        return [await outcome(self.send, message) for message in messages]

    async def close(self) -> None:
        """Give the connections back."""
        await self._line.close()

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
        self._account.check(request)
        status, error = request.one("MessageStatus"), request.one("ErrorCode", "")
        became = CODES.statuses.get(status)
        return Receipt(
            self.name, request.one("MessageSid"), status, became, request.one("To"), request.token or None,
            error=error or None,
            permanent=became == "failed" and error != "" and kind_of(error) is Rejected,
            temporary=became == "failed" and kind_of(error) is Unavailable,
            opted_out=became == "failed" and (known := CODES.find(error)) is not None and known.opted_out)

    def inbound(self, request: CallbackRequest) -> Inbound:
        """Raises `BadCallback`. https://www.twilio.com/docs/messaging/guides/webhook-request"""
        self._account.check(request)
        body = _plain(request.one("Body", ""))
        return Inbound(self.name, request.one("MessageSid"), request.one("From"), body)


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
