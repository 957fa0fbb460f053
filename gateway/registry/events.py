"""Events: what the verbs of the registry return, for the gateway to tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID


@dataclass(frozen=True)
class IndexAssigned:
    """A household has a new index that it must be told."""

    household_id: UUID
    score_id: UUID


@dataclass(frozen=True)
class ReviewAsked:
    """A household contests its index; `answer_by` is the day it was promised an answer for."""

    household_id: UUID
    review_id: UUID
    number: str
    answer_by: date


@dataclass(frozen=True)
class ComplaintReceived:
    """A complaint was filed from this telephone; the household may be unknown."""

    household_id: UUID | None
    complaint_id: UUID
    number: str


Event = IndexAssigned | ReviewAsked | ComplaintReceived
