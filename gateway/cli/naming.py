"""Naming: the household, or its registration, that a clerk means by the number in its hand."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.registry import registration
from gateway.registry.complaint import Complaint
from gateway.registry.numbers import folded, kind_of, read_number
from gateway.registry.registration import Registration
from gateway.registry.review import Review
from gateway.registry.steps import NotAllowed
from gateway.registry.update import DataUpdate
from gateway.vault import Vault

# What else a household has in its hand. A sensitive complaint tells nobody whose it is.
REQUESTS: dict[str, tuple[Any, sa.ColumnElement[bool]]] = {
    "review": (Review, sa.true()), "complaint": (Complaint, ~Complaint.sensitive), "update": (DataUpdate, sa.true())}


def household_of(session: Session, vault: Vault, typed: str) -> UUID:
    """By its own ten digits, or the nine of its registration, a review, a complaint or an update of its.

    Raises `NotAllowed` where there is none, where the digits do not fit each other, and while it is pre-registered.
    """
    number = _checked(typed)
    if kind_of(number) in REQUESTS:
        model, seen = REQUESTS[str(kind_of(number))]
        found: UUID | None = session.scalar(sa.select(model.household_id).where(model.number == number, seen))
        if found is None:
            raise NotAllowed("No household has this number.")
        return found
    return known(registration_of(session, vault, typed))


def registration_of(session: Session, vault: Vault, typed: str) -> Registration:
    """By the ten digits of the household, or the nine of the slip. Raises `NotAllowed`."""
    _checked(typed)
    row = registration.find(session, vault, typed)
    if row is None:
        raise NotAllowed("No household has this number: give its 10 digits, or the 9 digits of its slip.")
    return row


def known(row: Registration) -> UUID:
    """The household of a registration. Raises `NotAllowed` while it is pre-registered."""
    if row.household_id is None:
        raise NotAllowed("This household is pre-registered: its members need their identifiers first.")
    return row.household_id


def _checked(typed: str) -> str:
    number = folded(typed)
    if re.fullmatch("[0-9]{9}", number) and kind_of(number) is None:
        raise NotAllowed("These nine digits do not fit each other, so one of them is wrong: type the number again.")
    return number


def code_of(typed: str) -> str:
    """The code of a letter or a text, as it is read off the sheet."""
    number = read_number(typed)
    if number is None:
        raise click.UsageError("a code of ours has nine digits, which fit each other; it stands on the letter")
    return number
