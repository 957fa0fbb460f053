"""Fields of a telephone call's callback, as either provider writes them."""

from __future__ import annotations

import re

from channels.base import BadCallback, CallbackRequest

TELEPHONE = r"\+[1-9][0-9]{7,14}"

# What networks put in the place of a number that is withheld: the words ANONYMOUS, RESTRICTED and UNAVAILABLE on a
# telephone's keys. BLOCKED and UNKNOWN are too short for a number; what is written in letters is none either.
WITHHELD = {"+266696687", "+7378742833", "+86282452253"}


def telephone(request: CallbackRequest, key: str) -> str:
    """A number in E.164; empty where it was withheld, or is nothing that could be called back."""
    value = request.one(key)
    return value if re.fullmatch(TELEPHONE, value) and value not in WITHHELD else ""


def call_id(request: CallbackRequest, key: str) -> str:
    """Raises `BadCallback`."""
    return matching(request, key, r"[A-Za-z0-9_-]{1,64}")


def keys(request: CallbackRequest, key: str) -> str:
    """The keys that were pressed, empty after silence. Raises `BadCallback`."""
    return matching(request, key, r"[0-9*#]{0,64}", "")


def matching(request: CallbackRequest, key: str, pattern: str, default: str | None = None) -> str:
    """The single value of `key`. Raises `BadCallback`, which names the field and never its value."""
    value = request.one(key, default)
    if not re.fullmatch(pattern, value):
        raise BadCallback(f"field {key} is malformed")
    return value


def figure(request: CallbackRequest, key: str) -> int | None:
    """A whole number, None where the provider does not say one."""
    value = request.one(key, "")
    return int(value) if re.fullmatch(r"[0-9]{1,9}", value) else None
