"""Numbers: those that a person reads aloud, types on a telephone, and must not get wrong.

Nine digits: one that says what the number is of, seven at random, and the check digit of H. Michael Damm
("Total anti-symmetrische Quasigruppen", Marburg 2004), which catches every wrong digit and every swap of
neighbours, and the French mishearing of 13 for 30. Digits only: every telephone has them.
"""

from __future__ import annotations

import re
from random import Random
from typing import Literal

from stdnum import damm

Kind = Literal["message", "review", "complaint", "letter", "registration", "update"]

# Every household of the country gets a registration number: one first digit would not hold them.
FIRST_DIGITS: dict[Kind, str] = {"message": "1", "review": "2", "complaint": "3", "letter": "4", "update": "6",
                                 "registration": "5789"}
KIND_OF: dict[str, Kind] = {digit: kind for kind, digits in FIRST_DIGITS.items() for digit in digits}
# A run of three is miscounted by ear; 786 and 666 are read as signs (MOSIP's id generator bans both).
AWKWARD = re.compile(r"([0-9])\1\1|786|666")

# Arabic-Indic and Persian digits become 0-9; spaces, dots, dashes and direction marks go.
_TYPED = {zero + digit: str(digit) for zero in (0x0660, 0x06F0) for digit in range(10)}
_BETWEEN = (" \t\u00a0\u2007\u2009\u202f.\u00b7-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
            "\u200b\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
FOLDED: dict[int, str | None] = {**_TYPED, **dict.fromkeys(map(ord, _BETWEEN))}


def new_number(kind: Kind, rng: Random) -> str:
    """A number that no one has: the caller keeps it unique. `rng` is a `random.SystemRandom` but in tests."""
    while True:
        digits = f"{rng.choice(FIRST_DIGITS[kind])}{rng.randrange(10 ** 7):07}"
        number = digits + str(damm.calc_check_digit(digits))
        if not AWKWARD.search(number):
            return number


def read_number(typed: str) -> str | None:
    """The nine digits that a person meant, or None when no number of ours is written so."""
    number = folded(typed)
    return number if kind_of(number) else None


def kind_of(number: str) -> Kind | None:
    """What this number is of; None when its check digit is wrong or it could never have been given out."""
    if not re.fullmatch(r"[0-9]{9}", number) or AWKWARD.search(number) or not damm.is_valid(number):
        return None
    return KIND_OF.get(number[0])


def spaced(number: str) -> str:
    """`312 345 678`: in threes, as it is printed and said."""
    return " ".join(number[start:start + 3] for start in range(0, len(number), 3))


def folded(typed: str) -> str:
    """What was typed, with digits 0-9 and nothing between them; any other character stays."""
    return typed.translate(FOLDED)
