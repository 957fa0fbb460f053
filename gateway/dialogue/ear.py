"""Ear: what a caller hears where a conversation stands: the words of its screen, in the order of listening."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from gateway.dialogue.engine import Fact, Position, Said, said
from gateway.dialogue.states import WORDS, Confirm, Dialogue, Question
from gateway.spoken import Digits, Pause, Spoken
from gateway.words import LOCALES, Words


@dataclass(frozen=True)
class Line:
    """Something said in one language. `key` is what to press for it, empty where nothing is offered."""

    locale: str
    spoken: tuple[Spoken, ...]
    key: str = ""


@dataclass(frozen=True)
class Aloud:
    """A screen, heard: what it says, then what can be chosen, one line each. `final` ends the call."""

    says: Line
    options: tuple[Line, ...]
    final: bool


def hear(dialogue: Dialogue, position: Position, words: Words, offered: Collection[str] = LOCALES) -> Aloud:
    """What stands in a position, all of it: how many options are said at once is for whoever says them.

    The question of language is asked in each of the `offered`. The ways back and on are `voice.back`, `voice.more`
    and `voice.repeat`, for whoever knows what was said before.
    """
    locale = spoken_in(position.locale or dialogue.locale)

    def say(name: str, facts: Mapping[str, Fact]) -> str:
        return words.marked(locale, name, **facts)

    told = said(dialogue, position, say)
    wrong = (*words.hear(locale, told.wrong), Pause()) if told.wrong else ()
    if position.state == dialogue.language:
        return Aloud(Line(locale, wrong), tuple(_languages(told, words, offered)), final=False)
    options = tuple(_to_press(key, say(name, facts), words, locale) for key, name, facts in told.choices)
    instead = _instead(dialogue, position)
    if instead:
        return Aloud(Line(locale, (*wrong, *words.hear(locale, instead))), (), final=False)
    heard = words.hear(locale, told.text, **told.facts)
    body = _to_write_down(heard, told.facts.get("number"), words, locale)
    return Aloud(Line(locale, (*wrong, *body)), options, told.final)


def spoken_in(locale: str) -> str:
    """Who reads Arabic in Latin letters hears it as everybody does."""
    return locale if locale in LOCALES else LOCALES[0]


def _instead(dialogue: Dialogue, position: Position) -> str:
    """Nobody writes in a call: words of one's own are spoken after a beep, and not read back but asked about."""
    state = dialogue.states[position.state]
    if isinstance(state, Question) and state.kind == WORDS:
        return "voice.consent"
    if isinstance(state, Confirm) and state.reads_back:
        choice = dialogue.choice(state.reads_back)
        return "voice.recorded" if isinstance(choice, Question) else ""
    return ""


def _to_write_down(heard: list[Spoken], number: object, words: Words, locale: str) -> Iterator[Spoken]:
    """Nobody reads a number again that was heard: a pen is asked for first, and it is said twice."""
    told = Digits(str(number))
    if told in heard:
        yield from (*words.hear(locale, "voice.write_down"), Pause())
    for one in heard:
        yield one
        if one == told:
            yield from (Pause(), *words.hear(locale, "voice.twice"), told)


def _languages(told: Said, words: Words, offered: Collection[str]) -> Iterator[Line]:
    """Each language names itself: who does not understand one would not know its name in it."""
    for key, name, _ in told.choices:
        locale = name.rpartition(".")[2]
        if locale in offered:
            yield _to_press(key, words.marked(locale, name), words, locale)


def _to_press(key: str, label: str, words: Words, locale: str) -> Line:
    return Line(locale, tuple(words.hear(locale, "voice.press", key=key, option=label)), key)
