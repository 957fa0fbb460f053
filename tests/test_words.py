"""Words: found by name, agreeing with their numbers, never half there."""

import re
import tomllib
from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from jinja2 import Environment, UndefinedError, meta

from channels.text import encoding
from gateway.words import SCREENS, TEMPLATES, NoSuchWords, Words

FILES = {
    "ar-MA": """
[home]
text = "مرحبا {{ name }}"
[home.options]
index = "مؤشري"
[left]
text = "{{ count('days', n) }}"
[count.days]
one = "يوم واحد"
two = "يومان"
few = "{n} أيام"
many = "{n} يوما"
other = "{n} يوم"
""",
    "fr-MA": """
reviewed = true
[home]
text = "Bonjour {{ name }}"
[home.options]
index = "Mon indice"
[left]
text = "{{ count('days', n) }}"
[shown]
text = '''
{{ index | index }}
{% if day %}
{{ day | date }}
{% endif %}
'''
[count.days]
one = "{n} jour"
other = "{n} jours"
""",
    "zgh-MA": """
[left]
text = "{{ count('days', n) }}"
[count.days]
other = "{n} n wussan"
""",
    "ar-Latn-MA": """
[left]
text = "{{ count('days', n) }}"
[count.days]
zero = "{n} youm"
one = "youm wa7ed"
two = "youmayn"
few = "{n} iyyam"
many = "{n} youm"
other = "{n} youm"
""",
}
# What a screen can say: the tree, and what an effect brings to it.
SAID_ON_SCREENS = ("", "programmes.", "standing.", "terms.")
LATIN = tuple(locale for locale in SCREENS if locale != "ar-MA")
IS_NUMBER = re.compile(r"^[^a-zA-Z]*[0-9][^a-zA-Z]*$")
MIXED = re.compile(r"[a-zA-Z][0-9]|[0-9][a-zA-Z]")
NOTICE = """
purpose = "Says hello."
policy = "at_most_once"
reviewed = {"ar-MA" = true, "fr-MA" = false, "zgh-MA" = false}
parts = {"ar-MA" = 1}
"""


@pytest.fixture
def templates(tmp_path):
    (tmp_path / "words").mkdir()
    (tmp_path / "notices" / "hello").mkdir(parents=True)
    for locale, text in FILES.items():
        (tmp_path / "words" / f"{locale}.toml").write_text(text, encoding="utf-8")
    documents = {
        "_shared.fr-MA.j2": "{% macro whom(name) %}« {{ name }} »{% endmacro %}",
        "hello/notice.toml": NOTICE,
        "hello/sms.fr-MA.j2": "{% import '_shared.fr-MA.j2' as shared %}\n\n"
                              "Reçu, {{ shared.whom(name) }} \n\n\nle {{ day | date }}\n",
        "hello/sms.ar-MA.j2": "مَرحَبا\n{{ name }}\n",
        "hello/letter.fr-MA.j2": "== title\n{{ name }}  \n\n\n\n== body\nReçu « ici »\n\n",
    }
    for name, text in documents.items():
        (tmp_path / "notices" / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def words(templates):
    return Words(templates)


def test_a_screen_is_said_by_its_dotted_name_with_its_facts(words):
    assert words.say("fr-MA", "home.text", name="Aïcha") == "Bonjour Aïcha"
    assert words.say("ar-MA", "home.options.index") == "مؤشري"
    assert words.has("ar-MA", "home.text")
    assert not words.has("zgh-MA", "home.text")


def test_names_are_those_of_screens_alone(words):
    assert words.names("ar-MA") == {"home.text", "home.options.index", "left.text"}


def test_a_name_that_is_not_there_says_so(words):
    for ask in (
        lambda: words.say("zgh-MA", "home.text"),
        lambda: words.notice("hello", "sms", "zgh-MA"),
        lambda: words.notice("goodbye", "sms", "fr-MA"),
        lambda: words.about("goodbye"),
    ):
        with pytest.raises(NoSuchWords):
            ask()
    assert str(NoSuchWords("fr-MA", "home.text")) == "fr-MA: no words named home.text"


def test_a_fact_left_out_is_an_error_and_not_an_empty_place(words):
    with pytest.raises(UndefinedError):
        words.say("fr-MA", "home.text")
    with pytest.raises(UndefinedError):
        words.notice("hello", "sms", "fr-MA", name="Aïcha")


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 يوم"), (1, "يوم واحد"), (2, "يومان"), (3, "3 أيام"), (10, "10 أيام"), (11, "11 يوما"),
     (60, "60 يوما"), (99, "99 يوما"), (100, "100 يوم"), (101, "101 يوم"), (103, "103 أيام")],
)
def test_arabic_counts_in_all_its_forms(words, number, said):
    assert words.say("ar-MA", "left.text", n=number) == said


def test_french_counts_zero_as_one_and_amazigh_has_one_form(words):
    assert [words.say("fr-MA", "left.text", n=n) for n in (0, 1, 2)] == ["0 jour", "1 jour", "2 jours"]
    assert words.say("zgh-MA", "left.text", n=1) == "1 n wussan"


def test_arabic_in_latin_letters_counts_as_arabic_does_and_is_a_language_of_its_own(words):
    said = [words.say("ar-Latn-MA", "left.text", n=n) for n in (0, 1, 2, 3, 11, 100)]
    assert said == ["0 youm", "youm wa7ed", "youmayn", "3 iyyam", "11 youm", "100 youm"]
    assert words.names("ar-Latn-MA") == {"left.text"}


def test_a_counted_phrase_with_a_gap_stops_the_start(templates):
    file = templates / "words" / "ar-MA.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('two = "يومان"', ""), encoding="utf-8")
    with pytest.raises(NoSuchWords, match=r"count\.days\.two"):
        Words(templates)


def test_a_policy_that_nobody_knows_stops_the_start(templates):
    file = templates / "notices" / "hello" / "notice.toml"
    file.write_text(NOTICE.replace("at_most_once", "perhaps"), encoding="utf-8")
    with pytest.raises(ValueError, match="hello: policy"):
        Words(templates)


@pytest.mark.parametrize(
    ("value", "said"),
    [(Decimal("9.743001"), "9,7430010"), (Decimal("9.74300105"), "9,7430010"),
     (Decimal("9.74300115"), "9,7430012"), ("10.1234567", "10,1234567"), (Decimal("0"), "0,0000000")],
)
def test_an_index_has_seven_decimals_and_a_comma(words, value, said):
    assert words.say("fr-MA", "shown.text", index=value, day=None) == said


def test_an_index_is_never_made_of_a_float(words):
    with pytest.raises(TypeError):
        words.say("fr-MA", "shown.text", index=9.743001, day=None)


def test_a_date_is_said_alike_whether_kept_as_a_date_or_as_text(words):
    for day in (date(2027, 1, 20), "2027-01-20"):
        assert words.say("fr-MA", "shown.text", index="9.5", day=day) == "9,5000000\n20/01/2027"


def test_an_sms_comes_folded_and_without_empty_lines(words):
    text = words.notice("hello", "sms", "fr-MA", name="Aïcha", day=date(2027, 1, 20))
    assert text == 'Recu, " Aicha "\nle 20/01/2027'
    assert encoding(text) == "gsm7"
    assert words.notice("hello", "sms", "ar-MA", name="ا") == "مرحبا\nا"


def test_a_letter_keeps_its_letters_and_its_paragraphs(words):
    letter = words.notice("hello", "letter", "fr-MA", name="Aïcha")
    assert letter == "== title\nAïcha\n\n== body\nReçu « ici »"


def test_a_notice_tells_about_itself(words):
    about = words.about("hello")
    assert (about.name, about.purpose, about.policy) == ("hello", "Says hello.", "at_most_once")
    assert about.media == ("sms", "letter")
    assert (about.parts["ar-MA"], about.reviewed["ar-MA"], about.reviewed["fr-MA"]) == (1, True, False)
    assert words.notices() == ("hello",)


def test_words_are_marked_until_a_native_reader_has_read_them(words):
    assert [words.reviewed(locale) for locale in SCREENS] == [False, True, False, False]


# The words themselves


def flat(table, prefix=""):
    for name, value in table.items():
        yield from flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, str(value))]


def written(locale):
    """What stands in the files that a screen is made of: name and text, as written."""
    files = [TEMPLATES / "words" / f"{table}{locale}.toml" for table in SAID_ON_SCREENS]
    tables = [tomllib.loads(file.read_text(encoding="utf-8")) for file in files]
    return {name: text for table in tables for name, text in flat(table) if name != "reviewed"}


def uncounted(locale):
    """Without the forms of a counted phrase: each language has its own."""
    return {name: text for name, text in written(locale).items() if not name.startswith("count.")}


def facts(text):
    environment = Environment()
    environment.filters |= {"date": str, "index": str, "dial": str, "digits": str}
    return meta.find_undeclared_variables(environment.parse(text)) - {"count", "say"}


@pytest.mark.parametrize("locale", SCREENS)
def test_a_screen_says_in_each_language_what_it_says_in_the_others(locale):
    assert uncounted(locale).keys() == uncounted("fr-MA").keys()


@pytest.mark.parametrize("locale", SCREENS)
def test_a_screen_tells_in_each_language_the_same_facts(locale):
    french = uncounted("fr-MA")
    assert [name for name, text in uncounted(locale).items() if facts(text) != facts(french[name])] == []


@pytest.mark.parametrize("locale", LATIN)
def test_no_word_in_latin_letters_takes_its_screen_out_of_seven_bits(locale):
    dear = {name for name, text in written(locale).items() if encoding(text) != "gsm7"}
    assert dear <= {"language.text", "language.options.ar-MA", "language.options.fr-MA"}


def test_no_option_of_arabic_in_latin_letters_begins_with_a_digit():
    """It stands behind its key: `1 3lach` is read as 13. What weighs in the index is picked from a list as well."""
    behind_a_key = re.compile(r"\.options\.|^term\.|\.short$")
    assert [name for name, text in written("ar-Latn-MA").items()
            if behind_a_key.search(name) and text[0].isdigit()] == []


def test_no_digit_that_is_a_letter_stands_beside_a_number():
    """`24 sa3a` and `6 ar9am` are numbers that somebody would type."""
    for name, text in written("ar-Latn-MA").items():
        told = re.sub(r"{n}|{{ *(number|amount|of|positions|\w+ \| (date|index)) *}}", "000", text)
        for phrase in re.split(r"[.,:] |\n", re.sub(r"{[{%].*?[%}]}", ". ", told)):
            for one, other in pairwise(phrase.split()):
                assert not (IS_NUMBER.search(one) and MIXED.search(other)), name
                assert not (MIXED.search(one) and IS_NUMBER.search(other)), name
