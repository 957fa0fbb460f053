"""Engine: one key pressed, one step further. Pure: it knows no clock, no store, no network and no person."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

from channels.base import Screen
from channels.text import Budget, digits, fold, in_gsm7, pages
from gateway.dialogue.states import (
    BACK,
    DIGITS,
    HOME,
    LONGEST_WORDS,
    MORE,
    Confirm,
    Dialogue,
    Do,
    End,
    Menu,
    Option,
    Pick,
    Question,
    Return,
    State,
    options,
)
from gateway.words import Words

# Three mishears in a row are the service's fault, not the caller's: it says how to be helped, and stops.
PATIENCE = 3
# More than a screen's worth of options is no choice but a list (MicroSave, USSD with low-literate users).
AT_ONCE = 5
# What a network or handset that shows no Arabic is shown in its place.
IN_LATIN = {"ar-MA": "ar-Latn-MA"}
# A way that is longer was no way to somewhere.
LONGEST_WAY = 40

Fact: TypeAlias = Any
"""Text, number, truth, None, `date`, `Decimal`; or a list, or a mapping by name, of these."""


@dataclass(frozen=True)
class Caller:
    """Who is asking, as far as a dialogue may know. `facts` hold for every screen (the code to dial).

    `locale` is what this telephone chose before, never the household's own: a first screen that skips the
    question of language would tell whoever holds the phone that the number is known. `way` is where the call before
    broke off. Nobody is asked for a PIN where what is typed stays to be read (`in_writing`). `latin` is a network, or a
    handset, that shows no Arabic.
    """

    locale: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    way: tuple[str, ...] = ()
    in_writing: bool = False
    latin: bool = False


@dataclass(frozen=True)
class Position:
    """Where a conversation stands: enough to go on in another process. Never holds what was typed as secret.

    `proof` is the performer's own name for what a PIN has proven, empty until then. `facts` may hold the
    index while a screen that shows it can be returned to: a store must seal it. `way` are the keys since home, none of
    them an answer; it ends where something was asked or done for the first time (`acted`), so that whoever goes it
    again does nothing twice and is asked again for the PIN. `shortcut` waits until a language is chosen.
    """

    state: str
    locale: str | None = None
    page: int = 0
    trail: tuple[str, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict, repr=False)
    proof: str = field(default="", repr=False)
    mistakes: int = 0
    way: tuple[str, ...] = ()
    acted: bool = False
    shortcut: str = ""

    def to_json(self) -> dict[str, Any]:
        """What `json` can write, and `from_json` read."""
        return {**vars(self), "trail": list(self.trail), "way": list(self.way), "facts": _plain(self.facts)}

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> Position:
        """Raises `KeyError`, `TypeError` or `ValueError` for what `to_json` did not make."""
        return cls(**{**read, "trail": tuple(read["trail"]), "way": tuple(read["way"]), "facts": _rich(read["facts"])})


@dataclass(frozen=True)
class Effect:
    """Something to be done before the dialogue goes on.

    `typed` may be a secret; `given` are the facts that the `Do` takes; `proof` and `locale` are as in `Position`.
    """

    name: str
    typed: str = field(default="", repr=False)
    given: Mapping[str, Fact] = field(default_factory=dict, repr=False)
    proof: str = field(default="", repr=False)
    locale: str = ""


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


def begin(dialogue: Dialogue, caller: Caller, shortcut: str = "") -> Step:
    """The first screen of a session; where a `shortcut` was dialled, the one that it leads to.

    Who has chosen no language yet is asked for it first.
    """
    step = _home(dialogue, Position(dialogue.start, caller.locale, shortcut=shortcut), caller)
    if caller.way and not shortcut and step.position.state == dialogue.start:
        return Step(replace(step.position, state=dialogue.again, way=caller.way))
    return step


def play(dialogue: Dialogue, position: Position, typed: str, caller: Caller) -> Step:
    """One input. Whatever was typed, there is a next screen."""
    step = _play(dialogue, position, typed, caller)
    after = step.position
    # Home is the beginning of another way; a mistake is no step on it; and one that is gone again is known.
    if after.state in (dialogue.start, dialogue.lost) or after.mistakes or position.state == dialogue.again:
        return step
    asked = step.effect or isinstance(dialogue.states[position.state], Question) or _private(dialogue, after)
    if position.acted or asked or len(position.way) == LONGEST_WAY:
        return replace(step, position=replace(after, acted=True))
    return replace(step, position=replace(after, way=(*position.way, digits(typed))))


def _play(dialogue: Dialogue, position: Position, typed: str, caller: Caller) -> Step:
    state, pressed = dialogue.states[position.state], digits(typed)
    if pressed == MORE:
        # Past the last page comes the first again: `screen` counts the pages, here they are not known.
        return Step(replace(position, page=position.page + 1, mistakes=0))
    if pressed == HOME:
        return _home(dialogue, position, caller)
    if pressed == BACK:
        return _back(dialogue, position, caller)
    chosen = next((option for option in options(state) if option.key == pressed), None)
    if chosen:
        return _choose(dialogue, position, chosen, caller)
    if isinstance(state, Pick) and (picked := dict(_picks(state, position.facts)).get(pressed)) is not None:
        facts = {**position.facts, state.remember: picked}
        return _enter(dialogue, replace(position, facts=facts), state.goto, caller)
    if isinstance(state, Question) and (answer := _answer(state, typed)):
        return _answered(dialogue, position, state, answer, caller)
    return _mistaken(dialogue, position, caller)


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


def replay(dialogue: Dialogue, typed: Sequence[str], caller: Caller, perform: Callable[[Effect], Outcome],
           shortcut: str = "") -> Step:
    """Where all that was typed since dialling leads: the same as remembering, if `perform` acts but once."""
    step = settle(dialogue, begin(dialogue, caller, shortcut), caller, perform)
    for one in typed:
        step = settle(dialogue, play(dialogue, step.position, one, caller), caller, perform)
    return step


@dataclass(frozen=True)
class Said:
    """What a state says, medium apart: what went wrong before it, its text, its choices by key, and the ways out.

    Each is the name of its words; an item of a `Pick` has the words of its state, with itself as the fact `item`.
    """

    wrong: str
    text: str
    choices: tuple[tuple[str, str, Mapping[str, Fact]], ...]
    ways: tuple[str, ...]
    facts: Mapping[str, Fact] = field(repr=False)
    final: bool


def said(dialogue: Dialogue, position: Position, say: Callable[..., str]) -> Said:
    """`say` words a name with facts, for what is read back inside another text."""
    state, says = dialogue.states[position.state], dialogue.says(position.state)
    facts = dict(position.facts)
    if isinstance(state, Confirm) and state.reads_back:
        facts["chosen"] = _read_back(dialogue, state.reads_back, facts, say)
    wrong = ""
    if position.mistakes:
        wrong = f"nav.wrong_{state.kind if isinstance(state, Question) else 'choice'}"
    picks = tuple((key, f"{says}.item", {**facts, "item": item}) for key, item in _picks(state, facts))
    fixed = tuple((option.key, f"{says}.options.{option.label}", facts) for option in options(state))
    return Said(wrong, f"{says}.text", (*picks, *fixed), _ways(dialogue, position), facts, isinstance(state, End))


def screen(dialogue: Dialogue, position: Position, words: Words, budget: Budget) -> Screen:
    """The page to show. An end that needs several pages closes the session with the last."""
    latin = not budget.ucs2
    locale = shown_in(position.locale or dialogue.locale, latin=latin)
    if latin and position.state == dialogue.language:
        locale = IN_LATIN[dialogue.locale]

    def say(name: str, facts: Mapping[str, Fact]) -> str:
        said = words.say(locale, name, **facts)
        return in_gsm7(said) if latin else said

    told = said(dialogue, position, say)
    body = "\n".join(filter(None, [told.wrong and say(told.wrong, told.facts), say(told.text, told.facts)]))
    lines = [f"{key} {say(name, facts)}" for key, name, facts in told.choices]
    ways = [say(f"nav.{way}", {}) for way in told.ways]
    shown = pages(body, lines, ways, say("nav.more", {}), budget, at_once=AT_ONCE)
    page = position.page % len(shown)
    return Screen(shown[page], final=told.final and page == len(shown) - 1)


def shown_in(locale: str, *, latin: bool) -> str:
    """The words to take: on a screen without Arabic, those in plain Latin letters."""
    return IN_LATIN.get(locale, locale) if latin else locale


def _read_back(dialogue: Dialogue, name: str, facts: Mapping[str, Fact], say: Callable[..., str]) -> str:
    """The choice of a menu, the item of a list, or the person's own words, once more."""
    choice = dialogue.choice(name)
    chosen = facts[choice.remember]
    if isinstance(choice, Question):
        return str(chosen)
    if isinstance(choice, Pick):
        return say(f"{dialogue.says(name)}.item", {**facts, "item": chosen})
    return say(f"{dialogue.says(name)}.options.{chosen}", facts)


def _private(dialogue: Dialogue, position: Position) -> bool:
    state = dialogue.states[position.state]
    return isinstance(state, Confirm) and state.private


def _picks(state: State, facts: Mapping[str, Fact]) -> list[tuple[str, Fact]]:
    """Each thing to pick, and its key."""
    return [(str(key), item) for key, item in enumerate(facts[state.among], 1)] if isinstance(state, Pick) else []


def _ways(dialogue: Dialogue, position: Position) -> tuple[str, ...]:
    """Back is written where there is a way back, home where that is farther: each costs letters."""
    if position.state == dialogue.again:
        return ("home",)
    if not position.trail:
        return ()
    return ("back",) if position.trail == (dialogue.start,) else ("back", "home")


def _choose(dialogue: Dialogue, position: Position, option: Option, caller: Caller) -> Step:
    state = dialogue.states[position.state]
    if isinstance(state, Menu) and state.remember:
        position = replace(position, facts={**position.facts, state.remember: option.label})
    return _enter(dialogue, position, option.goto, caller)


def _answer(question: Question, typed: str) -> str:
    """What answers the question, empty where nothing does."""
    if question.kind in DIGITS:
        pressed = digits(typed)
        return pressed if re.fullmatch(rf"[0-9]{{{DIGITS[question.kind]}}}", pressed) else ""
    spoken = " ".join(fold(typed).text.split())
    # Digits alone are a key that is none here, or a PIN that nobody must read; and not what somebody has to say.
    return spoken[:LONGEST_WORDS].strip() if any(char.isalpha() for char in spoken) else ""


def _answered(dialogue: Dialogue, position: Position, question: Question, answer: str, caller: Caller) -> Step:
    if not question.remember:
        return _enter(dialogue, position, question.goto, caller, answer)
    facts = {**position.facts, question.remember: answer}
    return _enter(dialogue, replace(position, facts=facts), question.goto, caller)


def _mistaken(dialogue: Dialogue, position: Position, caller: Caller) -> Step:
    mistakes = position.mistakes + 1
    if mistakes < PATIENCE and position.state != dialogue.lost:
        return Step(replace(position, mistakes=mistakes, page=0))
    target = dialogue.goodbye if position.state == dialogue.lost else dialogue.lost
    return _enter(dialogue, replace(position, trail=(), mistakes=0), target, caller)


def _home(dialogue: Dialogue, position: Position, caller: Caller) -> Step:
    """Nothing told on the way is kept at home, where the phone may be handed on; what was proven is."""
    state = dialogue.start if position.locale else dialogue.language
    home = Position(state, position.locale, facts=dict(caller.facts), proof=position.proof)
    if not position.locale:
        return Step(replace(home, shortcut=position.shortcut))
    if position.shortcut in dialogue.shortcuts:
        # No keys of the menus lead from home to where it does: such a call is not gone on with, but dialled again.
        return _enter(dialogue, replace(home, acted=True), dialogue.shortcuts[position.shortcut], caller)
    return Step(home)


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
    if isinstance(state, Return):
        return _return(dialogue, position, caller)
    if isinstance(state, Question) and state.when_proven and position.proof:
        return _enter(dialogue, position, state.when_proven, caller)
    if isinstance(state, Question) and state.kind == "pin" and caller.in_writing:
        return _enter(dialogue, position, dialogue.elsewhere, caller)
    position = replace(position, state=target, page=0, mistakes=0, trail=_trail(dialogue, position, target, typed))
    if isinstance(state, Do):
        given = {fact: position.facts[fact] for fact in state.takes if fact in position.facts}
        locale = shown_in(position.locale or dialogue.locale, latin=caller.latin)
        return Step(position, Effect(state.effect, typed, given, position.proof, locale))
    return Step(position)


def _return(dialogue: Dialogue, position: Position, caller: Caller) -> Step:
    """The way of the call before, gone again from home. No key on it asked for anything to be done."""
    step = _home(dialogue, position, caller)
    for key in position.way:
        onward = play(dialogue, step.position, key, caller)
        if onward.effect or onward.position.mistakes:
            break
        step = onward
    return step


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
