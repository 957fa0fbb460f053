"""Engine: one key pressed, one step further. Pure: it knows no clock, no store, no network and no person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

from channels.base import Screen
from channels.text import Budget, digits, pages
from gateway.dialogue.states import (
    BACK,
    HOME,
    KINDS,
    MORE,
    Confirm,
    Dialogue,
    Do,
    End,
    Menu,
    Option,
    Question,
    options,
)
from gateway.words import Words

# Three mishears in a row are the service's fault, not the caller's: it says how to be helped, and stops.
PATIENCE = 3

Fact: TypeAlias = Any
"""Text, number, truth, None, `date`, `Decimal`; or a list, or a mapping by name, of these."""


@dataclass(frozen=True)
class Caller:
    """Who is asking, as far as a dialogue may know. `facts` hold for every screen (the code to dial).

    `locale` is what this telephone chose before, never the household's own: a first screen that skips the
    question of language would tell whoever holds the phone that the number is known.
    """

    locale: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True)
class Position:
    """Where a conversation stands: enough to go on in another process. Never holds what was typed as secret.

    `proof` is the performer's own name for what a PIN has proven, empty until then. `facts` may hold the
    index while a screen that shows it can be returned to: a store must seal it.
    """

    state: str
    locale: str | None = None
    page: int = 0
    trail: tuple[str, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict, repr=False)
    proof: str = field(default="", repr=False)
    mistakes: int = 0

    def to_json(self) -> dict[str, Any]:
        """What `json` can write, and `from_json` read."""
        return {**asdict(self), "trail": list(self.trail), "facts": _plain(self.facts)}

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> Position:
        """Raises `KeyError`, `TypeError` or `ValueError` for what `to_json` did not make."""
        return cls(**{**read, "trail": tuple(read["trail"]), "facts": _rich(read["facts"])})


@dataclass(frozen=True)
class Effect:
    """Something to be done before the dialogue goes on. `argument` may be a secret, `proof` as in `Position`."""

    name: str
    argument: str = field(default="", repr=False)
    proof: str = field(default="", repr=False)


@dataclass(frozen=True)
class Outcome:
    """What came of an effect, and what may now be told."""

    name: str
    facts: Mapping[str, Fact] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Step:
    """A position; and the effect to perform and `resolve` before anything is shown, where there is one."""

    position: Position
    effect: Effect | None = None


class UnexpectedOutcome(Exception):
    """The performer answered what the dialogue's `effects` do not list, or without the facts they promise."""


def begin(dialogue: Dialogue, caller: Caller) -> Step:
    """The first screen of a session."""
    return _home(dialogue, Position(dialogue.start, caller.locale), caller)


def play(dialogue: Dialogue, position: Position, typed: str, caller: Caller) -> Step:
    """One input. Whatever was typed, there is a next screen."""
    state = dialogue.states[position.state]
    typed = digits(typed)
    if typed == MORE:
        # Past the last page comes the first again: `screen` counts the pages, here they are not known.
        return Step(replace(position, page=position.page + 1, mistakes=0))
    if typed == HOME:
        return _home(dialogue, position, caller)
    if typed == BACK:
        return _back(dialogue, position, caller)
    chosen = next((option for option in options(state) if option.key == typed), None)
    if chosen:
        return _choose(dialogue, position, chosen, caller)
    if isinstance(state, Question) and _answers(state, typed):
        return _enter(dialogue, position, state.goto, caller, typed)
    return _mistaken(dialogue, position)


def resolve(dialogue: Dialogue, position: Position, outcome: Outcome, caller: Caller) -> Step:
    """Go on from an effect. Raises `UnexpectedOutcome`."""
    state = dialogue.states[position.state]
    if not isinstance(state, Do):
        raise UnexpectedOutcome(f"{position.state}: nothing was asked for here")
    promised = dialogue.effects[state.effect].get(outcome.name)
    if promised is None:
        raise UnexpectedOutcome(f"{state.effect}: {outcome.name} is not listed")
    missing = sorted(set(promised) - outcome.facts.keys())
    if missing:
        raise UnexpectedOutcome(f"{state.effect}: {outcome.name} came without {', '.join(missing)}")
    if outcome.name == state.proves:
        position = replace(position, proof=outcome.facts["proof"])
    else:
        locale = outcome.facts.get("language", position.locale)
        position = replace(position, facts={**position.facts, **outcome.facts}, locale=locale)
    return _enter(dialogue, position, state.outcomes[outcome.name], caller)


def settle(dialogue: Dialogue, step: Step, caller: Caller, perform: Callable[[Effect], Outcome]) -> Step:
    """Perform and resolve until there is a screen to show."""
    while step.effect:
        step = resolve(dialogue, step.position, perform(step.effect), caller)
    return step


def replay(
    dialogue: Dialogue, typed: Sequence[str], caller: Caller, perform: Callable[[Effect], Outcome]
) -> Step:
    """Where all that was typed since dialling leads: the same as remembering, if `perform` acts but once."""
    step = settle(dialogue, begin(dialogue, caller), caller, perform)
    for one in typed:
        step = settle(dialogue, play(dialogue, step.position, one, caller), caller, perform)
    return step


def screen(dialogue: Dialogue, position: Position, words: Words, budget: Budget) -> Screen:
    """The page to show. An end that needs several pages closes the session with the last."""
    state, says = dialogue.states[position.state], dialogue.says(position.state)
    facts = dict(position.facts)

    def say(name: str) -> str:
        return words.say(position.locale or dialogue.locale, name, **facts)

    if isinstance(state, Confirm) and state.reads_back:
        menu = dialogue.menu(state.reads_back)
        facts["chosen"] = say(f"{state.reads_back}.options.{facts[menu.remember]}")
    body = say(f"{says}.text")
    if position.mistakes:
        wrong = state.kind if isinstance(state, Question) else "choice"
        body = f"{say(f'nav.wrong_{wrong}')}\n{body}"
    lines = [f"{option.key} {say(f'{says}.options.{option.label}')}" for option in options(state)]
    ways = [say(f"nav.{way}") for way in _ways(dialogue, position)]
    shown = pages(body, lines, ways, say("nav.more"), budget)
    page = position.page % len(shown)
    return Screen(shown[page], final=isinstance(state, End) and page == len(shown) - 1)


def _ways(dialogue: Dialogue, position: Position) -> tuple[str, ...]:
    """Back is written where there is a way back, home where that is farther: each costs letters."""
    if not position.trail:
        return ()
    return ("back",) if position.trail == (dialogue.start,) else ("back", "home")


def _choose(dialogue: Dialogue, position: Position, option: Option, caller: Caller) -> Step:
    state = dialogue.states[position.state]
    if isinstance(state, Menu) and state.remember:
        position = replace(position, facts={**position.facts, state.remember: option.label})
    return _enter(dialogue, position, option.goto, caller)


def _answers(question: Question, typed: str) -> bool:
    return typed.isascii() and typed.isdigit() and len(typed) == KINDS[question.kind]


def _mistaken(dialogue: Dialogue, position: Position) -> Step:
    mistakes = position.mistakes + 1
    if mistakes < PATIENCE:
        return Step(replace(position, mistakes=mistakes, page=0))
    return Step(replace(position, state=dialogue.lost, page=0, trail=(), mistakes=0))


def _home(dialogue: Dialogue, position: Position, caller: Caller) -> Step:
    """Nothing told on the way is kept at home, where the phone may be handed on; what was proven is."""
    state = dialogue.start if position.locale else dialogue.language
    return Step(Position(state, position.locale, facts=dict(caller.facts), proof=position.proof))


def _back(dialogue: Dialogue, position: Position, caller: Caller) -> Step:
    if position.page:
        return Step(replace(position, page=position.page - 1, mistakes=0))
    if position.trail in ((), (dialogue.start,)):
        return _home(dialogue, position, caller)
    *trail, last = position.trail
    return Step(replace(position, state=last, trail=tuple(trail), mistakes=0))


def _enter(dialogue: Dialogue, position: Position, target: str, caller: Caller, typed: str = "") -> Step:
    state = dialogue.states[target]
    if target == dialogue.start:
        return _home(dialogue, position, caller)
    if isinstance(state, Question) and state.when_proven and position.proof:
        return _enter(dialogue, position, state.when_proven, caller)
    position = replace(position, state=target, page=0, mistakes=0, trail=_trail(dialogue, position, target, typed))
    if isinstance(state, Do):
        argument = typed or str(position.facts.get(state.argument, ""))
        return Step(position, Effect(state.effect, argument, position.proof))
    return Step(position)


def _trail(dialogue: Dialogue, position: Position, target: str, typed: str) -> tuple[str, ...]:
    """What `0` returns to: no question that was answered, nothing twice, and nothing after an end."""
    answered = typed or isinstance(dialogue.states[position.state], Do)
    trail = position.trail if answered else (*position.trail, position.state)
    if isinstance(dialogue.states[target], End):
        return ()
    return trail[: trail.index(target)] if target in trail else trail


def _plain(fact: Fact) -> Any:
    """A fact as `json` can write it; what `json` has no word for goes under a tag."""
    match fact:
        case date():
            return {"$date": fact.isoformat()}
        case Decimal():
            return {"$decimal": str(fact)}
        case Mapping():
            return {name: _plain(one) for name, one in fact.items()}
        case list():
            return [_plain(one) for one in fact]
    return fact


def _rich(read: Any) -> Fact:
    match read:
        case {"$date": day}:
            return date.fromisoformat(day)
        case {"$decimal": number}:
            return Decimal(number)
        case dict():
            return {name: _rich(one) for name, one in read.items()}
        case list():
            return [_rich(one) for one in read]
    return read
