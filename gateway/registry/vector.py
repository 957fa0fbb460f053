"""Vector: the measures of a household as whole numbers in a fixed order, for the whole-registry run."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.registry.measures import MEASURES, CannotCompute, Census, counted

# The divisors first, then what each measure counts. It only ever grows at its end, as MEASURES does.
LAYOUT = ("size", "aged_15", *MEASURES)
WIDTH = 4 * len(LAYOUT)
# Stands for what cannot be counted: such a household is scored from its facts, or has no index.
UNKNOWN = -1
LARGEST = 2**31 - 1
ROW = struct.Struct(f"<{len(LAYOUT)}i")
FIELDS = np.dtype([(name, "<i4") for name in LAYOUT])

Columns = Mapping[str, NDArray[np.int32]]


def pack(facts: Mapping[str, Any], on: date) -> bytes:
    """Every measure of the household on the day `on`: four bytes each, the lowest byte first, in the order of `LAYOUT`.

    A count that cannot be read from the facts, or that four bytes cannot hold, is `UNKNOWN`.
    """
    census = Census(facts, on, "members")
    counts = [census.size, _aged_15(census), *(_counted(name, census) for name in MEASURES)]
    return ROW.pack(*counts)


def columns(packed: bytes) -> Columns:
    """The counts of many households whose rows lie one after the other, by name; each row is `WIDTH` bytes long."""
    rows = np.frombuffer(packed, FIELDS)
    return {name: rows[name] for name in LAYOUT}


def full_width(packed: bytes) -> bytes:
    """A row in today's width. One that was packed when there were fewer measures does not know the new ones."""
    return packed.ljust(WIDTH, b"\xff")[:WIDTH]


def _aged_15(census: Census) -> int:
    try:
        return census.count(15)
    except (CannotCompute, KeyError, TypeError, ValueError):
        return UNKNOWN


def _counted(name: str, census: Census) -> int:
    try:
        count = counted(name, census)
    except CannotCompute:
        return UNKNOWN
    return count if 0 <= count <= LARGEST else UNKNOWN
