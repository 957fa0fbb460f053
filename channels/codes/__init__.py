"""Codes: what a provider's numbers and words mean to us. They are data: a provider adds to them in any month.

One file for each provider. A code has a class (`CLASSES`), the name it bears there, and a source:

    [codes]     what an answer to a send, or a receipt, may give as the reason
    [reasons]   the same as words, by their letters alone, where a provider spells them in several ways
    [statuses]  the words of a receipt, and what became of the text; "" for a step on the way

A code of which only the one text is at fault is `unavailable` or `rejected`, never `misconfigured`: that stops the
provider for all.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast, get_args

from channels.base import Misconfigured, Outcome, Rejected, SendError, Throttled, Unavailable, Unknown

CLASSES: dict[str, type[SendError] | None] = {
    "accepted": None, "rejected": Rejected, "unavailable": Unavailable, "throttled": Throttled, "unknown": Unknown,
    "misconfigured": Misconfigured,
}


class BadCodes(Exception):
    """A provider's file is not as it should be. Names the file and the place."""


@dataclass(frozen=True)
class Code:
    """One code. `kind` is None for one that accepts; `opted_out` where the person wants no texts; `daily` where
    nothing more is taken today."""

    name: str
    kind: type[SendError] | None
    opted_out: bool = False
    daily: bool = False


@dataclass(frozen=True)
class Codes:
    """All codes of one provider."""

    source: str
    codes: Mapping[str, Code]
    reasons: Mapping[str, Code]
    statuses: Mapping[str, Outcome | None]

    def find(self, code: str) -> Code | None:
        """A code or a reason, however that is spelled; None for one that nobody has told us of."""
        return self.codes.get(code) or self.reasons.get(letters(code))

    def knows(self, word: str) -> bool:
        """Whether it is a code, a reason or a status."""
        return self.find(word) is not None or word in self.statuses or letters(word) in self.statuses


@cache
def codes_of(provider: str) -> Codes:
    """Read a provider's file. Raises `BadCodes` for a wrong one, `FileNotFoundError` where there is none."""
    data = tomllib.loads((files(__name__) / f"{provider}.toml").read_text(encoding="utf-8"))
    statuses = data.get("statuses", {})
    for word, became in statuses.items():
        if became and became not in get_args(Outcome):
            raise BadCodes(f"{provider}.toml: statuses.{word}: {became} is none of {', '.join(get_args(Outcome))}")
    return Codes(
        data["source"], _read(provider, data, "codes"), _read(provider, data, "reasons"),
        {word: cast("Outcome | None", became or None) for word, became in statuses.items()})


def strange(provider: str, word: str) -> bool:
    """Whether this word of a provider's own is in none of its tables. Where there are none, no word is strange."""
    return bool(word) and _has_file(provider) and not codes_of(provider).knows(word)


def named(provider: str, code: str) -> str:
    """The name that a code bears at its provider; "" for one of ours or an unknown one."""
    found = codes_of(provider).find(code) if code and _has_file(provider) else None
    return found.name if found else ""


def letters(word: str) -> str:
    """A word by its letters alone, in small ones."""
    return re.sub(r"[^a-z]", "", word.lower())


def _read(provider: str, data: Mapping[str, Any], table: str) -> dict[str, Code]:
    found = {}
    for code, told in data.get(table, {}).items():
        more = {key: told[key] for key in told.keys() - {"name", "class"}}
        if told.get("class") not in CLASSES or not told.get("name") or more.keys() - {"opted_out", "daily"}:
            raise BadCodes(f"{provider}.toml: {table}.{code}: write name, class (one of {', '.join(CLASSES)}), and "
                           "opted_out or daily where it is so")
        found[code] = Code(told["name"], CLASSES[told["class"]], **more)
    return found


@cache
def _has_file(provider: str) -> bool:
    return (files(__name__) / f"{provider}.toml").is_file()
