"""States: the words a dialogue is written in, and what makes one broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

BACK, HOME, MORE = "0", "00", "98"
RESERVED = frozenset({BACK, HOME, MORE})


# What may be asked for: so many digits. A keypad that people know by heart writes nothing else as surely.
KINDS = {"pin": 6, "ticket": 9}


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
class Confirm:
    """Asked once more before something is done. `reads_back` is the menu whose choice is said again."""

    yes: str
    no: str
    reads_back: str = ""
    says: str = ""

    @property
    def options(self) -> tuple[Option, ...]:
        return (Option("1", "yes", self.yes), Option("2", "no", self.no))


@dataclass(frozen=True)
class Question:
    """Digits are asked for, handed to the `Do` it goes to, and not kept. `when_proven` lets a proven caller by."""

    kind: str
    goto: str
    when_proven: str = ""
    options: tuple[Option, ...] = ()
    says: str = ""


@dataclass(frozen=True)
class Do:
    """Something is asked of whoever carries the dialogue; each outcome leads on.

    Its argument is what was just typed, or the fact called `argument`. The outcome called `proves` brings a
    `proof`, which holds for the rest of the session; a `guarded` effect is for a caller who has one.
    """

    effect: str
    outcomes: Mapping[str, str]
    argument: str = ""
    proves: str = ""
    guarded: bool = False


@dataclass(frozen=True)
class End:
    """The last words of a session."""

    says: str = ""


State: TypeAlias = Menu | Confirm | Question | Do | End
Effects: TypeAlias = Mapping[str, Mapping[str, tuple[str, ...]]]


class BrokenDialogue(Exception):
    """A dialogue that would leave somebody without an answer. Each line names one state and what ails it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Dialogue:
    """A whole tree, checked when built. Raises `BrokenDialogue`.

    `start` is home; `language` is asked first of a caller who has not chosen one, in `locale`; `lost` is
    where too many mistakes lead. `effects` lists what each effect may answer, and the facts that it brings.
    """

    start: str
    language: str
    lost: str
    effects: Effects
    states: Mapping[str, State] = field(repr=False)
    locale: str = "ar-MA"

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
        return name if isinstance(state, Do) else state.says or name

    def menu(self, name: str) -> Menu:
        """Raises `TypeError` where `name` is no menu."""
        state = self.states[name]
        if not isinstance(state, Menu):
            raise TypeError(f"{name} is no menu")
        return state


def options(state: State) -> tuple[Option, ...]:
    """What can be chosen in a state; nothing where nothing is shown, or where the session ends."""
    return () if isinstance(state, Do | End) else state.options


def exits(state: State) -> Iterator[str]:
    """Every state that can come next."""
    yield from (option.goto for option in options(state))
    if isinstance(state, Question):
        yield from (target for target in (state.goto, state.when_proven) if target)
    if isinstance(state, Do):
        yield from state.outcomes.values()


def _dangling(dialogue: Dialogue) -> Iterator[str]:
    for role in ("start", "language", "lost"):
        if getattr(dialogue, role) not in dialogue.states:
            yield f"{role}: there is no state {getattr(dialogue, role)}"
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
            if isinstance(state, Question) and len(key) == KINDS.get(state.kind):
                yield f"{name}: the key {key} could be an answer"


def _unreachable(dialogue: Dialogue) -> Iterator[str]:
    roots = [dialogue.start, dialogue.language, dialogue.lost]
    seen = _from(roots, lambda name: exits(dialogue.states[name]))
    yield from (f"{name}: nothing leads here" for name in dialogue.states if name not in seen)


def _dead_ends(dialogue: Dialogue) -> Iterator[str]:
    for name in dialogue.states:
        seen = _from([name], lambda name: exits(dialogue.states[name]))
        if not any(isinstance(dialogue.states[one], End) for one in seen):
            yield f"{name}: no end can be reached from here"
    if not isinstance(dialogue.states[dialogue.lost], End):
        yield f"{dialogue.lost}: a lost caller must come to an end here"


def _questions(dialogue: Dialogue) -> Iterator[str]:
    for name, state in dialogue.states.items():
        if isinstance(state, Question):
            if state.kind not in KINDS:
                yield f"{name}: nobody knows how to ask for a {state.kind}"
            if not isinstance(dialogue.states[state.goto], Do):
                yield f"{name}: asks, but {state.goto} does nothing with the answer"
        if isinstance(state, Confirm) and state.reads_back:
            menu = dialogue.states.get(state.reads_back)
            if not (isinstance(menu, Menu) and menu.remember):
                yield f"{name}: reads back {state.reads_back}, which remembers nothing"


def _effects(dialogue: Dialogue) -> Iterator[str]:
    remembered = {state.remember for state in dialogue.states.values() if isinstance(state, Menu)}
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
        if state.argument and state.argument not in remembered:
            yield f"{name}: no menu remembers {state.argument}"


def _unguarded(dialogue: Dialogue) -> Iterator[str]:
    def unproven(name: str) -> Iterator[str]:
        state = dialogue.states[name]
        if isinstance(state, Question):
            yield from (state.goto, *(option.goto for option in state.options))
        elif isinstance(state, Do):
            yield from (target for outcome, target in state.outcomes.items() if outcome != state.proves)
        else:
            yield from exits(state)

    for name in _from([dialogue.start, dialogue.language, dialogue.lost], unproven):
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


CHECKS = (_keys, _unreachable, _dead_ends, _questions, _effects, _unguarded, _restless)


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
