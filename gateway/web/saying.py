"""Saying: what is said in a call where a conversation stands, and what is awaited then."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from channels.base import Piece, Prompt
from gateway.dialogue.ear import Aloud, Line, hear, spoken_in
from gateway.dialogue.engine import AT_ONCE, Position
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.states import DIGITS, WORDS, Question
from gateway.runtime import Runtime
from gateway.studio import SLOTS

# Time to find a key; to find the number on a sheet of paper; and to tell a grievance.
MENU_S, DIGITS_S, MESSAGE_S = 7, 10, 120


def prompt(runtime: Runtime, position: Position) -> Prompt:
    """Five choices at a time, each with its key; a message is awaited after a beep."""
    languages = offered(runtime)
    if position.locale and spoken_in(position.locale) not in languages:
        position = replace(position, locale=HOUSEHOLD.locale)
    aloud = hear(HOUSEHOLD, position, runtime.words, languages)
    state = HOUSEHOLD.states[position.state]
    lines, more = _at_once(aloud, position.page)
    pieces = [*_pieces(runtime, aloud.says), *(piece for line in lines for piece in _pieces(runtime, line))]
    locale = aloud.says.locale
    if isinstance(state, Question) and state.kind == WORDS:
        return Prompt(tuple(pieces), "voice", seconds=MESSAGE_S)
    if aloud.final:
        return Prompt(tuple(pieces))
    # What was spoken is asked about in words that name the way back themselves.
    back = position.trail and (lines or isinstance(state, Question))
    ways = [*(["voice.more"] if more else []), *(["voice.back"] if back else [])]
    for way in ways:
        pieces += _pieces(runtime, Line(locale, tuple(runtime.words.hear(locale, way))))
    if isinstance(state, Question):
        return Prompt(tuple(pieces), "keys", DIGITS[state.kind], DIGITS_S)
    return Prompt(tuple(pieces), "keys", max([len(line.key) for line in lines], default=1), MENU_S)


def turned(runtime: Runtime, position: Position) -> Position:
    """The same, on a page that there is: past the last comes the first."""
    if not position.page:
        return position
    aloud = hear(HOUSEHOLD, position, runtime.words, offered(runtime))
    return replace(position, page=position.page % len(_chunks(aloud)))


def unheard(runtime: Runtime, position: Position, *, promised: bool) -> Prompt:
    """Nothing was pressed for a long time: we call back, or say how to call."""
    return _only(runtime, position.locale, "voice.callback" if promised else "voice.unheard")


def withheld(runtime: Runtime) -> Prompt:
    """Nobody is known by a number that is not shown, in both languages since none was chosen."""
    said = [_only(runtime, locale, "voice.withheld") for locale in ("ar-MA", "fr-MA")]
    return Prompt(tuple(piece for one in said for piece in one.pieces))


def sorry(runtime: Runtime) -> Prompt:
    """The fault is ours, and where the call stood is not known."""
    return _only(runtime, None, "sorry.text")


def _only(runtime: Runtime, locale: str | None, name: str) -> Prompt:
    locale = spoken_in(locale or HOUSEHOLD.locale)
    heard = runtime.words.hear(locale, name, service_code=runtime.settings.service_code)
    return Prompt(_pieces(runtime, Line(locale, tuple(heard))))


def _at_once(aloud: Aloud, page: int) -> tuple[tuple[Line, ...], bool]:
    """The options of this page, and whether there are more. The text is said again with each: it is the question.

    Keys of one digit are never offered beside keys of two: each would have to be waited for.
    """
    chunks = _chunks(aloud)
    return chunks[page % len(chunks)], page % len(chunks) < len(chunks) - 1


def _chunks(aloud: Aloud) -> list[tuple[Line, ...]]:
    alike = [tuple(lines) for _, lines in groupby(aloud.options, key=lambda line: len(line.key))]
    return [lines[start:start + AT_ONCE] for lines in alike for start in range(0, len(lines), AT_ONCE)] or [()]


def _pieces(runtime: Runtime, line: Line) -> tuple[Piece, ...]:
    return runtime.recordings.pieces(line.spoken, _slot(runtime, line.locale))


def offered(runtime: Runtime) -> tuple[str, ...]:
    """The languages in which a whole call can be held."""
    return tuple(dict.fromkeys(slot.locale for name, slot in SLOTS.items() if runtime.recordings.speakable(name)))


def _slot(runtime: Runtime, locale: str) -> str:
    """How a language is spoken: in Amazigh, the first variety that is recorded whole."""
    names = [name for name, slot in SLOTS.items() if slot.locale == locale]
    return next((name for name in names if runtime.recordings.speakable(name)), "ar-MA")
