"""Vector: the measures of a household as whole numbers in a fixed order, for the whole-registry run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any


def pack(facts: Mapping[str, Any], on: date) -> bytes:
    """Every measure of the household on the day `on`."""
    return b""
