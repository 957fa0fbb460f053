"""Outbox: messages that must reach a household, from the promise to the proof that they did.

    message      the row, and the table by which it moves
    posting      a promise is written, or taken back
    bulk         promises by the ten thousand
    sending      woken, claimed, sent, settled: hundreds in one statement
    receipts     what providers report, kept at once and settled a moment later
    unsure       sends of which nobody knows
    letters      printing runs, the post, what it brings back
    months       the large tables, a part each month (PostgreSQL)
"""

from gateway.outbox.bulk import post_all
from gateway.outbox.letters import (
    Paper,
    claim_letters,
    posted,
    printed,
    returned,
    run_state,
    told_a_stranger,
)
from gateway.outbox.message import (
    ANNOUNCEMENT,
    DECISION,
    FINAL,
    LANES,
    NOTICE,
    REPLY,
    TRANSITIONS,
    Attempt,
    Message,
    Promise,
    Settlement,
)
from gateway.outbox.posting import Draft, cancel, cancel_all, cancel_others, close, new_reference, post
from gateway.outbox.receipts import LATEST_RECEIPT, ReceiptRecord, receive, settle_receipts
from gateway.outbox.sending import ALARM, SENDS_AT_MOST, Claim, Due, claim, due, expire, rest, settle
from gateway.outbox.unsure import give_up, resolve, unknowns

__all__ = [
    "ALARM", "ANNOUNCEMENT", "DECISION", "FINAL", "LANES", "LATEST_RECEIPT", "NOTICE", "REPLY", "SENDS_AT_MOST",
    "TRANSITIONS", "Attempt", "Claim", "Draft", "Due", "Message", "Paper", "Promise", "ReceiptRecord", "Settlement",
    "cancel", "cancel_all", "cancel_others", "claim", "claim_letters", "close", "due", "expire", "give_up",
    "new_reference", "post", "post_all", "posted", "printed", "receive", "resolve", "rest", "returned", "run_state",
    "settle", "settle_receipts", "told_a_stranger", "unknowns",
]
