"""Phones: how people write a telephone number of Morocco, and the one way in which it is kept.

The plan is that of the regulator (ANRT, "Plan national de numérotation"): closed, +212 and nine digits,
which begin with 6 or 7 for a mobile and 5 for a landline.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

import phonenumbers

from gateway.registry.numbers import folded

REGION = "MA"
COUNTRY = 212
# The first digit and not the library's list of ranges: a range that was opened after its release is no error.
KINDS: dict[str, Literal["mobile", "landline"]] = {"6": "mobile", "7": "mobile", "5": "landline"}
# How a number may begin. Without a 0 or a country code it may have lost a digit on its way.
BEGINS = re.compile(r"(\+|00?[1-9]|212)[0-9]+")


class NotATelephone(Exception):
    """Not a telephone that can be kept. `reason` is a sentence for a clerk, without a digit of the number."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Telephone:
    """A number in E.164 (`+2126...`). A landline never gets a text."""

    msisdn: str = field(repr=False)
    kind: Literal["mobile", "landline"]


def telephone(text: str) -> Telephone:
    """Read a number as people write it: 06, 07, +212, 00212, 212; spaced, dotted, in Arabic digits.

    Raises `NotATelephone` for everything else, foreign numbers and service numbers among it.
    """
    typed = folded(text).replace("(", "").replace(")", "")
    if not BEGINS.fullmatch(typed):
        raise NotATelephone("This is not a telephone number; write it with its leading zero, digits only.")
    try:
        parsed = phonenumbers.parse(typed, REGION)
    except phonenumbers.NumberParseException:
        raise NotATelephone("This is not a telephone number; write one with its leading zero.") from None
    if parsed.country_code != COUNTRY:
        raise NotATelephone("This is a foreign number; only numbers of Morocco get texts.")
    national_digits = str(parsed.national_number)
    if len(national_digits) != 9:
        raise NotATelephone("This number is too short or too long; compare it with what the person wrote.")
    kind = KINDS.get(national_digits[0])
    if kind is None:
        raise NotATelephone("This is a service number; write the household's mobile or landline.")
    return Telephone(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164), kind)


def national(msisdn: str) -> str:
    """`+212612345678` as a person of the country dials it: `0612345678`."""
    return "0" + msisdn.removeprefix(f"+{COUNTRY}")
