"""Twilio's true payloads.

Sources: the published OpenAPI description of Messages, https://www.twilio.com/docs/api/errors, and
https://www.twilio.com/docs/messaging/guides/webhook-request.
"""

from __future__ import annotations

import base64

from twilio.request_validator import RequestValidator

from channels.base import (
    CallbackRequest,
    Inbound,
    Misconfigured,
    Receipt,
    Rejected,
    SendError,
    Throttled,
    Unavailable,
    Unknown,
)
from tests.contract.provider import BODY, MESSAGE, MSISDN, Provider
from tests.contract.stub import Reply

ACCOUNT = "AC" + "0f" * 16
TOKEN, NEXT_TOKEN = "current-token", "next-token"
PUBLIC_URL = "https://rsu.example.ma"
PATH = f"/receipts/twilio/{MESSAGE.token}"
SID = "SM" + "5c" * 16


def message(**changed: object) -> dict[str, object]:
    return {
        "sid": SID, "status": "queued", "num_segments": "1", "num_media": "0", "body": BODY, "to": MSISDN,
        "from": "RNP", "direction": "outbound-api", "error_code": None, "error_message": None, "price": None,
        "price_unit": None, "messaging_service_sid": None, "date_created": "Sat, 21 Nov 2026 09:00:05 +0000",
        "date_sent": None, "date_updated": "Sat, 21 Nov 2026 09:00:05 +0000", "api_version": "2010-04-01",
        "account_sid": ACCOUNT, "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{SID}.json",
        "subresource_uris": {"media": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{SID}/Media.json"}, **changed}


def listing(*messages: dict[str, object]) -> Reply:
    return Reply(200, {"messages": list(messages), "page": 0, "page_size": 1000, "next_page_uri": None})


def legacy(status: int, code: int, **headers: str) -> Reply:
    """An error body of the API of 2010. Its words name the number, as Twilio's do."""
    return Reply(status, {
        "code": code, "message": f"The 'To' number {MSISDN} is not a valid phone number.", "status": status,
        "more_info": f"https://www.twilio.com/docs/errors/{code}"}, headers=headers)


def problem(status: int, code: int) -> Reply:
    """An error body of RFC 9457, which the SDK tells by another exception."""
    return Reply(status, {
        "type": f"https://www.twilio.com/docs/errors/{code}", "title": "Invalid", "status": status, "code": code,
        "detail": f"{MSISDN}: {BODY}"}, "application/problem+json")


def callback(**fields: str) -> dict[str, str]:
    return {"MessageSid": SID, "SmsSid": SID, "AccountSid": ACCOUNT, "To": MSISDN, "From": "RNP",
            "ApiVersion": "2010-04-01", "SmsStatus": fields["MessageStatus"], **fields}


def receipt(status: str, outcome: str | None, error: str | None = None, **kind: bool) -> Receipt:
    return Receipt("twilio", SID, status, outcome, MSISDN, MESSAGE.token, error, **kind)


def signed(fields: dict[str, tuple[str, ...]], token: str = TOKEN, path: str = PATH) -> CallbackRequest:
    """As Twilio signs it. What cannot be encoded could not have come over the wire, and is not signed."""
    validator = RequestValidator(token)
    try:
        signature = validator.compute_signature(PUBLIC_URL + path, MultiDict(fields))
    except UnicodeEncodeError:
        signature = "AAAA"
    return CallbackRequest(path, {"X-Twilio-Signature": signature}, fields, path.rpartition("/")[2])


class MultiDict(dict):
    def getlist(self, key: str) -> list[str]:
        return list(self[key])


def texted(body: str, **fields: str) -> dict[str, str]:
    return {"MessageSid": SID, "SmsSid": SID, "SmsMessageSid": SID, "AccountSid": ACCOUNT, "From": MSISDN,
            "To": "+212800000000", "Body": body, "NumMedia": "0", "NumSegments": "1", "SmsStatus": "received",
            "ApiVersion": "2010-04-01", "FromCountry": "MA", **fields}


LONG = "السلام عليكم، أريد أن أعرف متى أتوصل برسالة المؤشر الخاص بأسرتي لأنني غيرت رقم هاتفي منذ شهر"
ERROR_AGAIN = Reply(500, {"code": 20500, "message": "Internal server error", "status": 500})

REFUSALS: list[tuple[str, Reply, SendError]] = [
    ("not a number", legacy(400, 21211), Rejected("21211")),
    ("not a number, as a problem document", problem(400, 21211), Rejected("21211")),
    ("opted out", legacy(400, 21610), Rejected("21610", opted_out=True)),
    ("a landline", legacy(400, 21614), Rejected("21614")),
    ("text too long", legacy(400, 21617), Rejected("21617")),
    ("a code of tomorrow", legacy(400, 29999), Rejected("29999")),
    ("no route from this sender", legacy(400, 21612), Unavailable("21612")),
    ("no such sender", legacy(400, 21606), Misconfigured("21606")),
    ("country not enabled", legacy(400, 21408), Misconfigured("21408")),
    ("wrong token", legacy(401, 20003), Misconfigured("20003")),
    ("wrong token, as a problem document", problem(401, 20003), Misconfigured("20003")),
    ("no such account", legacy(404, 20404), Misconfigured("20404")),
    ("forbidden with a code of tomorrow", legacy(403, 29998), Misconfigured("29998")),
    ("a firewall's page", Reply(403, "<html>Blocked</html>", "text/html"), Misconfigured("http_403")),
    ("a code without end", Reply(400, '{"code": 1e999}'), Misconfigured("http_400")),
    ("too fast", legacy(429, 20429), Throttled("20429", retry_after_s=1.0)),
    ("too fast, wait 7 s", legacy(429, 20429, **{"Retry-After": "7"}), Throttled("20429", retry_after_s=7.0)),
    ("too fast, without a body", Reply(429, "", "text/plain"), Throttled("http_429", retry_after_s=1.0)),
    ("queue of the sender full", legacy(400, 21611), Throttled("21611", retry_after_s=1.0)),
    ("enough for today", legacy(429, 63038), Throttled("63038", retry_after_s=3600.0)),
    ("server fault", ERROR_AGAIN, Unknown("20500")),
    ("server fault with the person's code", legacy(500, 21211), Unknown("21211")),
    ("bad gateway", Reply(502, "<html>Bad gateway</html>", "text/html"), Unknown("http_502")),
    ("busy", legacy(503, 20503), Unknown("20503")),
]

TWILIO = Provider(
    name="twilio",
    account={"account_sid": ACCOUNT, "auth_token": TOKEN, "next_auth_token": NEXT_TOKEN, "sender": "RNP",
             "public_url": PUBLIC_URL},
    sent_to=f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
    sent={"To": [MSISDN], "From": ["RNP"], "Body": [BODY], "ValidityPeriod": ["7200"], "SmartEncoded": ["false"],
          "StatusCallback": [PUBLIC_URL + PATH]},
    accepted=Reply(201, message()),
    provider_id=SID,
    refusals=REFUSALS,
    unclear=[
        ("a page", Reply(201, "<html>OK</html>", "text/html")),
        ("half a document", Reply(201, '{"sid": "SM')),
        ("an empty answer", Reply(201, "")),
        ("no sid", Reply(201, message(sid=None))),
        ("a sid that is no text", Reply(201, message(sid=17))),
        ("a list", Reply(201, [])),
        ("a number", Reply(201, 1)),
        ("null", Reply(201, "null")),
        ("brackets without end", Reply(201, "[" * 100_000)),
        ("a date that is none", Reply(201, message(sid=None, date_created=7))),
    ],
    receipts=[
        ("queued", callback(MessageStatus="queued"), receipt("queued", None)),
        ("sent", callback(MessageStatus="sent"), receipt("sent", "sent")),
        ("delivered", callback(MessageStatus="delivered", RawDlrDoneDate="2611210905"),
         receipt("delivered", "delivered")),
        ("handset off", callback(MessageStatus="undelivered", ErrorCode="30003"),
         receipt("undelivered", "failed", "30003", temporary=True)),
        ("congestion", callback(MessageStatus="failed", ErrorCode="30017"),
         receipt("failed", "failed", "30017", temporary=True)),
        ("unknown fault", callback(MessageStatus="failed", ErrorCode="30008"),
         receipt("failed", "failed", "30008", temporary=True)),
        ("wants no texts", callback(MessageStatus="failed", ErrorCode="21610"),
         receipt("failed", "failed", "21610", permanent=True, opted_out=True)),
        ("an old error of what has gone", callback(MessageStatus="sent", ErrorCode="30008"),
         receipt("sent", "sent", "30008")),
        ("our account", callback(MessageStatus="failed", ErrorCode="30002"), receipt("failed", "failed", "30002")),
        ("no such subscriber", callback(MessageStatus="undelivered", ErrorCode="30005"),
         receipt("undelivered", "failed", "30005", permanent=True)),
        ("a landline", callback(MessageStatus="undelivered", ErrorCode="30006"),
         receipt("undelivered", "failed", "30006", permanent=True)),
        ("failed, no reason", callback(MessageStatus="failed"), receipt("failed", "failed")),
        ("a word of tomorrow", callback(MessageStatus="teleported"), receipt("teleported", None)),
        ("a field of tomorrow", callback(MessageStatus="sent", Mood="good"), receipt("sent", "sent")),
    ],
    inbound=[
        ("a word", texted("STOP"), Inbound("twilio", SID, MSISDN, "STOP")),
        ("nothing", texted(""), Inbound("twilio", SID, MSISDN, "")),
        ("Arabic", texted(LONG, NumSegments="2"), Inbound("twilio", SID, MSISDN, LONG)),
        ("a long text that came as base64", texted(base64.b64encode(LONG.encode()).decode(), NumSegments="2"),
         Inbound("twilio", SID, MSISDN, LONG)),
        ("a word that could be base64", texted("MERCI123"), Inbound("twilio", SID, MSISDN, "MERCI123")),
        ("a long text that is none once decoded", texted(base64.b64encode(b"\x00" * 90).decode()),
         Inbound("twilio", SID, MSISDN, "A" * 120)),
        ("a word that is base64", texted("TUVSQ0k="), Inbound("twilio", SID, MSISDN, "TUVSQ0k=")),
        ("a long run of letters", texted("ABCD" * 30), Inbound("twilio", SID, MSISDN, "ABCD" * 30)),
    ],
    request=signed,
)

