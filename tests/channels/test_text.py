"""What a text costs, and that nothing of it is lost on the way."""

import string
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.text import (
    EXTENSION,
    FOLDS,
    GSM7,
    USSD,
    Budget,
    DoesNotFit,
    digits,
    encoding,
    fits,
    fold,
    pages,
    parts,
    split,
    units,
)

# text, alphabet, units, parts
COSTS = [
    ("", "gsm7", 0, 1),
    ("a" * 160, "gsm7", 160, 1),
    ("a" * 161, "gsm7", 161, 2),
    ("a" * 306, "gsm7", 306, 2),
    ("a" * 307, "gsm7", 307, 3),
    ("€" * 80, "gsm7", 160, 1),
    ("€" * 81, "gsm7", 162, 2),
    ("a" * 152 + "€" + "a" * 152, "gsm7", 306, 3),
    ("م" * 70, "ucs2", 70, 1),
    ("م" * 71, "ucs2", 71, 2),
    ("م" * 134, "ucs2", 134, 2),
    ("م" * 135, "ucs2", 135, 3),
    ("😀" * 35, "ucs2", 70, 1),
    ("😀" * 36, "ucs2", 72, 2),
    ("م" * 66 + "😀" + "م" * 66, "ucs2", 134, 3),
    ("ⵣ" * 70, "ucs2", 70, 1),
    ("ⵣ" * 71, "ucs2", 71, 2),
    ("ç", "ucs2", 1, 1),
    ("Ç", "gsm7", 1, 1),
    ("’", "ucs2", 1, 1),
    ("§", "gsm7", 1, 1),
    ("`", "ucs2", 1, 1),
    ("\u00a0", "ucs2", 1, 1),
    ("\r\n", "gsm7", 2, 1),
    ("\f", "gsm7", 2, 1),
    ("\x1b", "ucs2", 1, 1),
]

FOLDINGS = [
    ("Ça va être reçu, l’été à Noël", "Ça va etre reçu, l'été à Noel".replace("ç", "c")),
    ("Œuvre, cœur, naïf, hôpital, où, sûr", "OEuvre, coeur, naif, hopital, où, sur"),
    ("« Aide\u00a0» :\u202f500\u00a0DH…", '" Aide " : 500 DH...'),
    ("aɣrum, tiɣremt, Ɣer", "aghrum, tighremt, Gher"),
    ("taɛelliṭ, aḍar, ẓẓar, ṣbeḥ, aṛumi, ččar, agʷmar", "taaellit, adar, zzar, sbeh, arumi, ccar, agwmar"),
    ("l'État – 20 %", "l'État - 20 %"),
    ("e\u0301te\u0302", "éte"),
    ("1ᵉʳ février, n° 3", "1er février, no 3"),
]

CLEANINGS = [
    ("مُؤَشِّرُكُمْ", "مؤشركم"),
    ("العتبـــة", "العتبة"),
    ("\u200fالرمز\u200e\u00a0123\u2066\u2069", "الرمز 123"),
    ("ﺍﻟﺪﻋﻢ", "الدعم"),
    ("السجل (Noël)", "السجل (Noël)"),
    ("ⵜⴰⵣⵡⵔⵉ\u200b", "ⵜⴰⵣⵡⵔⵉ"),
]

LATIN_LETTERS = [
    chr(code)
    for block in (range(0x20, 0x7F), range(0xC0, 0x180), range(0x1E00, 0x1E9C), range(0x1EA0, 0x1EFA))
    for code in block
]
latin = st.text(st.sampled_from([*LATIN_LETTERS, *FOLDS, "\n", "\u00a0", "\u202f", "…", "€"]))
anything = st.text() | st.text(st.sampled_from("مⵣ😀a€\u064b\u0301\u200d\n ç"), max_size=400)


@pytest.mark.parametrize(("text", "alphabet", "length", "count"), COSTS)
def test_a_text_costs_what_the_network_counts(text, alphabet, length, count):
    assert (encoding(text), units(text), parts(text)) == (alphabet, length, count)
    assert "".join(split(text)) == text


def test_the_alphabet_is_that_of_the_standard():
    assert len(GSM7) == 127 + 10
    assert set(string.printable) - GSM7 == set("`\t\x0b")
    assert set("éèàùÉÇ") <= GSM7
    assert not set("çâêîôûëïÀÂÈÊœ«»’–…°") & GSM7


@given(anything)
@example("a" * 152 + "€" * 200)
@example("م" + "\u064b" * 300)
def test_parts_give_back_the_text_and_none_is_too_long(text):
    pieces = split(text)
    limit = {"gsm7": (160, 153), "ucs2": (70, 67)}[encoding(text)][len(pieces) > 1]
    assert "".join(pieces) == text
    for piece in pieces:
        # The alphabet is chosen once, for the whole text.
        wide = len(piece.encode("utf-16-be")) // 2
        septets = len(piece) + sum(char in EXTENSION for char in piece)
        assert (septets if encoding(text) == "gsm7" else wide) <= limit
    assert len(pieces) == 1 or all(pieces)


@given(st.lists(st.sampled_from(["م", "مُّ", "e\u0301", "👩\u200d🌾", "👍🏽", "🇲🇦", "a", "😀", "\r\n"]), max_size=200))
def test_no_letter_is_parted_from_its_marks(letters):
    for piece in split("".join(letters))[1:]:
        assert unicodedata.category(piece[0]) != "Mn"
        # The farmer of a woman, the colour of a hand, the end of a flag, the end of a line.
        assert piece[0] not in "\u200d🌾🏽🇦\n"


@pytest.mark.parametrize(("text", "folded"), FOLDINGS)
def test_latin_text_folds_to_the_cheap_alphabet(text, folded):
    assert fold(text).text == folded
    assert encoding(folded) == "gsm7"


@pytest.mark.parametrize(("text", "cleaned"), CLEANINGS)
def test_text_of_other_scripts_is_cleaned_and_its_letters_kept(text, cleaned):
    assert fold(text).text == cleaned


def test_every_substitution_is_reported_once_and_in_order():
    assert fold("ça, l’été, ça").replaced == (("ç", "c"), ("’", "'"))
    assert fold("م\u064bـ\u064b").replaced == (("\u064b", ""), ("ـ", ""))
    assert fold("Déjà lu").replaced == ()


def test_what_has_no_equivalent_stays_and_nothing_is_folded_in_vain():
    assert fold("Noël ☃") == fold(fold("Noël ☃").text)
    assert fold("Noël ☃").text == "Noël ☃"


def test_a_raw_escape_never_reaches_the_network():
    assert fold("ab\x1bc").text == "abc"


@given(latin)
def test_latin_text_always_reaches_the_cheap_alphabet(text):
    assert encoding(fold(text).text) == "gsm7"


@given(st.text())
@example("\ufdd0")
@example("ا\u0640\u0653")
def test_folding_twice_changes_nothing_more(text):
    once = fold(text).text
    assert fold(once).text == once
    assert fold(once).replaced == ()


@given(st.text(st.sampled_from("abc éà ٣م")))
def test_folding_never_drops_a_letter_or_a_digit(text):
    assert len(fold(text).text) >= len(text)
    assert "?" not in fold(text).text


@pytest.mark.parametrize(
    ("typed", "read"),
    [("٠١٢٣٤٥٦٧٨٩", "0123456789"), ("۰۱۲۳۴۵۶۷۸۹", "0123456789"), (" 123 456\u00a0789 ", "123456789"),
     ("\u200e98\u200f", "98"), ("123456#", "123456"), ("1*2", "1*2"), ("", ""), ("\n1\n", "1")],
)
def test_what_is_typed_is_read_as_plain_digits(typed, read):
    assert digits(typed) == read


FOOT = ("0 Retour", "00 Accueil")
MORE = "98 Suite"


def test_a_screen_that_fits_is_one_page_as_it_was_written():
    assert pages("Bonjour\n\nChoisissez", ["1 Oui", "2 Non"], FOOT, MORE) == [
        "Bonjour\n\nChoisissez\n1 Oui\n2 Non\n0 Retour\n00 Accueil"
    ]


def test_pages_break_between_options():
    options = [f"{number} {'x' * 40}" for number in range(1, 7)]
    assert pages("Choisissez", options, FOOT, MORE) == [
        f"Choisissez\n{options[0]}\n{options[1]}\n98 Suite\n0 Retour\n00 Accueil",
        f"{options[2]}\n{options[3]}\n{options[4]}\n98 Suite\n0 Retour\n00 Accueil",
        f"{options[5]}\n0 Retour\n00 Accueil",
    ]


def test_a_long_body_breaks_between_words():
    body = "Titre\n" + " ".join(["parole"] * 60)
    found = pages(body, [], ["0"], "98")
    assert found[0].startswith("Titre\nparole parole")
    assert all(units(page) > 140 for page in found[:-1])
    assert sum(page.count("parole") for page in found) == 60


def test_one_arabic_word_takes_its_own_page_to_the_small_budget():
    options = [f"{number} {'x' * 30}" for number in range(1, 4)] + ["4 العربية"]
    found = pages("Langue", options, ["0"], "98")
    assert [encoding(page) for page in found] == ["gsm7", "ucs2"]


def test_the_last_page_does_not_pay_for_a_line_it_does_not_show():
    budget = Budget(gsm7=20, ucs2=20)
    assert pages("", ["1 " + "a" * 10, "2 " + "b" * 14], ["0"], "98", budget) == [
        "1 aaaaaaaaaa\n98\n0",
        "2 bbbbbbbbbbbbbb\n0",
    ]


@pytest.mark.parametrize(
    ("body", "options", "foot"),
    [("", ["1 " + "x" * 200], ["0"]), ("a", ["1"], ["0 " + "x" * 200]),
     ("ok", ["1 " + "م" * 70], ["0"]), ("", [], ["0 " + "x" * 200])],
)
def test_what_can_never_fit_is_said_at_once_and_without_its_text(body, options, foot):
    with pytest.raises(DoesNotFit) as refusal:
        pages(body, options, foot, MORE)
    assert "x" * 5 not in str(refusal.value)


def test_a_word_longer_than_a_page_is_broken_where_the_page_ends():
    letters = "abcdefghijklmnopqrstuvwxyz" * 3
    broken = pages(letters, ["1 yes"], ["0"], "98", Budget(gsm7=40, ucs2=40))
    assert "".join(page.splitlines()[0] for page in broken) == letters
    assert [page.splitlines()[1:] for page in broken] == [["98", "0"], ["98", "0"], ["1 yes", "0"]]


def test_no_page_has_more_options_than_are_wanted_at_once_and_none_is_lost():
    options = [f"{key} x" for key in range(1, 12)]
    shown = [[line for line in page.splitlines() if line in options]
             for page in pages("what?", options, ["0"], "98", at_once=5)]
    assert shown == [options[:5], options[5:10], options[10:]]


def test_as_many_options_as_are_wanted_at_once_stay_on_one_page():
    assert pages("what?", ["1 x", "2 x"], ["0"], "98", at_once=2) == ["what?\n1 x\n2 x\n0"]


words = st.text(st.sampled_from("abé€م"), min_size=1, max_size=12)
sentences = st.lists(words, min_size=1, max_size=30).map(" ".join)


@given(
    st.lists(sentences, max_size=4).map("\n".join),
    st.lists(st.lists(words, min_size=1, max_size=2).map(" ".join), max_size=9),
)
def test_pages_are_within_budget_and_lose_nothing(body, labels):
    options = [f"{number} {label}" for number, label in enumerate(labels, 1)]
    foot = ["0 رجوع", "00 البداية"]
    found = pages(body, options, foot, "98 المزيد")
    shown = []
    for number, page in enumerate(found, 1):
        assert fits(page, USSD)
        lines = page.split("\n")
        tail = foot if number == len(found) else ["98 المزيد", *foot]
        assert lines[-len(tail):] == tail
        shown += lines[: -len(tail)]
    count = len(options)
    assert shown[len(shown) - count:] == options
    assert " ".join(shown[: len(shown) - count]).split() == body.split()


@given(st.text(st.characters(exclude_characters="?", exclude_categories=["Cs"])))
def test_folding_makes_a_question_mark_of_nothing_but_another_question_mark(text):
    """What says nothing in GSM-7 stays as it is, and the whole text goes at the price of UCS-2."""
    questions = sum(unicodedata.normalize("NFKD", char).count("?") for char in text)
    folded = fold(text)
    assert folded.text.count("?") <= questions
    assert all("?" not in new or "?" in unicodedata.normalize("NFKD", was) for was, new in folded.replaced)


@given(st.text())
def test_the_parts_of_a_text_are_those_it_is_split_into(text):
    assert parts(text) == len(split(text))
    assert parts(text * 20) == len(split(text * 20))
