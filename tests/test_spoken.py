"""Spoken: a text comes in the pieces in which it is heard, and none of them is guessed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from jinja2 import UndefinedError

from gateway.spoken import Day, Digits, Number, Pause, Phrase, mark, split
from gateway.words import LOCALES, NoSuchWords, Words

SCREEN = """
[told]
text = '''
Numéro:
{{ number }}
{% if day %}Réponse avant le {{ day | date }}. Gardez-le.{% endif %}

Rappelez au {{ service_code }} (gratuit).
'''
[told_by_filter]
text = "Numéro: {{ number | digits }}"
[shown]
text = "Indice:   {{ index | index }}"
[left]
text = "Encore {{ count('days', n) }} pour {{ amount }} dirhams"
[confirm]
text = "Votre choix: {{ chosen }}"
[both]
text = "{{ say('told', number='12') if false else '' }}{{ say('left.text', n=2, amount=5) }}"
[count.days]
one = "{n} jour"
few = "{n} jours"
two = "{n} jours"
many = "{n} jours"
other = "{n} jours"
"""
DAY = date(2027, 1, 20)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    templates = tmp_path_factory.mktemp("templates")
    (templates / "words").mkdir()
    (templates / "notices").mkdir()
    for locale in LOCALES:
        (templates / "words" / f"{locale}.toml").write_text(SCREEN, encoding="utf-8")
    return Words(templates)


def test_a_number_and_a_star_code_are_digits_and_a_date_is_a_date(words):
    heard = words.hear("fr-MA", "told.text", number="987654321", service_code="*580#", day=DAY)
    assert heard == [
        Phrase("told.text", "Numéro:"), Pause(), Digits("987654321"), Pause(),
        Phrase("told.text", "Réponse avant le"), Day(DAY), Pause(), Phrase("told.text", "Gardez-le."), Pause(),
        Phrase("told.text", "Rappelez au"), Digits("*580#"), Phrase("told.text", "(gratuit).")]


def test_a_line_that_is_not_said_leaves_nothing_behind(words):
    heard = words.hear("fr-MA", "told.text", number="12", service_code="*580#", day=None)
    assert [one for one in heard if isinstance(one, Phrase | Day)] == [
        Phrase("told.text", "Numéro:"), Phrase("told.text", "Rappelez au"), Phrase("told.text", "(gratuit).")]


def test_the_filter_for_digits_changes_nothing_that_is_read(words):
    assert words.say("fr-MA", "told_by_filter.text", number="12") == "Numéro: 12"
    assert words.hear("fr-MA", "told_by_filter.text", number="12") == [
        Phrase("told_by_filter.text", "Numéro:"), Digits("12")]


def test_an_index_is_read_sign_by_sign(words):
    assert words.hear("ar-MA", "shown.text", index=Decimal("9.743001")) == [
        Phrase("shown.text", "Indice:"), Digits("9,7430010")]


def test_a_count_is_said_with_its_noun_and_an_amount_as_one_number(words):
    assert words.hear("fr-MA", "left.text", n=3, amount=500) == [
        Phrase("left.text", "Encore"), Phrase("count.days", "3 jours"), Phrase("left.text", "pour"),
        Number(Decimal(500)), Phrase("left.text", "dirhams")]
    assert words.say("fr-MA", "left.text", n=3, amount=500) == "Encore 3 jours pour 500 dirhams"


def test_words_within_words_keep_their_own_name(words):
    chosen = words.marked("fr-MA", "told_by_filter.text", number="12")
    assert words.hear("fr-MA", "confirm.text", chosen=chosen) == [
        Phrase("confirm.text", "Votre choix:"), Phrase("told_by_filter.text", "Numéro:"), Digits("12")]
    assert Phrase("left.text", "Encore") in words.hear("fr-MA", "both.text")


def test_who_hears_is_refused_as_who_reads_is(words):
    with pytest.raises(NoSuchWords):
        words.hear("fr-MA", "nothing.text")
    with pytest.raises(UndefinedError):
        words.hear("fr-MA", "left.text", n=1)


def test_what_was_marked_is_read_back():
    spoken = [Phrase("a.text", "Un"), Digits("1,2*#"), Day(DAY), Number(Decimal("1.5")), Pause(), Phrase("b", "Deux")]
    assert split("c", "".join(map(mark, spoken))) == spoken


def test_no_text_that_was_spoken_stands_in_a_log():
    shown = repr([Phrase("a.text", "secret"), Digits("987654321"), Day(DAY), Number(Decimal(77))])
    assert not [word for word in ("secret", "987654321", "2027", "77") if word in shown]
