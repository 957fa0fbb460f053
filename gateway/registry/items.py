"""Items: the single facts of a household that are contested and corrected, each found again after a new declaration.

An item is written as in `evidence`: `equipment.cars`, `members.2.health_cover`. Positions change when members come and
go, so in a table an item of a member is `members.health_cover` with the blind index of the member's identifier.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.registry import evidence, extract
from gateway.registry.household import Household, Member
from gateway.registry.numbers import folded
from gateway.registry.steps import NotAllowed

Kept = dict[str, str]

WRITTEN = re.compile(r"[a-z_]+(?:\.[a-z_]+|\.[1-9][0-9]?\.[a-z_]+)?")
OF_A_MEMBER = re.compile(r"members\.([1-9][0-9]?)\.([a-z_]+)")


@dataclass(frozen=True)
class Item:
    """One fact, and where it came from: `declaration`, a partner body, or `operator` (an earlier correction)."""

    item: str
    source: str


def keep(session: Session, home: Household, written: Sequence[str]) -> list[Kept]:
    """These items as they are kept in a row, each with its source of this moment. Raises `NotAllowed`."""
    sources = evidence.effective(session, [home])[home.id].sources
    kept = []
    for item in dict.fromkeys(written):
        name, member_blind = place(session, home, item)
        kept.append({"item": name, "member": member_blind.hex(), "source": sources.get(item, sources["*"])["by"]})
    return kept


def kept(session: Session, household_id: UUID, rows: Sequence[Kept]) -> tuple[Item, ...]:
    """The items that were kept, with their members' present positions; those of a member who has left are gone."""
    places = evidence.positions(session, [household_id])
    named = [(evidence.located(row["item"], places, household_id, bytes.fromhex(row["member"])), row["source"])
             for row in rows]
    return tuple(Item(item, source) for item, source in named if item)


def place(session: Session, home: Household, item: str) -> tuple[str, bytes]:
    """The item without position, and the member's blind index (`b""` for one of the whole household).

    Raises `NotAllowed` when this household has no such item.
    """
    try:
        value = evidence.read(home.facts, item) if WRITTEN.fullmatch(item) else None
    except KeyError:
        value = None
    if value is None or isinstance(value, dict | list):
        raise NotAllowed(
            "This household has no such item. Write it as equipment.cars, or with the member's position "
            "as members.2.health_cover."
        )
    member = OF_A_MEMBER.fullmatch(item)
    if not member:
        return item, b""
    blind = session.scalars(
        sa.select(Member.idcs_blind).where(Member.household_id == home.id, Member.position == int(member[1]))
    ).one()
    return f"members.{member[2]}", blind


def check(item: str, value: object, today: date) -> None:
    """Raises `NotAllowed` with what to write, when an extract could not hold this value for the item."""
    problem = extract.check_field(item, value)
    if problem:
        raise NotAllowed(f"{item}: {problem.reason}")
    wrong = extract.birth(value, today) if item.endswith(".birth_date") else None
    if wrong:
        raise NotAllowed(f"{item}: {extract.REFUSALS[wrong]}")


def typed(item: str, text: str) -> Any:
    """What a clerk typed, as the schema wants it: a number, true or false, or the text as it is."""
    try:
        wanted = extract.field_schema(item).get("type")
        return json.loads(folded(text)) if wanted in ("integer", "boolean") else text
    except (KeyError, ValueError):
        return text
