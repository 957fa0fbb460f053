"""Transcripts: whole conversations as text that reads like a play; `python -m tests.dialogue.transcripts` writes them.

A line after `>` is what the caller types, a line after `*` what the service did meanwhile, the rest is what the medium
says: on USSD the telephone's screen, with its length in the network's own units. Tests write them with `--accept`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from channels.base import Piece
from channels.text import USSD, digits, parts
from gateway.cli.dialogues import drawn
from gateway.dialogue.ear import spoken_in
from gateway.dialogue.engine import Effect, Outcome, Position, Step, begin, play, screen, settle
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.states import MORE, options
from gateway.spoken import Spoken
from gateway.studio import SLOTS, said
from gateway.web.saying import prompt
from gateway.web.sms import THREE_PARTS
from gateway.words import LOCALES, SCREENS, Ear, Wording, Words
from tests.dialogue.cast import CODE, WORDS, somebody
from tests.dialogue.scenes import IN_WORDS, LANGUAGE, SAID, SCENES, Scene

FOLDER = Path(__file__).parents[1] / "transcripts" / "dialogue"
DIALLED = re.compile(r"\*580(?:\*([0-9]+))?#")
KEYS = {option.label: option.key for option in options(HOUSEHOLD.states[HOUSEHOLD.language])}


@dataclass(frozen=True)
class Shown:
    """What a medium makes of a position: its lines, whether there is more to press, and whether that was the end."""

    lines: tuple[str, ...]
    more: bool
    final: bool


@dataclass(frozen=True)
class Medium:
    """How a position is said in a language. Where what is typed stays to be read, no PIN is asked for."""

    locales: tuple[str, ...]
    show: Callable[[Position, Words], Shown]
    in_writing: bool = False
    wording: Wording = WORDS


def on_screen(position: Position, words: Words) -> Shown:
    """A telephone's screen."""
    shown = screen(HOUSEHOLD, position, words, USSD)
    more = words.say(position.locale or HOUSEHOLD.locale, "nav.more")
    return Shown(tuple(drawn(shown)), more in shown.text.splitlines(), shown.final)


def in_text(position: Position, words: Words) -> Shown:
    """An answer by SMS."""
    shown = screen(HOUSEHOLD, position, words, THREE_PARTS)
    more = words.say(position.locale or HOUSEHOLD.locale, "nav.more")
    lines = [f"    {line}" for line in shown.text.splitlines()]
    return Shown((*lines, f"    ({parts(shown.text)} of 3 parts)"), more in shown.text.splitlines(), shown.final)


class EveryVoice:
    """A speaker of every language, who says what is written."""

    def speakable(self, slot: str) -> bool:
        return True

    def pieces(self, spoken: Iterable[Spoken], slot: str) -> tuple[Piece, ...]:
        return (Piece(" ".join(filter(None, (said(WORDS, slot, one) for one in spoken))), SLOTS[slot].locale),)


def on_line(position: Position, words: Words) -> Shown:
    """What is heard in a call."""
    house = SimpleNamespace(words=words, recordings=EveryVoice(), settings=SimpleNamespace(service_code=CODE))
    told = prompt(house, position)
    awaits = {"keys": f"{told.most} keys at most are awaited" if told.most > 1 else "a key is awaited",
              "voice": f"a message of {told.seconds} s is awaited", "nothing": "the call ends"}[told.awaits]
    more = said(WORDS, "fr-MA", words.hear(spoken_in(position.locale or "ar-MA"), "voice.more")[0])
    lines = [piece.text for piece in told.pieces]
    return Shown((*(f"    {line}" for line in lines), f"    ({awaits})"),
                 any(line.startswith(more) for line in lines), told.awaits == "nothing")


MEDIA: Mapping[str, Medium] = {
    "ussd": Medium(SCREENS, on_screen),
    "sms": Medium(SCREENS, in_text, in_writing=True),
    "voice": Medium(LOCALES, on_line, wording=Ear(WORDS)),
}


def play_scene(scene: Scene, locale: str, medium: Medium) -> str:
    """The scene in a language on a medium, as text. Raises `AssertionError` for an outcome that nobody waited for."""
    performance = _Performance(scene, locale, medium)
    performance.play()
    left = [name for name, outcomes in performance.waiting.items() if outcomes]
    assert not left, f"{scene.title}: nobody waited for {', '.join(left)}"
    return "\n".join([scene.title, locale, *performance.lines]) + "\n"


def visited(scene: Scene, locale: str, medium: Medium) -> set[str]:
    """The names of the words that are shown in a scene: several states may have the same."""
    performance = _Performance(scene, locale, medium)
    performance.play()
    return {HOUSEHOLD.says(state) for state in performance.states}


@dataclass
class _Performance:
    scene: Scene
    locale: str
    medium: Medium
    lines: list[str] = field(default_factory=list)
    states: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.waiting = {name: list(outcomes) for name, outcomes in self.scene.outcomes.items()}
        self.chosen = None if self.scene.first_call else self.locale

    def play(self) -> None:
        """Every line of the scene, from the first call on."""
        typed = self.scene.typed if DIALLED.fullmatch(self.scene.typed[0]) else (CODE, *self.scene.typed)
        step, shown = Step(Position("")), Shown((), more=False, final=True)
        for one in (self._spelt(one) for one in typed):
            dialled = DIALLED.fullmatch(one)
            if not dialled and (shown.final or (digits(one) == MORE and not shown.more)):
                continue
            caller = somebody(self.chosen, () if shown.final else step.position.way, in_writing=self.medium.in_writing)
            before = (begin(HOUSEHOLD, caller, dialled[1] or "") if dialled
                      else play(HOUSEHOLD, step.position, one, caller))
            step = settle(HOUSEHOLD, before, caller, self._perform)
            shown = self._shown(one, step.position)

    def _shown(self, typed: str, position: Position) -> Shown:
        shown = self.medium.show(position, WORDS)
        self.lines += ["", f"> {typed}", *self.done, *shown.lines]
        self.done.clear()
        self.states.add(position.state)
        self.chosen = position.locale or self.chosen
        return shown

    def _spelt(self, typed: str) -> str:
        return typed.replace(LANGUAGE, KEYS.get(self.locale, "")).replace(SAID, IN_WORDS[self.locale])

    def _perform(self, effect: Effect) -> Outcome:
        answer = self._answer(effect)
        self.done.append(f"* {effect.name}: {answer.name}")
        return answer

    def _answer(self, effect: Effect) -> Outcome:
        if effect.name == "choose_language":
            return Outcome("ok", {"language": effect.given["language"]})
        if effect.name == "send_help":
            return Outcome("ok")
        answer = self.waiting[effect.name].pop(0)
        return answer if isinstance(answer, Outcome) else answer(self.medium.wording, effect.locale)


def transcripts() -> Iterator[tuple[Path, Scene, str, Medium]]:
    """Every scene on every medium in every language, and the file it belongs in.

    Where a language cannot be chosen yet, nobody calls for the first time in it.
    """
    for name, medium in MEDIA.items():
        for locale in medium.locales:
            for scene, played in SCENES.items():
                if played.media(in_writing=medium.in_writing) and (LANGUAGE not in played.typed or locale in KEYS):
                    yield FOLDER / name / locale / f"{scene}.txt", played, locale, medium


def accept(file: Path, text: str) -> None:
    """From now on it goes so."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    for file, scene, locale, medium in transcripts():
        accept(file, play_scene(scene, locale, medium))


if __name__ == "__main__":
    main()
