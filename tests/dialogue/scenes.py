"""Scenes: what callers type, and what comes of it; the same for every language and medium. People are invented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from gateway import reasons
from gateway.dialogue.engine import Outcome
from gateway.registry.explain import Line, Movement
from gateway.registry.standing import Standing
from gateway.registry.things import Source, Value, unit_of
from gateway.whereabouts import whereabouts
from gateway.words import Wording

# What is worded in the language of the caller is worded when it is played.
Worded = Callable[[Wording, str], Outcome]
PIN = "482913"
# In the place of a key: the language of the play, and something to say in it.
LANGUAGE, SAID = "{language}", "{said}"
IN_WORDS = {
    "ar-MA": "لم نتوصل بالدعم منذ شهر مارس",
    "ar-Latn-MA": "Ma wslna walo mn chhar mars",
    "fr-MA": "Rien n'est venu depuis le mois de mars",
    "zgh-MA": "Ur aɣ d yuwwiḍ walu seg mars",
}


@dataclass(frozen=True)
class Scene:
    """What a caller types, and what comes of each effect, one outcome a time.

    What begins with `*580` is dialled: a new call, after the one before broke off or ended. The first is dialled
    without saying so, unless a scene begins with another. What is not offered at that moment of `98` is not pressed:
    the pages are not the same in every language.
    """

    title: str
    typed: tuple[str, ...]
    outcomes: Mapping[str, tuple[Outcome | Worded, ...]] = field(default_factory=dict)
    first_call: bool = False
    # None: in writing as well, unless a PIN is looked at.
    in_writing: bool | None = None

    def media(self, *, in_writing: bool) -> bool:
        """Whether it is played where what is typed stays to be read: a PIN is not asked for there."""
        if self.in_writing is None:
            return not in_writing or "check_pin" not in self.outcomes
        return self.in_writing == in_writing


def on(day: int, month: int, year: int = 2026) -> date:
    return date(year, month, day)


def found(kind: str, state: str, by: date | None) -> Outcome:
    """What is told of a request by its number."""
    return Outcome("found", {"kind": kind, "state": state, "date": on(21, 11), "by": by})


def _file(state: str, since: date, step: str, by: date | None, **more: object) -> Worded:
    here = Standing("700418250", state, since, step, by, **more)  # type: ignore[arg-type]
    return lambda words, locale: Outcome("found", {"lines": whereabouts(words, locale, here)})


def _why(words: Wording, locale: str) -> Outcome:
    told = (("phone_internet", Value(Decimal("120.50")), "telecom"), ("cars", Value(Decimal(1)), "road_safety"),
            ("rooms", Value(Decimal(3)), "declaration"))
    return Outcome("ok", {"lines": [
        reasons.said(words, locale, Line(thing, (), unit_of(thing), "values", value, Decimal(1), "raises",
                                         Source(body, on(1, 11)))) for thing, value, body in told]})


def _moved(words: Wording, locale: str) -> Outcome:
    moved = Movement("water_electricity", (), unit_of("water_electricity"), "values", Value(Decimal("180.00")),
                     Value(Decimal("310.25")), Decimal(1), "raises", "value", Source("water_electricity", on(1, 11)))
    return Outcome("ok", {"old": Decimal("9.4127340"), "lines": [reasons.moved(words, locale, moved)]})


def _programme(standing: str, *unmet: str, apply: str = "asd_portal") -> Outcome:
    return Outcome("ok", {"standing": standing, "unmet": list(unmet), "apply": apply})


OK = Outcome("ok")
NONE = Outcome("none")
UNKNOWN = Outcome("unknown")
CHECK = Outcome("check")
PROVEN = Outcome("ok", {"proof": "household"})
VERIFYING = _file("verifying", on(16, 11), "partners_answer", on(30, 11), waits_for=("telecom", "land_registry"))
NOTIFIED = _file("notified", on(21, 11), "review", on(20, 1, 2027))
INDEX = Outcome("ok", {"index": Decimal("9.5127340"), "programmes": [{"key": "asd", "below": True},
                                                                   {"key": "amo-tadamon", "below": False}]})
OPEN = Outcome("open", {"deadline": on(20, 1, 2027), "things": ["phone_internet", "cars", "rooms"]})
ALREADY = Outcome("already", {"number": "318846025", "state": "in_progress", "by": on(21, 12)})
ASKED = Outcome("ok", {"number": "318846025", "by": on(21, 12)})
LATE = Outcome("late", {"deadline": on(2, 10)})
HOMES = Outcome("which", {"homes": ["417", "803"]})
FILED = Outcome("ok", {"number": "520418736"})
REPORTED = Outcome("ok", {"number": "618204739"})
ANSWERED = Outcome("open_again", {"kind": "complaint", "state": "answered", "date": on(21, 11), "by": on(6, 12),
                                  "number": "520418736"})
NEW_PIN = Outcome("ok", {"new_pin": "a hash"})

SCENES: Mapping[str, Scene] = {
    # Who calls for the first time, and how one moves about
    "first_call": Scene("Somebody calls for the first time, chooses a language and reads what this is",
                        (LANGUAGE, "98", "98", "8", "5", "98", "0", "0"), first_call=True),
    "no_pin_in_writing": Scene("No PIN is asked for where it would stay to be read", ("2",), in_writing=True),
    "another_language": Scene("The language is changed, and changed back",
                              ("8", "1", "2", "8", "1", LANGUAGE, "98")),
    "arabic_digits": Scene("A keypad that writes Arabic-Indic or Persian digits is understood like any other",
                           ("٢", "٤٨٢٩١٣", "٠٠", "۵", "۱", "٩٨", "٩٨", "٨", "٠٠"),
                           {"check_pin": (PROVEN,), "show_index": (INDEX,)}),
    "mistakes": Scene("Keys that lead nowhere, and one that does before it is too late",
                      ("9", "مرحبا", "5", "77", "1", "12", "*", "11", "00")),
    "lost": Scene("Three keys in a row that lead nowhere, and one more: a text, and goodbye",
                  ("9", "مرحبا", "*", "7")),
    "lost_and_found": Scene("Three keys in a row that lead nowhere, and home again",
                            ("9", "9", "9", "1", "8", "0")),
    "lost_wants_help": Scene("Three keys in a row that lead nowhere, and a text is wanted",
                             ("9", "9", "9", "2")),
    # 1: the file
    "my_file": Scene("Where is my file? The telephone is known; then its index, against the PIN",
                     ("1", "98", "98", "1", PIN, "98"),
                     {"my_file": (VERIFYING,), "check_pin": (PROVEN,),
                      "show_index": (Outcome("none", {"due": on(30, 11)}),)}),
    "my_file_notified": Scene("Where is my file? It is through; what the caller has to say of it is a complaint",
                              ("1", "98", "2", "1", "98", "11", "1", "1"),
                              {"my_file": (NOTIFIED,), "file_complaint": (FILED,)}),
    "shared_telephone": Scene("A telephone that two households share: which one?",
                              ("1", "3", "2", "98", "0"), {"my_file": (HOMES, VERIFYING)}),
    "file_by_number": Scene("A telephone that is not known: the slip's number, mistyped, unknown, and right at last",
                            ("1", "70041825", "700418205", "700418241", "700418250", "98", "98", "00"),
                            {"my_file": (NONE,), "file_by_number": (CHECK, UNKNOWN, VERIFYING)}),
    "not_registered": Scene("Somebody who has no slip: how to register",
                            ("1", "1", "98"), {"my_file": (NONE,)}),
    # 2: the index
    "index": Scene("A household hears its index, why it is so, what has changed, and contests a thing",
                   ("2", PIN, "98", "1", "98", "98", "98", "2", "98", "1", "98", "2", "1"),
                   {"check_pin": (PROVEN,), "show_index": (INDEX,), "explain_index": (_why,),
                    "compare_index": (_moved,), "review_state": (OPEN,), "request_review": (ASKED,)}),
    "index_first": Scene("A first index has not changed",
                         ("2", PIN, "2", "1", "98", "98"),
                         {"check_pin": (PROVEN,), "show_index": (INDEX,), "compare_index": (Outcome("first"),),
                          "explain_index": (_why,)}),
    "index_late": Scene("The ten days are past without an index: a complaint about it",
                        ("2", PIN, "1", "98", "98", "10", "1", "1"),
                        {"check_pin": (PROVEN,), "show_index": (Outcome("late"),), "file_complaint": (FILED,)}),
    "wrong_pin": Scene("A wrong PIN, or a telephone that nobody knows: the same words, until it is locked",
                       ("2", "48291", "111222", "111223", "111224"),
                       {"check_pin": (Outcome("wrong"), Outcome("wrong"), Outcome("locked"))}),
    "no_pin": Scene("Somebody has no PIN and asks for one by letter",
                    ("2", "9", "2", "00", "2", "9", "1", "98"), {"send_pin_letter": (OK,)}, in_writing=False),
    # 3: programmes
    "programmes": Scene("Programme by programme: below the limit, above it, and one whose limit nobody has published",
                        ("3", "98", "1", PIN, "98", "1", "2", "98", "1", "6", "98", "98"),
                        {"check_pin": (PROVEN,), "judge_programme": (
                            _programme("below_near"),
                            _programme("above", "no_public_employee_or_pensioner", apply="local_authority"),
                            _programme("not_published", "member_with_disability", apply="centre"))}),
    "programme_and_review": Scene("What a programme says is contested; but the sixty days are over",
                                  ("3", "2", PIN, "98", "2", "1", "98", "5"),
                                  {"check_pin": (PROVEN,), "judge_programme": (_programme("above"),),
                                   "review_state": (LATE,)}),
    # 4: review
    "review": Scene("A review of the whole index, from somebody who does not know what is wrong",
                    ("4", PIN, "98", "9", "2", "4", "98", "9", "1"),
                    {"check_pin": (PROVEN,), "review_state": (OPEN, OPEN), "request_review": (ASKED,)}),
    "review_withdrawn": Scene("A household takes back its request for a review, and may ask again",
                              ("4", PIN, "98", "8", "1"),
                              {"check_pin": (PROVEN,), "review_state": (ALREADY,),
                               "withdraw_review": (Outcome("ok", {"last_day": on(20, 1, 2027)}),)}),
    "review_decided_meanwhile": Scene("The request is taken back too late: it is decided",
                                      ("4", PIN, "8", "1"),
                                      {"check_pin": (PROVEN,), "review_state": (ALREADY,),
                                       "withdraw_review": (Outcome("no"),)}),
    "review_late": Scene("The sixty days are over: what can still be done",
                         ("4", PIN, "2", "98", "1", "98", "98", "2", "2", "1"),
                         {"check_pin": (PROVEN,), "review_state": (LATE,)}),
    "review_none": Scene("Nothing can be contested yet",
                         ("4", PIN, "98"), {"check_pin": (PROVEN,), "review_state": (NONE,)}),
    # 5: complaints, and what was asked
    "complaint": Scene("The aid did not come: the caller looks around, reads it back and files it",
                       ("5", "1", "98", "98", "0", "6", "1", "2", "5", "1", "6", "1", "1"),
                       {"file_complaint": (FILED,)}),
    "complaint_in_words": Scene("A complaint in the caller's own words, written twice",
                                ("5", "1", "6", "2", "7", "x" * 12, "98", "2", SAID, "98", "98", "1"),
                                {"file_complaint": (FILED,)}),
    "complaint_staff": Scene("A complaint about staff is never named again",
                             ("5", "1", "8", "1"), {"file_complaint": (FILED,)}),
    "complaint_index": Scene("Who complains of the index is told of the review first",
                             ("5", "1", "2", "2", "1", "1"), {"file_complaint": (FILED,)}),
    "complaint_of_which": Scene("A telephone that two households share files a complaint for one of them",
                                ("5", "1", "4", "1", "1", "2"), {"file_complaint": (HOMES, FILED)}),
    "complaint_too_many": Scene("Too many complaints from one telephone in one day",
                                ("5", "1", "11", "1", "1"), {"file_complaint": (Outcome("too_many"),)}),
    "follow": Scene("A number mistyped, one unknown, the review at last; then a message's code; it is all ours",
                    ("5", "2", "31884602", "318846052", "700000007", "318846025", "98", "1", "812345670"),
                    {"request_status": (CHECK, UNKNOWN, found("review", "in_progress", on(21, 12)),
                                        Outcome("ours", {"date": on(21, 11)}))}),
    "open_again": Scene("An answer that does not content: the complaint is opened again",
                        ("5", "2", "520418736", "98", "1", "1"),
                        {"request_status": (ANSWERED,), "open_again": (Outcome("ok", {"by": on(28, 11)}),)}),
    "open_again_late": Scene("The time to open it again has run out meanwhile: a new complaint",
                             ("5", "2", "520418736", "1", "1", "1", "98", "98", "11", "1", "1"),
                             {"request_status": (ANSWERED,), "open_again": (Outcome("no"),),
                              "file_complaint": (Outcome("ok", {"number": "574930261"}),)}),
    "rating": Scene("A complaint that is closed: how was it?",
                    ("5", "2", "520418736", "98", "4"),
                    {"request_status": (Outcome("rate", {"number": "520418736"}),), "rate": (OK,)}),
    # 6: what has changed
    "update": Scene("The household has moved: a number to come to the centre with",
                    ("6", "98", "2", "98", "1", PIN), {"check_pin": (PROVEN,), "report_update": (REPORTED,)}),
    "update_members": Scene("A child was born: the population register comes first",
                            ("6", "4", "98", "1", PIN), {"check_pin": (PROVEN,), "report_update": (REPORTED,)}),
    "update_telephone": Scene("A new telephone is not told by telephone",
                              ("6", "1", "98", "98")),
    "update_school": Scene("School and disability have a place of their own",
                           ("6", "5", "98")),
    # 7: is this genuine?
    "message_ours": Scene("A message of ours, by its code", ("7", "812345670"),
                          {"check_message": (Outcome("ours", {"date": on(21, 11)}),)}),
    "message_fraud": Scene("A message that is not ours, typed twice and reported",
                           ("7", "812345671", "98", "1", "999999999", "98", "2", "1"),
                           {"check_message": (CHECK, UNKNOWN), "file_complaint": (FILED,)}),
    # 8: this telephone and its PIN
    "new_pin": Scene("A PIN of one's own: a weak one, two that differ, and one that is kept",
                     ("8", "98", "2", "1", PIN, "123456", "825193", "825194", "825193", "825193"),
                     {"check_pin": (PROVEN,), "choose_pin": (Outcome("weak"), NEW_PIN, NEW_PIN),
                      "change_pin": (Outcome("different"), OK)}),
    "new_pin_waits": Scene("While a new telephone number waits, no PIN is changed",
                           ("8", "2", "1", PIN, "825193", "825193"),
                           {"check_pin": (PROVEN,), "choose_pin": (NEW_PIN,), "change_pin": (Outcome("wait"),)}),
    "lost_pin": Scene("The PIN is lost", ("8", "2", "2", "1"), {"send_pin_letter": (Outcome("already"),)}),
    "not_mine": Scene("Whoever has this telephone now does not know the household",
                      ("8", "3", "98", "2", "8", "3", "98", "1"), {"disown": (OK,)}),
    "whose_call": Scene("Nothing but a number that anybody can show says whose call this is: it changes nothing",
                        ("8", "3", "98", "1"), {"disown": (Outcome("unsure"),)}),
    "no_more_texts": Scene("Letters instead of texts", ("8", "4", "98", "1", "98"), {"stop_texts": (OK,)}),
    "help": Scene("What is never asked for, a text with all that can be dialled", ("8", "5", "98", "1", "98")),
    "help_to_register": Scene("How to register", ("8", "5", "2", "98")),
    # What is dialled behind the code
    "shortcuts": Scene("Everything that is printed on letters, dialled; and one that leads nowhere any more",
                       ("*580*1#", "*580*2#", "*580*3#", "*580*4#", "*580*5#", "*580*6#", "*580*7#", "*580*8#",
                        "*580*55#", "*580*66#", "*580*77#"), {"my_file": (NOTIFIED,)}),
    "shortcut_first": Scene("A shortcut, before a language is chosen", ("*580*55#", LANGUAGE, "318846025", "98"),
                            {"request_status": (found("review", "answered", None),)}, first_call=True),
    "number_refused": Scene("An old telephone was warned of a new number, and refuses it",
                            ("*580*66#", "98", "1", "98"), {"refuse_number": (OK,)}),
    # A call that breaks off
    "broken_off": Scene("The call breaks off while a complaint is written, twice, and goes on",
                        ("5", "1", "6", "2", "*580#", "9", SAID, "*580#", "9", SAID, "98", "98", "1", "*580#"),
                        {"file_complaint": (FILED,)}),
    "broken_off_at_the_index": Scene("The call breaks off at the index: nobody goes on past the PIN",
                                     ("2", PIN, "*580#", "9", PIN),
                                     {"check_pin": (PROVEN, PROVEN), "show_index": (INDEX, INDEX)}),
    "broken_off_and_left": Scene("The call breaks off, and something else is wanted now",
                                 ("5", "1", "*580#", "5", "00", "7", "*580*3#")),
}
