"""The cast: whoever performs what a dialogue asks, by a script, and facts as long as they can really be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from channels.base import Screen
from channels.text import USSD, Budget
from gateway.dialogue.engine import Caller, Effect, Outcome, Position, screen
from gateway.dialogue.household import HOUSEHOLD
from gateway.words import Words

CODE = "*580#"
PIN = "424242"
CALL = {"service_code": CODE}

# Every date is ten signs, every number nine; an index above ten is the longest that was ever seen.
LONGEST: dict[str, Any] = {
    "language": "fr-MA",
    "proof": "household",
    "index": Decimal("10.1234567"),
    "programmes": [{"key": "asd", "below": False}, {"key": "amo-tadamon", "below": False}],
    "last_day": date(2026, 12, 31),
    "due": date(2026, 12, 31),
    "deadline": date(2026, 12, 31),
    "number": "987654321",
    "answer_by": date(2026, 12, 31),
    "kind": "review",
    "state": "in_progress",
    "date": date(2026, 12, 31),
}
COARSE = ("received", "in_progress", "answered", "withdrawn")


def somebody(locale: str | None = "ar-MA") -> Caller:
    """A caller who dialled the code; `None` has not chosen a language yet."""
    return Caller(locale, CALL)


def outcome(effect: str, name: str, **facts: Any) -> Outcome:
    """An outcome with all the facts that are promised for it, the longest where none are given."""
    promised = HOUSEHOLD.effects[effect][name]
    return Outcome(name, {fact: facts.get(fact, LONGEST[fact]) for fact in promised})


class Performer:
    """Answers one effect at a time; asked the same again in one session, it answers the same."""

    def __init__(self, decide: Callable[[Effect], Outcome]) -> None:
        self.decide = decide
        self.acted: list[tuple[str, str]] = []
        self._done: dict[tuple[str, str], Outcome] = {}

    def __call__(self, effect: Effect) -> Outcome:
        key = (effect.name, effect.argument)
        if key not in self._done:
            self._done[key] = self.decide(effect)
            self.acted.append(key)
        return self._done[key]


def agreeable(effect: Effect) -> Outcome:
    """Everything goes well."""
    names = HOUSEHOLD.effects[effect.name]
    name = next(iter(names))
    language = {"language": effect.argument} if effect.name == "choose_language" else {}
    return outcome(effect.name, name, **language)


def pages_of(position: Position, words: Words, budget: Budget = USSD) -> Iterator[Screen]:
    """Every page of a position's screen, once."""
    first = screen(HOUSEHOLD, replace(position, page=0), words, budget)
    yield first
    for page in range(1, 99):
        following = screen(HOUSEHOLD, replace(position, page=page), words, budget)
        if following == first:
            return
        yield following
