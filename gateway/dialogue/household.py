"""Household: the tree itself, as whoever dials the code walks through it.

Anybody may follow a number, complain, ask whether a message is genuine; the household's own index and what is done
about it ask for the PIN. The tree is the same for a known and an unknown telephone: the engine is never told which it
is, and where the performer cannot answer both alike, it says no more than the texts which that telephone receives.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.dialogue.states import (
    GO_ON,
    Confirm,
    Dialogue,
    Do,
    Effects,
    End,
    Menu,
    Option,
    Pick,
    Question,
    Return,
    State,
)

# Every caller brings the fact `service_code`, the code to dial again: `*580#`.
#
# The contract with whoever performs: effect -> its outcomes -> the facts each one brings.
#   language      a locale: `ar-MA`
#   proof         the performer's own name for the household that a PIN proved; comes back with every effect
#   index, old    Decimals: the index, and the one before it
#   programmes    a list of {"key": "asd" or "amo-tadamon", "below": True or False}
#   number        nine digits
#   lines         sentences in the language of the caller
#   homes         the last three digits of each household's number, where a telephone serves several
#   things        what weighs in the index (`registry.things`), the most first
#   standing, unmet, apply    words of `programmes.*.toml`: how the index stands, what is missing, where to apply
#   last_day, deadline, due, date, by    dates; last_day and by may be None
#   kind          `review`, `complaint` or `update`
#   state         coarse, since a number is no proof: `received`, `in_progress`, `answered`, `withdrawn`
#   new_pin       what is kept of a PIN that was typed once: its hash
# Within one session an effect acts once: performed again with the same argument, it answers the same again. Only of a
# session that Redis forgot after its end may `check_pin`, `choose_pin`, `open_again` and `rate` tell what is so then.
# For a telephone that is not known, `check_pin` answers `wrong`, and `locked` after as many tries as for one
# that is; `send_pin_letter`, `disown` and `stop_texts` lead to the same words in any case.
EFFECTS: Effects = {
    # takes the locale chosen, `language`
    "choose_language": {"ok": ("language",)},
    # takes `home`, where it was picked; none: this telephone is not known, or too many share it
    "my_file": {"found": ("lines",), "which": ("homes",), "none": ()},
    # typed: the number of a slip or a household
    "file_by_number": {"found": ("lines",), "unknown": (), "check": ()},
    # typed: the six digits
    "check_pin": {"ok": ("proof",), "wrong": (), "locked": ()},
    "send_pin_letter": {"ok": (), "already": (), "wrong": ()},
    # typed: a new PIN; weak: one that a thief tries first
    "choose_pin": {"ok": ("new_pin",), "weak": ()},
    # typed: the same once more; takes `new_pin`; wait: a new telephone number is not in force yet
    "change_pin": {"ok": (), "different": (), "wait": ()},
    # none: not computed yet, promised for `due`; late: promised for a day that is past
    "show_index": {"ok": ("index", "programmes"), "none": ("due",), "late": ()},
    "explain_index": {"ok": ("lines",), "none": ("due",), "late": ()},
    # first: there is no index before this one
    "compare_index": {"ok": ("old", "lines"), "first": ()},
    # takes `programme`, a label of the menu
    "judge_programme": {"ok": ("standing", "unmet", "apply"), "none": ("due",), "late": ()},
    # none: the household has no index
    "review_state": {"open": ("deadline", "things"), "late": ("deadline",), "already": ("number", "state", "by"),
                     "none": ()},
    # takes `thing`, where one was named
    "request_review": {"ok": ("number", "by"), "late": ("deadline",), "already": ("number", "state", "by"), "none": ()},
    # again: may be asked again until `last_day`, which may be None; no: it was decided meanwhile
    "withdraw_review": {"ok": ("last_day",), "no": ()},
    # takes `category`, and `words` and `home` where there are any
    "file_complaint": {"ok": ("number",), "too_many": (), "which": ("homes",)},
    # typed: nine digits; check: the last digit does not fit the others (Damm)
    # open_again: answered, and may be opened once more until `by`; rate: closed, and nobody has said how it was
    "request_status": {
        "found": ("kind", "state", "date", "by"), "open_again": ("kind", "state", "date", "by", "number"),
        "rate": ("number",), "file": ("lines",), "ours": ("date",), "unknown": (), "check": (),
    },
    # takes `number`
    "open_again": {"ok": ("by",), "no": ()},
    # takes `number` and `rating`
    "rate": {"ok": ()},
    # takes `change`, a label of the menu
    "report_update": {"ok": ("number",)},
    # typed: the code of a text or letter
    "check_message": {"ours": ("date",), "unknown": (), "check": ()},
    # unsure: nothing but a number that anybody can show says whose call this is
    "refuse_number": {"ok": (), "unsure": ()},
    "disown": {"ok": (), "unsure": ()},
    "stop_texts": {"ok": (), "unsure": ()},
    "send_help": {"ok": ()},
}


def _proof(flow: str, then: str) -> Mapping[str, State]:
    """The PIN, asked once a session, on the way to `then`. The words for a wrong one never say why."""
    check, no_pin = f"{flow}.check", (Option("9", "letter", "pin.lost"),)
    return {
        f"{flow}.pin": Question("pin", goto=check, when_proven=then, options=no_pin, says="pin.ask"),
        check: Do("check_pin", proves="ok", outcomes={"ok": then, "wrong": f"{flow}.again", "locked": "pin.locked"}),
        f"{flow}.again": Question("pin", goto=check, options=no_pin, says="pin.again"),
    }


HOUSEHOLD = Dialogue(
    start="home",
    language="language",
    lost="lost",
    goodbye="lost.help",
    again="resume",
    elsewhere="dial",
    effects=EFFECTS,
    # Printed on letters and learnt by heart: these stay what they are, whatever becomes of the menus.
    shortcuts={
        "1": "file.look",
        "2": "index.pin",
        "3": "programmes",
        "4": "review.pin",
        "5": "complaint",
        "6": "update",
        "7": "message",
        "8": "more",
        "55": "request",
        "66": "number",
        "88": "disown",
    },
    states={
        "language": Menu(
            remember="language",
            options=(
                Option("1", "ar-MA", "language.keep"),
                Option("2", "fr-MA", "language.keep"),
                Option("3", "zgh-MA", "language.keep"),
                Option("4", "ar-Latn-MA", "language.keep"),
            ),
        ),
        "language.keep": Do("choose_language", takes=("language",), outcomes={"ok": "home"}),
        "home": Menu(
            options=(
                Option("1", "file", "file.look"),
                Option("2", "index", "index.pin"),
                Option("3", "programmes", "programmes"),
                Option("4", "review", "review.pin"),
                Option("5", "complaint", "complaint"),
                Option("6", "update", "update"),
                Option("7", "message", "message"),
                Option("8", "more", "more"),
            ),
        ),
        "resume": Menu(options=(Option(GO_ON, "go_on", "resume.go"),)),
        "resume.go": Return(),
        # 1: where is my file
        "file.look": Do("my_file", takes=("home",),
                        outcomes={"found": "file", "which": "file.which", "none": "file.number"}),
        "file.which": Pick(among="homes", remember="home", goto="file.look", says="which"),
        "file": Menu(options=(Option("1", "index", "index.pin"), Option("2", "complaint", "complaint"))),
        "file.number": Question("ticket", goto="file.read", options=(Option("1", "register", "register"),)),
        "file.read": Do("file_by_number",
                        outcomes={"found": "file", "unknown": "file.unknown", "check": "file.check"}),
        "file.unknown": Question("ticket", goto="file.read", options=(Option("1", "register", "register"),)),
        "file.check": Question("ticket", goto="file.read", says="check"),
        "register": End(),
        # 2: my index, why it is so, and what has changed
        **_proof("index", then="index.look"),
        "index.look": Do("show_index", guarded=True,
                         outcomes={"ok": "index", "none": "index.none", "late": "index.late"}),
        "index": Menu(
            options=(
                Option("1", "why", "index.explain"),
                Option("2", "changed", "index.compare"),
                Option("3", "programmes", "programmes"),
                Option("4", "review", "review.look"),
            ),
        ),
        "index.explain": Do("explain_index", guarded=True,
                            outcomes={"ok": "index.why", "none": "index.none", "late": "index.late"}),
        "index.why": Menu(options=(Option("1", "wrong", "review.look"), Option("2", "changed", "index.compare"))),
        "index.compare": Do("compare_index", guarded=True, outcomes={"ok": "index.changed", "first": "index.first"}),
        "index.changed": Menu(options=(Option("1", "wrong", "review.look"),)),
        "index.first": Menu(options=(Option("1", "why", "index.explain"),)),
        "index.none": End(),
        "index.late": Menu(options=(Option("1", "complaint", "complaint.about"),)),
        # 3: programmes, one by one: the limit, what is missing, where to apply
        "programmes": Menu(
            remember="programme",
            options=(
                Option("1", "asd", "programme.pin"),
                Option("2", "amo-tadamon", "programme.pin"),
                Option("3", "amo-achamil", "programme.pin"),
                Option("4", "tayssir", "programme.pin"),
                Option("5", "widows", "programme.pin"),
                Option("6", "disability", "programme.pin"),
            ),
        ),
        **_proof("programme", then="programme.look"),
        "programme.look": Do("judge_programme", takes=("programme",), guarded=True,
                             outcomes={"ok": "programme", "none": "index.none", "late": "index.late"}),
        "programme": Menu(options=(Option("1", "another", "programmes"), Option("2", "review", "review.look"))),
        # 4: contest the index, within sixty days of being told
        **_proof("review", then="review.look"),
        "review.look": Do(
            "review_state", guarded=True,
            outcomes={"open": "review", "late": "review.late", "already": "review.already", "none": "review.none"},
        ),
        "review": Pick(among="things", remember="thing", goto="review.thing",
                       options=(Option("9", "all", "review.all"),)),
        "review.thing": Confirm(yes="review.ask", no="home", reads_back="review"),
        "review.all": Confirm(yes="review.ask_all", no="home"),
        "review.ask": Do(
            "request_review", takes=("thing",), guarded=True,
            outcomes={"ok": "review.done", "late": "review.late", "already": "review.already", "none": "review.none"},
        ),
        "review.ask_all": Do(
            "request_review", guarded=True,
            outcomes={"ok": "review.done", "late": "review.late", "already": "review.already", "none": "review.none"},
        ),
        "review.done": End(),
        # Told anew after it was withdrawn, the call comes to the things again: there this key is none, so that the
        # two that withdrew do not ask for another review.
        "review.already": Menu(options=(Option("8", "withdraw", "review.sure"),)),
        "review.sure": Confirm(yes="review.withdraw", no="home"),
        "review.withdraw": Do("withdraw_review", guarded=True,
                              outcomes={"ok": "review.withdrawn", "no": "review.answered"}),
        "review.withdrawn": End(),
        "review.answered": End(),
        "review.none": End(),
        "review.late": Menu(options=(Option("1", "update", "update"), Option("2", "complaint", "complaint"))),
        # 5: complain, and follow what was asked by its number
        "complaint": Menu(options=(Option("1", "file", "complaint.about"), Option("2", "follow", "request"))),
        "complaint.about": Menu(
            remember="category",
            options=(
                Option("1", "notice_not_received", "complaint.more"),
                Option("2", "index_wrong", "complaint.index"),
                Option("3", "data_wrong", "complaint.more"),
                Option("4", "composition_wrong", "complaint.more"),
                Option("5", "phone_problem", "complaint.more"),
                Option("6", "payment_not_received", "complaint.more"),
                Option("7", "amo_rights", "complaint.more"),
                Option("8", "staff_conduct", "complaint.private"),
                Option("9", "fraud_message", "complaint.more"),
                Option("10", "request_late", "complaint.more"),
                Option("11", "other", "complaint.more"),
            ),
        ),
        # A complaint does not stop the sixty days: who wants another index must hear of the review.
        "complaint.index": Menu(
            options=(Option("1", "review", "review.pin"), Option("2", "complaint", "complaint.more")),
        ),
        "complaint.more": Menu(
            options=(Option("1", "send", "complaint.sure"), Option("2", "words", "complaint.words")),
        ),
        "complaint.sure": Confirm(yes="complaint.file", no="home", reads_back="complaint.about"),
        # Whoever looks over the shoulder, or finds the phone, does not read what this one is about.
        "complaint.private": Confirm(yes="complaint.file", no="home", private=True),
        "complaint.words": Question("words", remember="words", goto="complaint.read"),
        "complaint.read": Confirm(yes="complaint.file", no="complaint.words", reads_back="complaint.words"),
        "complaint.file": Do(
            "file_complaint", takes=("category", "words", "home"),
            outcomes={"ok": "complaint.done", "too_many": "complaint.too_many", "which": "complaint.which"},
        ),
        "complaint.which": Pick(among="homes", remember="home", goto="complaint.file", says="which"),
        "complaint.done": End(),
        "complaint.too_many": End(),
        "request": Question("ticket", goto="request.look"),
        "request.look": Do(
            "request_status",
            outcomes={"found": "request.found", "open_again": "request.answered", "rate": "request.closed",
                      "file": "file", "ours": "message.ours", "unknown": "request.unknown", "check": "request.check"},
        ),
        "request.unknown": Question("ticket", goto="request.look"),
        "request.check": Question("ticket", goto="request.look", says="check"),
        "request.found": Menu(options=(Option("1", "another", "request"), Option("2", "complaint", "complaint.about"))),
        "request.answered": Menu(
            options=(Option("1", "open_again", "request.sure"), Option("2", "another", "request")),
        ),
        "request.sure": Confirm(yes="request.open", no="home"),
        "request.open": Do("open_again", takes=("number",), outcomes={"ok": "request.opened", "no": "request.over"}),
        "request.opened": End(),
        "request.over": Menu(options=(Option("1", "complaint", "complaint.about"),)),
        "request.closed": Menu(
            remember="rating",
            options=tuple(Option(key, key, "request.rate") for key in "12345"),
        ),
        "request.rate": Do("rate", takes=("number", "rating"), outcomes={"ok": "request.rated"}),
        "request.rated": End(),
        # 6: something has changed
        "update": Menu(
            remember="change",
            options=(
                Option("1", "phone", "update.person"),
                Option("2", "dwelling", "update.centre"),
                Option("3", "spending", "update.centre"),
                Option("4", "members", "update.members"),
                Option("5", "schooling", "update.portal"),
            ),
        ),
        "update.person": End(),
        "update.portal": End(),
        "update.members": Menu(options=(Option("1", "report", "update.pin"),)),
        "update.centre": Menu(options=(Option("1", "report", "update.pin"),)),
        **_proof("update", then="update.report"),
        "update.report": Do("report_update", takes=("change",), guarded=True, outcomes={"ok": "update.done"}),
        "update.done": End(),
        # 7: is this message genuine?
        "message": Question("ticket", goto="message.look"),
        "message.look": Do("check_message",
                           outcomes={"ours": "message.ours", "unknown": "message.unknown", "check": "message.unknown"}),
        "message.ours": End(),
        "message.unknown": Menu(options=(Option("1", "again", "message"), Option("2", "complaint", "complaint.fraud"))),
        "complaint.fraud": Menu(remember="category", options=(Option("1", "fraud_message", "complaint.file"),)),
        # 8: everything else
        "more": Menu(
            options=(
                Option("1", "language", "language"),
                Option("2", "pin", "pin"),
                Option("3", "disown", "disown"),
                Option("4", "stop", "stop"),
                Option("5", "help", "help"),
            ),
        ),
        "pin": Menu(options=(Option("1", "change", "pin.pin"), Option("2", "lost", "pin.lost"))),
        **_proof("pin", then="pin.new"),
        "pin.new": Question("pin", goto="pin.choose"),
        "pin.choose": Do("choose_pin", guarded=True, outcomes={"ok": "pin.repeat", "weak": "pin.weak"}),
        "pin.weak": Question("pin", goto="pin.choose"),
        "pin.repeat": Question("pin", goto="pin.change"),
        "pin.change": Do("change_pin", takes=("new_pin",), guarded=True,
                         outcomes={"ok": "pin.changed", "different": "pin.different", "wait": "pin.wait"}),
        "pin.different": Question("pin", goto="pin.choose"),
        "pin.changed": End(),
        "pin.wait": End(),
        "pin.lost": Confirm(yes="pin.send", no="home"),
        "pin.send": Do("send_pin_letter", outcomes={"ok": "pin.sent", "already": "pin.sent", "wrong": "pin.sent"}),
        "pin.sent": End(),
        "pin.locked": End(),
        # Dialled by whoever has a number that was a household's before; it stands in the text to a doubted one.
        "disown": Confirm(yes="disown.do", no="home"),
        "disown.do": Do("disown", outcomes={"ok": "disown.done", "unsure": "unsure"}),
        "disown.done": End(),
        "stop": Confirm(yes="stop.do", no="home"),
        "stop.do": Do("stop_texts", outcomes={"ok": "stop.done", "unsure": "unsure"}),
        "stop.done": End(),
        "help": Menu(options=(Option("1", "text", "help.send"), Option("2", "register", "register"))),
        "help.send": Do("send_help", outcomes={"ok": "help.sent"}),
        "help.sent": End(),
        # Asked for by whoever was warned of a new number and did not want it; it stands in the warning.
        "number": Confirm(yes="number.refuse", no="home"),
        "number.refuse": Do("refuse_number", outcomes={"ok": "number.refused", "unsure": "unsure"}),
        "number.refused": End(),
        # Three keys in a row that lead nowhere: help; one more: a text with all that can be dialled, and goodbye.
        "lost": Menu(options=(Option("1", "home", "home"), Option("2", "text", "lost.help"))),
        "lost.help": Do("send_help", outcomes={"ok": "help.sent"}),
        "dial": End(),
        "unsure": End(),
    },
)
