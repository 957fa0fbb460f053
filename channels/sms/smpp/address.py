"""Address: a telephone or a sender, with the type of number and the numbering plan that SMPP wants beside it.

SMPP 3.4 sections 5.2.5 (TON) and 5.2.6 (NPI).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

INTERNATIONAL, NATIONAL, NETWORK_SPECIFIC, ALPHANUMERIC = 1, 2, 3, 5
NO_PLAN, E164 = 0, 1

MSISDN = re.compile(r"\+[1-9][0-9]{7,14}")
# A sender name has eleven letters at most: 3GPP TS 23.040, section 9.1.2.5.
NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ._-]{1,11}")
SHORT_CODE = re.compile(r"[0-9]{3,8}")
COUNTRY = "212"


@dataclass(frozen=True)
class Address:
    ton: int
    npi: int
    digits: str = field(repr=False)


def sender(name: str) -> Address:
    """A name, a short code, or a telephone in E.164. Raises `ValueError` for what is none of them."""
    if MSISDN.fullmatch(name):
        return Address(INTERNATIONAL, E164, name[1:])
    if SHORT_CODE.fullmatch(name):
        return Address(NETWORK_SPECIFIC, NO_PLAN, name)
    if NAME.fullmatch(name):
        return Address(ALPHANUMERIC, NO_PLAN, name)
    raise ValueError("a sender is a name of up to 11 letters, a short code, or a telephone with its +")


def msisdn(address: Address) -> str:
    """A telephone in E.164, from the several ways in which SMSCs write one; empty for a name or a short code."""
    digits = address.digits.removeprefix("+")
    if address.ton in (NETWORK_SPECIFIC, ALPHANUMERIC) or not digits.isascii() or not digits.isdigit():
        return ""
    if digits.startswith("00"):
        digits = digits[2:]
    elif digits.startswith("0") or address.ton == NATIONAL:
        digits = COUNTRY + digits.removeprefix("0")
    found = f"+{digits}"
    return found if MSISDN.fullmatch(found) else ""
