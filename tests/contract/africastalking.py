"""Africa's Talking's true payloads.

Sources: answers and callbacks as https://developers.africastalking.com/docs/sms documents and open projects
recorded them (SamuelMwangiW/africastalking-laravel, wondenge/at-notifiers).
"""

from __future__ import annotations

from channels.base import (
    CallbackRequest,
    Inbound,
    Misconfigured,
    Receipt,
    Rejected,
    Throttled,
    Unavailable,
    Unknown,
)
from tests.contract.provider import BODY, MSISDN, Provider
from tests.contract.stub import Reply

ID = "ATXid_" + "a7" * 16


def answer(code: object = 101, word: str = "Success", message_id: object = ID) -> Reply:
    return Reply(201, {"SMSMessageData": {
        "Message": "Sent to 1/1 Total Cost: MAD 0.3500",
        "Recipients": [{"statusCode": code, "number": MSISDN, "status": word, "cost": "MAD 0.3500",
                        "messageId": message_id}]}})


def refused(code: int, word: str) -> Reply:
    return Reply(201, {"SMSMessageData": {
        "Message": "Sent to 0/1 Total Cost: 0",
        "Recipients": [{"statusCode": code, "number": MSISDN, "status": word, "cost": "0",
                        "messageId": "None"}]}})


def nobody(word: str) -> Reply:
    return Reply(201, {"SMSMessageData": {"Message": word, "Recipients": []}})


def plain(status: int, text: str, **headers: str) -> Reply:
    return Reply(status, text, "text/plain; charset=UTF-8", headers)


def report(status: str, **fields: str) -> dict[str, str]:
    return {"id": ID, "status": status, "phoneNumber": MSISDN, "networkCode": "60401", **fields}


def receipt(status: str, outcome: str | None, error: str | None = None, **kind: bool) -> Receipt:
    return Receipt("africastalking", ID, status, outcome, MSISDN, None, error, **kind)


def unsigned(fields: dict[str, tuple[str, ...]]) -> CallbackRequest:
    return CallbackRequest("/receipts/africastalking/" + "s" * 40, {}, fields, "s" * 40)


AFRICASTALKING = Provider(
    name="africastalking",
    account={"username": "rsu", "api_key": "atsk_not_a_key", "sender": "RNP"},
    sent_to="/messaging",
    sent={"username": ["rsu"], "to": [MSISDN], "from": ["RNP"], "message": [BODY], "bulkSMSMode": ["1"],
          "enqueue": ["1"]},
    accepted=answer(),
    provider_id=ID,
    refusals=[
        ("held", refused(401, "RiskHold"), Misconfigured("401")),
        ("no such sender", refused(402, "InvalidSenderId"), Misconfigured("402")),
        ("no such sender, of the whole request", nobody("InvalidSenderId"), Misconfigured("402")),
        ("no such number", refused(403, "InvalidPhoneNumber"), Rejected("403")),
        ("a landline", refused(404, "UnsupportedNumberType"), Rejected("404")),
        ("no money", refused(405, "InsufficientBalance"), Misconfigured("405")),
        ("no money, of the whole request", nobody("InsufficientBalance"), Misconfigured("405")),
        ("opted out", refused(406, "UserInBlacklist"), Rejected("406", opted_out=True)),
        ("no route", refused(407, "CouldNotRoute"), Unavailable("407")),
        ("not at this hour", refused(409, "DoNotDisturbRejection"), Unavailable("409")),
        ("their fault", refused(500, "InternalServerError"), Unknown("500")),
        ("their gateway's fault", refused(501, "GatewayError"), Unknown("501")),
        ("their gateway will not", refused(502, "RejectedByGateway"), Unavailable("502")),
        ("the number, not the word, counts", refused(403, "Success"), Rejected("403")),
        ("wrong key", plain(401, "The supplied authentication is invalid"), Misconfigured("http_401")),
        ("a field is missing", plain(400, "Request is missing required form field 'to'"),
         Misconfigured("http_400")),
        ("too fast", plain(429, "Too many requests"), Throttled("http_429", retry_after_s=1.0)),
        ("too fast, wait 20 s", plain(429, "Slow down", **{"Retry-After": "20"}),
         Throttled("http_429", retry_after_s=20.0)),
        ("server fault", plain(500, "There was an internal server error."), Unknown("http_500")),
        ("bad gateway", Reply(502, "<html>Bad gateway</html>", "text/html"), Unknown("http_502")),
    ],
    unclear=[
        ("a page", Reply(201, "<html>OK</html>", "text/html")),
        ("half a document", Reply(201, '{"SMSMessageData": {"Mess')),
        ("an empty answer", Reply(201, "")),
        ("nobody, and a word of tomorrow", nobody("Whatever")),
        ("nobody, though sent", nobody("Sent to 1/1 Total Cost: MAD 0.35")),
        ("accepted without an id", answer(message_id="None")),
        ("an id that is no text", answer(message_id=None)),
        ("a number of tomorrow", answer(code=777)),
        ("a number that is none", answer(code="many")),
        ("a number without end", Reply(201, '{"SMSMessageData":{"Message":"","Recipients":[{"statusCode":1e999,'
                                            '"messageId":"x"}]}}')),
        ("a list", Reply(201, [])),
        ("a word that is a list", Reply(201, {"SMSMessageData": {"Message": [], "Recipients": []}})),
        ("brackets without end", Reply(201, "[" * 100_000)),
    ],
    receipts=[
        ("buffered", report("Buffered"), receipt("Buffered", None)),
        ("sent", report("Sent"), receipt("Sent", "sent")),
        ("with the operator", report("Submitted"), receipt("Submitted", "sent")),
        ("delivered", report("Success", retryCount="0"), receipt("Success", "delivered")),
        ("failed", report("Failed", failureReason="DeliveryFailure"),
         receipt("Failed", "failed", "DeliveryFailure")),
        ("no such subscriber", report("Failed", failureReason="UserDoesNotExist"),
         receipt("Failed", "failed", "UserDoesNotExist", permanent=True)),
        ("another spelling", report("REJECTED", failureReason="NotNetworkSubcriber"),
         receipt("REJECTED", "failed", "NotNetworkSubcriber", permanent=True)),
        ("another case", report("rejected", failureReason="User_In_Black_List"),
         receipt("rejected", "failed", "User_In_Black_List", permanent=True, opted_out=True)),
        ("our account", report("Rejected", failureReason="InsufficientCredit"),
         receipt("Rejected", "failed", "InsufficientCredit")),
        ("handset off", report("AbsentSubscriber"), receipt("AbsentSubscriber", "failed", temporary=True)),
        ("expired", report("Expired"), receipt("Expired", "failed")),
        ("a word of tomorrow", report("Teleported"), receipt("Teleported", None)),
    ],
    inbound=[
        ("a word", {"date": "2026-11-21T06:04:45Z", "from": MSISDN, "id": "in-1", "linkId": "", "text": "STOP",
                    "to": "580", "networkCode": "60400", "cost": "0"},
         Inbound("africastalking", "in-1", MSISDN, "STOP")),
        ("Arabic", {"date": "2026-11-21 06:04:45", "from": MSISDN, "id": "in-2", "text": "توقف", "to": "580"},
         Inbound("africastalking", "in-2", MSISDN, "توقف")),
    ],
    request=unsigned,
)
