"""Receipt: what an SMSC says became of a message, in a text of its own or in optional parameters.

SMPP 3.4 sections 5.2.12 (esm_class), 5.2.28 (message_state), 5.3.2.12 (receipted_message_id), 5.3.2.31
(network_error_code), and appendix B (the text of a receipt).
"""

from __future__ import annotations

import re

from channels.base import Outcome, Receipt
from channels.sms.smpp.address import msisdn
from channels.sms.smpp.delivery import Delivery

MESSAGE_TYPE = 0x3C
DELIVERY_RECEIPT, ON_THE_WAY = 0x04, 0x20
RECEIPTED_MESSAGE_ID, MESSAGE_STATE, NETWORK_ERROR_CODE = 0x001E, 0x0427, 0x0423

STATES = dict(enumerate(
    ("ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD"), 1))
# The SMSC's UNKNOWN is no failure: it says only that it does not know.
OUTCOMES: dict[str, Outcome | None] = {
    "ENROUTE": None, "ACCEPTD": None, "UNKNOWN": None,
    "DELIVRD": "delivered",
    "EXPIRED": "failed", "DELETED": "failed", "UNDELIV": "failed", "REJECTD": "failed",
}
# Errors of a GSM network that another attempt will not cure: unknown subscriber, illegal subscriber, no such service.
# 3GPP TS 29.002, section 17.6.6. The text's own `err:` is each operator's and says nothing for certain.
GSM = 3
PERMANENT = {1, 9, 11}

TEXT = re.compile(
    r"\bid:(?P<id>\S{1,65})(?:\s+sub:(?P<sub>\d{1,3}))?(?:\s+dlvrd:(?P<dlvrd>\d{1,3}))?"
    r"(?:\s+submit date:(?P<submit>\d{10,12}))?(?:\s+done date:(?P<done>\d{10,12}))?"
    r"\s+stat:(?P<stat>[A-Z]{5,7})(?:\s+err:(?P<err>\w{1,8}))?(?:\s+text:(?P<text>.*))?", re.I | re.S)

NUMBER = re.compile(r"[0-9A-Fa-f]{1,65}")


def is_receipt(delivery: Delivery) -> bool:
    """By what the SMSC alone can set. A person may text the words of a receipt: they are a text all the same."""
    return (delivery.esm_class & MESSAGE_TYPE in (DELIVERY_RECEIPT, ON_THE_WAY)
            or RECEIPTED_MESSAGE_ID in delivery.options)


def read(delivery: Delivery, provider: str) -> Receipt | None:
    """Translate a receipt; None for one that names no message or no state, and could settle nothing."""
    told = TEXT.search(delivery.octets.decode("utf-16-be" if delivery.data_coding == 0x08 else "latin-1", "replace"))
    words = {name: word or "" for name, word in told.groupdict().items()} if told else {"id": "", "stat": "", "err": ""}
    names = [name for name in (delivery.option_text(RECEIPTED_MESSAGE_ID), words["id"]) if name]
    state = int.from_bytes(delivery.options.get(MESSAGE_STATE, b"")[:1], "big")
    status = STATES.get(state, str(state)) if state else words["stat"].upper()
    if not names or not status:
        return None
    network = delivery.options.get(NETWORK_ERROR_CODE, b"")
    gsm_error = int.from_bytes(network[1:], "big") if len(network) == 3 and network[0] == GSM else 0
    outcome = OUTCOMES.get(status)
    provider_id, *also = dict.fromkeys(spelling for name in names for spelling in spellings(name))
    return Receipt(
        provider, provider_id, status, outcome, msisdn(delivery.source) or msisdn(delivery.destination),
        error=str(gsm_error) if gsm_error else words["err"] if words["err"].strip("0") else None,
        permanent=outcome == "failed" and gsm_error in PERMANENT, also=tuple(also))


def spellings(message_id: str) -> list[str]:
    """The names that a message may go by, its usual one first: however a number was padded and in whichever case it is
    spelt one way, and then as if one side wrote it in hexadecimal, as SMPP 3.3 did, and the other in decimal, as
    appendix B does.
    """
    if not NUMBER.fullmatch(message_id):
        return [message_id]
    spelt = [message_id.lower().lstrip("0") or "0", str(int(message_id, 16))]
    if message_id.isdecimal():
        spelt.append(f"{int(message_id):x}")
    return spelt
