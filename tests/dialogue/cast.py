"""The cast: whoever performs what a dialogue asks, by a script, and facts as long as they can really be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.dialogue.engine import Caller, Effect, Outcome
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.longest import LONGEST, agreeable
from gateway.words import all_words

CODE = "*580#"
PIN = "424242"
CALL = {"service_code": CODE}
WORDS = all_words()
AGREEABLE = agreeable(WORDS, "fr-MA")
LINES = ["Dossier 2026: 1234,56"] * 3


def somebody(locale: str | None = "fr-MA", way: tuple[str, ...] = (), *, in_writing: bool = False) -> Caller:
    """A caller who dialled the code; `None` has not chosen a language yet."""
    return Caller(locale, CALL, way, in_writing)


def outcome(effect: str, name: str, **facts: Any) -> Outcome:
    """An outcome with all the facts that are promised for it, the longest where none are given."""
    promised = HOUSEHOLD.effects[effect][name]
    return Outcome(name, {fact: facts[fact] if fact in facts else {**LONGEST, "lines": LINES}[fact]
                          for fact in promised})


class Performer:
    """Answers one effect at a time; asked the same again in one session, it answers the same."""

    def __init__(self, decide: Callable[[Effect], Outcome]) -> None:
        self.decide = decide
        self.acted: list[Effect] = []
        self._done: dict[str, Outcome] = {}

    @property
    def names(self) -> list[str]:
        """The effects, in the order of their being done."""
        return [effect.name for effect in self.acted]

    def __call__(self, effect: Effect) -> Outcome:
        key = f"{effect.name}/{effect.typed}/{sorted(effect.given.items())}"
        if key not in self._done:
            self._done[key] = self.decide(effect)
            self.acted.append(effect)
        return self._done[key]
