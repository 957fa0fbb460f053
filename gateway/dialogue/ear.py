"""Ear: what a caller hears where a conversation stands: the words of its screen, in the order of listening."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from gateway.dialogue.engine import Position
from gateway.dialogue.states import Confirm, Dialogue, End, Option, Question, options
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
    """What stands in a position, all of it: whoever calls has no pages.

    The question of language is asked in each of the `offered`. The ways back and on are `voice.back`, `voice.more`
    and `voice.repeat`, for whoever knows what was said before.
    """
    state = dialogue.states[position.state]
    locale = position.locale or dialogue.locale
    says: tuple[Spoken, ...]
    if position.state == dialogue.language:
        says, lines = (), _languages(options(state), words, offered)
    else:
        says, lines = _body(dialogue, position, words, locale), _options(dialogue, position, words, locale)
    return Aloud(Line(locale, (*_mistake(dialogue, position, words, locale), *says)), tuple(lines),
                 final=isinstance(state, End))


def _body(dialogue: Dialogue, position: Position, words: Words, locale: str) -> tuple[Spoken, ...]:
    state, says, facts = dialogue.states[position.state], dialogue.says(position.state), dict(position.facts)
    if isinstance(state, Confirm) and state.reads_back:
        menu = dialogue.menu(state.reads_back)
        facts["chosen"] = words.marked(locale, f"{state.reads_back}.options.{facts[menu.remember]}", **facts)
    heard = words.hear(locale, f"{says}.text", **facts)
    return tuple(_to_write_down(heard, facts.get("number"), words, locale))


def _to_write_down(heard: list[Spoken], number: object, words: Words, locale: str) -> Iterator[Spoken]:
    """Nobody reads a number again that was heard: a pen is asked for first, and it is said twice."""
    said = Digits(str(number))
    if said in heard:
        yield from (*words.hear(locale, "voice.write_down"), Pause())
    for one in heard:
        yield one
        if one == said:
            yield from (Pause(), *words.hear(locale, "voice.twice"), said)


def _options(dialogue: Dialogue, position: Position, words: Words, locale: str) -> Iterator[Line]:
    says = dialogue.says(position.state)
    for option in options(dialogue.states[position.state]):
        label = words.marked(locale, f"{says}.options.{option.label}", **position.facts)
        yield _to_press(option, label, words, locale)


def _languages(known: Collection[Option], words: Words, offered: Collection[str]) -> Iterator[Line]:
    """Each language names itself: who does not understand one would not know its name in it."""
    for option in known:
        if option.label in offered:
            label = words.marked(option.label, f"language.options.{option.label}")
            yield _to_press(option, label, words, option.label)


def _to_press(option: Option, label: str, words: Words, locale: str) -> Line:
    return Line(locale, tuple(words.hear(locale, "voice.press", key=option.key, option=label)), option.key)


def _mistake(dialogue: Dialogue, position: Position, words: Words, locale: str) -> tuple[Spoken, ...]:
    if not position.mistakes:
        return ()
    state = dialogue.states[position.state]
    wrong = state.kind if isinstance(state, Question) else "choice"
    return (*words.hear(locale, f"nav.wrong_{wrong}"), Pause())
