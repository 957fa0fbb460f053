"""States: the words a dialogue is written in, and what makes one broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

BACK, HOME, MORE = "0", "00", "98"
# After a call that broke off: a key that home never has, so that a history told anew is not taken for another's.
GO_ON = "9"
RESERVED = frozenset({BACK, HOME, MORE})

# What may be asked for: so many digits, which a keypad writes as surely as any, or a few words of the person's own.
DIGITS = {"pin": 6, "ticket": 9}
WORDS = "words"
KINDS = frozenset({*DIGITS, WORDS})
# One page holds it with the question whether it is right; by voice it is a message.
LONGEST_WORDS = 100


@dataclass(frozen=True)
class Option:
    """One line of a screen: the key to press, the name of its words, the state it leads to."""

    key: str
    label: str
    goto: str


@dataclass(frozen=True)
class Menu:
    """A choice. The label of what was chosen is kept as the fact called `remember`, where one is named."""

    options: tuple[Option, ...]
    remember: str = ""
    says: str = ""


@dataclass(frozen=True)
class Pick:
    """A choice among what an effect brought: the fact called `among`, a list, each with a key of its own from 1.

    What was chosen is kept as the fact called `remember`. `options` come after them, with keys that stay.
    """

    among: str
    remember: str
    goto: str
    options: tuple[Option, ...] = ()
    says: str = ""


@dataclass(frozen=True)
class Confirm:
    """Asked once more before something is done. `reads_back` is the choice or the words that are said again.

    Whoever calls next from the same telephone is not led to a `private` one.
    """

    yes: str
    no: str
    reads_back: str = ""
    private: bool = False
    says: str = ""

    @property
    def options(self) -> tuple[Option, ...]:
        return (Option("1", "yes", self.yes), Option("2", "no", self.no))


@dataclass(frozen=True)
class Question:
    """Digits are asked for, handed to the `Do` it goes to, and not kept. `when_proven` lets a proven caller by.

    Words are kept as the fact called `remember`, until the caller is home again.
    """

    kind: str
    goto: str
    when_proven: str = ""
    remember: str = ""
    options: tuple[Option, ...] = ()
    says: str = ""


@dataclass(frozen=True)
class Do:
    """Something is asked of whoever carries the dialogue; each outcome leads on.

    It is handed what was just typed, and the facts that it `takes`, where the caller has them. The outcome called
    `proves` brings a `proof`, which holds for the rest of the session; a `guarded` effect is for a caller who has one.
    """

    effect: str
    outcomes: Mapping[str, str]
    takes: tuple[str, ...] = ()
    proves: str = ""
    guarded: bool = False


@dataclass(frozen=True)
class Return:
    """Goes on where the call before broke off."""


@dataclass(frozen=True)
class End:
    """The last words of a session."""

    says: str = ""


State: TypeAlias = Menu | Pick | Confirm | Question | Do | Return | End
Effects: TypeAlias = Mapping[str, Mapping[str, tuple[str, ...]]]


class BrokenDialogue(Exception):
    """A dialogue that would leave somebody without an answer. Each line names one state and what ails it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Dialogue:
    """A whole tree, checked when built. Raises `BrokenDialogue`.

    `start` is home; `language` is asked first of a caller who has not chosen one, in `locale`. Too many mistakes
    lead to `lost`, where help is offered, and one more there to `goodbye`. `again` is shown to who calls back after a
    call that broke off; `elsewhere` to who would have to write a secret where it stays to be read (in a text).
    `effects` lists what each effect may answer, and the facts that it brings.

    `shortcuts` may be dialled behind the code (`*580*1#`): they are printed and learnt by heart, and stay where the
    menus change. One that is `retired` leads home, for ever.
    """

    start: str
    language: str
    lost: str
    goodbye: str
    again: str
    elsewhere: str
    effects: Effects
    states: Mapping[str, State] = field(repr=False)
    shortcuts: Mapping[str, str] = field(default_factory=dict)
    retired: frozenset[str] = frozenset()
    locale: str = "ar-MA"

    @property
    def doors(self) -> tuple[str, ...]:
        """The states that no other need lead to."""
        return (self.start, self.language, self.lost, self.goodbye, self.again, self.elsewhere,
                *self.shortcuts.values())

    def __post_init__(self) -> None:
        problems = list(_dangling(self))
        # The other checks walk the tree, and can only walk where every step lands.
        if not problems:
            problems = [problem for check in CHECKS for problem in check(self)]
        if problems:
            raise BrokenDialogue(problems)

    def says(self, name: str) -> str:
        """The name under which a state's words are kept: its own, unless it borrows another's."""
        state = self.states[name]
        return name if isinstance(state, Do | Return) else state.says or name

    def choice(self, name: str) -> Menu | Pick | Question:
        """What is read back. Raises `TypeError` where nothing is chosen or said in `name`."""
        state = self.states[name]
        if not isinstance(state, Menu | Pick | Question):
            raise TypeError(f"{name} is no choice")
        return state


def options(state: State) -> tuple[Option, ...]:
    """What can be chosen in a state; nothing where nothing is shown, or where the session ends."""
    return () if isinstance(state, Do | Return | End) else state.options


def exits(state: State) -> Iterator[str]:
    """Every state that can come next."""
    yield from (option.goto for option in options(state))
    if isinstance(state, Question):
        yield from (target for target in (state.goto, state.when_proven) if target)
    if isinstance(state, Pick):
        yield state.goto
    if isinstance(state, Do):
        yield from state.outcomes.values()


def _dangling(dialogue: Dialogue) -> Iterator[str]:
    for role in ("start", "language", "lost", "goodbye", "again", "elsewhere"):
        if getattr(dialogue, role) not in dialogue.states:
            yield f"{role}: there is no state {getattr(dialogue, role)}"
    for shortcut, target in dialogue.shortcuts.items():
        if target not in dialogue.states:
            yield f"shortcut {shortcut}: leads to {target}, which does not exist"
    for name, state in dialogue.states.items():
        for target in exits(state):
            if target not in dialogue.states:
                yield f"{name}: leads to {target}, which does not exist"


def _keys(dialogue: Dialogue) -> Iterator[str]:
    for name, state in dialogue.states.items():
        keys = [option.key for option in options(state)]
        for key in sorted(set(keys)):
            if keys.count(key) > 1:
                yield f"{name}: the key {key} is given twice"
            if key in RESERVED:
                yield f"{name}: the key {key} is reserved for moving about"
            if not (key.isascii() and key.isdigit()):
                yield f"{name}: the key {key!r} is not on every keypad"
            if isinstance(state, Question) and len(key) == DIGITS.get(state.kind):
                yield f"{name}: the key {key} could be an answer"
        if name == dialogue.start and GO_ON in keys:
            yield f"{name}: the key {GO_ON} goes on with a call that broke off"


def _shortcuts(dialogue: Dialogue) -> Iterator[str]:
    for shortcut in dialogue.shortcuts:
        if shortcut in dialogue.retired:
            yield f"shortcut {shortcut}: is retired, and somebody still knows it by heart"
        if shortcut in RESERVED or shortcut == GO_ON or not (shortcut.isascii() and shortcut.isdigit()):
            yield f"shortcut {shortcut}: cannot be dialled"


def _unreachable(dialogue: Dialogue) -> Iterator[str]:
    seen = _from(dialogue.doors, lambda name: exits(dialogue.states[name]))
    yield from (f"{name}: nothing leads here" for name in dialogue.states if name not in seen)


def _dead_ends(dialogue: Dialogue) -> Iterator[str]:
    for name in dialogue.states:
        seen = _from([name], lambda name: exits(dialogue.states[name]))
        if not any(isinstance(dialogue.states[one], End | Return) for one in seen):
            yield f"{name}: no end can be reached from here"
    last = _from([dialogue.goodbye], lambda name: exits(dialogue.states[name]))
    if any(not isinstance(dialogue.states[name], Do | End) for name in last):
        yield f"{dialogue.goodbye}: a lost caller must come to an end here"


def _questions(dialogue: Dialogue) -> Iterator[str]:
    for name, state in dialogue.states.items():
        if isinstance(state, Question):
            if state.kind not in KINDS:
                yield f"{name}: nobody knows how to ask for a {state.kind}"
            if state.remember and state.kind in DIGITS:
                yield f"{name}: keeps a {state.kind}, which may be a secret"
            if not state.remember and not isinstance(dialogue.states[state.goto], Do):
                yield f"{name}: asks, but {state.goto} does nothing with the answer"
        if isinstance(state, Confirm) and state.reads_back:
            choice = dialogue.states.get(state.reads_back)
            if not (isinstance(choice, Menu | Pick | Question) and choice.remember):
                yield f"{name}: reads back {state.reads_back}, which remembers nothing"


def _effects(dialogue: Dialogue) -> Iterator[str]:
    known = {state.remember for state in dialogue.states.values() if isinstance(state, Menu | Pick | Question)}
    known |= {fact for outcomes in dialogue.effects.values() for facts in outcomes.values() for fact in facts}
    for name, state in dialogue.states.items():
        if not isinstance(state, Do):
            continue
        listed = dialogue.effects.get(state.effect)
        if listed is None:
            yield f"{name}: the effect {state.effect} is not listed"
            continue
        missing, unknown = listed.keys() - state.outcomes, state.outcomes.keys() - listed
        yield from (f"{name}: the outcome {one} leads nowhere" for one in sorted(missing))
        yield from (f"{name}: {state.effect} never answers {one}" for one in sorted(unknown))
        if state.proves and "proof" not in listed.get(state.proves, ()):
            yield f"{name}: {state.effect} brings no proof by {state.proves}"
        yield from (f"{name}: nobody brings {fact}" for fact in state.takes if fact not in known)


def _unguarded(dialogue: Dialogue) -> Iterator[str]:
    def unproven(name: str) -> Iterator[str]:
        state = dialogue.states[name]
        if isinstance(state, Question):
            yield from (state.goto, *(option.goto for option in state.options))
        elif isinstance(state, Do):
            yield from (target for outcome, target in state.outcomes.items() if outcome != state.proves)
        else:
            yield from exits(state)

    for name in _from(dialogue.doors, unproven):
        state = dialogue.states[name]
        if isinstance(state, Do) and state.guarded:
            yield f"{name}: {state.effect} can be reached by a caller who proved nothing"


def _restless(dialogue: Dialogue) -> Iterator[str]:
    def undone(name: str) -> Iterator[str]:
        state = dialogue.states[name]
        return iter(state.outcomes.values() if isinstance(state, Do) else ())

    for name, state in dialogue.states.items():
        if isinstance(state, Do) and name in _from(undone(name), undone):
            yield f"{name}: can do for ever without asking anybody"


CHECKS = (_keys, _shortcuts, _unreachable, _dead_ends, _questions, _effects, _unguarded, _restless)


def _from(names: Iterable[str], onward: Callable[[str], Iterable[str]]) -> dict[str, None]:
    """Every state that can be reached from `names`, themselves included, in order of finding."""
    seen = dict.fromkeys(names)
    waiting = list(seen)
    while waiting:
        for target in onward(waiting.pop()):
            if target not in seen:
                seen[target] = None
                waiting.append(target)
    return seen
