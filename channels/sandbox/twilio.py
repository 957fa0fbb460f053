"""Twilio's wire: the Messages resource, signed status callbacks, and a person's text with its TwiML answer.

Source: twilio.com/docs/messaging/api/message-resource, .../guides/track-outbound-message-status,
twilio.com/docs/usage/webhooks/webhooks-security, twilio.com/docs/api/errors.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from email.utils import format_datetime
from functools import wraps
from hashlib import blake2b
from itertools import dropwhile, islice
from typing import Any
from urllib.parse import urldefrag, urlencode, urlsplit
from xml.etree import ElementTree

from aiohttp import web

from channels.sandbox.book import FINAL, Failure, Step, Text
from channels.sandbox.config import TwilioLine
from channels.sandbox.courier import Call, NoAnswer
from channels.sandbox.desk import attend, in_json
from channels.sandbox.numbering import kind
from channels.sandbox.operator import Operator, Report
from channels.sandbox.server import Handler
from channels.text import parts

NAME = "twilio"
VERSION = "2010-04-01"
LONGEST = 1600
PAGE = 50
LARGEST_PAGE = 1000
WEBHOOK_TIMEOUT_S = 15.0
# A part, as Twilio writes what it takes: below zero.
PRICE_USD = -0.08

# code: HTTP status, message
ERRORS = {
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    21201: (400, "No 'To' number is specified"),
    21205: (400, "Url parameter is required and must be a valid URL"),
    21210: (400, "'From' phone number not verified"),
    21211: (400, "The 'To' number is not a valid phone number"),
    21213: (400, "'From' phone number is required"),
    21602: (400, "Message body is required"),
    21603: (400, "A 'From' phone number is required"),
    21604: (400, "A 'To' phone number is required"),
    21606: (400, "The 'From' phone number is not a valid, SMS-capable sender for your account"),
    21609: (400, "The 'StatusCallback' URL is not a valid URL"),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21612: (400, "Message cannot be sent with the current combination of 'To' and/or 'From' parameters"),
    21614: (400, "'To' number is not a valid mobile number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    29999: (400, "Wibble"),
}
FAILURES = {429: 20429, 500: 20500}
# Our behaviour: the code that a text is refused with
REFUSALS = {
    "refuse": 21612,
    "opted_out": 21610,
    "balance": 20003,
    "revoked": 20003,
    "wrong_sender": 21606,
    "unknown_refusal": 29999,
}
BAD_TO = {"mobile": None, "invalid": 21211, "landline": 21614}
# Our step: MessageStatus
STATUS = {"accepted": "queued", "sent": "sent", "delivered": "delivered", "failed": "undelivered"}
# Our failure: ErrorCode and its message
FAILED: dict[Failure, tuple[int, str]] = {
    "nobody": (30005, "Unknown destination handset"),
    "absent": (30003, "Unreachable destination handset"),
    "unheard_of": (39999, "Wibble"),
}


class Refusal(Exception):
    """A request that Twilio answers with an error of its table."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


def routes(operator: Operator) -> list[web.RouteDef]:
    """The Messages resource of the one account."""
    account = operator.config.twilio
    base = f"/{VERSION}/Accounts/{account.account_sid}"

    async def create(request: web.Request) -> web.StreamResponse:
        operator.book.request(NAME)
        form: Mapping[str, Any] = await request.post()
        callback = _checked(form, account.senders)
        if refusal := operator.temper(NAME).first(REFUSALS):
            raise Refusal(REFUSALS[refusal])

        async def accept() -> web.Response:
            text = _text(operator, form)
            created = _resource(operator, text)
            if operator.temper(NAME).first(["nameless"]):
                created["sid"] = None
            await operator.accept(text, _report(operator, callback) if callback else None)
            return in_json(created, 201)

        return await attend(operator, NAME, request, accept, failure)

    async def messages(request: web.Request) -> web.Response:
        return in_json(_page(operator, request.path, request.query))

    async def message(request: web.Request) -> web.Response:
        text = operator.book.find(request.match_info["sid"])
        if text is None or text.provider != NAME:
            raise Refusal(20404)
        return in_json(_resource(operator, text, sent=True))

    return [
        web.post(f"{base}/Messages.json", let_in(account, create)),
        web.get(f"{base}/Messages.json", let_in(account, messages)),
        web.get(f"{base}/Messages/{{sid}}.json", let_in(account, message)),
    ]


def let_in(account: TwilioLine, handler: Handler) -> Handler:
    """The handler, for the account alone, with what it refuses told in Twilio's words."""
    known = base64.b64encode(f"{account.account_sid}:{account.auth_token}".encode())

    @wraps(handler)
    async def door(request: web.Request) -> web.StreamResponse:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic" or not hmac.compare_digest(given.encode(), known):
            return error(20003)
        try:
            return await handler(request)
        except Refusal as refusal:
            return error(refusal.code)

    return door


def text_in(operator: Operator, msisdn: str, body: str) -> bool:
    """A person's text to the service; its TwiML answers are accepted as texts. Whether it was taken."""
    url = f"{operator.config.gateway_url.rstrip('/')}/sms/twilio"
    sid = _sid()
    account = operator.config.twilio
    form = {
        **_common(operator, sid),
        "SmsMessageSid": sid,
        "From": msisdn,
        "To": _sender(operator),
        "Body": body,
        "NumMedia": "0",
        "NumSegments": str(parts(body)),
        "SmsStatus": "received",
        "FromCountry": "MA",
    }
    try:
        answer = operator.courier.ask(_signed(url, form, account.auth_token), WEBHOOK_TIMEOUT_S)
    except NoAnswer:
        return False
    if answer.status != 200:
        return False
    for reply in _replies(answer.body):
        operator.loop.run(operator.accept(_outbound(operator, msisdn, _sender(operator), reply, reply=True), None))
    return True


def _checked(form: Mapping[str, Any], senders: tuple[str, ...]) -> str:
    """The status callback's address, or nothing. Raises `Refusal`."""
    to, body, callback = form.get("To", ""), form.get("Body", ""), form.get("StatusCallback", "")
    sender = form.get("From", "")
    bad_to = BAD_TO[kind(to)]
    for wrong, code in (
        (not to, 21604),
        (bad_to, bad_to),
        (not sender and not form.get("MessagingServiceSid"), 21603),
        (sender and senders and sender not in senders, 21606),
        (not body, 21602),
        (len(body) > LONGEST, 21617),
        (callback and not is_address(callback), 21609),
    ):
        if wrong and code:
            raise Refusal(code)
    # What follows the # tells Twilio how to connect and is not sent.
    return urldefrag(str(callback)).url


def is_address(url: str) -> bool:
    split = urlsplit(url)
    return split.scheme in ("http", "https") and bool(split.hostname) and "_" not in (split.hostname or "")


def _text(operator: Operator, form: Mapping[str, Any]) -> Text:
    sender = form.get("From") or _sender(operator)
    return _outbound(operator, form["To"], sender, form["Body"], service=form.get("MessagingServiceSid", ""))


def _outbound(
    operator: Operator, msisdn: str, sender: str, body: str, *, service: str = "", reply: bool = False
) -> Text:
    return Text(NAME, _sid(), msisdn, sender, body, parts(body), operator.clock(), service=service, reply=reply)


def _report(operator: Operator, callback: str) -> Report:
    def report(text: Text, step: Step) -> Call:
        form = {
            **_common(operator, text.provider_id),
            "MessageStatus": STATUS[step],
            "SmsStatus": STATUS[step],
            "To": text.msisdn,
            "From": text.sender,
        }
        if text.service:
            form["MessagingServiceSid"] = text.service
        if step == "failed":
            form["ErrorCode"] = str(FAILED[text.failure][0])
        if step in ("delivered", "failed"):
            form["RawDlrDoneDate"] = operator.clock().strftime("%y%m%d%H%M")
        # The same for every attempt at one callback: the gateway may know a repetition by it.
        token = blake2b(f"{text.provider_id} {step}".encode(), digest_size=16).hexdigest()
        auth_token = operator.config.twilio.auth_token
        return _signed(callback, form, auth_token, **{"I-Twilio-Idempotency-Token": token})

    return report


def _common(operator: Operator, sid: str) -> dict[str, str]:
    return {
        "MessageSid": sid,
        "SmsSid": sid,
        "AccountSid": operator.config.twilio.account_sid,
        "ApiVersion": VERSION,
    }


def _signed(url: str, form: dict[str, str], auth_token: str, **headers: str) -> Call:
    """https://www.twilio.com/docs/usage/webhooks/webhooks-security: the address, then each field in order."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    signature = base64.b64encode(hmac.digest(auth_token.encode(), signed.encode(), "sha1")).decode()
    return Call(url, form, {"X-Twilio-Signature": signature, **headers})


def _replies(twiml: str) -> list[str]:
    try:
        document = ElementTree.fromstring(twiml)  # noqa: S314 - our own gateway's answer, on loopback
    except ElementTree.ParseError:
        return []
    return [body for message in document.iter("Message") if (body := "".join(message.itertext()).strip())]


def _page(operator: Operator, path: str, wanted: Mapping[str, str]) -> dict[str, object]:
    """Newest first. A page's token names the last text before it: new texts do not shift the pages."""
    size = min(_whole(wanted, "PageSize", PAGE), LARGEST_PAGE)
    page, token = _whole(wanted, "Page", 0), wanted.get("PageToken", "")
    texts: Iterable[Text] = (text for text in _of_account(operator, wanted) if _matches(text, wanted))
    if token:
        texts = islice(dropwhile(lambda text: text.provider_id != token[2:], texts), 1, None)
    shown = list(islice(texts, size + 1))
    more, shown = len(shown) > size, shown[:size]
    filters = {key: value for key, value in wanted.items() if key not in ("Page", "PageToken", "PageSize")}

    def uri(**query: object) -> str:
        return f"{path}?{urlencode({**filters, 'PageSize': size, **query})}"

    return {
        "messages": [_resource(operator, text, sent=True) for text in shown],
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": page * size + max(len(shown) - 1, 0),
        "uri": uri(Page=page),
        "first_page_uri": uri(Page=0),
        "previous_page_uri": None,
        "next_page_uri": uri(Page=page + 1, PageToken=f"PA{shown[-1].provider_id}") if more else None,
    }


def _whole(wanted: Mapping[str, str], name: str, default: int) -> int:
    written = wanted.get(name, "")
    return int(written) if written.isdecimal() else default


def _of_account(operator: Operator, wanted: Mapping[str, str]) -> list[Text]:
    to = wanted.get("To")
    texts = operator.book.texts_to(to) if to else operator.book.texts()
    return [text for text in reversed(texts) if text.provider == NAME]


def _matches(text: Text, wanted: Mapping[str, str]) -> bool:
    """Both bounds are inclusive. The operator sends on as soon as it accepts: DateSent is that moment."""
    sent = text.accepted_at.replace(microsecond=0)
    on, before, after = (wanted.get(f"DateSent{sign}") for sign in ("", "<", ">"))
    return (
        ("From" not in wanted or text.sender == wanted["From"])
        and (not on or sent.date() == date.fromisoformat(on[:10]))
        and (not before or sent <= _instant(before, last=True))
        and (not after or sent >= _instant(after, last=False))
    )


def _instant(written: str, *, last: bool) -> datetime:
    """A day alone stands for its last or its first second."""
    if len(written) == len("2026-11-21"):
        written += "T23:59:59Z" if last else "T00:00:00Z"
    return datetime.fromisoformat(written)


def _resource(operator: Operator, text: Text, *, sent: bool = False) -> dict[str, object]:
    """A message as JSON. Just created it is not `sent` yet, and has no price before its end."""
    account_sid = operator.config.twilio.account_sid
    uri = f"/{VERSION}/Accounts/{account_sid}/Messages/{text.provider_id}"
    accepted_at = format_datetime(text.accepted_at)
    code, message = FAILED[text.failure] if sent and text.failure else (None, None)
    ended = sent and text.status in FINAL
    return {
        "sid": text.provider_id,
        "account_sid": account_sid,
        "api_version": VERSION,
        "status": "accepted" if text.service and not sent else STATUS[text.status if sent else "accepted"],
        "to": text.msisdn,
        "from": None if text.service and not sent else text.sender,
        "body": text.body,
        # Twilio does not count before the service has chosen a sender.
        "num_segments": "0" if text.service and not sent else str(text.parts),
        "num_media": "0",
        "direction": "outbound-reply" if text.reply else "outbound-api",
        "messaging_service_sid": text.service or None,
        "error_code": code,
        "error_message": message,
        "price": f"{PRICE_USD * text.parts:.5f}" if ended else None,
        "price_unit": "USD" if ended else None,
        "date_created": accepted_at,
        "date_sent": accepted_at if sent else None,
        "date_updated": format_datetime(text.delivered_at) if text.delivered_at else accepted_at,
        "uri": f"{uri}.json",
        "subresource_uris": {"media": f"{uri}/Media.json"},
    }


def _sender(operator: Operator) -> str:
    return next(iter(operator.config.twilio.senders), "RSU")


def _sid() -> str:
    return f"SM{secrets.token_hex(16)}"


def failure(status: int) -> web.Response:
    return error(FAILURES[status])


def error(code: int) -> web.Response:
    """The provider's answer to what it refuses."""
    status, message = ERRORS[code]
    more = f"https://www.twilio.com/docs/errors/{code}"
    return in_json({"code": code, "message": message, "more_info": more, "status": status}, status)
