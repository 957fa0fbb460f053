"""Household: the tree itself, as whoever dials the code walks through it.

Anybody may file a complaint or follow a number; the household's own index and its review ask for the PIN. The
tree is the same for a known and an unknown telephone: the engine is never told which it is, and the performer
answers both alike.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.dialogue.states import Confirm, Dialogue, Do, Effects, End, Menu, Option, Question, State

# Every caller brings the fact `service_code`, the code to dial again: `*580#`.
#
# The contract with whoever performs: effect -> its outcomes -> the facts each one brings.
#   language      a locale: `ar-MA`
#   proof         the performer's own name for the household that a PIN proved; comes back with every effect
#   index         a Decimal
#   programmes    a list of {"key": "asd" or "amo-tadamon", "below": True or False}
#   number        nine digits
#   last_day, deadline, due, date, answer_by    dates; last_day and answer_by may be None
#   kind          `review` or `complaint`
#   state         coarse, since a number is no proof: `received`, `in_progress`, `answered`, `withdrawn`
# Within one session an effect acts once: performed again with the same argument, it answers the same again.
# For a telephone that is not known, `check_pin` answers `wrong`, and `locked` after as many tries as for one
# that is; `send_pin_letter` may answer what it likes, its outcomes lead to the same words.
EFFECTS: Effects = {
    # argument: the locale chosen
    "choose_language": {"ok": ("language",)},
    # argument: the six digits typed
    "check_pin": {"ok": ("proof",), "wrong": (), "locked": ()},
    "send_pin_letter": {"ok": (), "already": (), "wrong": ()},
    # none: not computed yet, promised for `due`; late: promised for a day that is past
    "show_index": {"ok": ("index", "programmes", "last_day"), "none": ("due",), "late": ()},
    # none: the household has not been told its index, the sixty days have not begun
    "review_state": {"open": ("deadline",), "late": ("deadline",), "already": ("number",), "none": ()},
    "request_review": {
        "ok": ("number", "answer_by"),
        "late": ("deadline",),
        "already": ("number",),
        "none": (),
    },
    # argument: the category, a label of the menu `complaint`
    "file_complaint": {"ok": ("number",), "too_many": ()},
    # argument: the nine digits typed; check: the last digit does not fit the others (Damm)
    # ours: not of a request but of a message, which is genuine
    "request_status": {"found": ("kind", "state", "date", "answer_by"), "ours": ("date",), "unknown": (), "check": ()},
}


def _proof(flow: str, then: str) -> Mapping[str, State]:
    """The PIN, asked once a session, on the way to `then`. The words for a wrong one never say why."""
    check, no_pin = f"{flow}.check", (Option("9", "letter", "letter"),)
    return {
        f"{flow}.pin": Question("pin", goto=check, when_proven=then, options=no_pin, says="pin"),
        check: Do(
            "check_pin", proves="ok", outcomes={"ok": then, "wrong": f"{flow}.pin_again", "locked": "locked"}
        ),
        f"{flow}.pin_again": Question("pin", goto=check, options=no_pin, says="pin_again"),
    }


HOUSEHOLD = Dialogue(
    start="home",
    language="language",
    lost="lost",
    effects=EFFECTS,
    states={
        "language": Menu(
            remember="language",
            options=(
                Option("1", "ar-MA", "language.keep"),
                Option("2", "fr-MA", "language.keep"),
                Option("3", "zgh-MA", "language.keep"),
            ),
        ),
        "language.keep": Do("choose_language", argument="language", outcomes={"ok": "home"}),
        "home": Menu(
            options=(
                Option("1", "index", "index.pin"),
                Option("2", "review", "review.pin"),
                Option("3", "complaint", "complaint"),
                Option("4", "request", "request"),
                Option("5", "other", "other"),
            ),
        ),
        # 1: what the index is, and what it means for each programme
        **_proof("index", then="index.look"),
        "index.look": Do(
            "show_index",
            guarded=True,
            outcomes={"ok": "index", "none": "index.none", "late": "index.late"},
        ),
        "index": Menu(options=(Option("1", "review", "review.look"),)),
        "index.none": End(),
        "index.late": Menu(options=(Option("1", "complaint", "complaint"),)),
        # 2: contest it, within sixty days of being told
        **_proof("review", then="review.look"),
        "review.look": Do(
            "review_state",
            guarded=True,
            outcomes={
                "open": "review",
                "late": "review.late",
                "already": "review.already",
                "none": "review.none",
            },
        ),
        "review": Confirm(yes="review.ask", no="home"),
        "review.ask": Do(
            "request_review",
            guarded=True,
            outcomes={
                "ok": "review.done",
                "late": "review.late",
                "already": "review.already",
                "none": "review.none",
            },
        ),
        "review.done": End(),
        "review.already": End(),
        "review.none": End(),
        "review.late": Menu(
            options=(Option("1", "update", "update"), Option("2", "complaint", "complaint")),
        ),
        # 3: complain, of anything; the keys are printed in leaflets and stay
        "complaint": Menu(
            remember="category",
            options=(
                Option("1", "notice_not_received", "complaint.confirm"),
                Option("2", "index_wrong", "complaint.index"),
                Option("3", "data_wrong", "complaint.confirm"),
                Option("4", "composition_wrong", "complaint.confirm"),
                Option("5", "phone_problem", "complaint.confirm"),
                Option("6", "payment_not_received", "complaint.confirm"),
                Option("7", "amo_rights", "complaint.confirm"),
                Option("8", "staff_conduct", "complaint.private"),
                Option("9", "fraud_message", "complaint.confirm"),
                Option("10", "request_late", "complaint.confirm"),
                Option("11", "other", "complaint.confirm"),
            ),
        ),
        "complaint.confirm": Confirm(yes="complaint.file", no="home", reads_back="complaint"),
        # Whoever looks over the shoulder, or finds the phone, does not read what this one is about.
        "complaint.private": Confirm(yes="complaint.file", no="home"),
        # A complaint does not stop the sixty days: who wants another index must hear of the review.
        "complaint.index": Menu(
            options=(Option("1", "review", "review.pin"), Option("2", "complaint", "complaint.file")),
        ),
        "complaint.file": Do(
            "file_complaint",
            argument="category",
            outcomes={"ok": "complaint.done", "too_many": "complaint.too_many"},
        ),
        "complaint.done": End(),
        "complaint.too_many": End(),
        # 4: follow a review or a complaint by its number
        "request": Question("ticket", goto="request.look"),
        "request.look": Do(
            "request_status",
            outcomes={"found": "request.found", "ours": "request.ours", "unknown": "request.unknown",
                      "check": "request.check"},
        ),
        "request.ours": End(),
        "request.unknown": Question("ticket", goto="request.look"),
        "request.check": Question("ticket", goto="request.look"),
        "request.found": Menu(
            options=(Option("1", "another", "request"), Option("2", "complaint", "complaint")),
        ),
        # 5: everything else
        "other": Menu(
            options=(
                Option("1", "language", "language"),
                Option("2", "register", "register"),
                Option("3", "update", "update"),
                Option("4", "letter", "letter"),
                Option("5", "help", "help"),
            ),
        ),
        "register": End(),
        "update": End(),
        "letter": Confirm(yes="letter.send", no="home"),
        "letter.send": Do(
            "send_pin_letter",
            outcomes={"ok": "letter.sent", "already": "letter.sent", "wrong": "letter.sent"},
        ),
        "letter.sent": End(),
        "help": End(),
        "locked": End(),
        "lost": End(),
    },
)
