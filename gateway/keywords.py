"""Keywords: what somebody means by a text: a word of ours, or nearly; and the number that stands in it."""

from __future__ import annotations

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from functools import cache

from channels.text import fold
from gateway.dialogue.household import HOUSEHOLD
from gateway.registry.numbers import folded
from gateway.words import TEMPLATES

FILE = TEMPLATES / "keywords.toml"
# Obeyed only when a text says this and no more: a person who misspells "stop" is answered, and can write it again.
EXACT = ("stop", "start", "help")
# One letter wrong in four.
NEARLY = 0.75
# Arabic letters that people write for one another.
ALIKE = str.maketrans("أإآٱةىؤئ", "ااااهيوي")
# An identifier that somebody writes beside the word: nothing is ever looked up by it.
IDENTIFIER = re.compile(r"\b[0-9]{10}\b")


def meant(text: str) -> str:
    """A shortcut of the tree, `stop`, `start` or `help`; empty where it is none of ours."""
    said = _plain(IDENTIFIER.sub(" ", folded_digits(text)))
    known = _known()
    whole = known.get(said) or known.get(said.replace(" ", ""))
    if whole:
        return whole
    near = [word for word, meaning in known.items() if meaning not in EXACT]
    found = difflib.get_close_matches(said, near, 1, NEARLY) if len(said) > 2 else []
    if found:
        return known[found[0]]
    # In a sentence a word must be spelt as it is: "je veux mon indice" asks for the index, "ma fille" for nothing.
    return next((known[one] for one in said.split() if known.get(one, "stop") not in EXACT), "")


def number_in(text: str) -> str:
    """The nine digits that stand alone in a text, in threes or whole; empty where there are none."""
    digits = folded(text)
    return digits if re.fullmatch(r"[0-9]{9}", digits) else ""


def folded_digits(text: str) -> str:
    """Digits as 0-9, all else as it is."""
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)


def _plain(text: str) -> str:
    """Without case, accents, marks and punctuation, with one letter for those that are written for one another."""
    decomposed = unicodedata.normalize("NFKD", fold(text).text.translate(ALIKE).lower())
    kept = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(re.sub(r"[^\w\s]|_", " ", kept).split())


@cache
def _known() -> Mapping[str, str]:
    """Each word and what it means. Raises `ValueError` for a word of two meanings, or a shortcut that is none."""
    table = tomllib.loads(FILE.read_text(encoding="utf-8"))
    known: dict[str, str] = {}
    for meaning, written in table.items():
        if meaning not in (*HOUSEHOLD.shortcuts, *EXACT):
            raise ValueError(f"{FILE.name}: {meaning} is no shortcut")
        for word in map(_plain, written):
            if known.setdefault(word, meaning) != meaning:
                raise ValueError(f"{FILE.name}: {word} means two things")
    return known
