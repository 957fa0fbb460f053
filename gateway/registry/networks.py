"""Networks: which mobile network a number's first digits were given to.

A hint, and no more: numbers can be carried from one network to another (ANRT, "portabilité"), and no list says which
were. So a route may be chosen by it, and nothing may be refused by it.
"""

from __future__ import annotations

from functools import cache, lru_cache

from phonenumbers import carrierdata

from gateway.registry.phones import COUNTRY

# The library's table of prefixes follows the regulator's numbering plan (ANRT) with each of its releases. Code: MCC
# and MNC (ITU-T E.212, Operational Bulletin); of a network that has several, the first.
CODES = {"Orange": "60400", "Maroc Telecom": "60401", "Inwi": "60402", "Al Hourria Telecom": "60404"}


def network_of(msisdn: str) -> str:
    """The code (MCC and MNC) of the network that an E.164 number was given to; "" where the plan names none."""
    return _network(msisdn.removeprefix("+")[:_prefixes()[1]])


@lru_cache(1 << 16)
def _network(digits: str) -> str:
    """By the longest prefix there is. A country's numbers begin in few ways: nearly all are looked up once."""
    prefixes, _ = _prefixes()
    return next((prefixes[digits[:end]] for end in range(len(digits), 0, -1) if digits[:end] in prefixes), "")


@cache
def _prefixes() -> tuple[dict[str, str], int]:
    found = {prefix: CODES[name] for prefix, names in carrierdata.CARRIER_DATA.items()
             if prefix.startswith(str(COUNTRY)) and (name := names.get("en")) in CODES}
    return found, max(map(len, found), default=0)
