"""Ear: every screen can be heard, in every language, with all that it may hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from channels.text import Budget
from gateway.dialogue.ear import hear
from gateway.dialogue.engine import Position, said
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.longest import SHOWN, facts_for, pages_of
from gateway.dialogue.states import End
from gateway.spoken import Day, Digits, Pause, Phrase
from gateway.words import LOCALES, Ear, Words, all_words

PAGE = Budget(10_000, 10_000)


@pytest.fixture(scope="module")
def words() -> Words:
    return all_words()


def facts(words, state, locale="fr-MA"):
    """As they are handed to whoever hears them: sentences with the marks of what is in them."""
    return next(facts_for(state, Ear(words), locale))


def read(spoken) -> str:
    """Letters and digits alone, as a screen would hold them."""
    shown = ""
    for one in spoken:
        shown += f"{one.day:%d%m%Y}" if isinstance(one, Day) else getattr(one, "text", str(getattr(one, "value", "")))
    return "".join(sign for sign in shown if sign.isalnum())


# What is asked about in a call in words of its own.
SPOKEN = ("complaint.words", "complaint.read")


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("state", [state for state in SHOWN if state not in ("language", *SPOKEN)])
def test_what_is_heard_is_what_is_shown(words, locale, state):
    """All but the number, for which a pen is asked for, and which is said twice."""
    for seen, heard in zip(facts_for(state, words, locale), facts_for(state, Ear(words), locale), strict=True):
        position = Position(state, locale, facts=seen, trail=("home",), mistakes=1)
        aloud = hear(HOUSEHOLD, replace(position, facts=heard), words)
        pages = "".join(page.text for page in pages_of(position, words, PAGE))
        shown = "".join(sign for sign in pages if sign.isalnum())
        heard_of = [one for one in aloud.says.spoken
                if not (isinstance(one, Phrase) and one.name in ("voice.write_down", "voice.twice"))]
        number = Digits(str(position.facts["number"]))
        if number in heard_of:
            assert heard_of.count(number) == 2
            heard_of.remove(number)
        assert shown.startswith(read(heard_of))
        choices = said_of(position, words)
        assert [line.key for line in aloud.options] == [key for key, _, _ in choices]
        for line in aloud.options:
            label = read([one for one in line.spoken if not getattr(one, "name", "").startswith("voice.")])
            assert label.removesuffix(line.key) in shown
        assert aloud.final == isinstance(HOUSEHOLD.states[state], End)


def said_of(position, words):
    return said(HOUSEHOLD, position, lambda name, known: words.say(position.locale, name, **known)).choices


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("state", SPOKEN)
def test_words_of_ones_own_are_spoken_after_a_beep_and_not_read_back(words, locale, state):
    aloud = hear(HOUSEHOLD, Position(state, locale, facts=facts(words, state, locale)), words)
    assert aloud.says.spoken[0].name == {"complaint.words": "voice.consent", "complaint.read": "voice.recorded"}[state]
    assert aloud.options == ()


@pytest.mark.parametrize("locale", LOCALES)
def test_no_digit_of_a_fact_hides_in_a_phrase(words, locale):
    """An index, a number or the code to dial is never left to be read as one great number."""
    for state in SHOWN:
        for held in facts_for(state, Ear(words), locale):
            aloud = hear(HOUSEHOLD, Position(state, locale, facts=held), words)
            phrases = [one.text for line in (aloud.says, *aloud.options) for one in line.spoken
                       if isinstance(one, Phrase)]
            assert not [text for text in phrases if any(word in text for word in ("987654321", "580", "2026"))]


def test_each_language_offers_itself_in_its_own_words(words):
    aloud = hear(HOUSEHOLD, Position("language"), words, ("ar-MA", "fr-MA"))
    assert [(line.locale, line.key) for line in aloud.options] == [("ar-MA", "1"), ("fr-MA", "2")]
    assert aloud.options[1].spoken == (
        Phrase("language.options.fr-MA", "Français"), Phrase("voice.press", "tapez"), Digits("2"))
    assert aloud.options[0].spoken[-2:] == (Phrase("voice.press", "اضغطوا على"), Digits("1"))


def test_a_number_is_said_twice_after_a_pen_was_asked_for(words):
    known = facts(words, "complaint.done")
    spoken = hear(HOUSEHOLD, Position("complaint.done", "fr-MA", facts=known), words).says.spoken
    number = Digits("987654321")
    first = spoken.index(number)
    assert spoken[0].name == "voice.write_down"
    assert spoken[first + 1:first + 4] == (Pause(), Phrase("voice.twice", "Je répète."), number)


def test_a_mistake_is_said_first(words):
    spoken = hear(HOUSEHOLD, Position("request", "fr-MA", facts=facts(words, "request"), mistakes=1), words).says.spoken
    assert spoken[0].name == "nav.wrong_ticket"


def test_what_was_chosen_is_heard_in_the_words_it_was_offered_in(words):
    held = {**facts(words, "complaint.sure"), "category": "data_wrong"}
    spoken = hear(HOUSEHOLD, Position("complaint.sure", "fr-MA", facts=held), words).says.spoken
    assert spoken[-1] == Phrase("complaint.about.options.data_wrong", "Données fausses")
