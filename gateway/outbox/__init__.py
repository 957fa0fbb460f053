"""Outbox: messages that must reach a household, from the promise to the proof that they did.

    message      the row, and the table by which it moves
    posting      a promise is written, or taken back
    sending      woken, claimed, sent, settled: hundreds in one statement
    receipts     what providers report, kept at once and settled a moment later
    unsure       sends of which nobody knows
    letters      printing runs, the post, what it brings back
    late         texts that will not tell in time, and make way for a letter
    months       the large tables, a part each month (PostgreSQL)
"""

from gateway.outbox.late import make_way
from gateway.outbox.letters import (
    ACTS,
    POST,
    RETURNED_FOR,
    CannotBe,
    Paper,
    Tracked,
    claim_letters,
    posted,
    printed,
    report,
    run_state,
    settlement_of,
    told_a_stranger,
    track,
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
from gateway.outbox.sending import ALARM, SENDS_AT_MOST, Claim, Due, claim, close_suppressed, due, expire, rest, settle
from gateway.outbox.unsure import give_up, resolve, unknowns

__all__ = [
    "ACTS", "ALARM", "ANNOUNCEMENT", "DECISION", "FINAL", "LANES", "LATEST_RECEIPT", "NOTICE", "POST", "REPLY",
    "RETURNED_FOR", "SENDS_AT_MOST", "TRANSITIONS", "Attempt", "CannotBe", "Claim", "Draft", "Due", "Message",
    "Paper", "Promise", "ReceiptRecord", "Settlement", "Tracked", "cancel", "cancel_all", "cancel_others", "claim",
    "claim_letters", "close", "close_suppressed", "due", "expire", "give_up", "make_way", "new_reference", "post",
    "posted", "printed", "receive", "report", "resolve", "rest", "run_state", "settle", "settle_receipts",
    "settlement_of", "told_a_stranger", "track", "unknowns",
]
