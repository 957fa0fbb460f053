"""Spoken: a text as it is heard: phrases, signs read one by one, dates and numbers; and the marks that part them.

A template that is rendered for the ear writes what is no phrase between marks, so that nothing need be guessed from
its text afterwards. The marks are of Unicode's private use area, and stand in no text that a person sees.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import TypeAlias

OPEN, BETWEEN, CLOSE = "\ue000", "\ue001", "\ue002"
MARK = re.compile(f"{OPEN}([^{CLOSE}]*){CLOSE}")
# What a phrase that follows a number or a date has before its first word, and one that leads to it after its last.
BEFORE, AFTER = " \t.,:;!?،؛؟)»", " \t(«"
ENDS = (".", "!", "?", "؟")


@dataclass(frozen=True)
class Phrase:
    """Words that are said in one breath. `name` is that of the text they stand in."""

    name: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class Digits:
    """Read sign by sign: the number of a request, an index, a star code, a key."""

    text: str = field(repr=False)


@dataclass(frozen=True)
class Day:
    """Read as a date."""

    day: date = field(repr=False)


@dataclass(frozen=True)
class Number:
    """Read as one number: a count, an amount."""

    value: Decimal = field(repr=False)


@dataclass(frozen=True)
class Pause:
    """Where a line or a sentence ends."""


Spoken: TypeAlias = Phrase | Digits | Day | Number | Pause


def mark(spoken: Spoken) -> str:
    """What `split` reads back, to be set into a text that is heard."""
    match spoken:
        case Phrase(name, text):
            values = ["phrase", name, text]
        case Digits(text):
            values = ["digits", text]
        case Day(day):
            values = ["day", day.isoformat()]
        case Number(value):
            values = ["number", str(value)]
        case Pause():
            values = ["pause"]
    return OPEN + BETWEEN.join(values) + CLOSE


def plain(marked: str) -> str:
    """The signs without their marks."""
    return MARK.sub(lambda found: found[1].rpartition(BETWEEN)[2], marked)


def split(name: str, rendered: str) -> list[Spoken]:
    """A text that was rendered for the ear under this name. What stands between the marks are phrases, one a line."""
    spoken: list[Spoken] = []
    for line in rendered.splitlines():
        spoken += [*_of_line(name, line), Pause()]
    return _without_needless_pauses(spoken)


def _of_line(name: str, line: str) -> Iterator[Spoken]:
    for place, part in enumerate(MARK.split(line)):
        if place % 2:
            yield _unmarked(part)
        else:
            if part.startswith(ENDS):
                yield Pause()
            if any(sign.isalnum() for sign in part):
                yield Phrase(name, " ".join(part.lstrip(BEFORE).rstrip(AFTER).split()))


def _unmarked(marked: str) -> Spoken:
    match marked.split(BETWEEN):
        case ["phrase", name, text]:
            return Phrase(name, text)
        case ["digits", text]:
            return Digits(text)
        case ["day", day]:
            return Day(date.fromisoformat(day))
        case ["number", value]:
            return Number(Decimal(value))
    return Pause()


def _without_needless_pauses(spoken: list[Spoken]) -> list[Spoken]:
    """None first, none last, and never two."""
    kept = [one for before, one in pairwise([Pause(), *spoken]) if (before, one) != (Pause(), Pause())]
    return kept[:-1] if kept and kept[-1] == Pause() else kept
