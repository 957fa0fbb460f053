"""Studio: everything that a telephone call can say, as takes for a speaker: what to say, where it is heard, and how.

The three languages are spoken in five slots: Arabic as Darija, French, and Amazigh in its three great varieties.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain, pairwise

from babel.dates import get_month_names

from gateway.dialogue.ear import hear
from gateway.dialogue.engine import Position
from gateway.dialogue.longest import facts_for
from gateway.dialogue.states import Dialogue, Do
from gateway.spoken import Day, Digits, Number, Phrase, Spoken
from gateway.words import Words


@dataclass(frozen=True)
class Slot:
    """A way of speaking one of the languages. `calendar` is where CLDR (the locale's data) has its months.

    `speech` says whether a provider's own speech, or a synthesizer, can say what nobody has recorded.
    """

    locale: str
    calendar: str
    speech: bool
    how: str


SLOTS = {
    "ar-MA": Slot("ar-MA", "ar_MA", True, "en darija, comme on le dit"),
    "fr-MA": Slot("fr-MA", "fr_MA", True, "en français, posément"),
    "tashelhit": Slot("zgh-MA", "shi_Latn", False, "en tachelhit, comme on le dit"),
    "tamazight": Slot("zgh-MA", "tzm_Latn", False, "en tamazight du Maroc central, comme on le dit"),
    "tarifit": Slot("zgh-MA", "rif_Latn", False, "en tarifit, comme on le dit"),
}
SIGNS = {",": "sign.comma", "*": "sign.star", "#": "sign.hash"}
YEARS = range(2026, 2036)
# French alone has a word of its own for the first of a month.
FIRST_DAY = {"fr-MA": "1er"}
# What is said outside the tree; `voice.press` stands before every option, and is met there.
BESIDE_THE_TREE = ("sorry.text",)
WITHIN_OPTIONS = "voice.press"

# Whoever speaks in a Moroccan studio reads French; the words themselves are the slot's.
HOW = {
    "digit": "un chiffre seul, ton égal, comme dans un numéro de téléphone",
    "sign": "un signe lu entre des chiffres, ton égal",
    "day": "le jour d'une date, ton montant : le mois suit",
    "month": "un mois, ton égal : l'année suit",
    "year": "une année, ton descendant : la date est finie",
    "number": "un nombre entier",
}
CONTINUES, WHOLE = "ton suspendu : un chiffre ou une date suit", "une phrase entière, ton descendant"
COLUMNS = ("file", "text", "where", "how")


@dataclass(frozen=True)
class Take:
    """Something to be said into a microphone, once. Its file bears the words' name and a digest of the words."""

    name: str
    text: str
    where: tuple[str, ...] = field(default=(), compare=False)
    how: str = field(default="", compare=False)

    @property
    def stem(self) -> str:
        """The file's name without its ending: words that have changed are never heard in an old recording."""
        return f"{self.name}-{sha256(self.text.encode()).hexdigest()[:8]}"


def takes(words: Words, slot: str, spoken: Spoken) -> tuple[Take, ...]:
    """What must be recorded for this to be heard; nothing where it is left to a provider's speech."""
    match spoken:
        case Phrase(name, text):
            return (Take(name, text),)
        case Digits(text):
            return tuple(_sign(words, slot, sign) for sign in text if sign.isdecimal() or sign in SIGNS)
        case Day(day) if day.year in YEARS:
            return (*_day_and_month(slot, day.day, day.month), Take(f"year.{day.year}", str(day.year)))
        case Number(value) if value == value.to_integral_value():
            return (Take(f"number.{value:f}", f"{value:f}"),)
    return ()


def said(words: Words, slot: str, spoken: Spoken) -> str:
    """The same in writing, so that a provider's speech says it rightly: digits apart, a date in words."""
    match spoken:
        case Phrase(_, text):
            return text
        case Digits():
            return ", ".join(take.text for take in takes(words, slot, spoken))
        case Day(day):
            return " ".join([*(take.text for take in _day_and_month(slot, day.day, day.month)), str(day.year)])
        case Number(value):
            return f"{value:f}".replace(".", ",")
    return ""


def needed(words: Words, dialogue: Dialogue, slot: str) -> dict[str, Take]:
    """Everything that can be heard in this slot, by the stem of its file: each screen with each of its facts."""
    found: dict[str, Take] = {}
    for where, how, take in chain(_pieces(words, slot), _heard(words, dialogue, slot)):
        known = found.get(take.stem, take)
        places = dict.fromkeys((*known.where, where) if where else known.where)
        found[take.stem] = Take(take.name, take.text, tuple(places), known.how or f"{how}; {SLOTS[slot].how}")
    return found


def script(takes: Iterable[Take]) -> str:
    """A table for the studio, as CSV: the file to make, the words, where they are heard, and how they are said."""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(COLUMNS)
    table.writerows((f"{take.stem}.wav", take.text, " ".join(take.where), take.how) for take in takes)
    return written.getvalue()


def _pieces(words: Words, slot: str) -> Iterator[tuple[str, str, Take]]:
    """What numbers and dates are made of, be they met or not."""
    shared = [_sign(words, slot, sign) for sign in (*map(str, range(10)), *SIGNS)]
    days = [_day_and_month(slot, day, 1)[0] for day in range(1, 32)]
    months = [_day_and_month(slot, 1, month)[1] for month in range(1, 13)]
    for take in (*shared, *days, *months, *(Take(f"year.{year}", str(year)) for year in YEARS)):
        yield "", HOW[take.name.partition(".")[0]], take


def _heard(words: Words, dialogue: Dialogue, slot: str) -> Iterator[tuple[str, str, Take]]:
    for where, spoken in _utterances(words, dialogue, SLOTS[slot].locale):
        for one, following in pairwise([*spoken, None]):
            for take in takes(words, slot, one) if one else ():
                yield where, _how(one, following), take


def _how(one: Spoken | None, following: Spoken | None) -> str:
    if isinstance(one, Phrase):
        return CONTINUES if isinstance(following, Digits | Day | Number) else WHOLE
    return HOW["number"]


def _utterances(words: Words, dialogue: Dialogue, locale: str) -> Iterator[tuple[str, tuple[Spoken, ...]]]:
    """Every line that a call in this language may hold, and the screen or text it is heard in."""
    shown = [name for name, state in dialogue.states.items() if not isinstance(state, Do)]
    for state in shown:
        for facts in facts_for(state):
            for mistakes in (0, 1):
                aloud = hear(dialogue, Position(state, locale, facts=facts, mistakes=mistakes), words)
                for line in (aloud.says, *aloud.options):
                    if line.locale == locale:
                        yield state, line.spoken
    beside = sorted(name for name in words.names(locale) if name.startswith("voice.") and name != WITHIN_OPTIONS)
    for name in (*BESIDE_THE_TREE, *beside):
        yield name, tuple(words.hear(locale, name, service_code="*#"))


def _sign(words: Words, slot: str, sign: str) -> Take:
    if sign in SIGNS:
        return Take(SIGNS[sign], words.say(SLOTS[slot].locale, SIGNS[sign]))
    return Take(f"digit.{sign}", sign)


def _day_and_month(slot: str, day: int, month: int) -> tuple[Take, Take]:
    first = FIRST_DAY.get(slot) if day == 1 else None
    names = get_month_names("wide", locale=SLOTS[slot].calendar)
    return Take(f"day.{day}", first or str(day)), Take(f"month.{month}", names[month])
