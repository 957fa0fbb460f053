"""Studio: everything a call can say stands in the script, under a name that changes with its words."""

from __future__ import annotations

import csv
import io
import re
import shutil
from datetime import date
from decimal import Decimal

import pytest
from babel.dates import format_date

from gateway.dialogue.ear import hear
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.longest import SHOWN, positions
from gateway.dialogue.states import Confirm
from gateway.recordings import NAME
from gateway.spoken import Day, Digits, Number, Phrase
from gateway.studio import SLOTS, Take, needed, said, script, takes
from gateway.words import LOCALES, TEMPLATES, Ear, Words

DAY = date(2027, 1, 20)


@pytest.fixture(scope="module")
def words() -> Words:
    return Words()


@pytest.mark.parametrize("slot", SLOTS)
def test_whatever_a_screen_can_hold_is_in_the_script(words, slot):
    script_of = needed(words, HOUSEHOLD, slot)
    locale = SLOTS[slot].locale
    heard = {take.stem for state in SHOWN for position in positions(state, Ear(words), locale)
             for aloud in [hear(HOUSEHOLD, position, words)] for line in (aloud.says, *aloud.options)
             if line.locale == SLOTS[slot].locale for one in line.spoken for take in takes(words, slot, one)}
    assert len(heard) > 90
    assert heard - script_of.keys() == set()


@pytest.mark.parametrize("slot", SLOTS)
def test_every_date_and_every_number_can_be_put_together(words, slot):
    script_of = needed(words, HOUSEHOLD, slot)
    spoken = [Digits("0123456789,*#"), *(Day(date(year, month, day)) for year in range(2026, 2036)
                                         for month in range(1, 13) for day in (1, 28)), Day(date(2027, 1, 31))]
    for one in spoken:
        parts = takes(words, slot, one)
        assert parts
        assert [take.name for take in parts if take.stem not in script_of] == []


@pytest.mark.parametrize("locale", LOCALES)
def test_the_words_of_a_call_alone_are_in_the_script(words, locale):
    slot = next(slot for slot, here in SLOTS.items() if here.locale == locale)
    names = {take.name for take in needed(words, HOUSEHOLD, slot).values()}
    assert {name for name in words.names(locale) if name.startswith(("voice.", "sign."))} <= names
    assert {"sorry.text", "nav.wrong_choice", "nav.wrong_pin", "nav.wrong_ticket"} <= names


def test_a_phrase_whose_words_changed_has_another_file_and_no_other_has(tmp_path):
    templates = shutil.copytree(TEMPLATES, tmp_path / "templates")
    file = templates / "words" / "fr-MA.toml"
    before = needed(Words(templates), HOUSEHOLD, "fr-MA")
    text = file.read_text(encoding="utf-8").replace("Continuer", "Reprendre")
    file.write_text(text, encoding="utf-8")
    after = needed(Words(templates), HOUSEHOLD, "fr-MA")
    assert [before[stem].text for stem in before.keys() - after.keys()] == ["Continuer"]
    changed, = after.keys() - before.keys()
    assert (after[changed].name, after[changed].text) == ("resume.options.go_on", "Reprendre")


def test_a_file_is_named_by_its_words_and_a_digest():
    assert Take("index.text", "Votre indice:").stem == "index.text-ed0589f0"


def test_every_file_of_the_script_is_a_name_that_is_served(words):
    for slot in SLOTS:
        assert [stem for stem in needed(words, HOUSEHOLD, slot) if not NAME.fullmatch(f"{stem}.wav")] == []


@pytest.mark.parametrize(("slot", "spoken", "text"), [
    ("ar-MA", Day(DAY), "20 يناير 2027"), ("fr-MA", Day(DAY), "20 janvier 2027"),
    ("fr-MA", Day(date(2027, 8, 1)), "1er août 2027"), ("ar-MA", Day(date(2027, 8, 1)), "1 غشت 2027"),
    ("tashelhit", Day(DAY), "20 innayr 2027"), ("fr-MA", Day(date(2051, 5, 2)), "2 mai 2051"),
    ("fr-MA", Digits("520"), "5, 2, 0"), ("ar-MA", Digits("520"), "5, 2, 0"),
    ("fr-MA", Digits("9,70"), "9, virgule, 7, 0"), ("ar-MA", Digits("9,70"), "9, فاصلة, 7, 0"),
    ("fr-MA", Digits("*58#"), "étoile, 5, 8, dièse"), ("ar-MA", Digits("*58#"), "نجمة, 5, 8, مربع"),
    ("fr-MA", Number(Decimal("500")), "500"), ("fr-MA", Number(Decimal("2.5")), "2,5")])
def test_digits_are_said_apart_and_a_date_in_words(words, slot, spoken, text):
    assert said(words, slot, spoken) == text


@pytest.mark.parametrize("slot", ["ar-MA", "tashelhit", "tamazight", "tarifit"])
def test_a_date_is_said_as_the_language_writes_it(words, slot):
    for month in range(1, 13):
        day = date(2027, month, 20)
        assert said(words, slot, Day(day)) == format_date(day, "d MMMM y", locale=SLOTS[slot].calendar)


def test_what_nobody_records_is_left_to_speech(words):
    assert takes(words, "fr-MA", Day(date(2051, 5, 2))) == ()
    assert takes(words, "fr-MA", Number(Decimal("2.5"))) == ()


def test_the_script_says_what_where_and_how(words):
    rows = list(csv.DictReader(io.StringIO(script(needed(words, HOUSEHOLD, "fr-MA").values()))))
    row, = (row for row in rows if row["text"] == "Réponse avant le" and row["file"].startswith("review.done"))
    assert re.fullmatch(r"review\.done\.text-[0-9a-f]{8}\.wav", row["file"])
    assert row["where"] == "review.done"
    assert row["how"].startswith("ton suspendu")
    annul = [row for row in rows if row["text"] == "Annuler"]
    assert {row["where"] for row in annul} == {
        name for name, state in HOUSEHOLD.states.items()
        if isinstance(state, Confirm) and name not in ("complaint.read",)}
    assert all(row["how"] for row in rows)


def test_a_phrase_that_is_met_twice_is_recorded_once(words):
    script_of = needed(words, HOUSEHOLD, "fr-MA")
    press, = (take for take in script_of.values() if take.name == "voice.press")
    assert {"home", "complaint", "more"} <= set(press.where)
    assert Take("voice.press", "tapez") == press == takes(words, "fr-MA", Phrase("voice.press", "tapez"))[0]
