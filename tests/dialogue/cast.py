"""The cast: whoever performs what a dialogue asks, by a script, and facts as long as they can really be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.dialogue.engine import Caller, Effect, Outcome
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.longest import LONGEST

CODE = "*580#"
PIN = "424242"
CALL = {"service_code": CODE}

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
