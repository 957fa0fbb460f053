"""Bundle: letters in the order in which the post takes them, in files of no more pages than memory is meant for.

The post's tariff asks for letters by postal code. What has none lies together at the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

# How the last line of an address begins, by the Moroccan norm NM 04.04.100.
CODE = re.compile("[0-9]{5}")
# Pages of a file, its cover among them: each costs 2 MB of memory until the whole file is written.
MOST_PAGES = 100
# A cover takes so many at most, where backs are printed.
COVER = 2
# A bundle ends where the postal code changes if it is so full by then: at worst there are a quarter more covers.
FULL_ENOUGH = 0.8


@dataclass(frozen=True)
class Bundle:
    """One file of a run. `pages` are all of the file, with its cover; `first_code` and `last_code` are postal codes,
    empty where an address has none; `sha256` is that of the file, in hexadecimal digits."""

    file: str
    letters: int
    pages: int
    first_code: str
    last_code: str
    sha256: str


@dataclass(frozen=True)
class Cover:
    """What lies on top of a bundle: `place` of `bundles`, counted from 1. It names nobody."""

    run: str
    place: int
    bundles: int
    letters: int
    first_code: str
    last_code: str


def postal_code(address: Sequence[str]) -> str:
    """Five digits, or nothing."""
    return _last_line(address)[0]


def by_tariff(address: Sequence[str], commune: str) -> tuple[str, ...]:
    """What letters are sorted by: postal code, locality, then the rest of the address, and the name last of all.

    Those without a code come last, by their `commune`.
    """
    code, locality = _last_line(address)
    name, *rest = address[:-1] or ("",)
    within = (locality.casefold(), *rest, name)
    return ("", code, *within) if code else ("no code", commune, *within)


def cut(codes: Sequence[str], pages: Sequence[int]) -> list[slice]:
    """Letters with these postal codes and so many pages each, in their order, in bundles of `MOST_PAGES` at most.

    They are all one file without a cover where they fit into it. A letter is never torn: one that is longer is a
    bundle by itself.
    """
    if sum(pages) <= MOST_PAGES:
        return [slice(0, len(codes))]
    cuts, start = [], 0
    while start < len(codes):
        end = _end(codes, pages, start)
        cuts.append(slice(start, end))
        start = end
    return cuts


def _end(codes: Sequence[str], pages: Sequence[int], start: int) -> int:
    """Where the bundle that begins here ends: at its last change of code, if it is full enough there."""
    room = MOST_PAGES - COVER
    ends = [end for end, filled in enumerate(accumulate(pages[start:]), start + 1) if filled <= room]
    last = max(ends, default=start + 1)
    if last == len(codes):
        return last
    full = (end for end in reversed(ends) if sum(pages[start:end]) >= FULL_ENOUGH * room)
    return next((end for end in full if codes[end - 1] != codes[end]), last)


def _last_line(address: Sequence[str]) -> tuple[str, str]:
    last = address[-1] if address else ""
    code, _, locality = last.partition(" ")
    return (code, locality) if CODE.fullmatch(code) else ("", last)
