"""Outbox: messages that must reach a household, from the promise to the proof that they did.

    message      the row, and the table by which it moves
    posting      a promise is written, or taken back
    bulk         promises by the ten thousand
    sending      woken, claimed, sent, settled: hundreds in one statement
    door         what providers report is kept as it comes in
    receipts     one of them, and those that wait
    parts        those of a text that each have a name at the provider
    settling     what they say of messages, hundreds in the same few statements
    unsure       sends of which nobody knows
    letters      printing runs, the post, what it brings back
    late         texts that will not tell in time, and make way for a letter
    months       the large tables, a part each month (PostgreSQL)
"""

from gateway.outbox.bulk import post_all
from gateway.outbox.door import Door
from gateway.outbox.late import make_way
from gateway.outbox.letters import (
    ACTS,
    POST,
    RETURNED_FOR,
    CannotBe,
    Paper,
    Tracked,
    claim_letters,
    letters_due,
    one_of,
    posted,
    printed,
    report,
    run_state,
    settlement_of,
    spoil,
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
    TELEPHONES,
    TRANSITIONS,
    Attempt,
    Message,
    Promise,
    Settlement,
    placed,
    placed_all,
    subject_in,
    subject_of,
)
from gateway.outbox.posting import (
    Draft,
    Texted,
    cancel,
    cancel_all,
    cancel_others,
    cancel_told,
    close,
    new_reference,
    number_of,
    post,
    promised,
    texted,
)
from gateway.outbox.receipts import ReceiptRecord, put_off, receipts_due, receive, receive_all, settled_until
from gateway.outbox.sending import (
    ALARM,
    SENDS_AT_MOST,
    SILENT_AFTER,
    THEIRS,
    Claim,
    Due,
    claim,
    close_suppressed,
    due,
    expire,
    rest,
    settle,
)
from gateway.outbox.settling import LATEST_RECEIPT, settle_receipts
from gateway.outbox.unsure import give_up, resolve, unknowns

__all__ = [
    "ACTS", "ALARM", "ANNOUNCEMENT", "DECISION", "FINAL", "LANES", "LATEST_RECEIPT", "NOTICE", "POST", "REPLY",
    "RETURNED_FOR", "SENDS_AT_MOST", "SILENT_AFTER", "TELEPHONES", "THEIRS", "TRANSITIONS", "Attempt", "CannotBe",
    "Claim", "Door", "Draft", "Due", "Message", "Paper", "Promise", "ReceiptRecord", "Settlement", "Texted", "Tracked",
    "cancel", "cancel_all", "cancel_others", "cancel_told", "claim", "claim_letters", "close", "close_suppressed",
    "due", "expire", "give_up", "letters_due", "make_way", "new_reference", "number_of", "one_of", "placed",
    "placed_all", "post", "post_all", "posted", "printed", "promised", "put_off", "receipts_due", "receive",
    "receive_all", "report", "resolve", "rest", "run_state", "settle", "settle_receipts", "settled_until",
    "settlement_of", "spoil", "subject_in", "subject_of", "texted", "told_a_stranger", "track", "unknowns",
]
