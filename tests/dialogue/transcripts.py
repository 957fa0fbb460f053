"""Transcripts: whole conversations as text that reads like a play; `python -m tests.dialogue.transcripts` writes them.

A line after `>` is what the caller types, a line after `*` what the service did meanwhile, the rest is the
telephone's screen with its length in the network's own units. People and numbers are invented.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

from channels.text import USSD
from gateway.cli.dialogues import drawn
from gateway.dialogue.engine import Effect, Outcome, begin, play, screen, settle
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.states import MORE
from gateway.words import LOCALES, Words
from tests.dialogue.cast import CODE, somebody

FOLDER = Path(__file__).parents[1] / "transcripts" / "dialogue"

OK = Outcome("ok")
PROVEN = Outcome("ok", {"proof": "household"})
INDEX = Outcome(
    "ok",
    {
        "index": Decimal("9.5127340"),
        "programmes": [{"key": "asd", "below": True}, {"key": "amo-tadamon", "below": False}],
        "last_day": date(2027, 1, 20),
    },
)
FILED = Outcome("ok", {"number": "520418736"})
LATE = Outcome("late", {"deadline": date(2026, 10, 2)})


def found(kind: str, state: str, answer_by: date | None) -> Outcome:
    """What is told of a request by its number."""
    return Outcome(
        "found", {"kind": kind, "state": state, "date": date(2026, 11, 21), "answer_by": answer_by}
    )


@dataclass(frozen=True)
class Scene:
    """What a caller types, and what comes of each effect, one outcome a time."""

    title: str
    typed: tuple[str, ...]
    outcomes: Mapping[str, tuple[Outcome, ...]] = field(default_factory=dict)
    first_call: bool = False


SCENES = {
    "first_call": Scene(
        "Somebody calls for the first time, chooses a language and asks what this is",
        ("{language}", "5", "5", "98", "98"),
        first_call=True,
    ),
    "index_and_review": Scene(
        "A household hears its index, and asks for a review of it",
        ("1", "482913", "98", "98", "98", "1", "1"),
        {
            "check_pin": (PROVEN,),
            "show_index": (INDEX,),
            "review_state": (Outcome("open", {"deadline": date(2027, 1, 20)}),),
            "request_review": (Outcome("ok", {"number": "318846025", "answer_by": date(2026, 12, 21)}),),
        },
    ),
    "index_not_yet": Scene(
        "A household registered a few days ago, and its index is not computed yet",
        ("1", "482913"),
        {"check_pin": (PROVEN,), "show_index": (Outcome("none", {"due": date(2026, 11, 30)}),)},
    ),
    "index_late": Scene(
        "The ten days are past without an index: a complaint about it",
        ("1", "482913", "1", "98", "98", "98", "10", "1"),
        {"check_pin": (PROVEN,), "show_index": (Outcome("late"),), "file_complaint": (FILED,)},
    ),
    "wrong_pin": Scene(
        "A wrong PIN, or a telephone that nobody knows: the same words, until it is locked",
        ("1", "48291", "111222", "111223", "111224"),
        {"check_pin": (Outcome("wrong"), Outcome("wrong"), Outcome("locked"))},
    ),
    "no_pin": Scene(
        "Somebody has no PIN and asks for one by letter",
        ("1", "9", "1"),
        {"send_pin_letter": (OK,)},
    ),
    "late_review": Scene(
        "The sixty days are over: what can still be done",
        ("2", "482913", "1", "98", "98"),
        {"check_pin": (PROVEN,), "review_state": (LATE,)},
    ),
    "review_already": Scene(
        "A household asks for a review a second time",
        ("2", "482913"),
        {"check_pin": (PROVEN,), "review_state": (Outcome("already", {"number": "318846025"}),)},
    ),
    "complaint_payment": Scene(
        "The aid did not come: a complaint, read back and filed; the caller looks around first",
        ("3", "98", "98", "0", "6", "55", "0", "6", "1"),
        {"file_complaint": (FILED,)},
    ),
    "complaint_staff": Scene(
        "A complaint about staff is never named again",
        ("3", "8", "1"),
        {"file_complaint": (FILED,)},
    ),
    "complaint_index": Scene(
        "Who complains of the index is told of the review first",
        ("3", "2", "2"),
        {"file_complaint": (FILED,)},
    ),
    "complaint_too_many": Scene(
        "Too many complaints from one telephone in one day",
        ("3", "11", "1"),
        {"file_complaint": (Outcome("too_many"),)},
    ),
    "where_is_my_request": Scene(
        "A number mistyped, one unknown, the review at last; then a complaint that was answered, badly",
        ("4", "31884602", "318846052", "700000007", "318846025", "98", "1", "520418736", "2", "11", "1"),
        {
            "request_status": (
                Outcome("check"),
                Outcome("unknown"),
                found("review", "in_progress", date(2026, 12, 21)),
                found("complaint", "answered", None),
            ),
            "file_complaint": (Outcome("ok", {"number": "574930261"}),),
        },
    ),
    "update": Scene(
        "Something changed in the household: who must hear of it; home and back on the way",
        ("5", "00", "5", "0", "5", "3", "98", "98"),
    ),
    "register": Scene("How to register, or to have a telephone known", ("5", "98", "2", "98")),
    "another_language": Scene(
        "The language is changed, and changed back",
        ("5", "1", "2", "5", "1", "{language}", "3", "8", "2", "5", "5", "98", "98"),
    ),
    "lost": Scene(
        "Three keys in a row that lead nowhere",
        ("7", "مرحبا", "*"),
    ),
}


def play_scene(scene: Scene, locale: str, words: Words) -> str:
    """The scene in a language, as text."""
    caller = somebody(None if scene.first_call else locale)
    waiting = {name: list(outcomes) for name, outcomes in scene.outcomes.items()}
    done: list[str] = []

    def perform(effect: Effect) -> Outcome:
        if effect.name == "choose_language":
            answer = Outcome("ok", {"language": effect.argument})
        else:
            answer = waiting[effect.name].pop(0)
        done.append(f"* {effect.name}: {answer.name}")
        return answer

    step = settle(HOUSEHOLD, begin(HOUSEHOLD, caller), caller, perform)
    shown = screen(HOUSEHOLD, step.position, words, USSD)
    lines = [scene.title, f"{locale}", "", f"> {CODE}", *drawn(shown)]
    for typed in scene.typed:
        if shown.final:
            break
        if typed == MORE and MORE not in shown.text:
            # The pages are not the same in every language; nobody presses what is not offered.
            continue
        typed = typed.replace("{language}", str(LOCALES.index(locale) + 1))
        done.clear()
        step = settle(HOUSEHOLD, play(HOUSEHOLD, step.position, typed, caller), caller, perform)
        shown = screen(HOUSEHOLD, step.position, words, USSD)
        lines += ["", f"> {typed}", *done, *drawn(shown)]
    return "\n".join(lines) + "\n"


def transcripts(words: Words) -> Iterator[tuple[Path, str]]:
    """Every scene in every language, and the file it belongs in."""
    for locale in LOCALES:
        for name, scene in SCENES.items():
            yield FOLDER / locale / f"{name}.txt", play_scene(scene, locale, words)


def main() -> None:
    for locale in LOCALES:
        shutil.rmtree(FOLDER / locale, ignore_errors=True)
        (FOLDER / locale).mkdir(parents=True)
    for file, text in transcripts(Words()):
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
