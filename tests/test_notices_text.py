"""The notices as they are read: within their price, safe to believe, and word for word as approved.

After a change of wording that is meant, `python -m tests.transcripts` writes the approved renderings anew.
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import permutations, product
from pathlib import Path

import pytest

from channels.letter.layout import parse
from channels.letter.page import Letter, print_letters
from channels.letter.press import typeset
from channels.text import encoding, fold, parts, units
from gateway.keywords import meant
from gateway.registry.inquiry import PARTNERS
from gateway.registry.update import REGISTER_OF
from gateway.words import LOCALES, all_words

APPROVED = Path(__file__).parent / "transcripts" / "notices"
WORDS = all_words()
BOTH = ("sms", "letter")
MEDIA = {
    "complaint_on_hold": ("sms",),
    "complaint_received": ("sms",),
    "complaint_resolved": BOTH,
    "data_round": BOTH,
    "decision_changed": BOTH,
    "index_assigned": BOTH,
    "index_changed": BOTH,
    "letter_posted": ("sms",),
    "letter_returned": ("sms",),
    "number_change_asked": BOTH,
    "number_changed": BOTH,
    "number_doubted": BOTH,
    "number_left": ("sms",),
    "pin": ("letter",),
    "programme_invites": BOTH,
    "registration_late": BOTH,
    "registration_received": ("sms",),
    "review_decided": BOTH,
    "review_late": BOTH,
    "review_needs_information": BOTH,
    "review_received": ("sms",),
    "review_window_closes": BOTH,
    "call_again": ("sms",), "centre_days": ("sms",), "sms_help": ("sms",),
    "stopped": ("sms",),
    "update_received": ("sms",),
}
NOTICES = [(name, medium, locale) for name, media in MEDIA.items() for medium in media for locale in LOCALES]
TEXTS = [(name, locale) for name, medium, locale in NOTICES if medium == "sms"]
LETTERS = [(name, locale) for name, medium, locale in NOTICES if medium == "letter"]

REFERENCE = "987654321"
SERVICE_CODE = "*580#"
REVIEW_UNTIL = date(2026, 12, 31)
THRESHOLDS = {"asd": Decimal("9.743001"), "amo-tadamon": Decimal("9.3264284")}
BELOW = {True: "تحت العتبة", False: "فوق العتبة"}
SOUS = {True: "sous le seuil", False: "au-dessus du seuil"}

LINK = re.compile(r"https?:|www|@|\.(?:ma|com|net|org)\b", re.IGNORECASE)
BIDI_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
TASHKEEL_AND_TATWEEL = re.compile("[\u0640\u064b-\u0652\u0670]")


@dataclass(frozen=True)
class Programme:
    key: str
    below: bool
    threshold: Decimal
    near: bool


def longest(table, locale, last=""):
    """The code of a table of words whose phrase costs most."""
    names = [name for name in sorted(WORDS.names(locale)) if name.startswith(f"{table}.") and name.endswith(last)]
    named = {name: units(WORDS.say(locale, name, source="", number=1)) for name in names}
    return max(named, key=named.get).removeprefix(f"{table}.").removesuffix(last)


def facts(asd=False, amo=False, near=False, locale="ar-MA", **others):
    """Everything a notice may be told, as long as it can really be: above every threshold, ten and more."""
    standing = {"asd": asd, "amo-tadamon": amo}
    return {
        "programmes": [Programme(key, below, THRESHOLDS[key], near) for key, below in standing.items()],
        "programme": {"key": longest("programme", locale, ".name")},
        "judged": longest("judged", locale),
        "unmet": [longest("condition", locale, ".unmet")],
        "since": date(2026, 11, 2),
        "old": Decimal("9.1234567"),
        "moved": longest("moved", locale),
        "cause": "partner_correction",
        "source": longest("source", locale),
        "bodies": sorted(PARTNERS),
        "weighs": [{"said": f"What weighs: {number}, by somebody 03/03/2027", "way": way, "declared": not number}
                   for number, way in enumerate(("raises", "lowers", ""))],
        "reasons": [f"a reason of the usual length, number {number}, 03/03/2027" for number in (1, 2, 3)],
        "due": REVIEW_UNTIL,
        "needed": longest("needed", locale),
        "needed_by": REVIEW_UNTIL,
        "outcome": longest("outcome", locale),
        "reason": longest("review_reason", locale),
        "text": "What the clerk wrote, in a sentence or two.",
        "owner": longest("owner", locale),
        "until": REVIEW_UNTIL,
        "resolution": longest("resolution", locale),
        "reopen_until": REVIEW_UNTIL,
        "register": max(sorted(REGISTER_OF.values()), key=lambda name: units(WORDS.say(locale, f"register.{name}"))),
        "index": Decimal("10.1234567"),
        "review_until": REVIEW_UNTIL,
        "answer_by": REVIEW_UNTIL,
        "registered_on": date(2026, 10, 22),
        "today": date(2026, 11, 1),
        "reference": REFERENCE,
        "number": "123456789",
        "service_code": SERVICE_CODE,
        "with_pin": True,
        **others,
    }


def rendered(name, medium, locale):
    """A notice as it is approved: each of its wordings, with what it costs."""
    below = {"below": {"asd": True, "amo": True}, "near": {"asd": True, "amo": True, "near": True},
             "between": {"asd": True}, "above": {}}
    cases = below if name in ("index_assigned", "index_changed") else {"longest": {}}
    texts = []
    for case, standing in cases.items():
        text = WORDS.notice(name, medium, locale, **facts(**standing, locale=locale))
        cost = f", {encoding(text)}, {units(text)} units, {parts(text)} SMS" if medium == "sms" else ""
        texts.append(f"---- {case}{cost}\n{text}\n")
    return "\n".join(texts)


def approve():
    """Write every rendering anew, and forget those of notices that are gone."""
    APPROVED.mkdir(parents=True, exist_ok=True)
    for old in APPROVED.glob("*.txt"):
        old.unlink()
    for notice in NOTICES:
        (APPROVED / f"{'.'.join(notice)}.txt").write_text(rendered(*notice), encoding="utf-8")


def test_every_notice_is_known_here_with_its_media():
    assert {name: WORDS.about(name).media for name in WORDS.notices()} == MEDIA


@pytest.mark.parametrize(("name", "medium", "locale"), NOTICES)
def test_a_notice_reads_as_it_was_approved(name, medium, locale):
    approved = (APPROVED / f"{name}.{medium}.{locale}.txt").read_text(encoding="utf-8")
    assert rendered(name, medium, locale) == approved


@pytest.mark.parametrize(("name", "locale"), TEXTS)
def test_a_text_stays_within_its_price_with_the_longest_facts(name, locale):
    for asd, amo, near in product((True, False), repeat=3):
        text = WORDS.notice(name, "sms", locale, **facts(asd, amo, near, locale))
        assert parts(text) <= WORDS.about(name).parts[locale]


def test_the_index_notice_costs_what_was_promised():
    assert WORDS.about("index_assigned").parts == {"ar-MA": 3, "fr-MA": 2, "zgh-MA": 2}


@pytest.mark.parametrize(("name", "locale"), TEXTS)
def test_a_latin_text_is_in_the_cheap_alphabet_and_arabic_needs_no_cleaning(name, locale):
    text = WORDS.notice(name, "sms", locale, **facts(locale=locale))
    assert encoding(text) == ("ucs2" if locale == "ar-MA" else "gsm7")
    assert fold(text).replaced == ()


@pytest.mark.parametrize(("name", "medium", "locale"), NOTICES)
def test_a_notice_holds_nothing_that_a_swindler_could_copy_or_a_handset_could_spoil(name, medium, locale):
    text = WORDS.notice(name, medium, locale, **facts(locale=locale))
    assert not LINK.search(text)
    assert not BIDI_CONTROLS.search(text)
    assert not TASHKEEL_AND_TATWEEL.search(text)
    assert not re.search("[\u0660-\u0669\u06f0-\u06f9]", text)


@pytest.mark.parametrize(("name", "locale"), TEXTS)
def test_a_text_tells_no_index_no_threshold_and_no_pin(name, locale):
    text = WORDS.notice(name, "sms", locale, **facts(locale=locale))
    assert "10,1234" not in text
    assert "9,7430" not in text
    assert "{pin}" not in text


@pytest.mark.parametrize("locale", LOCALES)
def test_the_service_code_is_alone_on_its_line_in_a_text(locale):
    for name in ("index_assigned", "sms_help"):
        assert SERVICE_CODE in WORDS.notice(name, "sms", locale, **facts(locale=locale)).split("\n")


@pytest.mark.parametrize("locale", LOCALES)
def test_the_index_notice_tells_the_last_day_of_the_review_and_its_code(locale):
    """A letter is told it when it is printed, as it is told its day: both are left open in its words."""
    for medium, last_day in (("sms", "31/12/2026"), ("letter", "{review_until}")):
        text = WORDS.notice("index_assigned", medium, locale, **facts())
        assert last_day in text
        assert SERVICE_CODE in text
    assert REFERENCE in WORDS.notice("index_assigned", "sms", locale, **facts())


@pytest.mark.parametrize(("locale", "words"), [("ar-MA", BELOW), ("fr-MA", SOUS)])
@pytest.mark.parametrize("medium", ["sms", "letter"])
def test_each_programme_is_told_on_which_side_of_its_threshold(medium, locale, words):
    names = {"ar-MA": ("الدعم الاجتماعي المباشر", "أمو تضامن"), "fr-MA": ("Aide sociale directe", "AMO-Tadamon")}
    for asd, amo in product((True, False), repeat=2):
        text = WORDS.notice("index_assigned", medium, locale, **facts(asd, amo))
        rows = [" | ".join(row) for row in parse(text).table] if medium == "letter" else text.split("\n")
        for name, below in zip(names[locale], (asd, amo), strict=True):
            [line] = [line for line in rows if line.startswith(name)]
            assert line.endswith(words[below])


@pytest.mark.parametrize("name", ["review_received", "complaint_received"])
@pytest.mark.parametrize("locale", LOCALES)
def test_a_confirmation_repeats_the_number_to_ask_by(name, locale):
    text = WORDS.notice(name, "sms", locale, **facts(locale=locale))
    assert "123456789" in text
    assert REFERENCE in text
    assert ("31/12/2026" in text) == (name == "review_received")


@pytest.mark.parametrize("locale", LOCALES)
def test_a_household_is_told_the_words_that_the_gateway_obeys(locale):
    last = {name: WORDS.notice(name, "sms", locale, **facts(locale=locale)).rsplit(": ", 1)[1]
            for name in ("sms_help", "stopped")}
    assert meant(last["sms_help"]) == "stop"
    assert meant(last["stopped"]) == "start"


@pytest.mark.parametrize(("name", "locale"), LETTERS)
def test_a_letter_can_be_laid_out(name, locale):
    read = parse(WORDS.notice(name, "letter", locale, **facts(locale=locale)))
    assert read.body
    if locale != "zgh-MA":
        assert all((read.title, read.date, read.steps, read.closing))
        assert read.pin
        assert REFERENCE in read.code


# These have a slip to tear off, on their back.
TWO_SIDED = ("index_assigned", "index_changed")


def test_a_letter_takes_one_sheet_in_whichever_language_comes_first_and_is_set_but_once(tmp_path, monkeypatch):
    printed: dict[bool, list[Letter]] = {True: [], False: []}
    for name in sorted({name for name, _ in LETTERS}):
        longest = {locale: facts(True, True, True, locale) for locale in LOCALES}
        documents = {locale: WORDS.notice(name, "letter", locale, **longest[locale]) for locale in LOCALES}
        for order in permutations(LOCALES):
            printed[name in TWO_SIDED].append(Letter(REFERENCE, "token", ("A. B.", "10000 Rabat"), order, documents,
                                                     SERVICE_CODE, "424242"))
    set_in = []
    monkeypatch.setattr("channels.letter.page.typeset", lambda *given: set_in.append(given) or typeset(*given))
    for both_sides, letters in printed.items():
        pages = print_letters(letters, tmp_path / "letters.pdf", date(2026, 11, 1))
        assert pages == [2 if both_sides else 1] * len(letters)
    assert len(set_in) == 2


@pytest.mark.parametrize(("locale", "day", "written"), [
    ("ar-MA", date(2027, 1, 20), "20 يناير 2027"), ("ar-MA", date(2026, 8, 1), "1 غشت 2026"),
    ("fr-MA", date(2027, 1, 20), "20 janvier 2027"), ("fr-MA", date(2026, 8, 1), "1er août 2026"),
    ("zgh-MA", date(2027, 1, 20), "20 ⵉⵏⵏⴰⵢⵔ 2027"),
])
def test_the_last_day_is_written_out_with_the_months_as_morocco_calls_them(locale, day, written):
    assert WORDS.written(locale, day) == written.replace(" ", "\u00a0")


@pytest.mark.parametrize("name", TWO_SIDED)
def test_a_letter_of_an_index_draws_it_among_the_limits_and_tells_the_picture_too(name):
    for locale in LOCALES:
        scale = parse(WORDS.notice(name, "letter", locale, **facts(locale=locale))).scale
        assert scale is not None
        assert scale.index.value == Decimal("10.1234567")
        assert {limit.value for limit in scale.limits} == set(THRESHOLDS.values())
        assert all(mark.figure in scale.told for mark in (scale.index, *scale.limits))


@pytest.mark.parametrize("name", TWO_SIDED)
def test_a_letter_of_an_index_of_no_published_limit_has_no_picture(name):
    for locale in LOCALES:
        assert parse(WORDS.notice(name, "letter", locale, **facts(locale=locale, programmes=[]))).scale is None


@pytest.mark.parametrize("name", TWO_SIDED)
@pytest.mark.parametrize("locale", ["ar-MA", "fr-MA"])
def test_a_letter_of_an_index_tells_three_things_with_their_sources_and_goes_without_them(name, locale):
    told = parse(WORDS.notice(name, "letter", locale, **facts(locale=locale)))
    assert len(told.reasons) == 4
    assert all("03/03/2027" in reason for reason in told.reasons[1:])
    assert parse(WORDS.notice(name, "letter", locale, **facts(locale=locale, weighs=[], reasons=[]))).reasons == ()


@pytest.mark.parametrize("name", TWO_SIDED)
@pytest.mark.parametrize("locale", ["ar-MA", "fr-MA"])
def test_the_slip_asks_for_a_review_a_complaint_wrong_data_or_a_new_number_and_for_no_pin(name, locale):
    form = parse(WORDS.notice(name, "letter", locale, **facts(locale=locale))).form
    assert form is not None
    assert (len(form.boxes), len(form.fields)) == (4, 3)
    assert "{review_until}" in form.boxes[0]
    never = {"ar-MA": "لا تكتبوا فيه الرقم السري", "fr-MA": "N’y écrivez jamais le code secret"}
    assert never[locale] in form.texts[0]


def test_the_letter_of_the_index_shows_it_with_the_thresholds_and_seven_decimals():
    for locale in ("ar-MA", "fr-MA"):
        letter = WORDS.notice("index_assigned", "letter", locale, **facts())
        assert "10,1234567" in letter
        assert [row[1] for row in parse(letter).table[1:]] == ["9,7430010", "9,3264284"]
        assert "{review_until}" in parse(letter).deadline


@pytest.mark.parametrize(("name", "locale"), LETTERS)
def test_a_letter_leaves_open_what_its_printing_fills_in_and_nothing_else(name, locale):
    letter = WORDS.notice(name, "letter", locale, **facts(locale=locale))
    assert "01/11/2026" not in letter
    assert set(re.findall("{([^{}]*)}", letter)) <= {"today", "review_until", "review_until_in_words", "pin"}
    assert ("{today}" in letter) == (locale != "zgh-MA")


@pytest.mark.parametrize(("name", "medium", "locale"), NOTICES)
def test_no_notice_promises_that_a_call_costs_nothing(name, medium, locale):
    assert not re.search("مجان|gratuit|batl", WORDS.notice(name, medium, locale, **facts(locale=locale)))


def test_a_letter_without_a_pin_has_no_panel_for_it():
    for locale in LOCALES:
        assert parse(WORDS.notice("index_assigned", "letter", locale, **facts(with_pin=False))).pin is None


def test_what_no_native_reader_has_read_is_marked_so():
    for name in MEDIA:
        assert set(WORDS.about(name).reviewed) == set(LOCALES)
        assert not WORDS.about(name).reviewed["zgh-MA"]
