"""The numbering plan: which numbers are mobile telephones, which are dead, and whose network they are on."""

from __future__ import annotations

from typing import Literal

import phonenumbers
from phonenumbers import PhoneNumberType

HOME = "MA"
DEAD = "99"
# MCC and MNC of Orange, Maroc Telecom and inwi (ITU E.212 list). With number portability the prefix says
# nothing sure, so the operator deals them out by the last digit.
NETWORKS = ("60400", "60401", "60402")
MOBILE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)

Kind = Literal["mobile", "landline", "invalid"]


def kind(msisdn: str) -> Kind:
    """What an E.164 number is; a number written in any other way is invalid, as it is to the providers."""
    try:
        number = phonenumbers.parse(msisdn)
    except phonenumbers.NumberParseException:
        return "invalid"
    line = phonenumbers.number_type(number)
    if line == PhoneNumberType.UNKNOWN or _written(number) != msisdn:
        return "invalid"
    return "mobile" if line in MOBILE else "landline"


def canonical(written: str) -> str | None:
    """E.164 of what a person wrote (`06 12 34 56 78`, `+212 ...`), or None."""
    try:
        number = phonenumbers.parse(written, HOME)
    except phonenumbers.NumberParseException:
        return None
    return _written(number) if phonenumbers.is_valid_number(number) else None


def is_dead(msisdn: str) -> bool:
    """Numbers that end in 99 belong to nobody: a text is accepted, and then fails for good."""
    return msisdn.endswith(DEAD)


def network_of(msisdn: str) -> str:
    """The network code that Africa's Talking tells beside a number."""
    return NETWORKS[int(msisdn[-1]) % len(NETWORKS)]


def _written(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
