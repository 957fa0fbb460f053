"""Clock: which day it is for the law: the one in Casablanca, an hour behind itself in Ramadan."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

CASABLANCA = ZoneInfo("Africa/Casablanca")


def day_of(moment: datetime) -> date:
    """The day that this moment falls into in Casablanca."""
    return moment.astimezone(CASABLANCA).date()
