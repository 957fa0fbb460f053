"""Asking: what tests of the verification do: register as a household does, answer as a body does."""

from __future__ import annotations

from datetime import date
from typing import Any

from gateway.registry import verification
from gateway.registry.answers import Answer
from gateway.registry.extract import Row
from gateway.registry.inquiry import PARTNERS
from gateway.registry.verification import Answered
from gateway.runtime import Runtime
from tests.conftest import NOON

HOUSE = "2900000001"
IDCS = ("2345678906", "3141592650")
TODAY = NOON.date()


def declare(runtime: Runtime, *rows: Row):
    """Fresh registrations, told as the command line does."""
    with runtime.database.write() as session:
        stored = runtime.intake.register(session, rows, runtime.clock())
        runtime.teller.tell(session, stored.events, runtime.clock())
    return stored


def an_answer(item: str, value: Any = None, *, outcome: str | None = None, on: date = TODAY, reference: str = "1",
              number: str = HOUSE, idcs: str | None = None) -> Answer:
    """By the body that is asked about this item. A value is a correction."""
    partner = next(partner for partner, items in PARTNERS.items() if item in items)
    outcome = outcome or ("confirmed" if value is None else "corrected")
    return Answer(1, partner, number, item, idcs, outcome, value, on, reference)


def all_answers(number: str = HOUSE, *, on: date = TODAY, without: str = "", idcs: tuple[str, ...] = IDCS
                ) -> list[Answer]:
    """Everything confirmed, but by the body `without`."""
    return [an_answer(item, on=on, number=number, idcs=member) for partner, items in PARTNERS.items()
            if partner != without for item in items
            for member in (idcs if item.startswith("members.") else (None,))]


def answer(runtime: Runtime, *answers: Answer) -> Answered:
    """The answers come in, and what they call for is told."""
    with runtime.database.write() as session:
        answered = verification.answer(session, runtime.vault, runtime.scorer, answers, runtime.clock())
        runtime.teller.tell(session, answered.events, runtime.clock())
    return answered
